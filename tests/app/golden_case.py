#!/usr/bin/env python3
"""Runs one case of tests/golden through the program and compares everything that the case holds.

  golden_case.py --tesserank PROGRAM --case DIR --ranks N [--placement P] [--dtype D] [--batch B]
                 [--prefill-chunk N] [--backend B] [--comm C] [--new-tokens N] [--vision-chunk N] [--keep-vision WHEN]
                 [--memory-limit SIZE] [--fused-all-reduce HOW] [--encoder kept|released] [--mpiexec M]

convert, generate (with --logits) and score (with --logits) run as a user would run them; check_outputs.py judges.
With --dtype bf16 the tolerances for bfloat16 arithmetic apply. generate runs once more without --logits, where tokens may
be chosen from candidates, and on a GPU without the host. --new-tokens N looks at no more than so many of each sequence.
--encoder says what is to become of the vision encoder between batches.
Exit status 0 only when every check was made and passed.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np


def read_lines(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def write_lines(path: pathlib.Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


# Options of generate and score that are left out where the case does not give them.
PASSED_ON = ("batch", "vision_chunk", "keep_vision", "memory_limit", "fused_all_reduce")
WORDS_FOR = {"kept": "vision encoder kept", "released": "vision encoder loaded for each batch"}


class Program:
    """Starts tesserank, under mpirun where ranks are wanted, and stops the test when it fails."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive",
                                OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

    def run(self, *arguments: object) -> None:
        self.check([self.options.tesserank, *map(str, arguments)])

    def run_ranks(self, command: str, *arguments: object) -> None:
        o = self.options
        wanted = [WORDS_FOR[o.encoder]] if o.encoder else []
        if o.fused_all_reduce:
            wanted.append("bytes within kernels")
        said = self.check([
            o.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(o.ranks), o.tesserank, command,
            *map(str, arguments), "--placement", o.placement, "--backend", o.backend, "--comm", o.comm, "--dtype", o.dtype,
            "--prefill-chunk", str(o.prefill_chunk), *([] if wanted else ["--quiet"]),
            *(word for name in PASSED_ON if (value := getattr(o, name))
              for word in ("--" + name.replace("_", "-"), str(value)))])
        for words in wanted:
            if words not in said:
                sys.exit(f"{command}: nothing is said of \"{words}\": {said}")

    def check(self, words: list[str]) -> str:
        result = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=self.options.seconds)
        if result.returncode != 0:
            sys.exit(f"{' '.join(words)}\nended with {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stderr


def shorten(expected: pathlib.Path, folder: pathlib.Path, tokens: int) -> pathlib.Path:
    """The same case with the first tokens of each sequence."""
    shutil.copytree(expected, folder / "short" / "expected")
    short = folder / "short" / "expected"
    prompts, greedy = read_lines(expected / "prompts.jsonl"), read_lines(expected / "greedy.jsonl")
    for prompt in prompts:
        prompt["max_new_tokens"] = min(prompt["max_new_tokens"], tokens)
    for row in greedy:
        if len(row["tokens"]) <= tokens:
            continue
        for name in ("tokens", "logprobs", "margins", "runner_up"):
            row[name] = row[name][:tokens]
        row["finish_reason"] = "length"
        row.pop("output_text", None)
    write_lines(short / "prompts.jsonl", prompts)
    write_lines(short / "greedy.jsonl", greedy)
    return short


def check_same(folder: pathlib.Path) -> list[str]:
    """What is chosen without the logits must be what is chosen with them."""
    problems = []
    for want, got in zip(read_lines(folder / "out.jsonl"), read_lines(folder / "chosen.jsonl"), strict=True):
        for name in ("id", "tokens", "finish_reason", "text"):
            if got.get(name) != want.get(name):
                problems.append(f"{want['id']}: {name} without --logits is {got.get(name)}, want {want.get(name)}")
        logprobs = [row.get("logprobs") or [] for row in (want, got)]
        if len(logprobs[0]) != len(logprobs[1]) or not np.allclose(*logprobs, rtol=0, atol=1e-4):
            problems.append(f"{want['id']}: logprobs without --logits are {logprobs[1]}, want {logprobs[0]}")
    return problems


def images_of(prompt: dict, case: pathlib.Path) -> dict:
    """The part of a request that says which pictures it has."""
    paths = [str(case.resolve() / "images" / f"image{index}.png") for index in prompt.get("images", [])]
    return {"images": paths} if paths else {}


def image_options(case: pathlib.Path) -> list:
    """The id of the placeholder, for a model that has it neither in its config nor in a tokenizer."""
    facts = json.loads((case / "expected" / "case.json").read_text())
    known = facts["kind"] != "orig" or (case / "tokenizer.json").exists()
    return [] if known else ["--image-token", facts["vision"]["ctx"]]


def features_options(case: pathlib.Path, folder: pathlib.Path) -> list:
    facts = json.loads((case / "expected" / "case.json").read_text())
    return ["--image-features", folder / "features.h5"] if "vision" in facts else []


def with_marks(text: str) -> str:
    """As a user writes it: the placeholders are not counted yet."""
    return re.sub("<img>(<IMG_CONTEXT>)+</img>", "<image>", text)


def make_inputs(expected: pathlib.Path, folder: pathlib.Path, case: pathlib.Path) -> tuple[list[dict], list[dict]]:
    """Requests for generate: by tokens, and by text where the case has it; for score: the given completions, and each
    prompt with a one-token completion, whose logits cover all positions of the prompt."""
    prompts, scores = read_lines(expected / "prompts.jsonl"), read_lines(expected / "scores.jsonl")
    requests = [{"id": p["id"], "tokens": p["prompt_tokens"], "max_new_tokens": p["max_new_tokens"], "logprobs": True,
                 **images_of(p, case)} for p in prompts]
    requests += [{"id": p["id"] + "-text", "prompt": with_marks(p["text"]), "max_new_tokens": p["max_new_tokens"],
                  **images_of(p, case)} for p in prompts if "text" in p]
    write_lines(folder / "prompts.jsonl", requests)
    lines = [{"id": s["id"], "tokens": s["prompt_tokens"], "completion_tokens": s["completion_tokens"],
              **images_of(prompts[s["prompt_index"]], case)} for s in scores]
    lines += [{"id": p["id"] + "-all", "tokens": p["prompt_tokens"], "completion_tokens": [0], **images_of(p, case)}
              for p in prompts]
    write_lines(folder / "scores.jsonl", lines)
    return requests, lines


def collect_logits(expected: pathlib.Path, folder: pathlib.Path) -> None:
    """Brings the program's logits under the names of expected.h5, and checks generate's against score's."""
    ids = [p["id"] for p in read_lines(expected / "prompts.jsonl")]
    case = json.loads((expected / "case.json").read_text())
    with h5py.File(folder / "generated.h5") as new, h5py.File(folder / "scored.h5") as scored, \
            h5py.File(folder / "logits.h5", "w") as out:
        out["logits/last"] = np.stack([new[f"{i}/logits"][0] for i in ids])
        # The last row predicts what follows the one-token completion.
        out["logits/all"] = scored[f"{ids[case['all_positions_prompt']]}-all/logits"][:-1]


def collect_features(expected: pathlib.Path, folder: pathlib.Path) -> None:
    """The features of each picture under their names in expected.h5: the same in every request that has it."""
    case = json.loads((expected / "case.json").read_text())
    if "vision" not in case:
        return
    places = [(prompt["id"], place, image) for prompt in read_lines(expected / "prompts.jsonl")
              for place, image in enumerate(prompt["images"])]
    with h5py.File(folder / "features.h5") as got, h5py.File(folder / "logits.h5", "a") as out:
        for request, place, image in places:
            features = got[f"features/{request}/{place}"][:]
            name = f"vision/image{image}/features"
            if name not in out:
                out[name] = features.reshape(-1, case["vision"]["n"], features.shape[-1])
            elif not np.allclose(out[name][:].reshape(features.shape), features, rtol=0, atol=1e-4):
                sys.exit(f"the features of image {image} in {request} are others than elsewhere")


def check_text(expected: pathlib.Path, folder: pathlib.Path, exact: bool) -> list[str]:
    """Finish reasons, and texts where there is a tokenizer; a text prompt must give what its tokens gave."""
    results = {row["id"]: row for row in read_lines(folder / "out.jsonl")}
    problems = []
    for want in read_lines(expected / "greedy.jsonl"):
        got = results[want["id"]]
        if exact and got["finish_reason"] != {"eos": "stop", "length": "length"}[want["finish_reason"]]:
            problems.append(f"{want['id']}: finish_reason {got['finish_reason']}, want {want['finish_reason']}")
        if exact and "output_text" in want and got["text"] != want["output_text"]:
            problems.append(f"{want['id']}: text {got['text']!r}, want {want['output_text']!r}")
        by_text = results.get(want["id"] + "-text")
        if by_text is not None and by_text["tokens"] != got["tokens"]:
            problems.append(f"{want['id']}: the text prompt gave other tokens than its tokens did")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--case", required=True, type=pathlib.Path)
    parser.add_argument("--ranks", required=True, type=int)
    parser.add_argument("--placement", default="shard")
    parser.add_argument("--backend", default="kokkos")
    parser.add_argument("--comm", default="auto")
    parser.add_argument("--fused-all-reduce")
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--prefill-chunk", type=int, default=512)
    parser.add_argument("--new-tokens", type=int)
    parser.add_argument("--vision-chunk", type=int)
    parser.add_argument("--keep-vision")
    parser.add_argument("--memory-limit")
    parser.add_argument("--encoder", choices=WORDS_FOR)
    parser.add_argument("--seconds", type=float, default=120, help="that one command may take")
    parser.add_argument("--mpiexec", default="mpirun")
    options = parser.parse_args()
    expected = options.case / "expected"
    program = Program(options)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if options.new_tokens:
            expected = shorten(expected, folder, options.new_tokens)
        requests, lines = make_inputs(expected, folder, options.case)
        model = folder / "model.h5"
        program.run("convert", options.case, model, "--quiet")
        program.run_ranks("generate", model, "--input", folder / "prompts.jsonl", "--output", folder / "out.jsonl",
                          "--logits", folder / "generated.h5", *image_options(options.case),
                          *features_options(options.case, folder))
        program.run_ranks("generate", model, "--input", folder / "prompts.jsonl", "--output", folder / "chosen.jsonl",
                          *image_options(options.case))
        program.run_ranks("score", model, "--input", folder / "scores.jsonl", "--output", folder / "scored.jsonl",
                          "--logits", folder / "scored.h5", *image_options(options.case))
        collect_logits(expected, folder)
        collect_features(expected, folder)
        results, scores = read_lines(folder / "out.jsonl"), read_lines(folder / "scored.jsonl")
        if [r["id"] for r in results] != [r["id"] for r in requests]:
            sys.exit("the results are not in the order of the requests")
        if [r["id"] for r in scores] != [r["id"] for r in lines]:
            sys.exit("the scores are not in the order of the requests")
        write_lines(folder / "greedy.jsonl", [r for r in results if not r["id"].endswith("-text")])
        problems = check_text(expected, folder, options.dtype == "f32") + check_same(folder)
        for problem in problems:
            print("FAIL", problem)
        compute = ["--compute", options.dtype] + (["--strict"] if options.dtype == "f32" else [])
        judge = pathlib.Path(__file__).parent.parent / "golden" / "check_outputs.py"
        status = subprocess.run([sys.executable, judge, expected.parent, "--outputs", folder / "greedy.jsonl", "--scores",
                                 folder / "scored.jsonl", "--logits", folder / "logits.h5", *compute]).returncode
        return 1 if problems or status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
