#!/usr/bin/env python3
"""Counts how many of the demo's 500 unseen questions tesserank answers right.

  demo_test.py --tesserank PROGRAM --demo DIR --ranks N

At least 98 % must be right, and every answer must be, token for token, the one that Hugging Face transformers gave;
with --dtype bf16 or --weights fp8, which round otherwise, the first alone.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

WANTED_SHARE = 0.98


def read_lines(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--demo", required=True, type=pathlib.Path)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--weights", default="file")
    parser.add_argument("--mpiexec", default="mpirun")
    options = parser.parse_args()
    questions, answers = options.demo / "questions.jsonl", read_lines(options.demo / "answers.jsonl")
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive", OMPI_ALLOW_RUN_AS_ROOT="1",
                       OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as name:
        model, output = pathlib.Path(name) / "model.h5", pathlib.Path(name) / "out.jsonl"
        subprocess.run([options.tesserank, "convert", options.demo / "model", model, "--quiet"], check=True)
        subprocess.run([options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(options.ranks),
                        options.tesserank, "generate", model, "--input", questions, "--output", output, "--dtype",
                        options.dtype, "--weights", options.weights], check=True, env=environment)
        results = read_lines(output)
    if len(results) != len(answers) or len(answers) != 500:
        print(f"FAIL {len(results)} results for {len(answers)} answers, expected 500 of both")
        return 1
    right, total, different = collections.Counter(), collections.Counter(), 0
    for result, answer in zip(results, answers, strict=True):
        if result["id"] != answer["id"]:
            print("FAIL order:", result["id"], answer["id"])
            return 1
        total[answer["kind"]] += 1
        right[answer["kind"]] += result["text"].strip() == answer["answer"].strip()
        if result["tokens"] != answer["transformers_tokens"]:
            different += 1
            print("differs from transformers:", result, answer)
    for kind in sorted(total):
        print(f"{kind:24} {right[kind]:4} of {total[kind]}")
    print(f"{right.total()} of {total.total()} right, {different} differ from transformers")
    strict = options.dtype != "bf16" and options.weights == "file"
    return 0 if right.total() >= WANTED_SHARE * total.total() and not (strict and different) else 1


if __name__ == "__main__":
    sys.exit(main())
