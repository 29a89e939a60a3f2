"""Jobs that the scripts of this folder start, disturb and wait for."""
import argparse
import os
import pathlib
import signal
import subprocess
import time

ALONE = 20  # seconds that mpirun may go on without ranks


class Failure(Exception):
    pass


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise Failure(message)


def children_of(pid: int) -> list[int]:
    try:
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_zombie(pid: int) -> bool:
    try:
        return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def add_options(parser: argparse.ArgumentParser, ranks: int) -> None:
    """What every script is told."""
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("--ranks", type=int, default=ranks)
    parser.add_argument("--seed", type=int, default=1)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What those that generate are told besides."""
    parser.add_argument("--checkpoint", required=True, help="folder of a model to convert, as demo/model")
    parser.add_argument("--questions", required=True, type=pathlib.Path, help="requests, as demo/questions.jsonl")


class Launcher:
    """Starts the program on --ranks ranks."""

    def __init__(self, options: argparse.Namespace, seconds: float):
        self.options = options
        self.seconds = seconds  # that a job which was disturbed may still take
        self.hangs = 0

    def start(self, *words: object) -> subprocess.Popen:
        environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        for name in ("SLURM_JOB_END_TIME", "OMPI_MCA_odls_base_sigkill_timeout"):  # mpirun as users have it
            environment.pop(name, None)
        options = self.options
        return subprocess.Popen(
            [options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(options.ranks), options.tesserank,
             *map(str, words)],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def finish(self, process: subprocess.Popen, ranks: list[int]) -> tuple[int, str]:
        """Ranks whose mpirun was killed end by themselves a little later; until then they hold the output."""
        errors = self.errors_at_end(process)
        end = time.monotonic() + self.seconds
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in ranks):
            expect(time.monotonic() < end, "ranks outlive their mpirun")
            time.sleep(0.02)
        return process.returncode, errors

    def errors_at_end(self, process: subprocess.Popen) -> str:
        """Of a launcher that hangs, too: mpirun 4.1 may lock itself up in PMIx_server_finalize when a signal ends ranks that
        start. That is when it has had no living rank for a while."""
        begin = last_alive = time.monotonic()
        while True:
            try:
                return process.communicate(timeout=1)[1]
            except subprocess.TimeoutExpired:
                now = time.monotonic()
                if not all(is_zombie(pid) for pid in children_of(process.pid)):
                    last_alive = now
                if now - last_alive < ALONE and now - begin < self.seconds:
                    continue
            os.killpg(process.pid, signal.SIGKILL)
            expect(now - last_alive >= ALONE, "the job does not end")
            self.hangs += 1

    def tell_of_hangs(self) -> None:
        if self.hangs:
            print(f"{self.hangs} times mpirun did not end though all ranks had")
