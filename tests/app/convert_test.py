#!/usr/bin/env python3
"""Converts checkpoints that are hard on memory, and kills a conversion.

  convert_test.py --tesserank PROGRAM CASE
"""
import argparse
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time

MOST_BYTES = 512 << 20
DEMO = pathlib.Path(__file__).resolve().parents[2] / "demo"


def write_checkpoint(folder: pathlib.Path, header: bytes, data_bytes: int) -> None:
    """The data are zeros that take no place on the disk."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + data_bytes)


def tensors(sizes: list[int]) -> tuple[bytes, int]:
    """The header of bf16 tensors, each of one row of so many bytes; and all their bytes."""
    header, begin = {}, 0
    for i, size in enumerate(sizes):
        header[f"t.{i}"] = {"dtype": "BF16", "shape": [size // 2], "data_offsets": [begin, begin + size]}
        begin += size
    return json.dumps(header).encode(), begin


def convert(program: str, folder: pathlib.Path) -> tuple[int, str, int]:
    """Exit status, messages, and the most bytes of memory that it had."""
    process = subprocess.Popen([program, "convert", folder / "source", folder / "m.h5", "--quiet"],
                               stderr=subprocess.PIPE, text=True)
    messages = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    print(f"{usage.ru_maxrss >> 10} MiB, exit status {process.returncode}: {messages}")
    return process.returncode, messages, usage.ru_maxrss << 10


def memory(program: str, folder: pathlib.Path) -> None:
    """Memory does not grow with the model."""
    write_checkpoint(folder / "source", *tensors([640 << 20, 3 << 20, 100 << 20]))
    status, _, peak = convert(program, folder)
    assert status == 0 and (folder / "m.h5").stat().st_size > MOST_BYTES
    assert peak < MOST_BYTES


def long_header(program: str, folder: pathlib.Path) -> None:
    """Nor with what a header of the greatest length says."""
    for entry in (b"1,", b'{"":[1]},'):
        shape = entry * ((12 << 20) // len(entry) - 50) + b"1"
        write_checkpoint(folder / "source", b'{"t":{"dtype":"U8","shape":[' + shape + b'],"data_offsets":[0,1]}}', 1)
        status, messages, peak = convert(program, folder)
        assert status == 2 and "16 dimensions at most" in messages
        assert peak < MOST_BYTES


def many_tensors(program: str, folder: pathlib.Path) -> None:
    write_checkpoint(folder / "source", *tensors([64] * 40_000))
    status, _, peak = convert(program, folder)
    assert status == 0
    assert peak < MOST_BYTES


def killed(program: str, folder: pathlib.Path) -> None:
    """What a killed conversion leaves is no model file and does not stop the next."""
    write_checkpoint(folder / "source", *tensors([200 << 20, 100 << 20]))
    model, partial = folder / "m.h5", folder / "m.h5.partial"
    with subprocess.Popen([program, "convert", folder / "source", model, "--quiet"]) as process:
        deadline = time.monotonic() + 30
        while not partial.exists() or partial.stat().st_size < 1 << 20:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert partial.exists() and not model.exists()
    status, _, _ = convert(program, folder)
    assert status == 0
    assert model.exists() and not partial.exists()


def sets(program: str, folder: pathlib.Path) -> None:
    """Whoever takes part, the files of a set are the same; and one rank's mistake is told once."""
    source = DEMO / "model"
    words = ["--ranks", "3", "--placement", "split-batch-attention", "--quiet", "--force"]
    subprocess.run([program, "convert", source, folder / "set", *words], check=True)
    expected = {path.name: path.read_bytes() for path in (folder / "set").iterdir()}
    for ranks in (2, 4):
        mpirun = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)]
        subprocess.run([*mpirun, program, "convert", source, folder / "set", *words], check=True)
        assert {path.name: path.read_bytes() for path in (folder / "set").iterdir()} == expected, f"{ranks} ranks"
        result = subprocess.run([*mpirun, program, "convert", source, folder / "set", *words[:-1]], stderr=subprocess.PIPE,
                                text=True, check=False)
        assert result.returncode == 2 and result.stderr.count("exists already; --force replaces it") == 1, result.stderr
        assert "MPI_ABORT" not in result.stderr
        result = subprocess.run([*mpirun, program, "convert", source, folder / "m.h5", "--force"], stderr=subprocess.PIPE,
                                text=True, check=False)
        assert result.returncode == 0 and result.stderr.count("parameters") == 1, result.stderr


def main() -> int:
    cases = {case.__name__: case for case in (memory, long_header, many_tensors, killed, sets)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("case", choices=cases)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases[options.case](options.tesserank, pathlib.Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
