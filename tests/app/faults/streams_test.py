#!/usr/bin/env python3
"""Runs that read requests from a pipe or write results into one, whose other end is slow, idle, closed or gone.

  streams_test.py --tesserank PROGRAM --golden DIR [--mpiexec M] CASE
"""
import json
import signal
import subprocess
import time

from fault_run import Job, Run, TIMEOUT, expect, main, messages_of


def one_request(job: Job) -> str:
    return (job.folder / "in.jsonl").read_text().splitlines()[0] + "\n"


def slow_input(job: Job) -> None:
    """Who writes requests into a pipe may take longer than ranks wait for each other."""
    job.convert()
    run = Run(job, 2, "generate", job.model, "--input", "-", "--output", job.output, "-q", stdin=subprocess.PIPE,
              timeout=TIMEOUT)
    for line in (job.folder / "in.jsonl").read_text().splitlines()[:2]:
        run.process.stdin.write(line + "\n")
        run.process.stdin.flush()
        time.sleep(2.5 * TIMEOUT)
    run.process.stdin.close()
    run.end(0)
    expect(len(job.output.read_text().splitlines()) == 2, "not all requests were answered")


def idle_input(job: Job) -> None:
    """The first signal ends the wait for a line that does not come: before any line, and behind a batch."""
    job.convert()
    for lines, number in ((0, signal.SIGTERM), (2, signal.SIGUSR1)):
        run = Run(job, 2, "generate", job.model, "--input", "-", "--output", job.output, "--batch", "2", "--log-json",
                  stdin=subprocess.PIPE)
        run.wait_for("loaded")
        if lines > 0:
            run.process.stdin.write(one_request(job) + one_request(job).replace("p0", "p0 again"))
            run.process.stdin.flush()
            run.wait_for("batch")
        time.sleep(0.3)
        run.begin = time.monotonic()
        # To the ranks: mpirun that gets SIGTERM itself kills them soon.
        for rank in range(2):
            run.send(number, rank)
        run.ends_soon(4)
        event = json.loads([line for line in run.lines if line.startswith("{")][-1])
        expect(event["event"] == "stopped" and event["reason"] == number.name and event["results"] == lines, f"{event}")
        expect(not job.output.exists(), "there is an output, though the input was not read to its end")
        run.process.stdin.close()


def closed_input(job: Job) -> None:
    job.convert()
    words = [job.options.tesserank, "generate", job.model, "--input", "-", "--output", job.output, "--quiet"]
    result = subprocess.run(["bash", "-c", 'exec "$@" <&-', "bash", *map(str, words)], capture_output=True, text=True)
    expect(result.returncode == 2 and messages_of(result.stderr) == [
        "tesserank: standard input: is closed; give it a file or a pipe to read"], f"{result}")
    expect(not job.output.exists(), "there is an output in spite of the failure")


def closed_output(job: Job) -> None:
    """No file of the run has taken the number of the stream, and been written into."""
    job.convert()
    model = job.model.read_bytes()
    words = [job.options.tesserank, *job.generate_words(job.model, "--quiet")]
    words[words.index(job.output)] = "-"
    result = subprocess.run(["bash", "-c", 'exec "$@" >&-', "bash", *map(str, words)], capture_output=True, text=True)
    expect(result.returncode == 4 and messages_of(result.stderr) == [
        "tesserank: standard output: cannot be written: Bad file descriptor"], f"{result}")
    expect(job.model.read_bytes() == model, "the model file was changed")


def reader_gone(job: Job) -> None:
    """Who read the results from a pipe has gone: that is an error, and no death by SIGPIPE."""
    job.convert()
    words = [job.options.tesserank, *job.generate_words(job.model, "--batch", "1", "--quiet")]
    words[words.index(job.output)] = "-"
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    expect(json.loads(first)["id"] == "p0", f"the first result is {first}")
    expect(process.wait(20) == 4 and messages_of(errors) == [
        "tesserank: standard output: cannot be written: Broken pipe. Who read it has gone."], f"{process}: {errors}")


if __name__ == "__main__":
    main({case.__name__: case for case in (slow_input, idle_input, closed_input, closed_output, reader_gone)})
