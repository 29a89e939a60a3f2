#!/usr/bin/env python3
"""Holds the list of golden cases that are not covered yet against the truth.

Every folder of tests/golden/models must be on one of the two lists, and the program must refuse each case of the second
one with a message that names its model_type: the day it runs, this test fails and the case moves to the first list.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--models", required=True, type=pathlib.Path)
    parser.add_argument("--covered", nargs="+", required=True)
    parser.add_argument("--not-covered", nargs="+", required=True)
    options = parser.parse_args()

    cases = {path.name for path in options.models.iterdir() if path.is_dir()}
    listed = set(options.covered) | set(options.not_covered)
    problems = [f"{case}: on neither list" for case in cases - listed]
    problems += [f"{case}: listed, but not in {options.models}" for case in listed - cases]
    with tempfile.TemporaryDirectory() as name:
        model, request = pathlib.Path(name) / "model.h5", pathlib.Path(name) / "in.jsonl"
        request.write_text('{"id": "a", "tokens": [1]}\n')
        for case in sorted(options.not_covered):
            model_type = json.loads((options.models / case / "config.json").read_text())["model_type"]
            subprocess.run([options.tesserank, "convert", options.models / case, model, "--force", "--quiet"], check=True)
            run = subprocess.run([options.tesserank, "generate", model, "--input", request, "--output",
                                  model.with_suffix(".jsonl")], capture_output=True, text=True)
            if run.returncode != 2 or f'model_type is "{model_type}"' not in run.stderr:
                problems.append(f"{case}: expected to be refused by its model_type, but ended with {run.returncode}: "
                                f"{run.stderr}")
            else:
                print(f"not covered yet: {case} ({model_type})")
    for problem in problems:
        print("FAIL", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
