#!/usr/bin/env python3
"""Runs `tesserank plan` as a user would.

  plan_test.py --tesserank PROGRAM --golden DIR [--mpiexec M]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

LLAMA_70B = {"model_type": "llama", "vocab_size": 128256, "hidden_size": 8192, "intermediate_size": 28672,
             "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "hidden_act": "silu",
             "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
             "tie_word_embeddings": False, "torch_dtype": "bfloat16",
             "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                              "original_max_position_embeddings": 8192}}
LLAMA_405B = dict(LLAMA_70B, hidden_size=16384, intermediate_size=53248, num_hidden_layers=126,
                  num_attention_heads=128)
UNKNOWN = {"qwen3_moe": {"model_type": "qwen3_moe"}, "phi3": {"model_type": "phi3"}}


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAIL {message}")


class Program:
    def __init__(self, options: argparse.Namespace):
        self.options = options

    def run(self, *words: object, status: int = 0) -> str:
        result = subprocess.run([self.options.tesserank, *map(str, words)], capture_output=True, text=True, timeout=60)
        expect(result.returncode == status, f"{words}: status {result.returncode}\n{result.stderr}")
        return result.stdout if status == 0 else result.stderr

    def on_ranks(self, ranks: int, *words: object, status: int = 0) -> str:
        """What it says on stderr."""
        result = subprocess.run([self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(ranks),
                                 self.options.tesserank, *map(str, words)], capture_output=True, text=True, timeout=120,
                                env=dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive"))
        expect(result.returncode == status, f"{words}: status {result.returncode}\n{result.stderr}")
        return result.stderr

    def generate(self, ranks: int, *words: object) -> None:
        self.on_ranks(ranks, "generate", *words, "--quiet")

    def convert(self, folder: pathlib.Path) -> pathlib.Path:
        model = folder / "model.h5"
        self.run("convert", self.options.golden / "models" / "llama-5heads-kv1", model, "--quiet")
        (folder / "in.jsonl").write_text('{"id": "a", "tokens": [1, 2, 3], "max_new_tokens": 6}\n'
                                         '{"id": "b", "tokens": [7], "max_new_tokens": 4}\n')
        return model


def parameters_of(config: dict) -> int:
    hidden, dim = config["hidden_size"], config["hidden_size"] // config["num_attention_heads"]
    qkv = (config["num_attention_heads"] + 2 * config["num_key_value_heads"]) * dim * hidden
    layer = qkv + hidden * hidden + 3 * hidden * config["intermediate_size"] + 2 * hidden
    return config["num_hidden_layers"] * layer + 2 * config["vocab_size"] * hidden + hidden


def large_models(program: Program, folder: pathlib.Path) -> None:
    """The sharded weights of all ranks add up to the model, but for norms and shared kv heads."""
    for name, config in {"70b": LLAMA_70B, "405b": LLAMA_405B}.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(config))
        for ranks in (8, 16, 64):
            report = json.loads(program.run("plan", path, "--ranks", ranks, "--batch", 16, "--json"))
            whole = 2 * parameters_of(config)
            held = sum(rank["weight_bytes"] for rank in report["by_rank"])
            norms = 2 * (2 * config["num_hidden_layers"] + 1) * config["hidden_size"]
            shared = max(0, ranks - 8) * 2 * 128 * config["hidden_size"] * 2 * config["num_hidden_layers"]
            expect(held == whole + (ranks - 1) * norms + shared,
                   f"{name} on {ranks} ranks: {held} bytes, not {whole} with copies")
            text = program.run("plan", path, "--ranks", ranks, "--placement", "split-batch-attention")
            expect("split-batch" in text and "reduce-scatter" in text, f"{name}: {text}")


def fp8_weights(program: Program, folder: pathlib.Path) -> None:
    """A byte for each element of the linear layers and four for each row; loading takes a module more."""
    path, c = folder / "70b.json", LLAMA_70B
    path.write_text(json.dumps(c))
    hidden, inner, layers = c["hidden_size"], c["intermediate_size"], c["num_hidden_layers"]
    qkv = (c["num_attention_heads"] + 2 * c["num_key_value_heads"]) * 128
    linear = layers * (qkv * hidden + hidden * hidden + 3 * hidden * inner)
    words = "plan", path, "--ranks", 1, "--weights", "fp8", "--batch", 1, "--prompt", 8, "--new", 8
    rank = json.loads(program.run(*words, "--json"))["by_rank"][0]
    expect(rank["weight_bytes"] == 2 * parameters_of(c) - linear + 4 * layers * (qkv + 2 * hidden + 2 * inner), f"{rank}")
    expect(rank["load_bytes"] == 2 * 3 * hidden * inner > rank["cache_bytes"], f"{rank}")
    expect(rank["total_bytes"] == rank["weight_bytes"] + rank["load_bytes"] + rank["workspace_bytes"], f"{rank}")
    text = program.run(*words, "--memory-limit", rank["total_bytes"] - 1)
    expect("while loading" in text and "nobody measured fp8" in text and "of --memory-limit" in text, text)
    expect("of --memory-limit" not in program.run(*words, "--memory-limit", rank["total_bytes"]), "it fits")
    expect("file or fp8" in program.run("plan", path, "--ranks", 1, "--weights", "int8", status=1), "which words?")


def fp8_runs(program: Program, folder: pathlib.Path) -> None:
    """What the plan says is what a run takes: a byte less is refused before anything is loaded."""
    model = program.convert(folder)
    words = "--placement", "shard", "--weights", "fp8", "--batch", 1, "--prefill-chunk", 8
    report = json.loads(program.run("plan", model, "--ranks", 2, *words, "--prompt", 1, "--new", 1, "--json"))
    most = max(rank["total_bytes"] for rank in report["by_rank"])
    files = "--input", folder / "in.jsonl", "--output", folder / "out", *words
    said = program.on_ranks(2, "generate", model, *files, "--memory-limit", most - 1, "--max-length", 2, status=2)
    expect("more than" in said, said)
    said = program.on_ranks(2, "generate", model, *files, "--max-length", 16)
    expect("weights fp8" in said, said)
    for placement in ("auto", "split-batch"):
        program.generate(2, model, "--input", folder / "in.jsonl", "--output", folder / placement, "--weights", "fp8",
                         "--placement", placement)
    program.run("plan", model, "--ranks", 2, "--weights", "fp8", "--placement", "auto", "--explain")


def vision(program: Program, folder: pathlib.Path) -> None:
    """An encoder's part of a plan, for as many tiles as are asked for, and one that a search places."""
    path = program.options.golden / "models/internvl-orig-25heads-bf16/config.json"
    words = "plan", path, "--ranks", 4, "--batch", 2
    report = json.loads(program.run(*words, "--tiles", 3, "--placement", "vision.*=split-batch", "--json"))
    expect(report["workload"]["tiles"] == 3 and sum(step["tiles"] * step["count"] for step in report["encode"]) == 6,
           f"{report['encode']}")
    expect([rank["tiles"] for rank in report["by_rank"]] == [2, 2, 1, 1], f"{report['by_rank']}")
    expect(report["predicted"]["encode"]["seconds"] > 0, f"{report['predicted']}")
    text = program.run(*words, "--tiles", 3)
    for wanted in ("vision.layers.0-1.attention", "heads 7, 6 x3", "encoding of 6 tile(s)", "predicted: encoding"):
        expect(wanted in text, f"{wanted} is not in: {text}")
    expect("tile(s)" in program.run(*words) and "tile(s)" not in program.run(*words, "--tiles", 0), "one tile is usual")
    expect("features" in program.run(*words, "--tiles", 9, "--prompt", 80, status=1), "81 features fit 80 tokens")
    expect("vision encoder" in program.run("plan", program.options.golden / "models/qwen3-qknorm/config.json", "--ranks", 2,
                                           "--tiles", 1, status=1), "tiles for a text model")
    plan = folder / "plan.json"
    text = program.run(*words, "--placement", "auto", "--explain")
    expect("encoding: work" in text and "vision." in text, text)
    program.run(*words, "--placement", "auto", "--plan-out", plan)
    expect("vision.projector" in program.run(*words, "--placement", plan), "the plan that was written")


def pictures_in_a_run(program: Program, folder: pathlib.Path) -> None:
    """Decoded pictures take of the memory that a run on the host may take, on rank 0 alone."""
    case = program.options.golden / "models/internvl-hf"
    model = folder / "vision.h5"
    program.run("convert", case, model, "--quiet")
    (folder / "in.jsonl").write_text(json.dumps({"id": "a", "tokens": [1, 2, 3], "max_new_tokens": 1}) + "\n")
    words = "--placement", "replicate", "--batch", 2, "--prefill-chunk", 8, "--vision-chunk", 2
    tile, features, tiles = 3 * 56 * 56, 4, 9

    def report(of_tiles: int, *more: object) -> dict:
        return json.loads(program.run("plan", model, "--ranks", 3, *words, "--tiles", of_tiles, "--prompt", of_tiles * features,
                                      "--new", 1, "--json", *more))

    def plan(of_tiles: int, *more: object) -> list[dict]:
        return report(of_tiles, "--backend", "kokkos", *more)["by_rank"]

    for keep in ("yes", "no"):
        ranks = plan(tiles, "--keep-vision", keep)
        expect([rank["picture_bytes"] for rank in ranks] == [(2 * tiles + 4) * tile, 0, 0], f"{ranks}")
        files = ("--input", folder / "in.jsonl", "--output", folder / "out.jsonl", *words, "--keep-vision", keep,
                 "--max-length", tiles * features + 1)
        # The run cannot know that the last token of each sequence is no picture's.
        enough = plan(tiles + 1, "--keep-vision", keep)[0]["total_bytes"]
        too_little = ranks[0]["total_bytes"] - 1
        said = program.on_ranks(3, "generate", model, *files, "--memory-limit", too_little, status=2)
        expect("has room for the keys and values and pictures of 2 sequence(s) of" in said, said)
        program.on_ranks(3, "generate", model, *files, "--memory-limit", enough)
    on_gpus = report(tiles, "--backend", "cuda")
    expect(all(rank["picture_bytes"] == 0 for rank in on_gpus["by_rank"]), f"{on_gpus['by_rank']}")
    expect(any(f"{(2 * tiles + 4) * tile} bytes" in note for note in on_gpus["notes"]), f"{on_gpus['notes']}")
    expect("expected yes or no" in program.run("plan", model, "--ranks", 1, "--keep-vision", "auto", status=1), "auto")


def unknown_families(program: Program, folder: pathlib.Path) -> None:
    for name, config in UNKNOWN.items():
        path = folder / "unknown.json"
        path.write_text(json.dumps(config))
        expect(name in program.run("plan", path, "--ranks", 8, status=2), f"{name} is not named")


def plan_file(program: Program, folder: pathlib.Path) -> None:
    """A plan that was written is the plan that runs, and it is for one rank count."""
    model, plan = program.convert(folder), folder / "plan.json"
    rules = "*.attention=split-batch,layers.0.mlp=single:1,lm_head=replicate"
    program.run("plan", model, "--ranks", 2, "--placement", rules, "--plan-out", plan)
    for name, placement in (("by_file", plan), ("by_rules", rules), ("sharded", "shard")):
        program.generate(2, model, "--input", folder / "in.jsonl", "--output", folder / name, "--placement", placement)
    outputs = [(folder / name).read_text() for name in ("by_file", "by_rules", "sharded")]
    expect(outputs[0] == outputs[1] == outputs[2], "the placements gave different tokens")
    expect("ranks" in program.run("plan", model, "--ranks", 3, "--placement", plan, status=2), "rank count not named")


def wrong_rules(program: Program, folder: pathlib.Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(LLAMA_70B))
    for rules, words in {"layer.0.mlp=shard": "layers.0.mlp", "*.mlp=cut": "split-batch", "*.mlp=single:9": "rank 9",
                         "missing.json": "missing.json"}.items():
        message = program.run("plan", path, "--ranks", 4, "--placement", rules, status=2)
        expect(words in message and message.count("\n") == 1, f"{rules}: {message}")
    expect("--ranks" in program.run("plan", path, status=1), "--ranks is not asked for")


def nothing_is_replaced(program: Program, folder: pathlib.Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(LLAMA_70B))
    for option in ("--plan-out", "--html"):
        message = program.run("plan", path, "--ranks", 2, option, path, status=2)
        expect("the same file" in message and json.loads(path.read_text()) == LLAMA_70B, f"{option}: {message}")
    program.run("plan", path, "--ranks", 2, "--plan-out", "-", "--html", "-", status=1)
    context = str(LLAMA_70B["max_position_embeddings"])
    expect(context in program.run("plan", path, "--ranks", 2, "--new", 200000, status=1), "the context is not named")
    expect("2^30" in program.run("plan", path, "--ranks", 2, "--batch", 65536, "--prompt", 100000, status=1), "too much")


def search(program: Program, folder: pathlib.Path) -> None:
    """Any rank count finds a plan that gives the same tokens, and says which."""
    model, plan = program.convert(folder), folder / "plan.json"
    files = "--input", folder / "in.jsonl", "--output"
    program.generate(1, model, *files, folder / "one")
    for ranks in (1, 2, 3):
        said = program.on_ranks(ranks, "generate", model, *files, folder / "auto", "--placement", "auto", "--batch", 2,
                                "--plan-out", plan)
        expect("tesserank: plan " in said and "on each rank" in said, f"no summary of the plan: {said}")
        program.generate(ranks, model, *files, folder / "again", "--placement", plan)
        for name in ("auto", "again"):
            expect((folder / name).read_text() == (folder / "one").read_text(), f"other tokens on {ranks} ranks")


def search_with_a_machine_file(program: Program, folder: pathlib.Path) -> None:
    model, machine = program.convert(folder), folder / "machine.json"
    program.on_ranks(2, "calibrate", "--output", machine, "--model", model, "--seconds", 2, "--quiet")
    text = program.run("plan", model, "--ranks", 2, "--placement", "auto", "--machine", machine, "--explain")
    expect("what decided" in text and "\n  5  " in text and str(machine) in text, text)
    report = json.loads(program.run("plan", model, "--ranks", 2, "--machine", machine, "--json"))
    for phase in ("prefill", "decode"):
        times = report["predicted"][phase]
        expect(times["seconds"] > 0 and times["limit"], f"nothing is predicted: {times}")
        expect(abs(times["work_seconds"] + times["exchange_seconds"] - times["seconds"]) < 1e-12, f"{times}")
    message = program.run("plan", model, "--ranks", 3, "--machine", machine, status=2)
    expect("found 2, expected 3" in message, message)
    program.on_ranks(2, "generate", model, "--input", folder / "in.jsonl", "--output", folder / "out", "--placement",
                     "auto", "--machine", machine, "--quiet")


def for_gpus(program: Program, folder: pathlib.Path) -> None:
    """Decoding on GPUs keeps its state there, in one of a few sizes of batch, and says how sequences end when it starts."""
    model = program.convert(folder)
    words = "plan", model, "--ranks", 2, "--batch", 5, "--prompt", 4, "--new", 3, "--json"
    host, gpu, over_mpi = (json.loads(program.run(*words, "--backend", *more))
                           for more in (("kokkos",), ("cuda",), ("cuda", "--comm", "mpi")))
    expect([plan["backend"] for plan in (host, gpu, over_mpi)] == ["kokkos", "cuda", "cuda"], "the backend")
    for plan, rows, messages in ((host, 5, 2), (gpu, 8, 4), (over_mpi, 5, 2)):
        expect([step["rows"] for step in plan["decode"]] == [rows], f"{plan['decode']}")
        expect(len(plan["batch_start"]) == messages, f"{plan['batch_start']}")
    for rank in (0, 1):
        expect(gpu["by_rank"][rank]["cache_bytes"] > host["by_rank"][rank]["cache_bytes"], "the state takes room")
    halves = [json.loads(program.run(*words, "--dtype", "bf16", "--backend", name))["by_rank"][0]["workspace_bytes"]
              for name in ("kokkos", "cuda")]
    expect(halves[1] < halves[0], f"modules keep bf16 values: {halves}")
    machine = folder / "machine.json"
    program.on_ranks(2, "calibrate", "--output", machine, "--backend", "kokkos", "--seconds", 1, "--quiet")
    expect(json.loads(program.run(*words, "--machine", machine))["backend"] == "kokkos", "the machine's backend")
    message = program.run(*words, "--machine", machine, "--backend", "cuda", status=2)
    expect("kokkos" in message and "cuda" in message, message)
    message = program.run("plan", model, "--ranks", 2, "--backend", "gpu", status=1)
    expect("auto, cuda, kokkos or reference" in message, message)


def what_does_not_fit(program: Program, folder: pathlib.Path) -> None:
    """Whole weights take more than a limit that cut ones keep."""
    model = program.convert(folder)
    files = "--input", folder / "in.jsonl", "--output", folder / "out", "--batch", 2, "--max-length", 16
    small = "--prefill-chunk", 8
    report = json.loads(program.run("plan", model, "--ranks", 2, "--batch", 1, "--prompt", 1, "--new", 1, "--json", *small))
    limit = report["by_rank"][0]["total_bytes"] + 50000
    said = program.on_ranks(2, "generate", model, *files, *small, "--placement", "replicate", "--memory-limit", limit,
                            status=2)
    expect("more than" in said and "--placement shard" in said and "would fit" in said, said)
    expect(said.count("tesserank: ") == 1 and not (folder / "out").exists(), said)
    program.generate(2, model, *files, *small, "--placement", "shard", "--memory-limit", limit)
    program.generate(2, model, *files, *small, "--placement", "auto", "--prompt", 4, "--max-new-tokens", 4,
                     "--memory-limit", limit + 20000)
    said = program.on_ranks(2, "generate", model, *files, *small, "--placement", "auto", "--memory-limit", 1000, status=2)
    expect("no plan fits" in said, said)
    said = program.on_ranks(2, "generate", model, *files, *small, "--memory-limit", 1000, status=2)
    expect("no preset fits" in said, said)
    for wrong in ("0", "-1", "1X", "16GG", "99999999T"):
        program.run("plan", model, "--ranks", 2, "--memory-limit", wrong, status=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    parser.add_argument("--mpiexec", default="mpirun")
    program = Program(parser.parse_args())
    for case in (large_models, fp8_weights, fp8_runs, vision, pictures_in_a_run, unknown_families, plan_file, wrong_rules,
                 nothing_is_replaced, search, search_with_a_machine_file, for_gpus, what_does_not_fit):
        with tempfile.TemporaryDirectory() as name:
            case(program, pathlib.Path(name))
            print("ok", case.__name__)


if __name__ == "__main__":
    main()
