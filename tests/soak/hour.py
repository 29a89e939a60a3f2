#!/usr/bin/env python3
"""Lets generate run for an hour while ranks are paused, killed, stopped and hung at random, and looks whether memory and
open files stay as they are.

  hour.py --tesserank PROGRAM --checkpoint DIR --questions FILE [--seconds N] [--ranks N] [--seed N] [--report FILE]

The input repeats one block of requests, good and bad ones, more often than the time allows: each block has to give the
same results. A run that has ended is started again and goes on. Of every rank the resident memory and the open files are
noted each second from the 20th after its first results on. Files stay the same in number, and memory stays within 3 MiB
of the first that was noted, but for 64 bytes for each id that rank 0 holds since.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

from job import Failure, Launcher, add_options, add_run_options, children_of, send

BATCH = 8
TIMEOUT = 10  # of the watchdog, seconds
WARM_UP = 20
BYTES_OF_AN_ID = 64  # in its table, while that doubles
GOOD_IN_BLOCK = 10 * BATCH
BAD_LINES = ['{"id": "%s", "temperature": 200}', '{"id": "%s"', '{"id": "%s", "prompt": "\\ud800"}', '{"id": "%s", "prompt": 7}']

Sample = collections.namedtuple("Sample", "seconds results memory files")


def name_of(block: int) -> str:
    return f"b{block:07}"


def block_of(questions: list[str], name: str) -> list[str]:
    """Each block is made of whole batches, so that it gives the same results wherever it stands."""
    lines = []
    for index, question in enumerate(questions[:GOOD_IN_BLOCK]):
        lines.append(json.dumps({**json.loads(question), "id": f"{name}-{index}"}))
        if index % 9 == 4:
            lines.append(BAD_LINES[index % len(BAD_LINES)].replace("%s", f"{name}-bad{index}"))
    return lines


def read_status(pid: int) -> tuple[int, int] | None:
    """Resident bytes and open files, None of a process that is gone."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        files = len(os.listdir(f"/proc/{pid}/fd"))
        return int(status.split("VmRSS:")[1].split()[0]) * 1024, files
    except (OSError, IndexError):
        return None


def growth(first: Sample, sample: Sample) -> int:
    """Bytes of resident memory, without what ids may take."""
    return sample.memory - first.memory - BYTES_OF_AN_ID * (sample.results - first.results)


class Run:
    """One start of the program, from its first rank to its end."""

    def __init__(self, soak: "Soak"):
        self.soak = soak
        self.begin = time.monotonic()
        self.samples: dict[int, list[Sample]] = collections.defaultdict(list)
        self.results_before = soak.results()
        self.warm: float | None = None  # when it may be looked at
        self.process = soak.start(soak.output)

    def sample(self) -> None:
        seconds = time.monotonic() - self.begin
        results = self.soak.results()
        if self.warm is None and results > self.results_before:
            self.warm = seconds + WARM_UP
        if self.warm is None or seconds < self.warm:
            return
        for rank, pid in enumerate(self.ranks()):
            status = read_status(pid)
            if status:
                self.samples[rank].append(Sample(seconds, results if rank == 0 else 0, *status))

    def ranks(self) -> list[int]:
        pids = children_of(self.process.pid)
        return pids if len(pids) == self.soak.options.ranks else []


class Soak:
    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options = options
        self.launcher = Launcher(options, seconds=120)
        self.folder = folder
        self.random = random.Random(options.seed)
        self.input = folder / "in.jsonl"
        self.output = folder / "out.jsonl"
        self.counts: dict[str, int] = collections.Counter()
        self.failures: list[str] = []
        self.runs: list[dict] = []
        self.first: dict[int, Sample] = {}
        self.files: dict[int, set[int]] = {}
        self.model = folder / "model.h5"
        subprocess.run([options.tesserank, "convert", options.checkpoint, self.model], check=True, capture_output=True)
        questions = options.questions.read_text().splitlines()
        self.lines = len(block_of(questions, name_of(0)))
        self.expected = self.reference(questions)
        with self.input.open("w") as file:
            for block in range(options.blocks):
                file.write("\n".join(block_of(questions, name_of(block))) + "\n")

    def start(self, output: pathlib.Path) -> subprocess.Popen:
        return self.launcher.start("generate", self.model, "-i", self.input, "-o", output, "--batch", BATCH, "--quiet",
                                   "--collective-timeout", TIMEOUT)

    def reference(self, questions: list[str]) -> list[str]:
        self.input.write_text("\n".join(block_of(questions, name_of(0))) + "\n")
        output = self.folder / "reference.jsonl"
        _, errors = self.launcher.finish(self.start(output), [])
        if not output.exists():
            raise RuntimeError(f"the reference run failed: {errors}")
        return output.read_text().splitlines()

    def results(self) -> int:
        """By the journal's last line; 0 before there is one."""
        journal = self.folder / "out.jsonl.journal"
        try:
            with journal.open("rb") as file:
                file.seek(max(0, journal.stat().st_size - 4096))
                return json.loads(file.read().splitlines()[-1].split(b" ", 1)[1]).get("results", 0)
        except (OSError, IndexError, ValueError):
            return 0

    # What is done to a run; it goes on after a pause alone.

    def pause(self, run: Run) -> None:
        pid = self.random.choice(run.ranks())
        send(pid, signal.SIGSTOP)
        time.sleep(self.random.uniform(0.2, 0.5 * TIMEOUT))
        send(pid, signal.SIGCONT)

    def hang(self, run: Run) -> None:
        send(self.random.choice(run.ranks()), signal.SIGSTOP)

    def kill_rank(self, run: Run) -> None:
        send(self.random.choice(run.ranks()), signal.SIGKILL)

    def kill_launcher(self, run: Run) -> None:
        send(run.process.pid, signal.SIGKILL)

    def stop(self, run: Run) -> None:
        send(run.process.pid, signal.SIGUSR1)

    def one_run(self, end: float) -> None:
        run = Run(self)
        last = min(end, time.monotonic() + self.random.uniform(*self.options.run_seconds))
        disturb = time.monotonic() + self.random.uniform(3, 30)
        while time.monotonic() < last and run.process.poll() is None:
            time.sleep(1)
            run.sample()
            if time.monotonic() > disturb and run.ranks():
                self.pause(run)
                self.counts["pause"] += 1
                disturb = time.monotonic() + self.random.uniform(3, 30)
        if run.process.poll() is not None:
            self.failures.append(f"a run ended by itself with {run.process.returncode}: {run.process.stderr.read()}")
            return
        fault = self.stop
        if run.ranks() and last < end:
            fault = self.random.choice([self.hang, self.kill_rank, self.kill_launcher, self.stop])
        ranks = run.ranks()  # a launcher that is killed has no children any more
        fault(run)
        self.counts[fault.__name__] += 1
        began = time.monotonic()
        hangs_before = self.launcher.hangs
        try:
            status, errors = self.launcher.finish(run.process, ranks)
        except Failure as failure:
            self.failures.append(f"{fault.__name__}: {failure}")
            return
        hung = self.launcher.hangs > hangs_before
        self.judge(run, fault.__name__, status, errors, 0 if hung else time.monotonic() - began)

    def judge(self, run: Run, fault: str, status: int, errors: str, seconds: float) -> None:
        report = {"fault": fault, "status": status, "seconds_to_end": round(seconds, 1), "results": self.results(), "ranks": []}
        for rank, samples in sorted(run.samples.items()):
            if len(samples) < 10:
                continue
            first = self.first.setdefault(rank, samples[0])
            grown = max(growth(first, sample) for sample in samples)
            self.files.setdefault(rank, set()).update(sample.files for sample in samples)
            report["ranks"].append({"rank": rank, "seconds": round(samples[-1].seconds - samples[0].seconds),
                                    "memory": [sample.memory for sample in samples[:: max(1, len(samples) // 20)]],
                                    "grown": grown, "files": sorted(self.files[rank])})
            if grown > 3 << 20:
                self.failures.append(f"rank {rank} has grown by {grown / 2**20:.1f} MiB since its first run")
            if len(self.files[rank]) > 1:
                self.failures.append(f"rank {rank} has had {sorted(self.files[rank])} open files")
        self.runs.append(report)
        print(json.dumps(report), flush=True)
        if status == 0 or (fault == "hang" and errors.count("no progress on any rank") != 1):
            self.failures.append(f"{fault}: status {status}, {errors}")
        if seconds > 30 + TIMEOUT:
            self.failures.append(f"{fault}: the run ended after {seconds:.0f} s only")

    def expected_at(self, place: int) -> str:
        """Names and numbers of lines are those of the block that the result is of."""
        block = place // len(self.expected)
        text = self.expected[place % len(self.expected)].replace(name_of(0), name_of(block))
        return re.sub(r"line (\d+):", lambda found: f"line {int(found[1]) + block * self.lines}:", text)

    def compare(self) -> int:
        """Every result is that of the same line of the reference, in the order of the input."""
        partial = self.folder / "out.jsonl.partial"
        place = -1
        with partial.open() as file:
            for place, line in enumerate(file):
                expected = self.expected_at(place)
                if line.rstrip("\n") != expected:
                    self.failures.append(f"result {place} is {line!r}, expected {expected!r}")
                    return place
        return place + 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, ranks=3)
    add_run_options(parser)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--run-seconds", type=float, nargs=2, default=(60, 600), help="how long a run is let alone")
    parser.add_argument("--blocks", type=int, default=20000, help="how often the input repeats its requests")
    parser.add_argument("--report", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(options, pathlib.Path(folder))
        end = time.monotonic() + options.seconds
        while time.monotonic() < end and not soak.failures:
            soak.one_run(end)
        results = soak.compare()
    summary = {"seconds": options.seconds, "ranks": options.ranks, "seed": options.seed, "results": results,
               "faults": dict(soak.counts), "launcher_hangs": soak.launcher.hangs, "failures": soak.failures, "runs": soak.runs}
    if options.report:
        options.report.write_text(json.dumps(summary, indent=1) + "\n")
    print(f"{results} results right, faults {dict(soak.counts)}")
    soak.launcher.tell_of_hangs()
    for failure in soak.failures:
        print(f"FAILED: {failure}")
    return 1 if soak.failures or results == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
