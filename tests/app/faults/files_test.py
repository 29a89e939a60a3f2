#!/usr/bin/env python3
"""Lets the files of a run fail: the model that ranks read, the requests, the results and the journal.

  files_test.py --tesserank PROGRAM --golden DIR --inject-fault LIBRARY [--mpiexec M] CASE

Each ends with one message within seconds; a run that is started again then answers all, and goes on behind what was done.
"""
import errno
import pathlib
import signal

from fault_run import Job, Run, expect, fault_on, has_struck, long_run, main, messages_of, nothing_is_lost, once, words_of


def fails(job: Job, fault: dict, status: int, goes_on: bool, *wanted: object) -> None:
    job.convert()
    job.fails(job.start(2, *words_of(job, "--quiet"), **fault), *wanted, status=status)
    has_struck(job)
    nothing_is_lost(job, goes_on)


def journal_disk_full(job: Job) -> None:
    """Its third line is that of the second batch."""
    fails(job, fault_on(job, 0, "write", "out.jsonl.journal", 3, errno.ENOSPC), 4, True,
          "rank 0 (", "out.jsonl.journal: cannot be written: No space left on device. Free some space")


def output_not_durable(job: Job) -> None:
    fails(job, fault_on(job, 0, "fdatasync", "out.jsonl.partial", 2, errno.EIO), 4, True,
          "out.jsonl: cannot be written: Input/output error. The disk or the file system has failed")


def journal_not_durable(job: Job) -> None:
    fails(job, fault_on(job, 0, "fdatasync", "out.jsonl.journal", 2, errno.EIO), 4, True,
          "out.jsonl.journal: cannot be made durable: Input/output error. The disk")


def convert_disk_full(job: Job) -> None:
    """Or one that fails, on a rank that joins the conversion: nothing is left, and the next one works."""
    job.convert()
    expected = job.model.read_bytes()
    job.model.unlink()
    for error, words in ((errno.ENOSPC, "No space left on device. Free some space"), (errno.EIO, "Input/output error. The disk")):
        fault = fault_on(job, 2, "pwrite", "model.h5.partial", 1, error)
        job.fails(job.start(3, *convert_words(job), **fault), "rank 2 (", f"model.h5: cannot be written: {words}", status=4)
        has_struck(job)
        left = {path.name for path in job.model.parent.iterdir()}
        expect(not left, f"left behind: {left}")
    job.run(3, *convert_words(job))
    expect(job.model.read_bytes() == expected, "the bytes are not those of an undisturbed conversion")
    left = {path.name for path in job.model.parent.iterdir()}
    expect(left == {"model.h5"}, f"left behind: {left}")


def set_disk_full(job: Job) -> None:
    """A set that is to be replaced stays until the new one is on the disk."""
    folder = job.make_set(3, "shard")
    before = contents_of(folder)
    words = ["convert", job.checkpoint, folder, "--ranks", 2, "--placement", "shard", "--force", "--quiet"]
    for call, name, failed in (("fsync", "rank1.h5", "made durable"), ("write", "set.json", "written")):
        job.fails(job.start(2, *words, **fault_on(job, 0, call, f"{name}.partial", 1, errno.ENOSPC)),
                  f"{name}: cannot be {failed}: No space left on device. Free some space", status=4)
        has_struck(job)
        expect(contents_of(folder) == before, "the old set is not as it was")
    job.run(2, *words)
    job.loaded(2, folder)


def contents_of(folder: pathlib.Path) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def convert_words(job: Job) -> list:
    return ["convert", job.checkpoint, job.model, "--quiet"]


def rename_fails(job: Job) -> None:
    fails(job, fault_on(job, 0, "rename", "out.jsonl.partial", 1, errno.EACCES), 4, True,
          "out.jsonl: cannot be renamed from its partial file: Permission denied. Change the permissions")


def folder_read_only(job: Job) -> None:
    fails(job, fault_on(job, 0, "open", "out.jsonl.partial", 1, errno.EROFS), 2, False,
          "out.jsonl: cannot be written: Read-only file system. Change the permissions, or choose another folder.")


def input_unreadable(job: Job) -> None:
    """Once it was opened, and its content noted."""
    fails(job, fault_on(job, 0, "read", "in.jsonl", 1, errno.EIO), 4, False,
          "in.jsonl: cannot be read after line 0: Input/output error. The disk or the file system has failed")


def model_unreadable(job: Job) -> None:
    fails(job, fault_on(job, 1, "pread", "model.h5", 1, errno.EIO), 4, False,
          "rank 1 (", "model.h5: cannot be read at byte ", "Input/output error. The disk or the file system has failed")


def model_truncated(job: Job) -> None:
    """While it is being loaded."""
    fails(job, fault_on(job, 1, "pread", "model.h5", 1, "end"), 2, False, "rank 1 (", "model.h5: ends at byte ", "truncated")


def model_missing(job: Job) -> None:
    """On the node of one rank."""
    fails(job, fault_on(job, 1, "open", "model.h5", 1, errno.ENOENT), 2, False,
          "rank 1 (", "model.h5: cannot be opened: No such file or directory")


def model_differs(job: Job) -> None:
    """One rank's is shorter, or of the same size with another content."""
    job.convert()
    other = job.folder / "other.h5"
    data = job.model.read_bytes()
    other.write_bytes(data[:-1])
    fails(job, fault_on(job, 1, "open", "model.h5", 1, f"={other}"), 2, False,
          "rank 1 (", "every rank must see the same file")
    job.output.unlink()
    other.write_bytes(data[:len(data) // 2] + bytes(len(data) - len(data) // 2))
    fails(job, fault_on(job, 1, "open", "model.h5", 1, f"={other}"), 2, False, "rank 1 (", "checksum")


def short_reads(job: Job) -> None:
    """A file system may give less than was asked for: no fault."""
    job.convert()
    for rank, call, path in ((1, "pread", "model.h5"), (0, "pread", "model.h5"), (0, "read", "in.jsonl")):
        job.loaded(2, job.model, "--batch", "2", **fault_on(job, rank, call, path, 1, "short"))
        has_struck(job)


def output_deleted(job: Job) -> None:
    run = long_run(job, 2)
    pathlib.Path(f"{job.output}.partial").unlink()
    text = run.ends_soon(4)
    once(text, r"tesserank: rank 0 \(.*out\.jsonl\.partial: was removed or replaced while it was being written; start anew")
    expect(len(messages_of(text)) == 1, "want one message")
    job.fails(job.start(2, *job.generate_words(job.model, "--batch", "4", "--quiet")), "--resume no starts anew")


def journal_deleted(job: Job) -> None:
    """It is made anew with the next batch, so that a run that is ended then goes on."""
    run = long_run(job, 2)
    journal = pathlib.Path(f"{job.output}.journal")
    journal.unlink()
    for _ in range(3):  # the first one may have been told before
        run.wait_for("batch")
    expect('"progress": ' in journal.read_text().splitlines()[0], "the journal was not made anew")
    run.process.send_signal(signal.SIGUSR1)
    run.end(5)
    again = Run(job, 2, *job.generate_words(job.model, "--resume", "must", "--log-json"))
    again.wait_for("batch")
    again.process.send_signal(signal.SIGUSR1)
    again.end(5)
    expect(any("goes on behind line" in line for line in again.lines), "it does not go on")


def journal_of_another_run(job: Job) -> None:
    """Or one that is damaged: nobody goes on behind it, and --resume no starts anew."""
    job.convert()
    job.start(2, *words_of(job, "--quiet"), **fault_on(job, 0, "rename", "out.jsonl.partial", 1, errno.EIO))
    journal, requests = pathlib.Path(f"{job.output}.journal"), job.folder / "in.jsonl"
    text = journal.read_text()
    job.fails(job.start(2, *words_of(job, "--quiet", "--seed", "7")), "is of another run: seed: found 7, was 0")
    job.fails(job.start(0, *words_of(job, "--quiet", "--dtype", "bf16")), "is of another run: dtype: found bf16, was f32")
    old = requests.read_text()
    requests.write_text(old + old.replace("p0", "p9").splitlines()[0] + "\n")
    job.fails(job.start(2, *words_of(job, "--quiet")), "is of another run: input: found ")
    requests.write_text(old)
    journal.write_text(text.replace('"lines": 2', '"lines": 3'))
    job.fails(job.start(2, *words_of(job, "--quiet")), "out.jsonl.journal: line 2 is damaged; give --resume no to start anew")
    job.run(2, *words_of(job, "--quiet", "--resume", "no"))
    expect(not journal.exists() and len(job.output.read_text().splitlines()) == len(job.greedy), "it does not start anew")


def two_runs(job: Job) -> None:
    """Of the same output: the second one is refused, and the first one does not notice."""
    run = long_run(job, 2)
    job.fails(job.start(2, *job.generate_words(job.model, "--batch", "4", "--quiet")),
              "out.jsonl: another process is writing it", "is locked); wait for it, or choose another name")
    run.wait_for("batch")
    run.process.send_signal(signal.SIGUSR1)
    run.end(5)


if __name__ == "__main__":
    main({case.__name__: case for case in (
        journal_disk_full, output_not_durable, journal_not_durable, convert_disk_full, set_disk_full, rename_fails, folder_read_only,
        input_unreadable, model_unreadable, model_truncated, model_missing, model_differs, short_reads, output_deleted, journal_deleted,
        journal_of_another_run, two_runs)})
