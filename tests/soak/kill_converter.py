#!/usr/bin/env python3
"""Kills conversions at random points and checks what is left.

  kill_converter.py --tesserank PROGRAM [--kills N] [--ranks N] [--mpiexec M] [--seed N]

Each trial converts the same checkpoint on --ranks ranks, to a file or to a set of files, in turns, and kills a rank, mpirun
or all of them, as often as it comes, until a conversion is done. After each: what has its final name is complete. In the
end: the bytes are those of an undisturbed conversion by one process, and nothing else is left.
"""
import argparse
import json
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

from job import Failure, Launcher, add_options, children_of, expect, send

SECONDS = 200  # that a job may take
HIDDEN, LAYERS, VOCABULARY = 128, 6, 4000


def shapes() -> dict:
    """Of a small Llama."""
    named = {"model.embed_tokens": (VOCABULARY, HIDDEN), "model.norm": (HIDDEN,), "lm_head": (VOCABULARY, HIDDEN)}
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        named |= {layer + "input_layernorm": (HIDDEN,), layer + "post_attention_layernorm": (HIDDEN,)}
        named |= {layer + f"self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"}
        named |= {layer + "mlp.gate_proj": (512, HIDDEN), layer + "mlp.up_proj": (512, HIDDEN),
                  layer + "mlp.down_proj": (HIDDEN, 512)}
    return {name + ".weight": shape for name, shape in named.items()}


def write_checkpoint(folder: pathlib.Path, files: int) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(
        {"model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": 512,
         "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 4, "hidden_act": "silu",
         "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": False}))
    generator = np.random.default_rng(1)
    names = list(shapes())
    index = {}
    for number in range(files):
        own, header, data = names[number::files], {}, b""
        for name in own:
            begin = len(data)
            data += generator.normal(size=shapes()[name]).astype("<f4").tobytes()
            header[name] = {"dtype": "F32", "shape": shapes()[name], "data_offsets": [begin, len(data)]}
            index[name] = f"model-{number}.safetensors"
        text = json.dumps(header).encode()
        (folder / f"model-{number}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))


def content(path: pathlib.Path) -> dict:
    """Of a file, or of all files of a folder."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: file.read_bytes() for file in files}


class Soak:
    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options, self.folder, self.random = options, folder, random.Random(options.seed)
        self.launcher = Launcher(options, SECONDS)
        self.source = folder / "source"
        write_checkpoint(self.source, files=5)
        self.expected = {}
        for kind in ("file", "set"):
            path = folder / "one-process"
            subprocess.run([options.tesserank, *self.words(path, kind)], check=True)
            self.expected[kind] = content(path)
            shutil.rmtree(path) if kind == "set" else path.unlink()
        self.path = folder / "model"
        self.expected["file"] = {"model": self.expected["file"]["one-process"]}

    def words(self, path: pathlib.Path, kind: str) -> list:
        cut = ["--ranks", "3", "--placement", "shard"] if kind == "set" else []
        return ["convert", str(self.source), str(path), "--dtype", "bf16", "--quiet", *cut]

    def is_there(self, kind: str) -> bool:
        return self.path.exists() if kind == "file" else (self.path / "set.json").exists()

    def trial(self, kind: str, seconds: float) -> int:
        """Gives how often the conversion was ended early."""
        for ended in range(100):
            process = self.launcher.start(*self.words(self.path, kind))
            ranks = []
            try:
                process.wait(self.random.uniform(0.0, 1.05 * seconds))
            except subprocess.TimeoutExpired:
                ranks = children_of(process.pid)
                for pid in self.random.choice([[process.pid], ranks[:1], ranks[-1:], ranks + [process.pid]]):
                    send(pid, signal.SIGKILL)
            status, errors = self.launcher.finish(process, ranks)
            if self.is_there(kind):
                break
            expect(status != 0 and (ranks or status < 0), f"ended with {status} and no model: {errors}")
        else:
            raise Failure("never done")
        expect(content(self.path) == self.expected[kind], "the bytes are not those of an undisturbed conversion")
        left = [path.name for path in self.folder.iterdir() if path.name not in ("source", "model")]
        expect(not left, f"left behind: {left}")
        shutil.rmtree(self.path) if kind == "set" else self.path.unlink()
        return ended

    def undisturbed_seconds(self) -> float:
        begin = time.monotonic()
        status, errors = self.launcher.finish(self.launcher.start(*self.words(self.path, "file")), [])
        expect(status == 0 and content(self.path) == self.expected["file"], f"status {status}: {errors}")
        self.path.unlink()
        return time.monotonic() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, ranks=3)
    parser.add_argument("--kills", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(options, pathlib.Path(folder))
        ended = done = 0
        try:
            seconds = soak.undisturbed_seconds()
            print(f"seed {options.seed}; an undisturbed conversion takes {seconds:.2f} s", flush=True)
            while ended < options.kills:
                ended += soak.trial("set" if done % 2 else "file", seconds)
                done += 1
        except Failure as failure:
            print(f"FAILED after {ended} conversions killed: {failure}")
            return 1
        soak.launcher.tell_of_hangs()
    print(f"{ended} conversions killed; all {done} models are right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
