#!/usr/bin/env python3
"""Rewrites golden models of the Llama family as InternLM2 stores them, and runs both.

  internlm2_test.py --tesserank PROGRAM --golden DIR --count-reads LIBRARY [--mpiexec M] CASE

The two differ in the names of their tensors, and in q, k and v being one tensor, by kv head: its query heads, its k, its
v. The same numbers must come out, to the last bit, however that tensor is cut.
"""
import json
import pathlib

import h5py
import numpy as np

from load_job import Job, expect, main, read_tensors, sum_of_weights, write_tensors

NAMES = {"model.embed_tokens": "model.tok_embeddings", "lm_head": "output", "self_attn.o_proj": "attention.wo",
         "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
         "mlp.gate_proj": "feed_forward.w1", "mlp.up_proj": "feed_forward.w3", "mlp.down_proj": "feed_forward.w2"}


def interleaved(q: np.ndarray, k: np.ndarray, v: np.ndarray, kv_heads: int) -> np.ndarray:
    by_head = (array.reshape(kv_heads, -1, *array.shape[1:]) for array in (q, k, v))
    return np.concatenate(list(by_head), axis=1).reshape(-1, *q.shape[1:])


def as_internlm2(source: pathlib.Path, folder: pathlib.Path) -> None:
    """A checkpoint of the Llama family under InternLM2's names."""
    folder.mkdir()
    config = json.loads((source / "config.json").read_text())
    dtype, old = read_tensors(source)
    new = {}
    for name, array in old.items():
        for before, after in NAMES.items():
            name = name.replace(before, after)
        if "k_proj" in name or "v_proj" in name:
            continue
        if "q_proj" in name:
            parts = (old[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj"))
            array = interleaved(*parts, config["num_key_value_heads"])
            name = name.replace("self_attn.q_proj", "attention.wqkv")
        new[name] = array
    write_tensors(folder / "model.safetensors", dtype, new)
    for key in ("attention_bias", "mlp_bias", "attention_dropout", "head_dim"):
        config.pop(key, None)
    config.update(model_type="internlm2", architectures=["InternLM2ForCausalLM"], bias=False)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_bytes((source / "generation_config.json").read_bytes())


def arrays_of(path: pathlib.Path) -> dict:
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return arrays


def logits(job: Job, ranks: int, model: pathlib.Path, *more: object) -> dict:
    """The logits of a run whose tokens are the golden ones."""
    path = job.folder / "logits.h5"
    path.unlink(missing_ok=True)
    job.loaded(ranks, model, "--logits", path, *more)
    return arrays_of(path)


def compare(job: Job, ranks: int, words: tuple, model: pathlib.Path, *own_words: object) -> None:
    want, got = logits(job, ranks, job.model, *words), logits(job, ranks, model, *own_words)
    expect(want.keys() == got.keys() and len(want) > 0, f"other logits: {want.keys()} and {got.keys()}")
    for name, array in want.items():
        expect(np.array_equal(array, got[name]), f"{model.name} on {ranks} ranks, {words}: {name} differs")


def rewritten(job: Job) -> pathlib.Path:
    """The model of the job in both layouts; gives the other one."""
    job.convert()
    as_internlm2(job.checkpoint, job.folder / "internlm2")
    job.checkpoint = job.folder / "internlm2"
    other = job.model.with_name("internlm2.h5")
    job.run(0, "convert", job.checkpoint, other, "--quiet")
    return other


def same_logits(job: Job) -> None:
    """Grouped heads, on rank counts that divide them or not, cut, dealt out and whole."""
    other = rewritten(job)
    for ranks, placement in ((1, "shard"), (2, "shard"), (3, "shard"), (5, "shard"), (3, "split-batch"), (2, "replicate")):
        words = ("--placement", placement, "--load", "direct" if placement == "split-batch" else "cooperative")
        compare(job, ranks, words, other, *words)


def same_logits_of_one_kv_head(job: Job) -> None:
    """Whose k and v every rank with a query head holds."""
    job = Job(job.options, job.folder, "llama-5heads-kv1")
    other = rewritten(job)
    for ranks in (2, 4):
        compare(job, ranks, ("--placement", "shard"), other, "--placement", "shard")


def same_logits_in_fp8(job: Job) -> None:
    """Each row is scaled on its own, wherever it comes from."""
    other = rewritten(job)
    for model in (job.model, other):
        path = model.with_suffix(".logits.h5")
        job.run(3, *job.generate_words(model, "--weights", "fp8", "--placement", "shard", "--logits", path))
    want, got = (arrays_of(model.with_suffix(".logits.h5")) for model in (job.model, other))
    expect(all(np.array_equal(array, got[name]) for name, array in want.items()), "other logits in fp8")


def sets(job: Job) -> None:
    """A set holds of each rank's part of the tensor no more than its rows, and loads the same."""
    rewritten(job)
    for ranks, placement in ((2, "shard"), (5, "shard"), (3, "layers.1.*=single:2")):
        folder = job.make_set(ranks, placement, f"set{ranks}")
        compare(job, ranks, ("--placement", placement), folder)


def read_once(job: Job) -> None:
    """Every byte is read by one rank, though several requests name the tensor, and sent once to all who want it whole."""
    other = rewritten(job)
    weights, sent = sum_of_weights(other), {}
    for model in (job.model, other):
        for placement in ("shard", "replicate"):
            event = job.loaded(3, model, "--placement", placement, "--load", "cooperative", **job.watch())
            sent[model, placement] = event["by_rank"]["bytes_sent"]
            expect(event["bytes_read"] == weights, f"{placement}: {event['bytes_read']} bytes read of {weights}")
            expect(event["bytes_read"] <= job.watched(3), "more bytes counted than the system knows of")
    print(sent)
    whole = [sum(sent[model, "replicate"]) for model in (job.model, other)]
    expect(whole[0] == whole[1], f"replicated, {whole[1]} bytes are sent, of the other layout {whole[0]}")


if __name__ == "__main__":
    main({case.__name__: case for case in (same_logits, same_logits_of_one_kv_head, same_logits_in_fp8, sets,
                                           read_once)})
