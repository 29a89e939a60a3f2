#!/usr/bin/env python3
"""Loads models in every way, as a user would, and counts what is read.

  load_test.py --tesserank PROGRAM --golden DIR --count-reads LIBRARY [--mpiexec M] CASE

Bytes are counted by the program's own report, and by a library in every rank that sees each call that reads a file.
"""
import pathlib

from load_job import PRESETS, Job, expect, flip_byte, loaded_event, main, sum_of_weights, write_checkpoint


def golden_tokens(job: Job) -> None:
    job.convert()
    for ranks in (1, 2, 3, 4):
        for how in ("cooperative", "direct", "auto"):
            job.loaded(ranks, job.model, "--load", how)
        job.loaded(ranks, job.make_set(ranks, "replicate-attention", f"set{ranks}"))


def bytes_read_once(job: Job) -> None:
    """Each preset on 4 ranks: the files are read once in the whole job, by the program's count and the system's; and
    every way to load gives the same tokens."""
    job.checkpoint = job.folder / "checkpoint"
    write_checkpoint(job.checkpoint, vocabulary=9000)
    (job.folder / "in.jsonl").write_text('{"id": "a", "tokens": [1, 2, 3], "max_new_tokens": 4}\n')
    job.convert()
    watch, tokens = job.watch(), (set(), set())

    def check(what: str, files: list[pathlib.Path], *words: object) -> None:
        event = loaded_event(job.run(4, *job.generate_words(*words, "--log-json"), **watch))
        size, weights = sum(file.stat().st_size for file in files), sum(map(sum_of_weights, files))
        counted, asked = event["bytes_read"], job.watched(4)
        print(f"{what}: {counted} bytes counted, {asked} asked for, {size} in files, {asked / size:.4f}")
        expect(counted == weights == sum(event["by_rank"]["bytes_read"]), f"{what}: not {weights} bytes")
        expect(counted <= asked <= 1.02 * size, f"{what}: {asked} bytes of {size}")
        expect(max(event["by_rank"]["most_held_bytes"]) <= 256 << 20, f"{what}: {event}")
        tokens[words.count("fp8")].add(job.output.read_text())

    for preset in PRESETS:
        check(preset, [job.model], job.model, "--placement", preset, "--load", "cooperative")
        folder = job.make_set(4, preset, preset)
        check(preset + " as a set", sorted(folder.glob("*.h5")), folder)
        check(preset + " to fp8", [job.model], job.model, "--placement", preset, "--weights", "fp8")
        check(preset + " as a set, to fp8", sorted(folder.glob("*.h5")), folder, "--weights", "fp8")
    expect(len(tokens[0]) == 1, f"not the same tokens: {tokens}")


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
