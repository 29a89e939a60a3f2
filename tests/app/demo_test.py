#!/usr/bin/env python3
"""Counts how many of a demo's unseen questions tesserank answers right.

  demo_test.py --tesserank PROGRAM --demo DIR --ranks N

At least a share of them must be right, and every answer must be, token for token, the one that the demo's reference
gave: Hugging Face transformers for the 500 in words, PyTorch for the 300 pictures. Where a picture's answer hangs on a
small lead of one logit, a decoder that rounds otherwise than Pillow's may change it. With --dtype bf16 or --weights
fp8, which round otherwise too, the share alone counts.
"""
import argparse
import collections
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

CLEAR_LEAD = 0.1  # of the chosen token's logit over the next


@dataclasses.dataclass(frozen=True)
class Demo:
    questions: int
    wanted_share: float
    tokens_key: str  # in answers.jsonl


DEMOS = {"demo": Demo(500, 0.98, "transformers_tokens"), "vision": Demo(300, 0.97, "torch_tokens")}


def read_lines(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--demo", required=True, type=pathlib.Path)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--weights", default="file")
    parser.add_argument("--placement", default="shard")
    parser.add_argument("--mpiexec", default="mpirun")
    options = parser.parse_args()
    demo = DEMOS[options.demo.name]
    questions, answers = options.demo / "questions.jsonl", read_lines(options.demo / "answers.jsonl")
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive", OMPI_ALLOW_RUN_AS_ROOT="1",
                       OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as name:
        model, output = pathlib.Path(name) / "model.h5", pathlib.Path(name) / "out.jsonl"
        subprocess.run([options.tesserank, "convert", options.demo / "model", model, "--quiet"], check=True)
        subprocess.run([options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(options.ranks),
                        options.tesserank, "generate", model, "--input", questions, "--output", output, "--dtype",
                        options.dtype, "--weights", options.weights, "--placement", options.placement],
                       check=True, env=environment)
        results = read_lines(output)
    if len(results) != len(answers) or len(answers) != demo.questions:
        print(f"FAIL {len(results)} results for {len(answers)} answers, expected {demo.questions} of both")
        return 1
    right, total, different = collections.Counter(), collections.Counter(), 0
    for result, answer in zip(results, answers, strict=True):
        if result["id"] != answer["id"]:
            print("FAIL order:", result["id"], answer["id"])
            return 1
        total[answer["kind"]] += 1
        right[answer["kind"]] += result["text"].strip() == answer["answer"].strip()
        if result["tokens"] != answer[demo.tokens_key]:
            different += answer.get("smallest_lead", CLEAR_LEAD) >= CLEAR_LEAD
            print("differs from the reference:", result, answer)
    for kind in sorted(total):
        print(f"{kind:24} {right[kind]:4} of {total[kind]}")
    print(f"{right.total()} of {total.total()} right, {different} clearly differ from the reference")
    strict = options.dtype != "bf16" and options.weights == "file"
    return 0 if right.total() >= demo.wanted_share * total.total() and not (strict and different) else 1


if __name__ == "__main__":
    sys.exit(main())
