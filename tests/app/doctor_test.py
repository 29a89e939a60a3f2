#!/usr/bin/env python3
"""What the program says of GPUs, on machines with and without one.

  doctor_test.py --tesserank PROGRAM --ranks N --mpiexec M
"""
import argparse
import json
import os
import subprocess
import sys


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAIL {message}")


class Program:
    def __init__(self, options: argparse.Namespace):
        self.options = options

    def run(self, *words: str, status: int = 0, hide_gpus: bool = False) -> subprocess.CompletedProcess:
        command = [self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(self.options.ranks),
                   self.options.tesserank, *words]
        environment = {**os.environ, **({"CUDA_VISIBLE_DEVICES": ""} if hide_gpus else {})}
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        expect(result.returncode == status, f"{words}: status {result.returncode}\n{result.stderr}")
        return result

    def fails(self, wanted: str, *words: str) -> None:
        result = self.run(*words, status=4, hide_gpus=True)
        messages = [line for line in result.stderr.splitlines() if line.startswith("tesserank:")]
        expect(len(messages) == 1 and wanted in messages[0], f"{words}: {result.stderr}")


def lists_a_gpu_for_each_rank_or_why_none(program: Program) -> None:
    report = json.loads(program.run("doctor", "--json").stdout)
    gpus = [place["gpu"] for place in report["places"]]
    expect(len(gpus) == program.options.ranks, f"{gpus}")
    for gpu in gpus:
        expect(gpu.get("why_none") or gpu["uuid"].startswith("GPU-"), f"{gpu}")
    all_have_one = not any("why_none" in gpu for gpu in gpus)
    expect(report["auto"].startswith("cuda" if all_have_one else "kokkos, no GPU: "), report["auto"])
    for fact in ("backends", "cuda", "cuda_driver", "cublaslt", "nccl", "cuda_missing"):
        expect(report[fact] != "", fact)


def falls_back_without_a_gpu(program: Program) -> None:
    text = program.run("doctor", hide_gpus=True).stdout
    lines = text.splitlines()
    expect(any(line.startswith("auto") and "kokkos, no GPU: " in line for line in lines), text)
    expect(sum(line.startswith("rank ") and "; no GPU: " in line for line in lines) == program.options.ranks, text)


def refuses_what_is_not_there(program: Program) -> None:
    program.fails("--backend cuda, but no GPU: ", "calibrate", "--output", "-", "--backend", "cuda")
    program.fails("--comm nccl is for the backend cuda, but this run is on kokkos", "calibrate", "--output", "-",
                  "--comm", "nccl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--ranks", type=int, required=True)
    parser.add_argument("--mpiexec", required=True)
    program = Program(parser.parse_args())
    for case in (lists_a_gpu_for_each_rank_or_why_none, falls_back_without_a_gpu, refuses_what_is_not_there):
        case(program)
        print("ok", case.__name__)


if __name__ == "__main__":
    main()
