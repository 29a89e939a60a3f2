#!/usr/bin/env python3
"""Stops, kills and starves ranks of a run from outside, as machines do, and looks at how the job ends.

  fault_test.py --tesserank PROGRAM --golden DIR --count-reads LIBRARY [--mpiexec M] CASE
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from load_job import Job, expect, main, write_checkpoint

TIMEOUT = 2  # seconds, of --collective-timeout; longer than mpirun lets a rank live that it ends
MOST_SECONDS = 10  # from the fault, or the timeout, to the end of the job
LAUNCH = 'echo $$ > "$0.$OMPI_COMM_WORLD_RANK"; [ "$OMPI_COMM_WORLD_RANK" != "$POOR" ] || ulimit -v $LIMIT; exec "$@"'


class Run:
    """A job whose ranks' process ids are known."""

    def __init__(self, job: Job, ranks: int, *words: object, poor: tuple[int, int] | None = None, **streams: object):
        self.job, self.ids = job, job.folder / "pid"
        environment = {name: value for name, value in os.environ.items() if name != "TESSERANK_CHECK_COLLECTIVES"}
        environment.update(POOR=str(poor[0] if poor else -1), LIMIT=str(poor[1] if poor else 0))
        self.process = subprocess.Popen(
            [job.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(ranks), "-x", "POOR", "-x", "LIMIT",
             "bash", "-c", LAUNCH, self.ids, job.options.tesserank, *map(str, words), "--collective-timeout", str(TIMEOUT)],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment, **streams)
        self.lines: list[str] = []

    def wait_for(self, event: str) -> None:
        """Until the run has told of it (--log-json)."""
        for line in self.process.stderr:
            self.lines.append(line)
            if f'"event": "{event}"' in line:
                return
        self.end()
        expect(False, f"the run ended without \"{event}\": {''.join(self.lines)}")

    def send(self, number: int, rank: int) -> None:
        os.kill(int(pathlib.Path(f"{self.ids}.{rank}").read_text()), number)
        self.begin = time.monotonic()

    def end(self, status: int | None = None) -> str:
        self.lines += self.process.stderr.readlines()
        code = self.process.wait(60)
        text = "".join(line for line in self.lines if not line.startswith("{"))
        print(text)
        if status is not None:
            expect(code == status, f"exit status {code}, want {status}")
        return text

    def ends_soon(self, status: int) -> str:
        text = self.end(status)
        seconds = time.monotonic() - self.begin
        print(f"ended after {seconds:.1f} s")
        expect(seconds < TIMEOUT + MOST_SECONDS, f"took {seconds:.1f} s")
        return text


def long_run(job: Job, ranks: int, *words: object, tokens: int = 100) -> Run:
    """One that is decoding, after its first batch."""
    job.convert()
    (job.folder / "in.jsonl").write_text("".join(json.dumps(
        {"id": str(i), "tokens": [1 + i % 50, 2], "max_new_tokens": tokens, "ignore_eos": True}) + "\n" for i in range(4000)))
    run = Run(job, ranks, *job.generate_words(job.model, "--batch", "4", "--log-json", *words))
    run.wait_for("batch")
    return run


def once(text: str, pattern: str) -> None:
    expect(len(re.findall(pattern, text)) == 1, f"want once: {pattern}")


def stopped(job: Job, victim: int) -> None:
    run = long_run(job, 3)
    run.send(signal.SIGSTOP, victim)
    text = run.ends_soon(4)
    once(text, "tesserank: no progress on any rank for 1.0 s: ")
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


def stopped_within_kernel(job: Job) -> None:
    """Of the program on the emulated GPU: the others' devices wait for the rank, within the kernel that adds up."""
    run = long_run(job, 3, "--backend", "cuda", "--comm", "mpi", "--fused-all-reduce", "yes", tokens=8)
    time.sleep(0.5)  # into the next batch
    run.send(signal.SIGSTOP, 1)
    text = run.ends_soon(4)
    once(text, r"tesserank: no progress on any rank for [0-9.]+ s: ")
    once(text, r"rank 1 \([^)]+\) does not answer: it is stopped, or its node cannot be reached")
    for other in (0, 2):
        once(text, rf"  rank {other} \([^)]+\) waits since [0-9.]+ s ")


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
    run = long_run(job, 2)
    run.send(signal.SIGSTOP, 1)
    time.sleep(0.4 * TIMEOUT)
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
    run = Run(job, 3, *job.generate_words(job.model, "--placement", "replicate", "-q"), poor=(1, 600_000))
    run.begin = time.monotonic()
    text = run.ends_soon(4)
    once(text, r"tesserank: rank 1 \([^)]+\): (cannot allocate \d+ bytes of host memory|out of memory)")


def slow_input(job: Job) -> None:
    """Who writes requests into a pipe may take longer than ranks wait for each other."""
    job.convert()
    run = Run(job, 2, "generate", job.model, "--input", "-", "--output", job.output, "-q", stdin=subprocess.PIPE)
    for line in (job.folder / "in.jsonl").read_text().splitlines()[:2]:
        run.process.stdin.write(line + "\n")
        run.process.stdin.flush()
        time.sleep(2.5 * TIMEOUT)
    run.process.stdin.close()
    run.end(0)
    expect(len(job.output.read_text().splitlines()) == 2, "not all requests were answered")


if __name__ == "__main__":
    main({case.__name__: case for case in (stopped_first, stopped_last, stopped_within_kernel, killed, paused, out_of_memory, slow_input)})
