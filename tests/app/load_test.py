#!/usr/bin/env python3
"""Loads models in every way, as a user would, and counts what is read.

  load_test.py --tesserank PROGRAM --golden DIR --count-reads LIBRARY [--mpiexec M] CASE

Bytes are counted by the program's own report, and by a library in every rank that sees each call that reads a file.
"""
import json
import pathlib
import struct

import numpy as np

from load_job import PRESETS, Job, expect, flip_byte, main, sum_of_weights


def golden_tokens(job: Job) -> None:
    job.convert()
    for ranks in (1, 2, 3, 4):
        for how in ("cooperative", "direct", "auto"):
            job.loaded(ranks, job.model, "--load", how)
        job.loaded(ranks, job.make_set(ranks, "replicate-attention", f"set{ranks}"))


def write_large_checkpoint(folder: pathlib.Path) -> None:
    """Some 40 MB of random weights, beside which a file's texts and index are nothing."""
    folder.mkdir()
    hidden, inner, vocabulary, heads, kv_heads, layers = 256, 1024, 9000, 8, 2, 4
    (folder / "config.json").write_text(json.dumps(
        {"model_type": "llama", "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": inner,
         "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
         "hidden_act": "silu", "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": False}))
    kv = hidden // heads * kv_heads
    shapes = {"model.embed_tokens": (vocabulary, hidden), "model.norm": (hidden,), "lm_head": (vocabulary, hidden)}
    for layer in (f"model.layers.{i}." for i in range(layers)):
        shapes.update({layer + "input_layernorm": (hidden,), layer + "post_attention_layernorm": (hidden,),
                       layer + "self_attn.q_proj": (hidden, hidden), layer + "self_attn.k_proj": (kv, hidden),
                       layer + "self_attn.v_proj": (kv, hidden), layer + "self_attn.o_proj": (hidden, hidden),
                       layer + "mlp.gate_proj": (inner, hidden), layer + "mlp.up_proj": (inner, hidden),
                       layer + "mlp.down_proj": (hidden, inner)})
    header, data, random = {}, [], np.random.default_rng(1)
    for name, shape in shapes.items():
        begin = sum(map(len, data))
        data.append(random.normal(0, 0.05, shape).astype("<f4").tobytes())
        header[name + ".weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, begin + len(data[-1])]}
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def bytes_read_once(job: Job) -> None:
    """Each preset on 4 ranks: the files are read once in the whole job, by the program's count and the system's; and
    every way to load gives the same tokens."""
    job.checkpoint = job.folder / "checkpoint"
    write_large_checkpoint(job.checkpoint)
    (job.folder / "in.jsonl").write_text('{"id": "a", "tokens": [1, 2, 3], "max_new_tokens": 4}\n')
    job.convert()
    watch, tokens = job.watch(), set()

    def check(what: str, files: list[pathlib.Path], *words: object) -> None:
        event = json.loads(job.run(4, *job.generate_words(*words, "--log-json"), **watch).splitlines()[0])
        size, weights = sum(file.stat().st_size for file in files), sum(map(sum_of_weights, files))
        counted, asked = event["bytes_read"], job.watched(4)
        print(f"{what}: {counted} bytes counted, {asked} asked for, {size} in files, {asked / size:.4f}")
        expect(counted == weights == sum(event["by_rank"]["bytes_read"]), f"{what}: not {weights} bytes")
        expect(counted <= asked <= 1.02 * size, f"{what}: {asked} bytes of {size}")
        expect(max(event["by_rank"]["most_held_bytes"]) <= 256 << 20, f"{what}: {event}")
        tokens.add(job.output.read_text())

    for preset in PRESETS:
        check(preset, [job.model], job.model, "--placement", preset, "--load", "cooperative")
        folder = job.make_set(4, preset, preset)
        check(preset + " as a set", sorted(folder.glob("*.h5")), folder)
    expect(len(tokens) == 1, f"not the same tokens: {tokens}")


def direct_says_so(job: Job) -> None:
    """What is read several times is reported."""
    job.convert()
    weights, watch = sum_of_weights(job.model), job.watch()
    event = job.loaded(4, job.model, "--placement", "replicate", "--load", "direct", **watch)
    expect(event["bytes_read"] == 4 * weights, f"{event['bytes_read']} bytes read, expected 4 times {weights}")
    expect(event["bytes_read"] <= job.watched(4), "more bytes counted than the system knows of")
    expect(sum(event["by_rank"]["bytes_sent"]) == 0, "a direct load sends something")
    text = job.run(4, *job.generate_words(job.model, "--placement", "replicate", "--load", "direct"))
    line = next(line for line in text.splitlines() if "loaded in" in line)
    print(line)
    for word in ("4.0 times the weights", "open", "read", "exchange", "place"):
        expect(word in line, f"{word!r} is not in: {line}")


def flipped_byte(job: Job) -> None:
    name = "model.layers.1.mlp.down_proj.weight"
    job.convert()
    flip_byte(job.model, name)
    for how in ("cooperative", "direct", "auto"):
        job.fails(job.start(3, *job.generate_words(job.model, "--load", how, "--quiet")), name, "checksum")
    folder = job.make_set(3, "shard")
    flip_byte(folder / "rank2.h5", name)
    job.fails(job.start(3, *job.generate_words(folder, "--quiet")), name, "checksum", "rank2.h5")
    job.fails(job.start(3, "verify", folder, "--quiet"), name, "rank2.h5")
    folder = job.make_set(3, "replicate", "whole")
    flip_byte(folder / "shared.h5", name)
    job.fails(job.start(3, *job.generate_words(folder, "--quiet")), name, "checksum", "shared.h5")
    expect(not job.output.exists(), "there is an output in spite of the failure")


if __name__ == "__main__":
    main({case.__name__: case for case in (golden_tokens, bytes_read_once, direct_says_so, flipped_byte)})
