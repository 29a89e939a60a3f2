#!/usr/bin/env python3
"""Runs on nodes that are not set up alike, or not as the run needs it.

  nodes_test.py --tesserank PROGRAM --golden DIR --inject-fault LIBRARY [--mpiexec M] CASE
"""
import errno
import os
import pathlib
import struct
import subprocess
import time

from fault_run import Job, answers_all, expect, fault_on, has_struck, main, messages_of, nothing_is_lost, words_of

BUILD_ID = struct.pack("<3I", 4, 20, 3) + b"GNU\0"


def other_program(job: Job) -> None:
    """A copy with another build id on the last rank; the old one would do as well, or hang."""
    job.convert()
    data = pathlib.Path(job.options.tesserank).read_bytes()
    place = data.index(BUILD_ID) + len(BUILD_ID)
    other = job.folder / "tesserank"
    other.write_bytes(data[:place] + bytes(20) + data[place + 20:])
    other.chmod(0o755)
    words = list(map(str, words_of(job, "--quiet")))
    begin = time.monotonic()
    result = subprocess.run([job.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", "2", job.options.tesserank,
                             *words, ":", "-n", "1", other, *words], capture_output=True, text=True, timeout=60)
    result.seconds = time.monotonic() - begin
    job.fails(result, "rank 2 (", f"(build {'0' * 40}), but rank 0 runs ", "start the same program on every node")
    nothing_is_lost(job, False)


def no_gpu(job: Job) -> None:
    """On a machine that has none, in a build that knows of them or not."""
    job.convert()
    result = job.start(2, *words_of(job, "--quiet", "--backend", "cuda"), CUDA_VISIBLE_DEVICES="")
    expect(result.returncode == 4 and len(messages_of(result.stderr)) == 1, f"{result}")
    print(result.stderr)
    expect("cuda" in result.stderr.lower(), f"the backend is not named: {result.stderr}")
    nothing_is_lost(job, False)


def few_descriptors(job: Job) -> None:
    """One rank may open no further file."""
    job.convert()
    job.fails(job.start(2, *words_of(job, "--quiet"), **fault_on(job, 1, "open", "model.h5", 1, errno.EMFILE)),
              "rank 1 (", "model.h5: cannot be opened: Too many open files. Allow more open files: ulimit -n.")
    nothing_is_lost(job, False)


def clock_jumps(job: Job) -> None:
    """The date of a rank jumps by an hour, forth or back: nothing is measured by it."""
    job.convert()
    for seconds in (3600, -3600):
        fault = fault_on(job, 0, "clock_gettime", "-", 50, seconds)
        job.loaded(2, job.model, "--batch", "2", "--time-limit", "10m", "--collective-timeout", "5", **fault)
        has_struck(job)


def no_folder_for_mpi(job: Job) -> None:
    """The folder for MPI's own files cannot be made: the launcher says so before a rank is started."""
    job.convert()
    words = [job.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", "2", job.options.tesserank, *words_of(job)]
    result = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60,
                            env=dict(os.environ, TMPDIR="/proc/none"))
    expect(result.returncode == 1 and "/proc/none" in result.stderr and not messages_of(result.stderr), f"{result}")
    nothing_is_lost(job, False)


def no_shared_memory(job: Job) -> None:
    """The file system of MPI's shared memory is full on one rank: MPI goes another way, and may say so."""
    job.convert()
    answers_all(job, **fault_on(job, 1, "ftruncate", "/dev/shm", 1, errno.ENOSPC))
    has_struck(job)


if __name__ == "__main__":
    main({case.__name__: case for case in (other_program, no_gpu, few_descriptors, clock_jumps, no_folder_for_mpi, no_shared_memory)})
