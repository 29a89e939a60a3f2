#!/usr/bin/env python3
"""Submits the job scripts to a real Slurm (munge, slurmctld, two slurmd) that lives in a temporary folder.

  slurm_test.py --tesserank PROGRAM --source DIR CASE

Needs root, which starts the daemons: without it the exit status is 77.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SECONDS = 100


class Failure(Exception):
    pass


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise Failure(message)


class Cluster:
    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options = options
        self.folder = folder
        self.source = options.source
        self.script = self.source / "tests/slurm/mini_slurm.sh"
        self.model = folder / "model.h5"
        self.input = folder / "in.jsonl"
        self.output = folder / "out.jsonl"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        self.environment.update(
            PATH=f"{pathlib.Path(options.tesserank).parent}:{os.environ['PATH']}", SLURM_CONF=str(folder / "slurm/slurm.conf"),
            OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
            OMP_WAIT_POLICY="passive")

    def __enter__(self):
        self.command(self.script, "start", self.folder / "slurm", "2", "2")
        self.command(self.options.tesserank, "convert", self.source / "demo/model", self.model, "--quiet")
        return self

    def __exit__(self, *_):
        subprocess.run([self.script, "stop", self.folder / "slurm"], env=self.environment, check=False)

    def command(self, *words) -> str:
        result = subprocess.run([str(word) for word in words], env=self.environment, cwd=self.source, text=True,
                                capture_output=True, timeout=300)
        expect(result.returncode == 0, f"{' '.join(map(str, words))}: {result.returncode}: {result.stdout}{result.stderr}")
        return result.stdout

    def ask(self, requests: int, copies: int = 1) -> None:
        """Questions of the demo, several times with other ids."""
        lines = (self.source / "demo/questions.jsonl").read_text().splitlines()[:requests]
        with self.input.open("w") as file:
            for copy in range(copies):
                for line in lines:
                    request = json.loads(line)
                    request["id"] += f" {copy}"
                    file.write(json.dumps(request) + "\n")

    def submit(self, script: str, *words, options: tuple = ()) -> str:
        log = self.folder / "job-%j.log"
        text = self.command("sbatch", "--parsable", f"--output={log}", *options, self.source / "jobscripts" / script, *words)
        return text.strip().split(";")[0]

    def show(self, job: str) -> dict:
        text = self.command("scontrol", "show", "job", "--oneliner", job)
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def log(self, job: str) -> str:
        path = self.folder / f"job-{job}.log"
        return path.read_text() if path.exists() else ""

    def wait(self, job: str, states: set, seconds: float = SECONDS) -> dict:
        end = time.monotonic() + seconds
        while True:
            facts = self.show(job)
            if facts["JobState"] in states:
                return facts
            # A job that is put back into the queue would wait two minutes there; but its nodes need
            # a moment to be rid of it.
            if facts["JobState"] == "PENDING" and facts["Reason"] == "BeginTime":
                time.sleep(4)
                subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], env=self.environment, check=False,
                               capture_output=True)
            expect(time.monotonic() < end, f"job {job} is {facts['JobState']} ({facts['Reason']}):\n{self.log(job)}")
            time.sleep(0.2)

    def wait_for_batches(self, job: str, count: int, output: pathlib.Path | None = None) -> None:
        journal = pathlib.Path(f"{output or self.output}.journal")
        end = time.monotonic() + SECONDS
        while not journal.exists() or len(journal.read_bytes().splitlines()) <= count:
            expect(time.monotonic() < end, f"no batch is done:\n{self.log(job)}")
            time.sleep(0.02)

    def done(self, job: str) -> dict:
        over = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
        facts = self.wait(job, over)
        while facts["JobState"] == "FAILED" and self.log(job).rstrip().endswith(f"next run of job {job}"):
            # Between its end and its place in the queue a job looks failed.
            time.sleep(0.2)
            facts = self.wait(job, over)
        expect(facts["JobState"] == "COMPLETED", f"job {job} ended as {facts['JobState']}:\n{self.log(job)}")
        return facts

    def check_output(self, words: list) -> None:
        """The output is that of a run that nothing disturbed."""
        expected = self.folder / "expected.jsonl"
        self.command("mpirun", "--bind-to", "none", "-n", "2", self.options.tesserank, "generate", self.model, "--input",
                     self.input, "--output", expected, "--quiet", *words)
        expect(self.output.read_bytes() == expected.read_bytes(), "the output is not that of an undisturbed run")
        left = [path.name for path in self.folder.glob("out*.journal")] + [path.name for path in self.folder.glob("*.partial")]
        expect(not left, f"left behind: {left}")


def two_nodes(cluster: Cluster) -> None:
    """One rank on each node, under srun."""
    cluster.ask(60)
    job = cluster.submit("generate.sbatch", cluster.model, cluster.input, cluster.output, "--batch", "8",
                         options=("--nodes=2", "--ntasks-per-node=1"))
    facts = cluster.done(job)
    expect(facts["NumNodes"] == "2", f"it ran on {facts['NumNodes']} nodes")
    expect("2 rank(s)" in cluster.log(job), f"it did not run on 2 ranks:\n{cluster.log(job)}")
    cluster.check_output(["--batch", "8"])


def with_mpirun(cluster: Cluster) -> None:
    cluster.environment["LAUNCHER"] = "mpirun"
    cluster.ask(60)
    job = cluster.submit("generate.sbatch", cluster.model, cluster.input, cluster.output, "--batch", "8",
                         options=("--nodes=1", "--ntasks-per-node=2"))
    cluster.done(job)
    cluster.check_output(["--batch", "8"])


def goes_on(launcher: str):
    def case(cluster: Cluster) -> None:
        """The signal that Slurm sends before the end of a job: put back into the queue, it goes on."""
        cluster.environment["LAUNCHER"] = launcher
        cluster.ask(200)
        job = cluster.submit("generate.sbatch", cluster.model, cluster.input, cluster.output, "--batch", "4",
                             options=("--nodes=1", "--ntasks-per-node=2"))
        cluster.wait_for_batches(job, 3)
        cluster.command("scancel", "--batch", "--signal=USR1", job)
        facts = cluster.done(job)
        expect(facts["Restarts"] == "1", f"it was restarted {facts['Restarts']} times:\n{cluster.log(job)}")
        log = cluster.log(job)
        expect("stopped by SIGUSR1" in log and "goes on behind line" in log, log)
        cluster.check_output(["--batch", "4"])

    return case


def time_limit(cluster: Cluster) -> None:
    """The job's time is not enough: it stops by itself before Slurm ends it, as often as it must."""
    cluster.ask(500, copies=300)
    job = cluster.submit("generate.sbatch", cluster.model, cluster.input, cluster.output, "--batch", "8",
                         options=("--nodes=1", "--ntasks-per-node=2", "--time=1", "--signal=B:URG@1"))
    cluster.wait_for_batches(job, 3)
    end = time.monotonic() + 120
    while "stopped by the end of its time" not in cluster.log(job):
        expect(time.monotonic() < end, f"it does not stop in time:\n{cluster.log(job)}")
        expect(cluster.show(job)["JobState"] != "COMPLETED", "the job is too short to need more than its time")
        time.sleep(0.5)
    cluster.wait(job, {"PENDING", "RUNNING"})
    cluster.command("scancel", job)
    cluster.wait(job, {"CANCELLED"})
    # The other cases compare bytes; all that this one would take is more minutes.
    done = json.loads(pathlib.Path(f"{cluster.output}.journal").read_text().splitlines()[-1].split(" ", 1)[1])
    results = pathlib.Path(f"{cluster.output}.partial").read_bytes()[: done["output_bytes"]].decode().splitlines()
    asked = cluster.input.read_text().splitlines()
    expect(0 < len(results) == done["results"] < len(asked), f"{len(results)} results, the journal says {done}")
    ids = [json.loads(line)["id"] for line in asked[: len(results)]]
    expect([json.loads(line)["id"] for line in results] == ids, "other ids than those of the first requests")


def cancelled(cluster: Cluster) -> None:
    """scancel ends it; the same submission again goes on."""
    cluster.ask(200)
    words = ("generate.sbatch", cluster.model, cluster.input, cluster.output, "--batch", "4")
    options = ("--nodes=2", "--ntasks-per-node=1")
    job = cluster.submit(*words, options=options)
    cluster.wait_for_batches(job, 3)
    cluster.command("scancel", job)
    cluster.wait(job, {"CANCELLED"})
    expect(not cluster.output.exists(), "there is an output though the run is not done")
    again = cluster.submit(*words, options=options)
    cluster.done(again)
    expect("goes on behind line" in cluster.log(again), cluster.log(again))
    cluster.check_output(["--batch", "4"])


def node_lost(cluster: Cluster) -> None:
    """A node's slurmd and the rank on it are killed."""
    cluster.ask(200)
    words = ("generate.sbatch", cluster.model, cluster.input, cluster.output, "--batch", "4")
    options = ("--nodes=2", "--ntasks-per-node=1", "--no-requeue")
    job = cluster.submit(*words, options=options)
    cluster.wait_for_batches(job, 3)
    slurmd = int((cluster.folder / "slurm/run/slurmd.n2.pid").read_text())
    ranks = [int(pid) for pid in subprocess.run(["pgrep", "-f", f"tesserank generate {cluster.model}"], text=True,
                                                capture_output=True, check=False).stdout.split()]
    on_n2 = [pid for pid in ranks if b"SLURMD_NODENAME=n2" in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
             and pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "tesserank"]
    expect(len(on_n2) == 1, f"ranks {ranks}, on the second node {on_n2}")
    begin = time.monotonic()
    os.kill(slurmd, 9)
    os.kill(on_n2[0], 9)
    cluster.wait(job, {"COMPLETING", "FAILED", "NODE_FAIL", "CANCELLED"}, 60)
    expect(time.monotonic() - begin < 40, "the job outlives its node for long")
    expect(not cluster.output.exists(), "there is an output though the run is not done")
    cluster.command("mpirun", "--bind-to", "none", "-n", "2", cluster.options.tesserank, "generate", cluster.model, "--input",
                    cluster.input, "--output", cluster.output, "--quiet", "--resume", "must")
    cluster.check_output(["--batch", "4"])


def array_and_merge(cluster: Cluster) -> None:
    cluster.ask(120)
    parts = cluster.folder / "parts"
    parts.mkdir()
    cluster.command("split", "--number=l/3", "--numeric-suffixes", "--additional-suffix=.jsonl", cluster.input, parts / "in.")
    job = cluster.submit("array.sbatch", cluster.model, parts, "--batch", "8", options=("--array=0-2", "--ntasks-per-node=1"))
    end = time.monotonic() + SECONDS
    while len(list(parts.glob("out.*.jsonl"))) < 3:
        logs = "\n".join(path.read_text() for path in cluster.folder.glob("job-*.log"))
        expect(time.monotonic() < end, f"the array does not end:\n{logs}")
        time.sleep(0.2)
    cluster.done(job)
    cluster.command(cluster.options.tesserank, "merge", *sorted(parts.glob("out.*.jsonl")), "--output", cluster.output)
    ids = [json.loads(line)["id"] for line in cluster.output.read_text().splitlines()]
    expect(ids == [json.loads(line)["id"] for line in cluster.input.read_text().splitlines()], "other ids, or in another order")


def other_scripts(cluster: Cluster) -> None:
    """convert, calibrate, multinode (which places by the machine file) and score."""
    model = cluster.folder / "again.h5"
    cluster.done(cluster.submit("convert.sbatch", cluster.source / "demo/model", model,
                                options=("--nodes=2", "--ntasks=4", "--mem-per-cpu=100M")))
    expect(model.read_bytes() == cluster.model.read_bytes(), "four ranks on two nodes write another file than one process")
    machine = cluster.folder / "machine.json"
    cluster.done(cluster.submit("calibrate.sbatch", machine, options=("--nodes=2", "--ntasks-per-node=1")))
    cluster.ask(30)
    job = cluster.submit("multinode.sbatch", model, cluster.input, cluster.output, machine,
                         options=("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1"))
    cluster.done(job)
    expect(len(cluster.output.read_text().splitlines()) == 30, "not every request has a result")
    scored = cluster.folder / "scored.jsonl"
    cluster.input.write_text('{"id": "a", "prompt": "Add 1 and 2.", "completion": " 3."}\n')
    cluster.done(cluster.submit("score.sbatch", model, cluster.input, scored, options=("--ntasks-per-node=1",)))
    expect("sum_logprob" in scored.read_text(), scored.read_text())


def converts_anew(launcher: str):
    def case(cluster: Cluster) -> None:
        """A rank of a conversion is killed: the job is put back into the queue and starts anew; once only, as it is done."""
        cluster.environment["LAUNCHER"] = launcher
        source, model = cluster.folder / "source", cluster.folder / "anew.h5"
        write_large_checkpoint(source)
        # The first time, the last rank kills itself in the middle.
        fails_once = cluster.folder / "tesserank"
        fails_once.write_text(FAILS_ONCE.format(folder=cluster.folder, tesserank=cluster.options.tesserank))
        fails_once.chmod(0o755)
        cluster.environment["PATH"] = f"{cluster.folder}:{cluster.environment['PATH']}"
        job = cluster.submit("convert.sbatch", source, model, options=("--nodes=1", "--ntasks=2", "--mem-per-cpu=100M"))
        facts = cluster.done(job)
        expect(facts["Restarts"] == "1", f"it was restarted {facts['Restarts']} times:\n{cluster.log(job)}")
        expect("starting anew" in cluster.log(job), cluster.log(job))
        cluster.command(cluster.options.tesserank, "convert", source, cluster.folder / "one.h5", "--quiet")
        expect(model.read_bytes() == (cluster.folder / "one.h5").read_bytes(), "another file than that of one process")
        expect(not list(cluster.folder.glob("*.partial")), "a partial file is left")
        wrong = cluster.submit("convert.sbatch", cluster.folder / "nothing", model, options=("--ntasks=2", "--mem-per-cpu=100M"))
        facts = cluster.wait(wrong, {"FAILED"})
        expect(facts["ExitCode"] == "2:0" and facts["Restarts"] == "0", f"{facts['ExitCode']}, {facts['Restarts']} restarts")

    return case


FAILS_ONCE = """#!/usr/bin/env bash
if [[ ${{SLURM_RESTART_COUNT:-0}} == 0 && ${{OMPI_COMM_WORLD_RANK:-${{SLURM_PROCID:-0}}}} == 1 ]]; then
    (until [[ -e {folder}/anew.h5.partial || ! -e /proc/$$ ]]; do :; done; kill -9 $$) &
fi
exec {tesserank} "$@"
"""


def write_large_checkpoint(folder: pathlib.Path) -> None:
    """Of zeros that take no place on the disk."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    tensors = {f"t.{i}": {"dtype": "F32", "shape": [1 << 20], "data_offsets": [i << 22, i + 1 << 22]} for i in range(64)}
    header = json.dumps(tensors).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + (64 << 22))


CASES = {"two_nodes": two_nodes, "with_mpirun": with_mpirun, "goes_on_srun": goes_on("srun"), "goes_on_mpirun": goes_on("mpirun"),
         "time_limit": time_limit, "cancelled": cancelled, "node_lost": node_lost, "array_and_merge": array_and_merge,
         "other_scripts": other_scripts, "converts_anew_srun": converts_anew("srun"),
         "converts_anew_mpirun": converts_anew("mpirun")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--source", required=True, type=pathlib.Path, help="the source folder, with jobscripts/ and demo/")
    parser.add_argument("case", choices=CASES)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root, which starts Slurm's daemons")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        with Cluster(options, pathlib.Path(folder)) as cluster:
            try:
                CASES[options.case](cluster)
            except Failure as failure:
                print(f"FAILED: {failure}")
                return 1
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
