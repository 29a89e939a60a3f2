#!/usr/bin/env python3
"""One job over two hosts, which are network namespaces of this machine with a link between them.

  netns_test.py --tesserank PROGRAM --golden DIR [--mpiexec M] CASE

Needs root: where namespaces cannot be made the exit status is 77.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/app"))
from load_job import Job, expect, loaded_event, write_checkpoint  # noqa: E402

TWO_HOSTS = SOURCE / "tests/bench/two_hosts.sh"
RANKS = 4
TIMEOUT = 5  # seconds, of --collective-timeout
MOST_SECONDS = 10  # from the timeout to the end of all ranks

# Each rank leaves its host, what the host's link has carried, and what the rank has said.
LEAVE = r"""
status=0
"${@:2}" 2>"$1/said.$OMPI_COMM_WORLD_RANK" || status=$?
awk -v host="$(hostname)" '/eth0:/ {sub(/.*:/, ""); print host, $1, $9}' /proc/net/dev >"$1/link.$OMPI_COMM_WORLD_RANK"
exit $status
"""

# The second host's cable is cut once some batches are done.
CUT = r"""
if [[ $(hostname) == h2 && $OMPI_COMM_WORLD_LOCAL_RANK == 0 ]]; then
    (until [[ -e $2 && $(wc -l <"$2") -gt 3 ]]; do sleep 0.05; done
     ip link set eth0 down && touch "$1/cut") &
fi
exec "${@:3}" 2>"$1/said.$OMPI_COMM_WORLD_RANK"
"""


class TwoHosts:
    def __init__(self, job: Job):
        self.job = job

    def words(self, script: str, *words: object) -> list:
        """Ranks that wait for each other yield: all of them share this machine's few cores."""
        return [str(word) for word in (TWO_HOSTS, "-n", RANKS, "--mca", "mpi_yield_when_idle", "1", "bash", "-c", script,
                                       "rank", self.job.folder, *words)]

    def generate(self, *more: object) -> str:
        words = self.job.generate_words(self.job.model, *more)
        result = subprocess.run(self.words(LEAVE, self.job.options.tesserank, *words), capture_output=True, text=True,
                                timeout=120, env=dict(os.environ, OMP_NUM_THREADS="1"))
        expect(result.returncode == 0, f"{more} ended with {result.returncode}: {result.stderr}{self.said(0)}")
        return self.said(0)

    def said(self, rank: int) -> str:
        path = self.job.folder / f"said.{rank}"
        return path.read_text() if path.exists() else ""

    def received(self) -> dict:
        """Bytes by host, until its last rank had ended."""
        bytes_of: dict = {}
        for rank in range(RANKS):
            host, received, _ = (self.job.folder / f"link.{rank}").read_text().split()
            bytes_of[host] = max(bytes_of.get(host, 0), int(received))
        expect(set(bytes_of) == {"h1", "h2"}, f"ran on {bytes_of}")
        return bytes_of


def ask(job: Job, requests: int, tokens: int) -> None:
    (job.folder / "in.jsonl").write_text("".join(json.dumps(
        {"id": str(i), "tokens": [1 + i % 50, 2], "max_new_tokens": tokens, "ignore_eos": True}) + "\n"
        for i in range(requests)))


def same_output(job: Job) -> None:
    """Two ranks on each of two hosts answer as four on one."""
    job.convert()
    words = ("--placement", "split-batch-attention", "--quiet")
    job.run(RANKS, *job.generate_words(job.model, *words))
    expected = job.output.read_bytes()
    job.output.unlink()
    TwoHosts(job).generate(*words)
    expect(job.output.read_bytes() == expected, "other bytes than on one host")


def read_once_per_node(job: Job) -> None:
    """What both ranks of a host hold comes over its link once. Half of the file is read on each host."""
    job.checkpoint = job.folder / "checkpoint"
    write_checkpoint(job.checkpoint, vocabulary=10_000)
    job.convert()
    ask(job, requests=0, tokens=0)
    hosts = TwoHosts(job)
    for placement, least, most in (("replicate", 1.0, 1.06), ("shard", 0.2, 0.8)):
        log = hosts.generate("--placement", placement, "--log-json")
        weights = loaded_event(log)["bytes_read"]
        received = hosts.received()
        share = sum(received.values()) / weights
        print(f"{placement}: {weights} bytes of weights; received {received}, {share:.3f} of that")
        expect(least <= share <= most, f"{placement}: the link carried {share:.3f} of the weights, not {least} to {most}")
        job.output.unlink()


def ranks_alive(job: Job) -> list:
    alive = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text() == "tesserank\n" \
                    and str(job.folder).encode() in (entry / "cmdline").read_bytes():
                alive.append(int(entry.name))
        except OSError:
            continue
    return alive


def wait_for(seconds: float, what: str, is_so) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        expect(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.05)


def cut_cable(job: Job) -> None:
    """A host that is cut off: the ranks on both sides end, and each side names the other one."""
    job.convert()
    ask(job, requests=4000, tokens=5)
    hosts = TwoHosts(job)
    words = job.generate_words(job.model, "--batch", "4", "--quiet", "--collective-timeout", TIMEOUT)
    environment = {name: value for name, value in os.environ.items() if name != "TESSERANK_CHECK_COLLECTIVES"}
    with subprocess.Popen(hosts.words(CUT, f"{job.output}.journal", job.options.tesserank, *words), env=environment,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(60, "the cable is cut", (job.folder / "cut").exists)
            begin = time.monotonic()
            wait_for(TIMEOUT + MOST_SECONDS, "all ranks end", lambda: not ranks_alive(job))
            print(f"all ranks have ended {time.monotonic() - begin:.1f} s after the cut")
        finally:
            # mpirun would wait for its daemon on the lost host until TCP gives up.
            process.terminate()
            errors = process.stderr.read()
    said = {rank: hosts.said(rank) for rank in range(RANKS)}
    text = "".join(said.values())
    print(text, errors)
    for gone in ("h1", "h2"):
        other = "h2" if gone == "h1" else "h1"
        told = [words for words in said.values() if re.search(rf"rank \d \({gone}\) does not answer", words)]
        expect(len(told) > 0, f"nobody says that {gone} does not answer")
        expect(re.search(rf"rank \d \({other}\) waits since", told[0]) is not None, f"nothing of {other}'s own ranks")
        expect("no progress on any rank for" in told[0], told[0])
    expect(not job.output.exists(), "there is an output in spite of the failure")


def can_make_hosts() -> bool:
    make = ["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--mount-proc", "ip", "link", "add", "link0", "type",
            "veth", "peer", "name", "link1"]
    try:
        return subprocess.run(make, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def main() -> int:
    cases = {case.__name__: case for case in (same_output, read_once_per_node, cut_cable)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("case", choices=cases)
    options = parser.parse_args()
    if not can_make_hosts():
        print("network namespaces cannot be made here")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        cases[options.case](Job(options, pathlib.Path(folder)))
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
