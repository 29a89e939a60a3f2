#!/usr/bin/env python3
"""Ends a run at random points, goes on, and checks that the finished output is that of an undisturbed run.

  kill_points.py --tesserank PROGRAM --checkpoint DIR --questions FILE [--kills N] [--stops N] [--ranks N] [--seed N]
                 [--requests N] [--with=OPTION ...]

Each trial ends one run or several in a row: --kills by SIGKILL of a rank, of mpirun or of all of them, --stops by SIGTERM
or SIGUSR1. Then the run goes on until it is done. Output: the same bytes, every id once, no journal and no partial file left.
--with=OPTION is one of generate's, as --with=--keep-vision=no.
"""
import argparse
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from job import Failure, Launcher, add_options, add_run_options, children_of, expect, send

SOME_FAILED, STOPPED = 3, 5
SECONDS = 100  # that a job may take


class Soak:
    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options = options
        self.folder = folder
        self.random = random.Random(options.seed)
        self.model = folder / "model.h5"
        self.input = folder / "in.jsonl"
        self.output = folder / "out.jsonl"
        self.journal = folder / "out.jsonl.journal"
        self.launcher = Launcher(options, SECONDS)
        self.write_input()
        subprocess.run([options.tesserank, "convert", options.checkpoint, self.model], check=True, capture_output=True)

    def write_input(self) -> None:
        """Good lines, with bad ones between them: those have results too."""
        lines = [self.with_whole_paths(line)
                 for line in self.options.questions.read_text().splitlines()[: self.options.requests]]
        for place in range(len(lines), 0, -7):
            lines.insert(place, '{"id": "bad %d", "temperature": 200}' % place)
        lines.insert(5, "")
        self.input.write_text("\n".join(lines) + "\n")

    def with_whole_paths(self, line: str) -> str:
        """Pictures are looked for beside the input, which is elsewhere now."""
        request = json.loads(line)
        if "images" in request:
            request["images"] = [str(self.options.questions.resolve().parent / path) for path in request["images"]]
        return json.dumps(request)

    def start(self, output: pathlib.Path) -> subprocess.Popen:
        return self.launcher.start("generate", self.model, "-i", self.input, "-o", output, "--batch", 4, "--quiet",
                                   *self.options.options)

    def reference(self) -> float:
        expected = self.folder / "reference.jsonl"
        begin = time.monotonic()
        status, errors = self.launcher.finish(self.start(expected), [])
        expect(status == SOME_FAILED, f"the reference run ended with {status}: {errors}")
        self.expected = expected.read_bytes()
        ids = [json.loads(line)["id"] for line in self.expected.splitlines()]
        expect(len(set(ids)) == len(ids), "the reference has an id twice")
        return time.monotonic() - begin

    def disturb(self, process: subprocess.Popen, kills: bool) -> None:
        ranks = children_of(process.pid)
        if kills:
            targets = self.random.choice([[process.pid], ranks[:1], ranks[-1:], ranks + [process.pid]])
            for pid in targets:
                send(pid, signal.SIGKILL)
            return
        # mpirun passes SIGUSR1 on to all ranks; SIGTERM too, but then kills them after a few seconds.
        number, pid = self.random.choice([(signal.SIGUSR1, process.pid), (signal.SIGTERM, (ranks or [process.pid])[-1]),
                                          (signal.SIGTERM, process.pid)])
        send(pid, number)

    def trial(self, seconds: float, kills: bool) -> int:
        """Gives how often the run was really ended early."""
        ended = 0
        for attempt in range(20):
            process = self.start(self.output)
            wait = self.random.uniform(0.0, 1.05 * seconds)
            disturbed = attempt < self.random.randint(1, 3)
            ranks: list[int] = []
            if disturbed:
                try:
                    process.wait(wait)
                except subprocess.TimeoutExpired:
                    ranks = children_of(process.pid)
                    self.disturb(process, kills)
            hangs_before = self.launcher.hangs
            status, errors = self.launcher.finish(process, ranks)
            # What ends a run behind its last word finds it done.
            if status == SOME_FAILED or (self.output.exists() and not self.journal.exists()):
                break
            ended += 1
            # Before they watch for signals ranks and mpirun die of them; mpirun that gets SIGTERM itself gives 1.
            stopped = (STOPPED, 1, *(sign * number + base for number in (signal.SIGTERM, signal.SIGUSR1)
                                     for sign, base in ((1, 128), (-1, 0))))
            hung = self.launcher.hangs > hangs_before
            expect(kills or hung or status in stopped, f"a stopped run ended with {status}: {errors}")
            expect(disturbed, f"an undisturbed run ended with {status}: {errors}")
            whole = not self.output.exists() or self.output.read_bytes() == self.expected
            expect(whole, "there is an output before the run is done")
        else:
            raise Failure("never done")
        expect(self.output.read_bytes() == self.expected, "the output is not that of an undisturbed run")
        left = sorted(path.name for path in self.folder.iterdir() if path.name.startswith("out.jsonl."))
        expect(not left, f"left behind: {left}")
        self.output.unlink()
        return ended


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, ranks=2)
    add_run_options(parser)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--with", dest="options", action="append", default=[], metavar="OPTION")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--stops", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(options, pathlib.Path(folder))
        seconds = soak.reference()
        print(f"seed {options.seed}; an undisturbed run takes {seconds:.2f} s", flush=True)
        for name, count, kills in (("killed", options.kills, True), ("stopped", options.stops, False)):
            ended = done = 0
            while ended < count:
                try:
                    ended += soak.trial(seconds, kills)
                except Failure as failure:
                    print(f"FAILED after {ended} runs {name}: {failure}")
                    return 1
                done += 1
            print(f"{ended} runs {name} early; all {done} outputs are right", flush=True)
        soak.launcher.tell_of_hangs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
