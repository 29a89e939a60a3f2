#!/usr/bin/env python3
"""Writes sets of files, spoils them, and loads them, as a user would.

  set_test.py --tesserank PROGRAM --golden DIR --count-reads LIBRARY [--mpiexec M] CASE
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from load_job import PRESETS, Job, expect, main, sum_of_weights, write_checkpoint

MOST_BYTES = 512 << 20


def golden_sets(job: Job) -> None:
    """Tied embeddings that are cut and whole at once, fewer kv heads than ranks, more ranks than units."""
    job = Job(job.options, job.folder, "qwen2-tied-kv3")
    mixed = "*.attention=single:1,embedding=replicate", "*.mlp=single:2,lm_head=single:0"
    for i, rules in enumerate((*PRESETS, *mixed)):
        job.loaded(4, job.make_set(4, rules, f"set{i}"), *(["--load", "direct"] if i % 2 else []))
    job.loaded(7, job.make_set(7, "shard", "set7"), "--batch", 2)


def wrong_sets(job: Job) -> None:
    """Whatever is wrong with a set ends three ranks with one message."""
    good, other, replicated = (job.make_set(3, placement, placement) for placement in
                               ("shard", "split-batch-attention", "replicate-attention"))
    fewer = job.make_set(2, "shard", "fewer")
    job.checkpoint = job.options.golden / "models" / "llama-gqa-rope3"
    another = job.make_set(3, "shard", "another")

    def refused(spoil, *wanted: str, ranks: int = 3, more: tuple = ()) -> None:
        folder = job.model.parent / "spoiled"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good, folder)
        spoil(folder)
        job.fails(job.start(ranks, *job.generate_words(folder, "--quiet", *more)), *wanted)

    def copy(source: pathlib.Path, name: str):
        return lambda folder: shutil.copy(source / name, folder / name)

    def swap(folder: pathlib.Path) -> None:
        (folder / "rank0.h5").rename(folder / "x")
        (folder / "rank1.h5").rename(folder / "rank0.h5")
        (folder / "x").rename(folder / "rank1.h5")

    def truncate(folder: pathlib.Path) -> None:
        os.truncate(folder / "rank1.h5", (folder / "rank1.h5").stat().st_size // 2)

    def edit(folder: pathlib.Path) -> None:
        index = json.loads((folder / "set.json").read_text())
        index["files"][2]["sha256"] = "0" * 64
        (folder / "set.json").write_text(json.dumps(index))

    def other_tensor(key: str, value: object):
        def spoil(folder: pathlib.Path) -> None:
            index = json.loads((folder / "set.json").read_text())
            index["tensors"][3][key] = value
            (folder / "set.json").write_text(json.dumps(index))
        return spoil

    nothing = lambda folder: None
    refused(lambda folder: (folder / "rank1.h5").unlink(), "rank1.h5", "missing", "--force")
    refused(lambda folder: (folder / "shared.h5").unlink(), "shared.h5", "missing")
    refused(lambda folder: (folder / "set.json").unlink(), "set.json", "run it again")
    refused(swap, "rank0.h5", "rank 1, expected that of rank 0")
    refused(copy(other, "rank2.h5"), "rank2.h5", "another plan", "shard")
    refused(copy(other, "shared.h5"), "shared.h5", "another plan")
    refused(copy(fewer, "rank1.h5"), "rank1.h5", "for 2 ranks, expected 3")
    refused(copy(another, "rank0.h5"), "rank0.h5", "another model")
    refused(lambda folder: shutil.copy(folder / "rank2.h5", folder / "rank1.h5"), "rank1.h5", "rank 2")
    refused(edit, "rank1.h5", "another content")
    refused(other_tensor("dtype", "f16"), "set.json", "not those of the model")
    refused(other_tensor("shape", [8, 8]), "set.json")
    refused(truncate, "rank1.h5")
    refused(lambda folder: (folder / "rank1.h5").write_text("x" * 100), "rank1.h5")
    refused(lambda folder: (folder / "set.json").write_text("{}"), "set.json", "format")
    refused(nothing, "for 3 ranks, but this job has 2", "--ranks 2", ranks=2)
    refused(nothing, "layers.0.attention", "split-batch", "Leave --placement out",
            more=("--placement", "split-batch-attention"))
    job.fails(job.start(3, *job.generate_words(good / "rank0.h5", "--quiet")), "one file of a set")
    expect(not job.output.exists(), "there is an output in spite of the failure")
    job.checkpoint = job.options.golden / "models" / "llama-gqa-rope3-bf16"
    job.loaded(3, replicated, "--placement", "replicate-attention")
    job.loaded(3, good)


def other_commands(job: Job) -> None:
    """What else takes a model takes a set."""
    folder = job.make_set(2, "replicate-attention")
    job.convert()
    inspected = [json.loads(job.start(0, "inspect", path, "--json").stdout) for path in (folder, job.model)]
    expect(inspected[0]["parameters"] == inspected[1]["parameters"], "other parameters")
    expect(len(inspected[0]["tensors"]) == len(inspected[1]["tensors"]), "other tensors")
    expect(inspected[0]["set"]["ranks"] == 2 and len(inspected[0]["set"]["files"]) == 3, "the set is not described")
    expect("replicate-attention" in job.start(0, "inspect", folder).stdout, "the placement is not told")
    names = [tensor["name"] for tensor in inspected[1]["tensors"]]
    by_layer, by_tensor = (job.start(0, "inspect", job.model, *more).stdout for more in ([], ["--tensors"]))
    expect(all(name in by_tensor for name in names), f"--tensors leaves some out: {by_tensor}")
    expect(not all(name in by_layer for name in names), f"layers do not share lines: {by_layer}")
    verified = job.start(2, "verify", folder).stdout
    expect(verified.count("every checksum is right") == 3, verified)
    plans = [json.loads(job.start(0, "plan", path, "--ranks", 2, "--json").stdout)["by_rank"]
             for path in (folder, job.model)]
    expect(plans[0] == plans[1], "another plan")
    scores = job.folder / "scores.jsonl"
    scores.write_text('{"id": "s", "tokens": [1, 2], "completion_tokens": [3]}\n')
    results = []
    for path in (folder, job.model):
        words = ("score", path, "--input", scores, "--output", job.output, "--quiet")
        job.run(2, *words, *([] if path == folder else ["--placement", "replicate-attention"]))
        results.append(job.output.read_text())
    expect(results[0] == results[1], f"other scores: {results}")


def stored_once(job: Job) -> None:
    """What all ranks hold whole is in the shared file alone; the files hold no more than the plan says."""
    job.convert()
    weights = sum_of_weights(job.model)
    folder = job.make_set(4, "replicate", "replicated")
    expect(sum_of_weights(folder / "shared.h5") == weights, "the shared file does not hold everything")
    folder = job.make_set(4, "shard", "sharded")
    plan = json.loads(job.start(0, "plan", job.model, "--ranks", 4, "--placement", "shard", "--json").stdout)
    shared = sum_of_weights(folder / "shared.h5")
    for rank, facts in enumerate(plan["by_rank"]):
        held = sum_of_weights(folder / f"rank{rank}.h5") + shared
        expect(held == facts["weight_bytes"], f"rank {rank}: {held} bytes, the plan says {facts['weight_bytes']}")


def nothing_is_lost(job: Job) -> None:
    """A set is replaced with --force alone, and other files never."""
    folder = job.make_set(3, "shard")
    before = (folder / "set.json").read_text()
    words = ("convert", job.checkpoint, folder, "--ranks", 2, "--placement", "shard")
    job.fails(job.start(0, *words), "exists already", "--force")
    expect((folder / "set.json").read_text() == before, "the set has changed")
    job.run(0, *words, "--force", "--quiet")
    expect(sorted(file.name for file in folder.iterdir()) == ["rank0.h5", "rank1.h5", "set.json", "shared.h5"],
           "files of the old set are left")
    job.loaded(2, folder)
    (folder / "notes.txt").write_text("mine")
    job.fails(job.start(0, *words, "--force"), "notes.txt", "new folder")
    job.convert()
    job.fails(job.start(0, "convert", job.checkpoint, job.model, "--ranks", 2, "--placement", "shard", "--force"),
              "is a file")
    job.fails(job.start(0, "convert", job.checkpoint, job.folder / "no" / "set", "--ranks", 2, "--placement", "shard"),
              "cannot be made")
    job.fails(job.start(0, "convert", job.checkpoint, job.folder / "x", "--ranks", 2), "--placement", status=1)
    job.fails(job.start(0, "convert", job.checkpoint, job.folder / "x", "--ranks", 2, "--placement", "nonsense"),
              "nonsense")
    expect(not (job.folder / "x").exists(), "a folder was left behind")


def killed(job: Job) -> None:
    """A conversion that is killed leaves no set, and the next one works."""
    folder = job.model.parent / "set"
    words = [job.options.tesserank, "convert", job.checkpoint, folder, "--ranks", "3", "--placement", "shard", "-q"]
    with subprocess.Popen(list(map(str, words)), stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not (folder / "rank2.h5.partial").exists() and process.poll() is None:
            expect(time.monotonic() < deadline, "no partial file")
        process.send_signal(signal.SIGKILL)
    expect(not (folder / "set.json").exists() or process.returncode == 0, "a set without an end")
    job.loaded(3, job.make_set(3, "shard", "set", "--force"))
    expect(not list(folder.glob("*.partial")), "partial files are left")
    # Killed before its index: the other files are there, and are replaced without --force.
    (folder / "set.json").unlink()
    job.loaded(3, job.make_set(3, "shard"))


def memory(job: Job) -> None:
    """Memory does not grow with the model."""
    job.checkpoint = job.folder / "checkpoint"
    write_checkpoint(job.checkpoint, vocabulary=300_000, zeros=True)
    folder = job.model.parent / "set"
    words = [job.options.tesserank, "convert", job.checkpoint, folder, "--ranks", "4", "--placement", "shard", "-q"]
    with subprocess.Popen(list(map(str, words))) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{usage.ru_maxrss >> 10} MiB for {size >> 20} MiB")
    expect(process.returncode == 0 and size > MOST_BYTES, f"ended with {process.returncode}")
    expect(usage.ru_maxrss << 10 < MOST_BYTES, f"{usage.ru_maxrss >> 10} MiB of memory")


if __name__ == "__main__":
    main({case.__name__: case for case in (golden_sets, wrong_sets, other_commands, stored_once, nothing_is_lost,
                                           killed, memory)})
