#!/usr/bin/env python3
"""Runs a good model under mpirun with options, files or a launcher that do not suit, and checks how it ends.

  bad_usage.py --tesserank PROGRAM --golden DIR --ranks N CASE

As in bad_input.py, all ranks end within 30 seconds with one message.
"""
import os
import subprocess
import sys

from bad_input import GOOD, Run, cases_in, expect, main


def length_beyond_context(run: Run) -> None:
    run.convert()
    run.run_fails(2, "--max-length 999999", "256", more=["--max-length", "999999"])


def batch_beyond_memory(run: Run) -> None:
    run.convert()
    run.run_fails(2, "memory", "--batch", more=["--batch", str(1 << 31)])


def too_many_new_tokens(run: Run) -> None:
    run.one_request_fails([dict(GOOD, id="b", max_new_tokens=254)], "line 2", "254", "at most 253", "the context's 256")


def output_is_input(run: Run) -> None:
    run.convert()
    requests = run.write([GOOD])
    before = requests.read_bytes()
    result = run.start(["generate", run.model, "--input", requests, "--output", requests], run.options.ranks)
    run.fails(result, 2, "--input and --output", requests.name)
    expect(requests.read_bytes() == before, "the requests were changed")


def logits_disk_full(run: Run) -> None:
    """Enough rows that HDF5 writes some while the batch runs."""
    run.edit_config(max_position_embeddings=2048)
    run.convert()
    requests = run.write([{"id": "a", "tokens": [1] * 600, "completion_tokens": [2]}])
    logits = run.folder / "logits.h5"
    result = run.start(["score", run.model, "--input", requests, "--output", run.output, "--logits", logits, "--quiet"],
                       run.options.ranks, 200_000)
    run.fails(result, 4, logits.name)
    # Under the limit mpirun may fail to say that it was MPI_Abort, so look for the other end.
    expect("exited with non-zero status" in result.stderr, f"the ranks did not end together: {result.stderr}")
    expect(not run.output.exists() and not list(run.folder.glob("logits*")), "something was left behind")


def input_from_pipe(run: Run) -> None:
    run.convert()
    pipe = run.folder / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cp", run.write([GOOD]), pipe]) as writer:
        result = run.start(["generate", run.model, "--input", pipe, "--output", run.output, "--quiet"],
                           run.options.ranks)
        expect(writer.wait() == 0, "the writer was cut off")
    expect(result.returncode == 0, f"exit status {result.returncode}: {result.stderr}")
    expect(len(run.output.read_text().splitlines()) == 1, "want one result")


def convert_under_mpirun(run: Run) -> None:
    """Every rank finds the wrong option; one tells of it."""
    result = run.start(["convert", run.checkpoint, run.model, "--dtyp", "bf16"], run.options.ranks)
    run.fails(result, 1, "--dtyp")
    expect(not list(run.folder.glob("model*")), "there is a model file in spite of the failure")


def inspect_under_mpirun(run: Run) -> None:
    run.convert()
    run.fails(run.start(["inspect", run.model], run.options.ranks), 1, "inspect runs as one process")


def output_through_link(run: Run) -> None:
    """Not bad usage, but easily taken for it: the link stays, and no file of the run is left beside either."""
    run.convert()
    target = run.folder / "far" / "results.jsonl"
    target.parent.mkdir()
    target.write_text("old")
    run.output.symlink_to(target)
    result = run.start(["generate", run.model, "--input", run.write([GOOD]), "--output", run.output, "--quiet"],
                       run.options.ranks)
    expect(result.returncode == 0, f"exit status {result.returncode}: {result.stderr}")
    expect(run.output.is_symlink(), "the link was replaced")
    expect(len(target.read_text().splitlines()) == 1, "want one result where the link leads")
    expect(not list(run.folder.rglob("*.partial")), "a partial file was left behind")


def launcher_of_another_mpi(run: Run) -> None:
    run.convert()
    words = ["generate", run.model, "--input", run.write([GOOD]), "--output", run.output]
    os.environ.update(PMI_SIZE="2", PMI_RANK="0")
    run.fails(run.start(words, 0), 4, "started 2 processes", "Open MPI")
    os.environ["PMI_RANK"] = "1"
    result = run.start(words, 0)
    expect(result.returncode == 4 and result.stderr == "", f"{result.returncode}: {result.stderr}")
    expect(not run.output.exists(), "there is an output in spite of the failure")


if __name__ == "__main__":
    sys.exit(main(cases_in(globals())))
