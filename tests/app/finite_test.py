#!/usr/bin/env python3
"""Runs models some of whose weights are no numbers: the requests that meet them fail, and nothing else does.

  finite_test.py --tesserank PROGRAM --golden DIR --count-reads LIBRARY [--mpiexec M] CASE
"""
import json
import math
import shutil
import struct

from load_job import Job, expect, main

UNKNOWN = "the logits are not finite (NaN or infinity): run with --check-finite to see where that begins"
KNOWN = "the logits are not finite (NaN or infinity): that begins in the output of "


def bf16(value: float) -> bytes:
    return struct.pack("<f", value)[2:]


def spoil(job: Job, *changes: tuple[str, int, int, float]) -> None:
    """A model of its own with other values from an element of a bf16 tensor on: (tensor, element, how many, value)."""
    folder = job.folder / "spoiled"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(job.checkpoint, folder)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    for tensor, first, count, value in changes:
        data = bytearray((folder / index[tensor]).read_bytes())
        length = struct.unpack("<Q", data[:8])[0]
        entry = json.loads(data[8:8 + length])[tensor]
        expect(entry["dtype"] == "BF16", f"{tensor} is {entry['dtype']}")
        begin = 8 + length + entry["data_offsets"][0] + 2 * first
        data[begin:begin + 2 * count] = bf16(value) * count
        (folder / index[tensor]).write_bytes(data)
    job.run(0, "convert", folder, job.model, "--quiet", "--force")


def results(job: Job, ranks: int, status: int, *words: object) -> dict[str, dict]:
    result = job.start(ranks, *words, "--quiet")
    expect(result.returncode == status, f"exit status {result.returncode}, want {status}: {result.stderr}")
    return {row["id"]: row for row in map(json.loads, job.output.read_text().splitlines())}


def add_request(job: Job, **request: object) -> None:
    with open(job.folder / "in.jsonl", "a") as file:
        file.write(json.dumps(request) + "\n")


def unused_token(job: Job) -> int:
    used = {token for tokens in job.greedy.values() for token in tokens}
    for line in (job.folder / "in.jsonl").read_text().splitlines():
        used.update(json.loads(line)["tokens"])
    return next(token for token in range(3, 1000) if token not in used)


def one_request(job: Job) -> None:
    """A word of one prompt is NaN: the others' results are the golden ones, on any ranks and under any placement."""
    token = unused_token(job)
    hidden = json.loads((job.checkpoint / "config.json").read_text())["hidden_size"]
    spoil(job, ("model.embed_tokens.weight", token * hidden, hidden, math.nan))
    add_request(job, id="bad", tokens=[1, token, 2], max_new_tokens=5)
    add_request(job, id="bad later", tokens=[1] * 30 + [token], max_new_tokens=5, temperature=1.0)
    for ranks in (1, 2, 3):
        for placement, check in (("shard", []), ("split-batch", []), ("shard", ["--prefill-chunk", 7]),
                                 ("replicate", ["--prefill-chunk", 7]), ("split-batch", ["--batch", 5]),
                                 ("*.mlp=single:0", ["--batch", 3])):
            options = ["--check-finite", *check] if check else []
            rows = results(job, ranks, 3, *job.generate_words(job.model, "--placement", placement, *options))
            for name, tokens in job.greedy.items():
                expect(rows[name]["tokens"] == tokens, f"{name} is not the golden one: {rows[name]}")
            for name in ("bad", "bad later"):
                expect(rows[name]["finish_reason"] == "error" and rows[name]["tokens"] == [], f"{rows[name]}")
                expect(rows[name]["error"] == (KNOWN + "embedding" if check else UNKNOWN), f"{rows[name]}")


def one_layer(job: Job) -> None:
    """A weight of one rank is NaN: the layer is named, for every request."""
    spoil(job, ("model.layers.1.mlp.up_proj.weight", 3, 1, math.nan))
    for ranks in (1, 3):
        for more in ([], ["--batch", "2"], ["--placement", "split-batch"]):
            rows = results(job, ranks, 3, *job.generate_words(job.model, "--check-finite", *more))
            for row in rows.values():
                expect(row["error"] == KNOWN + "layers.1.mlp", f"{row}")


def infinite_logit(job: Job) -> None:
    """It is the most likely token of all, and would be the answer to everything."""
    hidden = json.loads((job.checkpoint / "config.json").read_text())["hidden_size"]
    # Of two tokens one gets an infinity, the other its negative, whatever the sign of the state.
    spoil(job, ("model.norm.weight", 0, 1, 1e30), ("lm_head.weight", 5 * hidden, 1, 1e20),
          ("lm_head.weight", 6 * hidden, 1, -1e20))
    add_request(job, id="drawn", tokens=[1, 2], max_new_tokens=5, temperature=1.0)
    add_request(job, id="penalised", tokens=[1, 2], max_new_tokens=5, repetition_penalty=1.5)
    last = "the outputs of all layers are, so it begins in the final norm or lm_head"
    for ranks in (1, 2):
        for check in ([], ["--check-finite"]):
            rows = results(job, ranks, 3, *job.generate_words(job.model, *check))
            for row in rows.values():
                expect(row["error"].endswith(last if check else "--check-finite to see where that begins"), f"{row}")
    (job.folder / "score.jsonl").write_text('{"id": "s", "tokens": [1, 2], "completion_tokens": [5, 6, 7]}\n')
    words = ("score", job.model, "--input", job.folder / "score.jsonl", "--output", job.output)
    expect("not finite" in results(job, 2, 3, *words, "--check-finite")["s"]["error"], "the score is none")


if __name__ == "__main__":
    main({case.__name__: case for case in (one_request, one_layer, infinite_logit)})
