#!/usr/bin/env python3
"""Runs `tesserank bench` as a user would.

  bench_test.py --tesserank PROGRAM --demo DIR --ranks N [--mpiexec M]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

MIXED = "*.attention=split-batch,lm_head=single:0"
SHORT = ["--prompt", "6", "--new", "4", "--quiet"]


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAIL {message}")


class Program:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.config = options.demo / "model" / "config.json"

    def run(self, *words: object, status: int = 0, ranks: int | None = None) -> str:
        """What it says: on standard output, or about its failure in one message."""
        launcher = [self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(ranks or self.options.ranks)]
        result = subprocess.run([*launcher, self.options.tesserank, "bench", *map(str, words)], capture_output=True,
                                text=True, timeout=60, env=dict(os.environ, OMP_NUM_THREADS="1"))
        expect(result.returncode == status, f"{words}: status {result.returncode}\n{result.stderr}")
        if status == 0:
            expect("tesserank" not in result.stderr and "\r" not in result.stderr, f"it says {result.stderr}")
            return result.stdout
        messages = [line for line in result.stderr.splitlines() if line.startswith("tesserank:")]
        expect(len(messages) == 1 and "MPI_ABORT" not in result.stderr, f"{words}: want one message: {result.stderr}")
        return messages[0]


def every_plan_and_batch(program: Program, folder: pathlib.Path) -> None:
    path = folder / "bench.json"
    text = program.run(program.config, "--placement", "shard", "--placement", "replicate", "--placement", MIXED,
                       "--batch", "1,3", "--repeat", 2, "--json", path, *SHORT)
    for words in ("shard", "replicate", MIXED, "batch 1,", "batch 3,", "random weights"):
        expect(words in text, f"{words} is not in the table: {text}")
    report = json.loads(path.read_text())
    expect(report["ranks"] == program.options.ranks and report["weights"] == "synthetic", f"{report}")
    expect([plan["placement"] for plan in report["plans"]] == ["shard", "replicate", MIXED], "the plans")
    for plan in report["plans"]:
        expect([batch["batch"] for batch in plan["batches"]] == [1, 3], f"the batches of {plan}")
        expect(len(plan["weight_bytes"]) == program.options.ranks, f"{plan['weight_bytes']}")
        for batch in plan["batches"]:
            check_batch(batch)
    check_traffic(program, report)


VISION = {"model_type": "internvl_chat", "ps_version": "v2", "torch_dtype": "float32",
          "llm_config": {"model_type": "llama", "vocab_size": 99, "hidden_size": 64, "intermediate_size": 96,
                         "num_hidden_layers": 1, "num_attention_heads": 4, "hidden_act": "silu",
                         "max_position_embeddings": 512, "rms_norm_eps": 1e-6},
          "vision_config": {"model_type": "intern_vit_6b", "hidden_size": 80, "intermediate_size": 100,
                            "num_hidden_layers": 2, "num_attention_heads": 5, "patch_size": 14, "image_size": 56,
                            "hidden_act": "gelu"}}


def tiles_of_an_encoder(program: Program, folder: pathlib.Path) -> None:
    config, path, placements = folder / "config.json", folder / "bench.json", ("vision.*=shard", "vision.*=split-batch")
    config.write_text(json.dumps(VISION))
    text = program.run(config, "--tiles", "1,5", "--repeat", 2, "--json", path, "--quiet",
                       *(word for placement in placements for word in ("--placement", placement)))
    for words in (*placements, "1 tile(s)", "5 tile(s)", "encoder on the largest rank"):
        expect(words in text, f"{words} is not in the table: {text}")
    for plan in json.loads(path.read_text())["plans"]:
        expect(plan["batches"] == [] and [one["tiles"] for one in plan["encodings"]] == [1, 5], f"{plan}")
        expect(len(plan["encoder_bytes"]) == program.options.ranks, f"{plan['encoder_bytes']}")
        for encoding in plan["encodings"]:
            runs = encoding["encode"]["runs"]
            expect(len(runs) == 2 and min(runs) > 0, f"{encoding}")
            result = subprocess.run([program.options.tesserank, "plan", config, "--ranks", str(program.options.ranks),
                                     "--placement", plan["placement"], "--batch", "1", "--tiles", str(encoding["tiles"]),
                                     "--json"], capture_output=True, text=True, check=True)
            sent = [exchange["bytes"] for step in json.loads(result.stdout)["encode"]
                    for exchange in step["exchanges"] * step["count"]]
            expect(encoding["sent"] == {"collectives": len(sent), "bytes": sum(sent)}, f"{encoding}")
    both = json.loads(program.run(config, "--tiles", 2, "--batch", 1, "--repeat", 1, "--json", "-", *SHORT))
    expect(len(both["plans"][0]["batches"]) == 1 and len(both["plans"][0]["encodings"]) == 1, f"{both}")
    expect("vision encoder" in program.run(program.config, "--tiles", 1, *SHORT, status=1), "no encoder")


def check_batch(batch: dict) -> None:
    for phase in ("prefill", "decode", "total"):
        times = batch[phase]
        expect(len(times["runs"]) == 2 and min(times["runs"]) > 0, f"{phase}: {times}")
        expect(times["min"] <= times["median"] <= times["max"], f"{phase}: {times}")
    for prefill, decode, total in zip(*(batch[phase]["runs"] for phase in ("prefill", "decode", "total"))):
        expect(abs(prefill + decode - total) < 1e-6, f"{prefill} + {decode} is not {total}")
    expect(abs(batch["decode"]["median"] / 3 - batch["decode_seconds_per_step"]) < 1e-9, "three steps follow the first")


def check_traffic(program: Program, report: dict) -> None:
    """It sends what the plan says."""
    for plan in report["plans"]:
        for batch in plan["batches"]:
            result = subprocess.run([program.options.tesserank, "plan", program.config, "--ranks", str(report["ranks"]),
                                     "--placement", plan["placement"], "--batch", str(batch["batch"]), "--prompt", "6",
                                     "--new", "4", "--json"], capture_output=True, text=True, check=True)
            planned = json.loads(result.stdout)
            for phase in ("prefill", "decode"):
                sent = [exchange["bytes"] for step in planned[phase] for exchange in step["exchanges"] * step["count"]]
                expect(batch["sent"][phase] == {"collectives": len(sent), "bytes": sum(sent)}, f"{phase} of {batch}")
            expect(plan["weight_bytes"] == [rank["weight_bytes"] for rank in planned["by_rank"]], "bytes of weights")


def model_file_and_plan_file(program: Program, folder: pathlib.Path) -> None:
    model, plan = folder / "model.h5", folder / "plan.json"
    subprocess.run([program.options.tesserank, "convert", program.options.demo / "model", model, "--quiet"], check=True)
    subprocess.run([program.options.tesserank, "plan", model, "--ranks", str(program.options.ranks), "--placement", MIXED,
                    "--plan-out", plan], check=True, stdout=subprocess.DEVNULL)
    report = json.loads(program.run(model, "--placement", plan, "--batch", 2, "--repeat", 1, "--json", "-", *SHORT))
    expect(report["weights"] == "file" and report["plans"][0]["placement"] == str(plan), f"{report}")
    program.run(program.config.parent, "--repeat", 1, "--warmup", 0, "--dtype", "bf16", *SHORT)
    text = program.run(program.config, "--repeat", 1, "--warmup", 0, "--weights", "fp8", *SHORT)
    expect("random weights, held in fp8" in text, text)


def what_does_not_suit(program: Program, folder: pathlib.Path) -> None:
    def fails(status: int, wanted: str, *words: object) -> None:
        message = program.run(program.config, *words, *SHORT, status=status)
        expect(wanted in message, f"{words}: {wanted} is not in: {message}")

    fails(1, "--batch", "--batch", "1,x")
    fails(2, "nowhere", "--json", folder / "nowhere" / "out.json")
    fails(2, "layers.0.mlp", "--placement", "shard", "--placement", "layer.0.mlp=shard")
    fails(2, "rank 9", "--placement", "*.mlp=single:9")
    fails(2, "memory", "--prefill-chunk", 1 << 24, *["--placement", "replicate"] * 200)
    message = program.run(program.config, "--prompt", 250, "--new", 7, status=1)
    expect("257" in message and "256" in message, message)
    broken = folder / "config.json"
    broken.write_text('{"model_type": "llama"')
    expect("config.json" in program.run(broken, status=2), "the broken file is not named")
    expect("missing.h5" in program.run(folder / "missing.h5", status=2), "the missing file is not named")
    before = broken.read_text()
    expect("the same file" in program.run(broken, "--json", broken, status=2) and broken.read_text() == before, "replaced")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--demo", required=True, type=pathlib.Path)
    parser.add_argument("--ranks", required=True, type=int)
    parser.add_argument("--mpiexec", default="mpirun")
    program = Program(parser.parse_args())
    for case in (every_plan_and_batch, tiles_of_an_encoder, model_file_and_plan_file, what_does_not_suit):
        with tempfile.TemporaryDirectory() as name:
            case(program, pathlib.Path(name))
            print("ok", case.__name__)


if __name__ == "__main__":
    main()
