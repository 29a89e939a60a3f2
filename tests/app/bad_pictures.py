#!/usr/bin/env python3
"""Gives the program requests with bad pictures among good ones, on several ranks.

  bad_pictures.py --tesserank PROGRAM --golden DIR --ranks N CASE

Each bad picture fails its own request, with a message that names the picture; a picture that only looks odd works, and
gives what the plain one gives.
"""
import argparse
import base64
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import numpy as np
from PIL import Image

SECONDS = 20


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(message)


class Run:
    """A folder with a model that takes pictures and has a tokenizer."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options, self.folder = options, folder
        self.case = options.golden / "models" / "internvl-orig-qwen2"
        self.model = folder / "model.h5"
        (folder / "requests").mkdir()
        subprocess.run([options.tesserank, "convert", self.case, self.model, "--quiet"], check=True)
        self.picture = (self.case / "images" / "image0.png").read_bytes()
        self.write("good.png", self.picture)

    def write(self, name: str, content: bytes) -> str:
        """Beside the requests: paths are relative to their folder."""
        (self.folder / "requests" / name).write_bytes(content)
        return name

    def start(self, lines: list, status: int, *more: str, command: str = "generate") -> str:
        requests = self.folder / "requests" / "in.jsonl"
        requests.write_text("".join(json.dumps(line) + "\n" for line in lines))
        environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1",
                           OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        begin = time.monotonic()
        result = subprocess.run(
            [self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(self.options.ranks),
             self.options.tesserank, command, self.model, "--input", requests, "--output", self.folder / "out.jsonl",
             "--quiet", *more], env=environment, capture_output=True, text=True, timeout=3 * SECONDS)
        expect(time.monotonic() - begin < SECONDS, "it took too long")
        expect(result.returncode == status, f"exit status {result.returncode}, want {status}: {result.stderr}")
        return result.stderr

    def fails(self, word: str, *more: str) -> None:
        errors = self.start([{"id": "a", "prompt": "q"}], 2, *more)
        expect(word in errors, f"{word!r} is not in: {errors}")

    def generate(self, lines: list, status: int, *more: str, command: str = "generate") -> list[dict]:
        self.start(lines, status, *more, command=command)
        results = [json.loads(line) for line in (self.folder / "out.jsonl").read_text().splitlines()]
        expect(len(results) == len(lines), f"{len(results)} results for {len(lines)} lines")
        return results

    def check(self, good: dict, bad: dict, *more: str) -> None:
        """`good`: id -> images that are the picture; `bad`: id -> images, and words of the message."""
        ask = {"prompt": "Describe the picture.", "max_new_tokens": 3}
        lines = [{"id": "first", **ask, "images": ["good.png"]}]
        lines += [{"id": name, **ask, "images": images} for name, images in good.items()]
        lines += [{"id": name, **ask, "images": images} for name, (images, *_) in bad.items()]
        lines += [{"id": "last", **ask, "images": ["good.png"]}, {"id": "text", **ask}]
        results = {result["id"]: result for result in self.generate(lines, 3 if bad else 0, *more)}
        want = results["first"]["tokens"]
        expect(len(want) == 3 and results["text"]["tokens"] != want, "the picture changes nothing")
        for name in ("last", *good):
            expect(results[name].get("tokens") == want, f"{name}: {results[name]}, want the tokens {want}")
        for name, (_, *words) in bad.items():
            expect(results[name]["finish_reason"] == "error", f"{name}: not an error: {results[name]}")
            message = results[name]["error"]
            for word in words:
                expect(word in message, f"{name}: {word!r} is not in: {message}")
            print(f"{name}: {message}")


def encode(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_size(png: bytes, width: int, height: int) -> bytes:
    """Another size in the header, with a right checksum."""
    header = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def files(run: Run) -> None:
    image = Image.open(io.BytesIO(run.picture)).convert("RGB")
    jpeg, webp = encode(image, "JPEG"), encode(image, "WEBP", lossless=True)
    frames = [image, Image.eval(image, lambda value: 255 - value)]
    os.mkfifo(run.folder / "requests" / "pipe.png")
    (run.folder / "requests" / "folder.png").mkdir()
    (run.folder / "requests" / "link.png").symlink_to("good.png")
    good = {
        "wrong extension": [run.write("really-a-png.jpg", run.picture)],
        "another format under its name": [run.write("really-a-webp.png", webp)],
        "no extension": [run.write("picture", run.picture)],
        "link": ["link.png"],
        "absolute path": [str(run.folder / "requests" / "good.png")],
    }
    bad = {
        "truncated PNG": ([run.write("cut.png", run.picture[:len(run.picture) // 2])], 'images[0] ("cut.png")', "PNG"),
        "truncated JPEG": ([run.write("cut.jpg", jpeg[:len(jpeg) // 2])], 'images[0] ("cut.jpg")', "JPEG"),
        "truncated WebP": ([run.write("cut.webp", webp[:len(webp) // 2])], 'images[0] ("cut.webp")', "WebP"),
        "zero-sized": ([run.write("zero.png", with_size(run.picture, 0, 60))], "zero.png"),
        "a huge header": ([run.write("huge.png", with_size(run.picture, 60000, 60000))],
                          "huge.png", "60000 x 60000 pixels; at most 100000000"),
        "CMYK": ([run.write("cmyk.jpg", encode(image.convert("CMYK"), "JPEG"))], "cmyk.jpg", "CMYK"),
        "animated WebP": ([run.write("moving.webp", encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]))],
                          "moving.webp", "animated"),
        "animated PNG": ([run.write("moving.png", encode(frames[0], "PNG", save_all=True, append_images=frames[1:]))],
                         "moving.png", "animated"),
        "GIF": ([run.write("picture.gif", encode(image, "GIF"))], "picture.gif", "neither JPEG nor PNG nor WebP"),
        "missing": (["good.png", "missing.png"], 'images[1] ("missing.png")', "No such file"),
        "folder": (["folder.png"], "folder.png", "not a plain file"),
        "pipe": (["pipe.png"], "pipe.png", "not a plain file"),
        "device": (["/dev/zero"], "/dev/zero", "not a plain file"),
        "no picture": ([run.write("text.png", b"This is text.")], "text.png", "neither JPEG nor PNG nor WebP"),
        "empty": ([run.write("empty.png", b"")], "empty.png", "empty file"),
    }
    run.check(good, bad)


def urls(run: Run) -> None:
    good = {"data URL": [data_url(run.picture)], "data URL of another type": [data_url(run.picture, "image/jpeg")]}
    bad = {
        "bad base64": (["data:image/png;base64,!!!!"], "images[0] (a data URL)", "not base64"),
        "cut base64": ([data_url(run.picture)[:-3]], "images[0] (a data URL)", "multiple of 4"),
        "cut data": ([data_url(run.picture[:60])], "images[0] (a data URL)", "PNG"),
        "unknown type": ([data_url(b"<svg/>", "image/svg+xml")], "images[0] (a data URL)", "image/svg+xml"),
        "network": (["http://example.org/a.png"], 'images[0] ("http://example.org/a.png")', "not fetched"),
        "empty": ([""], "images[0]"),
    }
    run.check(good, bad)


def limits(run: Run) -> None:
    run.check({}, {"bytes": ([run.write("large.png", run.picture + b"\0" * 100_000)], "large.png", "--max-image-bytes")},
              "--max-image-bytes", "50K")
    noise = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)
    large = run.write("noise.png", encode(Image.fromarray(noise), "PNG"))
    run.check({}, {"pixels": ([large], "noise.png", "300 x 200", "--max-image-pixels")}, "--max-image-pixels", "50000")
    # 96 x 60 pixels are two tiles and a thumbnail, of 4 tokens each.
    run.check({}, {"length": (["good.png"] * 5, "images", "the first 5 of 5 take 60 tokens", "--max-length's 60"),
                   "text and pictures": (["good.png"] * 4, "tokens, expected fewer than --max-length's 60")},
              "--max-length", "60")
    one = run.generate([{"id": "a", "prompt": "q", "images": ["good.png"], "max_new_tokens": 1}], 0, "--max-tiles", "1")
    three = run.generate([{"id": "a", "prompt": "q", "images": ["good.png"], "max_new_tokens": 1}], 0)
    run.fails("expected one below the model's 900", "--image-token", "900")
    expect(three[0]["prompt_tokens"] - one[0]["prompt_tokens"] == 8, f"--max-tiles does nothing: {one}, {three}")


def prompts(run: Run) -> None:
    """Ways to ask for the same, and places that do not fit the pictures."""
    picture = {"type": "image_url", "image_url": {"url": "good.png"}}
    words = {"type": "text", "text": "What is it?"}
    options = {"max_new_tokens": 4}
    lines = [
        {"id": "images", "messages": [{"role": "user", "content": "What is it?"}], "images": ["good.png"], **options},
        {"id": "mark", "messages": [{"role": "user", "content": "<image>\nWhat is it?"}], "images": ["good.png"], **options},
        {"id": "parts", "messages": [{"role": "user", "content": [picture, words]}], **options},
        {"id": "image part", "messages": [{"role": "user", "content": [{"type": "image"}, words]}], "images": ["good.png"],
         **options},
        {"custom_id": "batch", "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": "m", "messages": [{"role": "user", "content": [picture, words]}], "max_tokens": 4}},
        {"id": "literal", "prompt": "a <IMG_CONTEXT> b", "images": ["good.png"], **options},
        {"id": "tokens", "tokens": [1, 897, 897, 2], "images": ["good.png"], **options},
        {"id": "no image", "tokens": [1, 897, 2], **options},
        {"id": "marks", "prompt": "<image><image>", "images": ["good.png"], **options},
    ]
    results = run.generate(lines, 3)
    for result in results[:5]:
        expect(result["tokens"] == results[0]["tokens"], f"not the same as the first: {result}")
        expect(result["prompt_tokens"] == results[0]["prompt_tokens"] > 20, f"not the same prompt: {result}")
    expect([r["id"] for r in results] == [line.get("id", "batch") for line in lines], "the order is wrong")
    for result, word in zip(results[5:], ("<IMG_CONTEXT>", "tokens[1]: found 2", "tokens[1]: found 1", "found 2 marks"),
                            strict=True):
        expect(word in result.get("error", ""), f"{word!r} is not in: {result}")
    scores = run.generate([{"id": "s", "messages": [{"role": "user", "content": "q"}], "images": ["good.png"],
                            "completion": "A ship."},
                           {"id": "bad", "prompt": "q", "images": ["none.png"], "completion": "A ship."}], 3, command="score")
    expect(scores[0]["sum_logprob"] < 0 and "none.png" in scores[1]["error"], f"score: {scores}")


CASES = [files, urls, limits, prompts]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True, type=pathlib.Path)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    parser.add_argument("--ranks", required=True, type=int)
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("case", choices=[case.__name__ for case in CASES])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        {case.__name__: case for case in CASES}[options.case](Run(options, pathlib.Path(name)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
