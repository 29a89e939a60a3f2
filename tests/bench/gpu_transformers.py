#!/usr/bin/env python3
"""Hugging Face transformers on the work of gpu_table.py: the seconds of a decode step, a line of JSON for each batch and mode.

  gpu_transformers.py CONFIG.json --batches B,... --prompt T --new N

Eager with SDPA, then with a static cache and torch.compile; random weights of the config's shapes, in
bf16, on the first GPU; greedy, nothing is turned into text. Needs torch and transformers.
"""
import argparse
import json
import statistics
import sys
import time

import torch
import transformers

REPETITIONS = 3


def steps_of(model, first: torch.Tensor, cache, position: int, new: int):
    """Decodes `new` tokens from the one given, and returns the seconds of one step."""
    token = first
    torch.cuda.synchronize()
    start = time.perf_counter()
    for step in range(new):
        where = torch.tensor([position + step], device="cuda")
        logits = model(token, past_key_values=cache, cache_position=where, use_cache=True).logits
        token = logits[:, -1:].argmax(-1)
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / new


def measure(model, decode, prompts: torch.Tensor, new: int, static: bool) -> dict:
    length = prompts.shape[1] + new + 1
    # One for all runs: graphs are recorded for its address.
    kept = transformers.StaticCache(config=model.config, max_batch_size=prompts.shape[0], max_cache_len=length,
                                    device="cuda", dtype=torch.bfloat16) if static else None
    taken = []
    for _ in range(REPETITIONS + 1):
        if static:
            kept.reset()
        cache = kept if static else transformers.DynamicCache()
        where = torch.arange(prompts.shape[1], device="cuda")
        logits = model(prompts, past_key_values=cache, cache_position=where, use_cache=True, logits_to_keep=1).logits
        taken.append(steps_of(decode, logits[:, -1:].argmax(-1), cache, prompts.shape[1], new))
    # The first run compiles.
    return {"seconds_per_step": statistics.median(taken[1:]), "runs": taken[1:]}


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--batches", required=True, type=lambda words: [int(word) for word in words.split(",")])
    for name in ("prompt", "new"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    with open(options.config, encoding="utf-8") as file:
        config = transformers.AutoConfig.for_model(**json.load(file))
    config._attn_implementation = "sdpa"
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    for mode in ("eager", "compiled"):
        compiles = mode == "compiled"
        decode = torch.compile(model, mode="reduce-overhead", fullgraph=True, dynamic=False) if compiles else model
        for batch in options.batches:
            prompts = torch.randint(0, config.vocab_size, (batch, options.prompt), device="cuda")
            print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__,
                              "device": torch.cuda.get_device_name(), "batch": batch, "mode": mode,
                              **measure(model, decode, prompts, options.new, static=compiles)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
