#!/usr/bin/env python3
"""What one GPU reaches on whole models, as shares of its ceilings, beside Hugging Face transformers.

  gpu_table.py run --build FOLDER --results FOLDER [PART ...]   measures all parts, or those named
  gpu_table.py report RESULTS                                   the table of results that are there, as Markdown

Weights are random, of the real shapes. The two ceilings, the bandwidth of a large copy (bytes read and
written) and the rate of a large bf16 product, are measured in the same run by gpu_bench. What a decode
step must move is counted here: every weight that it multiplies with, and the keys and values of the
contexts; the embedding table only where it is the lm_head too.
"""
import argparse
import dataclasses
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

COMMON = {"model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
          "torch_dtype": "bfloat16", "vocab_size": 128256, "max_position_embeddings": 16384}
MODELS = {
    "llama-3.1-8b": {**COMMON, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                     "num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": False},
    "llama-3.2-1b": {**COMMON, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                     "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": True},
}
BF16 = 2
# As vision_placements.sh measured it on a CPU, with more layers.
VISION_LAYERS, VISION_TILES, VISION_GOAL = 4, 16, 0.65
HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of `tesserank bench`: each batch with prompts and new tokens of the same lengths."""
    model: str
    batches: tuple[int, ...]
    prompt: int
    new: int
    repeat: int

    @property
    def file(self) -> str:
        return f"{self.model}-{self.prompt}.json"


@dataclasses.dataclass(frozen=True)
class Work:
    """One row of the table: a batch of a run and what is asked of it."""
    name: str
    run: Run
    phase: str  # "decode" or "prefill"
    batch: int
    goal: float


SMALL = Run("llama-3.2-1b", (1,), 96, 64, 5)
COMPARED = Run("llama-3.1-8b", (1, 8, 32), 992, 64, 3)
LONG = Run("llama-3.1-8b", (8, 32, 128), 2048, 64, 1)
RUNS = [SMALL, COMPARED, LONG]
WORK = [
    Work("8B, batch 1, 1024-token context, decode", COMPARED, "decode", 1, 0.88),
    Work("1B, batch 1, 128-token context, decode", SMALL, "decode", 1, 0.80),
    Work("8B, batch 8, 2048-token contexts, decode", LONG, "decode", 8, 0.80),
    Work("8B, batch 32, 2048-token contexts, decode", LONG, "decode", 32, 0.80),
    Work("8B, batch 128, 2048-token contexts, decode", LONG, "decode", 128, 0.80),
    Work("8B, prefill 8 x 2048 tokens", LONG, "prefill", 8, 0.75),
]
# Of gpu_bench.
KERNELS = [("decode attention, batch 64, context 8192", 0.85), ("prefill attention, head_dim 128", 0.60)]
LOADING_GOAL = 8e9
HOST_GOAL = 20e-6
PARTS = ("kernels", "models", "vision", "loading", "transformers")


def head_dim_of(config: dict) -> int:
    return config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])


def layer_weights(config: dict) -> int:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries = config["num_attention_heads"] * head_dim_of(config)
    keys = config["num_key_value_heads"] * head_dim_of(config)
    return hidden * (queries + 2 * keys) + queries * hidden + 3 * hidden * inner


def decode_bytes(config: dict, batch: int, context: float) -> float:
    """What one step reads at least: weights once, and each sequence's keys and values."""
    weights = config["num_hidden_layers"] * layer_weights(config) + config["vocab_size"] * config["hidden_size"]
    cache = 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * head_dim_of(config)
    return BF16 * (weights + batch * context * cache)


def decode_operations(config: dict, batch: int, context: float) -> float:
    weights = config["num_hidden_layers"] * layer_weights(config) + config["vocab_size"] * config["hidden_size"]
    mixing = 4 * config["num_hidden_layers"] * config["num_attention_heads"] * head_dim_of(config) * context
    return batch * (2 * weights + mixing)


def prefill_operations(config: dict, batch: int, prompt: int) -> float:
    """Products with the weights of all layers, causal attention, and the logits of each last token."""
    products = 2 * config["num_hidden_layers"] * layer_weights(config) * prompt
    queries = config["num_attention_heads"] * head_dim_of(config)
    mixing = 2 * config["num_hidden_layers"] * queries * prompt * (prompt + 1)
    return batch * (products + mixing + 2 * config["vocab_size"] * config["hidden_size"])


def vision_config() -> dict:
    config = json.loads((HERE / "results" / "vision-6b.config.json").read_text())
    return {**config, "vision_config": {**config["vision_config"], "num_hidden_layers": VISION_LAYERS}}


def encoding_operations(config: dict, tiles: int) -> float:
    """The patch embedding, the layers on patches and class token, and the projector, of so many tiles."""
    vision, to = config["vision_config"], config["llm_config"]["hidden_size"]
    hidden, inner = vision["hidden_size"], vision["intermediate_size"]
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    rows, merged = patches + 1, round(1 / config["downsample_ratio"]) ** 2
    embedding = 2 * patches * 3 * vision["patch_size"] ** 2 * hidden
    layer = 2 * rows * (4 * hidden * hidden + 2 * hidden * inner) + 4 * rows * rows * hidden
    projector = 2 * (patches // merged) * (merged * hidden * to + to * to)
    return tiles * (embedding + vision["num_hidden_layers"] * layer + projector)


def batch_of(bench: dict, batch: int) -> dict:
    return next(times for times in bench["plans"][0]["batches"] if times["batch"] == batch)


def share_of_ceiling(work: Work, bench: dict, bandwidth: float, rate: float) -> float:
    """The time that the binding ceiling allows, over the time taken."""
    config, run, times = MODELS[work.run.model], work.run, batch_of(bench, work.batch)
    if work.phase == "prefill":
        return prefill_operations(config, work.batch, run.prompt) / rate / times["prefill"]["median"]
    context = run.prompt + run.new / 2
    least = max(decode_bytes(config, work.batch, context) / bandwidth,
                decode_operations(config, work.batch, context) / rate)
    return least / times["decode_seconds_per_step"]


def share_of_rate(bench: dict, rate: float) -> float:
    encoding = bench["plans"][0]["encodings"][0]
    return encoding_operations(vision_config(), encoding["tiles"]) / rate / encoding["encode"]["median"]


def tensors_of(config: dict) -> dict[str, list[int]]:
    """Names and shapes of a checkpoint."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries = config["num_attention_heads"] * head_dim_of(config)
    keys = config["num_key_value_heads"] * head_dim_of(config)
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden]}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = [config["vocab_size"], hidden]
    for layer in range(config["num_hidden_layers"]):
        for name, shape in {"self_attn.q_proj": [queries, hidden], "self_attn.k_proj": [keys, hidden],
                            "self_attn.v_proj": [keys, hidden], "self_attn.o_proj": [hidden, queries],
                            "mlp.gate_proj": [inner, hidden], "mlp.up_proj": [inner, hidden],
                            "mlp.down_proj": [hidden, inner], "input_layernorm": [hidden],
                            "post_attention_layernorm": [hidden]}.items():
            shapes[f"model.layers.{layer}.{name}.weight"] = shape
    return shapes


def write_checkpoint(config: dict, folder: pathlib.Path) -> None:
    """A checkpoint of random bf16 numbers between 2^-8 and 2^-6, for loading alone."""
    header, end = {}, 0
    for name, shape in tensors_of(config).items():
        begin, end = end, end + BF16 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    # The upper byte: sign 0, and the exponents 119 and 120.
    noise = bytearray(os.urandom(1 << 26))
    noise[1::2] = bytes(0x3B + (byte & 1) for byte in noise[1::2])
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["LlamaForCausalLM"]}))
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for done in range(0, end, len(noise)):
            file.write(noise[:min(len(noise), end - done)])


class Runner:
    def __init__(self, build: pathlib.Path, results: pathlib.Path):
        self.tesserank = build / "app" / "tesserank"
        self.kernels_bench = build / "tests" / "kernels" / "kernels_gpu_bench_cuda"
        self.results = results
        self.configs = pathlib.Path(tempfile.mkdtemp())
        for name, config in MODELS.items():
            (self.configs / f"{name}.json").write_text(json.dumps(config))
        (self.configs / "vision-6b.json").write_text(json.dumps(vision_config()))
        self.start = time.monotonic()
        self.failed = False

    def step(self, name: str, file: str, command: list) -> None:
        """Keeps what the command prints; one that fails is said and does not end the rest."""
        print(f"gpu_table: {name} ({time.monotonic() - self.start:.0f} s)", flush=True)
        with open(self.results / file, "w", encoding="utf-8") as kept:
            done = subprocess.run([str(part) for part in command], stdout=kept, check=False)
        if done.returncode != 0:
            self.failed = True
            print(f"gpu_table: {name}: exit status {done.returncode}", flush=True)

    def run(self, parts: list[str]) -> None:
        for part in parts:
            getattr(self, part)()
        shutil.rmtree(self.configs)

    def bench(self, model: pathlib.Path, *options: object) -> list:
        return [self.tesserank, "bench", model, "--backend", "cuda", "--dtype", "bf16", "--placement", "replicate",
                "--warmup", 1, "--quiet", "--json", "-", *options]

    def kernels(self) -> None:
        self.step("kernels", "kernels.jsonl", [self.kernels_bench])

    def models(self) -> None:
        for run in RUNS:
            batches = ",".join(map(str, run.batches))
            self.step(f"{run.model}, batches {batches} x {run.prompt} tokens", run.file,
                      self.bench(self.configs / f"{run.model}.json", "--batch", batches, "--prompt", run.prompt, "--new",
                                 run.new, "--repeat", run.repeat, "--prefill-chunk", 8192))

    def vision(self) -> None:
        self.step("InternViT-6B", "vision-6b.json",
                  self.bench(self.configs / "vision-6b.json", "--tiles", VISION_TILES, "--repeat", 3))

    def transformers(self) -> None:
        """Beside COMPARED, on the same device."""
        self.step("transformers", "transformers.jsonl",
                  [sys.executable, HERE / "gpu_transformers.py", self.configs / f"{COMPARED.model}.json", "--batches",
                   ",".join(map(str, COMPARED.batches)), "--prompt", COMPARED.prompt, "--new", COMPARED.new])

    def loading(self) -> None:
        """Loads a file of 16 GB that was just written, and so lies in the page cache."""
        checkpoint, model = self.configs / "checkpoint", self.configs / "model.h5"
        write_checkpoint(MODELS["llama-3.1-8b"], checkpoint)
        self.step("convert", "convert.txt", [self.tesserank, "convert", checkpoint, model])
        shutil.rmtree(checkpoint)
        self.step("load", "load.json",
                  self.bench(model, "--batch", 1, "--prompt", 16, "--new", 2, "--repeat", 1))
        model.unlink(missing_ok=True)


def read_lines(path: pathlib.Path) -> list[dict]:
    """The whole ones of a file that may not be there, or be cut off."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines if line]


def read_json(path: pathlib.Path) -> dict | None:
    """Nothing when it is not there, or its run has failed."""
    text = path.read_text() if path.exists() else ""
    return json.loads(text) if text.strip() else None


def report(results: pathlib.Path) -> str:
    lines = ["| work | goal | reached |", "|---|---|---|"]
    kernels = {entry.get("work", "device"): entry for entry in read_lines(results / "kernels.jsonl")}
    ceilings = "copy" in kernels and "product" in kernels
    bandwidth = kernels["copy"]["gigabytes_per_second"] * 1e9 if ceilings else None
    rate = kernels["product"]["gigaflops"] * 1e9 if ceilings else None

    def add(name: str, goal: str, reached: str) -> None:
        lines.append(f"| {name} | {goal} | {reached} |")

    for work in WORK:
        bench = read_json(results / work.run.file)
        reached = "not run" if bench is None or not ceilings else \
            f"{100 * share_of_ceiling(work, bench, bandwidth, rate):.0f} %"
        add(work.name, f"{100 * work.goal:.0f} %", reached)
    for name, goal in KERNELS:
        entry = kernels.get(name)
        add(name, f"{100 * goal:.0f} %", "not run" if entry is None else f"{100 * entry['of_ceiling']:.0f} %")
    load = read_json(results / "load.json")
    plan = load["plans"][0] if load else None
    add("loading 8B from the page cache", f"{LOADING_GOAL / 1e9:.0f} GB/s",
        "not run" if plan is None else f"{sum(plan['weight_bytes']) / plan['load_seconds'] / 1e9:.1f} GB/s")
    encoded, first = read_json(results / "vision-6b.json"), read_json(results / COMPARED.file)
    add(f"InternViT-6B, {VISION_LAYERS} layers, {VISION_TILES} tiles", f"{100 * VISION_GOAL:.0f} %",
        "not run" if encoded is None or not ceilings else f"{100 * share_of_rate(encoded, rate):.0f} %")
    host = batch_of(first, 1).get("host_seconds_per_step") if first else None
    add("host time per decode step, 8B, batch 1", f"< {1e6 * HOST_GOAL:.0f} us",
        "not run" if host is None else f"{1e6 * host:.1f} us")
    theirs = {(entry["mode"], entry["batch"]): entry for entry in read_lines(results / "transformers.jsonl")}
    for batch in COMPARED.batches:
        for mode in ("compiled", "eager"):
            reached, entry = "not run", theirs.get((mode, batch))
            if first is not None and entry is not None:
                ratio = entry["seconds_per_step"] / batch_of(first, batch)["decode_seconds_per_step"]
                reached = f"{ratio:.2f} times as fast"
            add(f"8B, batch {batch}, against transformers, {mode}", "faster", reached)
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--build", type=pathlib.Path, required=True)
    run.add_argument("--results", type=pathlib.Path, required=True)
    run.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    commands.add_parser("report").add_argument("results", type=pathlib.Path)
    options = parser.parse_args()
    failed = False
    if options.command == "run":
        if unknown := set(options.parts) - set(PARTS):
            parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        options.results.mkdir(parents=True, exist_ok=True)
        runner = Runner(options.build, options.results)
        runner.run(options.parts or PARTS)
        failed = runner.failed
    print(report(options.results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
