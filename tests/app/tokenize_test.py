#!/usr/bin/env python3
"""Runs tokenize with its options on golden tokenizers, and compares with what Hugging Face's library gave.

  tokenize_test.py --tesserank PROGRAM --golden DIR
"""
import argparse
import json
import pathlib
import subprocess
import sys

LINES = 40


def rows_of(options: argparse.Namespace, tokenizer: str, lines: list[dict], *more: str) -> list[dict]:
    path = options.golden / "tokenizers" / tokenizer / "tokenizer.json"
    result = subprocess.run([options.tesserank, "tokenize", path, *more], capture_output=True, text=True, check=True,
                            input="".join(json.dumps(line) + "\n" for line in lines))
    return [json.loads(line) for line in result.stdout.splitlines()]


def check(options: argparse.Namespace, tokenizer: str) -> None:
    cases = json.loads((options.golden / "tokenizers" / tokenizer / "cases.json").read_text())["strings"][:LINES]
    texts = [{"id": str(index), "text": case["text"]} for index, case in enumerate(cases)]
    tokens = [{"id": str(index), "tokens": case["ids_with_special"]} for index, case in enumerate(cases)]
    for more, lines, given, wanted in (
            ([], texts, "tokens", "ids_with_special"),
            (["--no-special-tokens"], texts, "tokens", "ids"),
            (["--decode"], tokens, "text", "decoded_skip_special"),
            (["--decode", "--keep-special"], tokens, "text", "decoded")):
        rows = rows_of(options, tokenizer, lines, *more)
        if [row["id"] for row in rows] != [line["id"] for line in lines]:
            sys.exit(f"FAIL {tokenizer}, {more}: not every line has its result")
        for row, case in zip(rows, cases):
            if row[given] != case[wanted]:
                sys.exit(f"FAIL {tokenizer}, {more}: {case['text']!r} gives {row[given]!r}, want {case[wanted]!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    options = parser.parse_args()
    # Both put a token in front of every text.
    for tokenizer in ("llama3", "spm-llama2"):
        check(options, tokenizer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
