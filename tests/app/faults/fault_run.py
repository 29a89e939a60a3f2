"""What the tests of faults share: a run whose ranks can be signalled, and calls of the system that fail."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from load_job import Job, expect, main, write_checkpoint  # noqa: E402,F401

PATIENCE = 20  # seconds, of --collective-timeout: longer than a rank waits for another on a machine that is busy
TIMEOUT = 2  # where ranks are to stall; longer than mpirun lets a rank live that it ends
MOST_SECONDS = 10  # from the fault, or the timeout, to the end of the job
LAUNCH = 'echo $$ > "$0.$OMPI_COMM_WORLD_RANK"; [ "$OMPI_COMM_WORLD_RANK" != "$POOR" ] || ulimit $LIMIT; exec "$@"'


class Run:
    """A job whose ranks' process ids are known. A poor rank gets less than the others: its number, and what ulimit is told."""

    def __init__(self, job: Job, ranks: int, *words: object, timeout: int = PATIENCE, poor: tuple[int, str] | None = None,
                 **streams: object):
        self.job, self.ids, self.timeout = job, job.folder / "pid", timeout
        environment = {name: value for name, value in os.environ.items() if name != "TESSERANK_CHECK_COLLECTIVES"}
        environment.update(POOR=str(poor[0] if poor else -1), LIMIT=poor[1] if poor else "")
        self.process = subprocess.Popen(
            [job.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(ranks), "-x", "POOR", "-x", "LIMIT",
             "bash", "-c", LAUNCH, self.ids, job.options.tesserank, *map(str, words), "--collective-timeout", str(timeout)],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment, **streams)
        self.lines: list[str] = []
        self.begin = time.monotonic()

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
        expect(seconds < self.timeout + MOST_SECONDS, f"took {seconds:.1f} s")
        return text


def long_run(job: Job, ranks: int, *words: object, batch: int = 4, event: str = "batch", tokens: int = 100,
             timeout: int = PATIENCE) -> Run:
    """One that is decoding, after its first batch."""
    job.convert()
    (job.folder / "in.jsonl").write_text("".join(json.dumps(
        {"id": str(i), "tokens": [1 + i % 50, 2], "max_new_tokens": tokens, "ignore_eos": True}) + "\n" for i in range(4000)))
    run = Run(job, ranks, *job.generate_words(job.model, "--batch", batch, "--log-json", *words), timeout=timeout)
    run.wait_for(event)
    return run


def messages_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("tesserank: ")]


def once(text: str, pattern: str) -> None:
    expect(len(re.findall(pattern, text)) == 1, f"want once: {pattern}")


def fault_on(job: Job, rank: int, call: str, path: str, start: int, how: object) -> dict:
    """The environment in which calls of that rank fail from number `start` on; see tests/support/inject_fault.cpp."""
    mark_of(job).unlink(missing_ok=True)
    return {"LD_PRELOAD": str(job.options.inject_fault), "FAULT": f"{rank} {call} {path} {start} {how}",
            "FAULT_MARK": str(mark_of(job))}


def mark_of(job: Job) -> pathlib.Path:
    return job.folder / "fault.mark"


def has_struck(job: Job) -> None:
    """What went well in spite of a fault has to have met it."""
    expect(mark_of(job).exists(), "the fault has not struck")


def words_of(job: Job, *more: object) -> list:
    """A run of several batches."""
    return job.generate_words(job.model, "--batch", "2", *more)


def nothing_is_lost(job: Job, goes_on: bool) -> None:
    """The run is started once more: it goes on behind what was answered, and all results are right."""
    expect(not job.output.exists(), "there is an output in spite of the failure")
    journal = pathlib.Path(f"{job.output}.journal")
    expect(journal.exists() == goes_on, f"there is {'no' if goes_on else 'a'} journal")
    answers_all(job)


def answers_all(job: Job, **environment: str) -> None:
    job.run(2, *words_of(job, "--quiet"), **environment)
    got = {row["id"]: row["tokens"] for row in map(json.loads, job.output.read_text().splitlines())}
    expect(got == job.greedy, "the results are not the golden ones")
    left = [path.name for path in job.folder.iterdir() if path.name.startswith("out.jsonl.")]
    expect(not left, f"left behind: {left}")
