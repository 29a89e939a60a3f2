#!/usr/bin/env python3
"""What the program does on GPUs, tried on emulated ones: the same as on the host.

  emulated_test.py --tesserank PROGRAM --golden DIR --ranks N [--mpiexec M]
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

PROMPTS = ["A", "Hello, world! The rank", "The attention weights are replicated, the MLP is sharded."]


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAIL {message}")


class Program:
    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options, self.folder = options, folder
        self.model = folder / "model.h5"
        self.run("convert", options.golden / "models" / "llama-gqa-rope3", self.model, "--quiet", ranks=1)

    def run(self, *words: object, status: int = 0, ranks: int | None = None, devices: int | None = None):
        ranks = ranks or self.options.ranks
        launcher = [self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks > 1 else []
        environment = dict(os.environ, TESSERANK_EMULATED_DEVICES=str(devices or self.options.ranks))
        result = subprocess.run([*launcher, self.options.tesserank, *map(str, words)], capture_output=True, text=True,
                                timeout=300, env=environment)
        expect(result.returncode == status, f"{words}: status {result.returncode}\n{result.stderr}")
        return result

    def complete(self, command: str, requests: list[dict], *words: object, status: int = 0) -> list[dict]:
        path, out = self.folder / "in.jsonl", self.folder / "out.jsonl"
        path.write_text("".join(json.dumps(request) + "\n" for request in requests))
        self.run(command, self.model, "--input", path, "--output", out, "--dtype", "f32", "--quiet", *words, status=status)
        return [json.loads(line) for line in out.read_text().splitlines()]


def expect_alike(found: object, wanted: object, where: str) -> None:
    """Equal but for the rounding of numbers."""
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        expect(math.isclose(found, wanted, abs_tol=2e-4), f"{where}: {found}, want {wanted}")
    elif isinstance(wanted, dict) and isinstance(found, dict):
        expect(found.keys() == wanted.keys(), f"{where}: {found}, want {wanted}")
        for key in wanted:
            expect_alike(found[key], wanted[key], f"{where}: {key}")
    elif isinstance(wanted, list) and isinstance(found, list):
        expect(len(found) == len(wanted), f"{where}: {found}, want {wanted}")
        for number, (one, other) in enumerate(zip(found, wanted)):
            expect_alike(one, other, f"{where}[{number}]")
    else:
        expect(found == wanted, f"{where}: {found}, want {wanted}")


def finds_the_emulated_gpus(program: Program) -> None:
    report = json.loads(program.run("doctor", "--json").stdout)
    expect(report["auto"] == "cuda", f"{report}")
    gpus = [place["gpu"] for place in report["places"]]
    expect(len({gpu["uuid"] for gpu in gpus}) == program.options.ranks, f"{gpus}")
    expect(report["nccl"].endswith("libnccl.so.2"), f"{report['nccl']}")


def generates_what_the_host_does(program: Program) -> None:
    sampled = {"temperature": 1.2, "seed": 5, "max_new_tokens": 6}
    requests = [{"id": "greedy", "prompt": PROMPTS[1], "max_new_tokens": 8, "logprobs": 3},
                {"id": "wrong", "prompt": 7},
                {"id": "nucleus", "prompt": PROMPTS[0], "top_p": 0.9, **sampled},
                {"id": "few", "prompt": PROMPTS[0], "top_k": 4, "logprobs": True, **sampled},
                {"id": "varied", "prompt": PROMPTS[2], "repetition_penalty": 1.3, "min_p": 0.01, **sampled}]
    free = program.complete("generate", requests, "--backend", "kokkos", status=3)
    text = free[0]["text"]
    expect(len(text) > 4, f"{free[0]}")
    requests.append({"id": "stopped", "prompt": PROMPTS[1], "max_new_tokens": 8, "stop": [text[3:5]]})
    wanted = program.complete("generate", requests, "--backend", "kokkos", status=3)
    expect(wanted[-1]["finish_reason"] == "stop", f"{wanted[-1]}")
    for comm in ("auto", "mpi"):
        found = program.complete("generate", requests, "--backend", "cuda", "--comm", comm, status=3)
        expect_alike(found, wanted, f"--comm {comm}")


def scores_what_the_host_does(program: Program) -> None:
    requests = [{"id": "text", "prompt": PROMPTS[1], "completion": " is 3"}, {"id": "wrong"},
                {"id": "tokens", "tokens": [5, 6, 7], "completion_tokens": [8, 9]}]
    wanted = program.complete("score", requests, "--backend", "kokkos", status=3)
    expect_alike(program.complete("score", requests, "--backend", "cuda", status=3), wanted, "score")


def benches(program: Program) -> None:
    report = json.loads(program.run("bench", program.options.golden / "models" / "qwen2-tied-kv3" / "config.json", "--batch", "2",
                                    "--prompt", 3, "--new", 6, "--repeat", 1, "--warmup", 0, "--json", "-", "--quiet").stdout)
    expect(report["backend"] == "cuda", f"{report}")
    batch = report["plans"][0]["batches"][0]
    expect(0 < batch["host_seconds_per_step"] < batch["decode_seconds_per_step"] * 5, f"{batch}")


def ranks_on_one_gpu_go_over_mpi(program: Program) -> None:
    if program.options.ranks == 1:
        return
    out = program.folder / "machine.json"
    words = ("calibrate", "--backend", "cuda", "--output", out)
    result = program.run(*words, "--comm", "nccl", status=4, devices=1)
    wanted = "ranks 0 and 1 share one GPU (Emulated GPU 0"
    expect(result.stderr.count("tesserank:") == 1 and wanted in result.stderr, result.stderr)
    report = json.loads(program.run("doctor", "--json", devices=1).stdout)
    expect(report["auto"] == "cuda", f"{report}")


def sums_within_kernels_are_for_gpus(program: Program) -> None:
    if program.options.ranks == 1:
        return
    words = ("bench", program.options.golden / "models" / "qwen2-tied-kv3" / "config.json", "--backend", "kokkos")
    result = program.run(*words, "--fused-all-reduce", "yes", status=2)
    wanted = "--fused-all-reduce yes is for --backend cuda, but this run is on kokkos"
    expect(result.stderr.count("tesserank:") == 1 and wanted in result.stderr, result.stderr)


def says_why_no_sums_are_within_kernels(program: Program) -> None:
    several = program.options.ranks > 1
    why = "auto takes them with --comm nccl only" if several else "one rank has nothing to add up"
    (program.folder / "in.jsonl").write_text(json.dumps({"id": "a", "tokens": [1, 2], "max_new_tokens": 2}) + "\n")
    words = ("--input", program.folder / "in.jsonl", "--output", program.folder / "few.jsonl", "--backend", "kokkos")
    said = program.run("generate", program.model, *words, "--fused-all-reduce", "auto" if several else "yes").stderr
    expect(f"no all-reduces within kernels: {why}" in said, said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    parser.add_argument("--ranks", required=True, type=int)
    parser.add_argument("--mpiexec", default="mpirun")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        program = Program(options, pathlib.Path(name))
        for case in (finds_the_emulated_gpus, generates_what_the_host_does, scores_what_the_host_does, benches,
                     ranks_on_one_gpu_go_over_mpi, sums_within_kernels_are_for_gpus,
                     says_why_no_sums_are_within_kernels):
            case(program)
            print("ok", case.__name__)


if __name__ == "__main__":
    main()
