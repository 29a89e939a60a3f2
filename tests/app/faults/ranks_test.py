#!/usr/bin/env python3
"""Stops, kills and starves ranks of a run from outside, as machines do, and looks at how the job ends.

  ranks_test.py --tesserank PROGRAM --golden DIR [--mpiexec M] CASE
"""
import pathlib
import re
import signal
import time

from fault_run import Job, Run, TIMEOUT, expect, long_run, main, once, write_checkpoint


def stopped(job: Job, victim: int) -> None:
    run = long_run(job, 3, timeout=TIMEOUT)
    run.send(signal.SIGSTOP, victim)
    text = run.ends_soon(4)
    once(text, f"tesserank: no progress on any rank for {TIMEOUT}.0 s: ")
    once(text, rf"rank {victim} \([^)]+\) does not answer: it is stopped, or its node cannot be reached")
    for other in {0, 1, 2} - {victim}:
        once(text, rf"  rank {other} \([^)]+\) waits since [0-9.]+ s in [a-z].* \(call \d+")
    rings = pathlib.Path(f"{job.output}.collectives.txt").read_text()
    expect(len(re.findall(r"all-reduce of \d+ bytes f32 \(call \d+: decode, layers\.\d\.mlp, Partial -> Replicated\)", rings))
           > 2, f"the rings do not tell of modules: {rings}")
    expect(not job.output.exists(), "there is an output in spite of the failure")


def stopped_first(job: Job) -> None:
    stopped(job, 0)


def stopped_last(job: Job) -> None:
    stopped(job, 2)


def stopped_in_convert(job: Job) -> None:
    """While files are being written; the next conversion begins anew."""
    job.checkpoint = job.folder / "checkpoint"
    write_checkpoint(job.checkpoint, vocabulary=50_000, zeros=True)
    words = ("convert", job.checkpoint, job.model, "--quiet")
    run = Run(job, 3, *words, timeout=TIMEOUT)
    partial = pathlib.Path(f"{job.model}.partial")
    while not partial.exists():
        expect(run.process.poll() is None, "the conversion has ended")
        time.sleep(0.005)
    run.send(signal.SIGSTOP, 2)
    text = run.ends_soon(4)
    once(text, f"tesserank: no progress on any rank for {TIMEOUT}.0 s: ")
    once(text, r"rank 2 \([^)]+\) does not answer: it is stopped, or its node cannot be reached")
    expect("rank 0" in pathlib.Path(f"{job.model}.collectives.txt").read_text(), "the rings are not beside the model")
    expect(not job.model.exists(), "there is a model in spite of the failure")
    job.run(3, *words)
    expect(not partial.exists(), "the partial file is left")


def stopped_within_kernel(job: Job) -> None:
    """Of the program on the emulated GPU: the others' devices wait for the rank, within the kernel that adds up."""
    run = long_run(job, 3, "--backend", "cuda", "--comm", "mpi", "--fused-all-reduce", "yes", tokens=8, timeout=TIMEOUT)
    time.sleep(0.5)  # into the next batch
    run.send(signal.SIGSTOP, 1)
    text = run.ends_soon(4)
    once(text, r"tesserank: no progress on any rank for [0-9.]+ s: ")
    once(text, r"rank 1 \([^)]+\) does not answer: it is stopped, or its node cannot be reached")
    for other in (0, 2):
        once(text, rf"  rank {other} \([^)]+\) waits since [0-9.]+ s ")
    expect(any("bytes within kernels" in line for line in run.lines), f"not said of the sums: {run.lines}")


def killed(job: Job) -> None:
    """The launcher sees that, and tells of it."""
    for victim in (0, 1):
        run = long_run(job, 2)
        run.send(signal.SIGKILL, victim)
        text = run.ends_soon(128 + signal.SIGKILL)
        once(text, rf"process rank {victim} with PID \d+ on node \S+ exited on signal 9")
        expect(not job.output.exists(), "there is an output in spite of the failure")


def paused(job: Job) -> None:
    """A rank that goes on in time is no stall."""
    run = long_run(job, 2, timeout=5 * TIMEOUT)
    run.send(signal.SIGSTOP, 1)
    time.sleep(2 * TIMEOUT)
    run.send(signal.SIGCONT, 1)
    run.wait_for("batch")
    run.process.terminate()
    run.end()
    expect(not any("no progress" in line for line in run.lines), "taken for a stall")


def out_of_memory(job: Job) -> None:
    """A rank that gets less memory than the others says so for all."""
    job.checkpoint = job.folder / "checkpoint"
    write_checkpoint(job.checkpoint, vocabulary=400_000, zeros=True)
    job.convert()
    run = Run(job, 3, *job.generate_words(job.model, "--placement", "replicate", "-q"), poor=(1, "-v 600000"))
    text = run.ends_soon(4)
    once(text, r"tesserank: rank 1 \([^)]+\): (cannot allocate \d+ bytes of host memory|out of memory)")


def second_signal(job: Job) -> None:
    """Who does not want to wait for the batch asks again."""
    ends_at_second(job, 5, "run it again to go on behind the last whole batch")
    job.output = "-"
    ends_at_second(job, 4, "this run cannot be continued")


def ends_at_second(job: Job, status: int, words: str) -> None:
    run = long_run(job, 2, batch=4000, event="loaded")
    time.sleep(1)
    run.process.send_signal(signal.SIGUSR1)
    time.sleep(2.1)  # what comes sooner is taken for the same signal on another way
    run.process.send_signal(signal.SIGUSR1)
    run.begin = time.monotonic()
    once(run.ends_soon(status), f"tesserank: ended by a second SIGUSR1; {words}")


def grace(job: Job) -> None:
    """A batch goes on no longer than that after a signal; without the option it would for 25 s."""
    run = long_run(job, 2, "--grace", "1s", batch=4000, event="loaded")
    time.sleep(0.5)
    begin = time.monotonic()
    run.process.send_signal(signal.SIGUSR1)
    once(run.ends_soon(5), "tesserank: ended by SIGUSR1; run it again to go on behind the last whole batch")
    seconds = time.monotonic() - begin
    expect(1 <= seconds < 15, f"the batch went on for {seconds:.1f} s")


if __name__ == "__main__":
    main({case.__name__: case for case in (
        stopped_first, stopped_last, stopped_in_convert, stopped_within_kernel, killed, paused, out_of_memory, second_signal,
        grace)})
