#!/usr/bin/env python3
"""Runs `tesserank calibrate` as a user would, on some ranks.

  calibrate_test.py --tesserank PROGRAM --golden DIR --ranks N [--mpiexec M]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAIL {message}")


class Program:
    def __init__(self, options: argparse.Namespace):
        self.options = options

    def run(self, *words: object, status: int = 0) -> subprocess.CompletedProcess:
        command = [self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(self.options.ranks),
                   self.options.tesserank, "calibrate", *map(str, words)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        expect(result.returncode == status, f"{words}: status {result.returncode}\n{result.stderr}")
        return result

    def fails(self, status: int, wanted: str, *words: object) -> None:
        result = self.run(*words, status=status)
        messages = [line for line in result.stderr.splitlines() if line.startswith("tesserank:")]
        expect(len(messages) == 1 and wanted in messages[0], f"{words}: {result.stderr}")


def writes_a_machine(program: Program, folder: pathlib.Path) -> None:
    path = folder / "machine.json"
    result = program.run("--output", path, "--seconds", 1)
    expect("GEMM" in result.stdout and result.stderr == "", f"{result.stdout}\n{result.stderr}")
    expect(("all-reduce" in result.stdout) == (program.options.ranks > 1), result.stdout)
    machine = json.loads(path.read_text())
    expect(machine["format"] == "tesserank-machine" and machine["ranks"] == program.options.ranks, "wrong head")
    expect(machine["backend"] == "kokkos" and machine["nodes"] == 1 and len(machine["hosts"]) == 1, "wrong origin")
    for name in ("gemm", "attention", "pass"):
        expect(len(machine[name]) > 0, f"no {name}")
    expect(all(point["seconds"] > 0 for name in ("gemm", "attention", "pass", "collective")
               for point in machine[name]), "a figure is not positive")


def takes_a_model(program: Program, folder: pathlib.Path) -> None:
    config = program.options.golden / "models" / "llama-gqa-rope3-bf16" / "config.json"
    result = program.run("--output", "-", "--model", config, "--seconds", 1, "--quiet", "--backend", "reference")
    machine = json.loads(result.stdout)
    expect(machine["backend"] == "reference", "wrong backend")
    # The smallest come first, whatever the time suffices for.
    expect(any(point["inputs"] < 512 for point in machine["gemm"]), "the model's matrices are missing")


def is_refused(program: Program, folder: pathlib.Path) -> None:
    path = folder / "machine.json"
    path.write_text("mine")
    program.fails(1, "--output")
    program.fails(1, "1 to 3600", "--output", folder / "a", "--seconds", 0)
    program.fails(1, "expected auto, cuda, kokkos or reference", "--output", folder / "a", "--backend", "tpu")
    program.fails(2, "--force", "--output", path)
    program.fails(2, "missing", "--output", folder / "missing" / "a")
    program.fails(2, "missing.h5", "--output", folder / "a", "--model", folder / "missing.h5")
    expect(path.read_text() == "mine" and [entry.name for entry in folder.iterdir()] == ["machine.json"],
           "something was written")


def replaces_by_force(program: Program, folder: pathlib.Path) -> None:
    path = folder / "machine.json"
    path.write_text("old")
    result = program.run("--output", path, "--force", "--seconds", 1, "--quiet")
    expect(result.stdout == "" and json.loads(path.read_text())["format_version"] == 1, "not replaced")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    parser.add_argument("--ranks", required=True, type=int)
    parser.add_argument("--mpiexec", default="mpirun")
    program = Program(parser.parse_args())
    for case in (writes_a_machine, takes_a_model, is_refused, replaces_by_force):
        with tempfile.TemporaryDirectory() as name:
            case(program, pathlib.Path(name))
            print("ok", case.__name__)


if __name__ == "__main__":
    main()
