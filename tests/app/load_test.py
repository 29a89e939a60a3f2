#!/usr/bin/env python3
"""Loads models in every way, as a user would, and counts what is read.

  load_test.py --tesserank PROGRAM --golden DIR [--mpiexec M] CASE

Bytes are counted by the program's own report and by the system: /proc/self/io of each rank, read when it ends by a
library that the test builds and preloads.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import h5py

SECONDS = 10
PRESETS = ("shard", "replicate", "split-batch", "replicate-attention", "split-batch-attention")
# Prints what the process has asked the system to read since main() began, in calls on files below $WATCHED_FOLDER.
WATCH = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/types.h>
static unsigned long long bytes;
static void note(int fd, ssize_t got) {
    char link[64], path[4096];
    const char *folder = getenv("WATCHED_FOLDER");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (got <= 0 || length < 0 || folder == NULL) return;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) == 0) __atomic_fetch_add(&bytes, got, __ATOMIC_RELAXED);
}
ssize_t pread(int fd, void *to, size_t n, off_t at) {
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    ssize_t got = real(fd, to, n, at);
    note(fd, got);
    return got;
}
ssize_t pread64(int fd, void *to, size_t n, off_t at) { return pread(fd, to, n, at); }
ssize_t read(int fd, void *to, size_t n) {
    ssize_t (*real)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    ssize_t got = real(fd, to, n);
    note(fd, got);
    return got;
}
__attribute__((destructor)) static void tell(void) {
    const char *rank = getenv("OMPI_COMM_WORLD_RANK"), *folder = getenv("WATCH_OUTPUT");
    char path[4096];
    if (rank == NULL || folder == NULL) return;
    snprintf(path, sizeof path, "%s/bytes.%s", folder, rank);
    FILE *file = fopen(path, "w");
    if (file != NULL) fprintf(file, "%llu", bytes), fclose(file);
}
"""


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAIL {message}")


class Job:
    """A folder with a model, and the program to run on it."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path, case: str = "llama-gqa-rope3-bf16"):
        self.options, self.folder = options, folder
        self.checkpoint = options.golden / "models" / case
        self.model, self.output = folder / "models" / "model.h5", folder / "out.jsonl"
        self.model.parent.mkdir(exist_ok=True)
        prompts = [json.loads(line) for line in (self.checkpoint / "expected/prompts.jsonl").read_text().splitlines()]
        self.greedy = {row["id"]: row["tokens"] for row in map(
            json.loads, (self.checkpoint / "expected/greedy.jsonl").read_text().splitlines())}
        (folder / "in.jsonl").write_text("".join(json.dumps(
            {"id": p["id"], "tokens": p["prompt_tokens"], "max_new_tokens": p["max_new_tokens"]}) + "\n"
            for p in prompts))

    def start(self, ranks: int, *words: object, **environment: str) -> subprocess.CompletedProcess:
        launcher = [self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks else []
        for name in environment:
            launcher += ["-x", name]
        begin = time.monotonic()
        result = subprocess.run([*launcher, self.options.tesserank, *map(str, words)], capture_output=True, text=True,
                                timeout=120, env=dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive",
                                                      **environment))
        result.seconds = time.monotonic() - begin
        return result

    def run(self, ranks: int, *words: object, **environment: str) -> str:
        result = self.start(ranks, *words, **environment)
        expect(result.returncode == 0, f"{words} ended with {result.returncode}: {result.stderr}")
        return result.stderr

    def fails(self, result: subprocess.CompletedProcess, *wanted: object, status: int = 2) -> None:
        messages = [line for line in result.stderr.splitlines() if line.startswith("tesserank:")]
        expect(result.returncode == status, f"exit status {result.returncode}, want {status}: {result.stderr}")
        expect(result.seconds < SECONDS, f"took {result.seconds:.1f} s")
        expect(len(messages) == 1, f"want one message: {result.stderr}")
        expect("MPI_ABORT" not in result.stderr, f"the ranks did not end together: {result.stderr}")
        for word in wanted:
            expect(str(word) in messages[0], f"{word!r} is not in: {messages[0]}")
        print(messages[0])

    def generate_words(self, model: pathlib.Path, *more: object) -> list:
        return ["generate", model, "--input", self.folder / "in.jsonl", "--output", self.output, *more]

    def loaded(self, ranks: int, model: pathlib.Path, *more: object, **environment: str) -> dict:
        """Runs generate, compares its tokens with the golden ones, and returns what it says of loading."""
        events = self.run(ranks, *self.generate_words(model, "--log-json", *more), **environment)
        got = {row["id"]: row["tokens"] for row in map(json.loads, self.output.read_text().splitlines())}
        expect(got == self.greedy, f"{model.name} on {ranks} ranks, {more}: other tokens than the golden ones")
        return json.loads(events.splitlines()[0])

    def make_set(self, ranks: int, placement: object, name: str = "set", *more: object) -> pathlib.Path:
        folder = self.model.parent / name
        self.run(0, "convert", self.checkpoint, folder, "--ranks", ranks, "--placement", placement, "--quiet", *more)
        return folder

    def convert(self) -> None:
        self.run(0, "convert", self.checkpoint, self.model, "--quiet", "--force")

    def watch(self) -> dict:
        """The environment in which each rank leaves the bytes that it has read below the models' folder."""
        source, library = self.folder / "watch.c", self.folder / "watch.so"
        if not library.exists():
            source.write_text(WATCH)
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        return {"LD_PRELOAD": str(library), "WATCHED_FOLDER": str(self.model.parent.resolve()),
                "WATCH_OUTPUT": str(self.folder)}

    def watched(self, ranks: int) -> int:
        return sum(int((self.folder / f"bytes.{rank}").read_text()) for rank in range(ranks))


def golden_tokens(job: Job) -> None:
    job.convert()
    for ranks in (1, 2, 3, 4):
        for how in ("cooperative", "direct", "auto"):
            job.loaded(ranks, job.model, "--load", how)
        job.loaded(ranks, job.make_set(ranks, "replicate-attention", f"set{ranks}"))


def golden_sets(job: Job) -> None:
    """Tied embeddings that are cut and whole at once, fewer kv heads than ranks, more ranks than units."""
    job = Job(job.options, job.folder, "qwen2-tied-kv3")
    for i, rules in enumerate((*PRESETS, "*.attention=single:1,embedding=replicate", "*.mlp=single:2,lm_head=single:0")):
        job.loaded(4, job.make_set(4, rules, f"set{i}"), *(["--load", "direct"] if i % 2 else []))
    job.loaded(7, job.make_set(7, "shard", "set7"), "--batch", 2)


def bytes_read_once(job: Job) -> None:
    """Each preset on 4 ranks: the files are read once in the whole job, by the program's count and the system's."""
    job.convert()
    size, watch = job.model.stat().st_size, job.watch()
    for preset in PRESETS:
        event = job.loaded(4, job.model, "--placement", preset, "--load", "cooperative", **watch)
        counted, asked = event["bytes_read"], job.watched(4)
        print(f"{preset}: {counted} counted, {asked} asked for, file {size}")
        expect(0.5 * size < counted <= 1.02 * size, f"{preset}: {counted} bytes of a file of {size}")
        # Rank 0 reads the file's head besides, the texts and HDF5's own index: no weights.
        index = size - sum_of_weights(job.model)
        expect(counted <= asked <= 1.02 * size + 2 * index, f"{preset}: {asked} bytes asked for, file {size}")
        folder = job.make_set(4, preset, preset)
        event, sizes = job.loaded(4, folder, **watch), [file.stat().st_size for file in folder.glob("*.h5")]
        counted = event["bytes_read"]
        print(f"{preset} as a set: {counted} counted, {job.watched(4)} asked for, files {sum(sizes)}")
        expect(counted <= 1.02 * sum(sizes), f"{preset}: {counted} bytes of a set of {sum(sizes)}")
        expect(counted <= job.watched(4), f"{preset}: more bytes counted than the system knows of")


def sum_of_weights(path: pathlib.Path) -> int:
    total = []
    with h5py.File(path) as file:
        file["weights"].visititems(
            lambda _, item: total.append(item.id.get_storage_size()) if isinstance(item, h5py.Dataset) else None)
    return sum(total)


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


def flip_byte(path: pathlib.Path, name: str) -> None:
    with h5py.File(path) as file:
        offset = file["weights/" + name.replace(".", "/")].id.get_offset()
    with open(path, "r+b") as file:
        file.seek(offset + 321)
        byte = file.read(1)[0]
        file.seek(offset + 321)
        file.write(bytes([byte ^ 0x10]))


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


def main() -> None:
    cases = {case.__name__: case for case in (golden_tokens, golden_sets, bytes_read_once, direct_says_so, flipped_byte,
                                              wrong_sets, other_commands, stored_once, nothing_is_lost, killed)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("case", choices=cases)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cases[options.case](Job(options, pathlib.Path(name)))


if __name__ == "__main__":
    main()
