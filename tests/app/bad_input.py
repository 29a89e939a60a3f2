#!/usr/bin/env python3
"""Gives the program one kind of bad input under mpirun and checks how it ends.

  bad_input.py --tesserank PROGRAM --golden DIR --ranks N CASE

A bad file ends all ranks within 30 seconds with one message on stderr and a non-zero exit status, and leaves no output.
A bad request gives a result line with an error; the other lines are answered.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import h5py

SECONDS = 30  # with the start of the ranks on a machine that is busy
GOOD = {"id": "good", "tokens": [1, 2, 3], "max_new_tokens": 2}


class Failure(Exception):
    pass


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise Failure(message)


class Run:
    """A folder with a good checkpoint, which a case spoils, and the program to run on it."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        self.options = options
        self.folder = folder
        self.checkpoint = folder / "checkpoint"
        shutil.copytree(options.golden / "models" / "llama-gqa-rope3-bf16", self.checkpoint)
        self.model = folder / "model.h5"
        self.output = folder / "out.jsonl"

    def start(self, words: list, ranks: int, limit: int | None = None) -> subprocess.CompletedProcess:
        environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1",
                           OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        command = [self.options.tesserank, *map(str, words)]
        if ranks > 0:
            command = [self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(ranks), *command]
        if limit is not None:
            # The limit would hit Open MPI's own shared-memory files too.
            environment.update(OMPI_MCA_btl="self,tcp", OMPI_MCA_btl_tcp_if_include="lo", PMIX_MCA_gds="hash")
        begin = time.monotonic()
        small_files = None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        result = subprocess.run(command, env=environment, capture_output=True, timeout=2 * SECONDS,
                                preexec_fn=small_files)
        seconds = time.monotonic() - begin
        expect(seconds < SECONDS, f"took {seconds:.1f} s")
        result.stderr = result.stderr.decode("utf-8", "strict")
        return result

    def convert(self) -> None:
        result = self.start(["convert", self.checkpoint, self.model, "--quiet", "--force"], 0)
        expect(result.returncode == 0, f"convert failed: {result.stderr}")

    def convert_fails(self, *wanted: str) -> None:
        self.fails(self.start(["convert", self.checkpoint, self.model], 0), 2, *wanted)
        expect(not self.model.exists(), "a model file was left behind")
        expect(not list(self.folder.glob("*.partial*")), "a partial file was left behind")

    def fails(self, result: subprocess.CompletedProcess, status: int, *wanted: str) -> None:
        messages = [line for line in result.stderr.splitlines() if line.startswith("tesserank:")]
        expect(result.returncode == status, f"exit status {result.returncode}, want {status}: {result.stderr}")
        expect(len(messages) == 1, f"want one message, got {len(messages)}: {result.stderr}")
        expect("MPI_ABORT" not in result.stderr, f"the ranks did not end together: {result.stderr}")
        for word in wanted:
            expect(word in messages[0], f"{word!r} is not in: {messages[0]}")
        print(messages[0])

    def run_fails(self, status: int, *wanted: str, output: pathlib.Path | None = None, limit: int | None = None,
                  lines: list | None = None, more: list | None = None) -> None:
        requests = self.write(lines or [GOOD])
        output = output or self.output
        result = self.start(["generate", self.model, "--input", requests, "--output", output, "--quiet", *(more or [])],
                            self.options.ranks, limit)
        self.fails(result, status, *wanted)
        expect(not output.exists(), "there is an output in spite of the failure")

    def write(self, lines: list) -> pathlib.Path:
        path = self.folder / "in.jsonl"
        path.write_bytes(b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n"
                                  for line in lines))
        return path

    def one_request_fails(self, bad: list, *wanted: str) -> None:
        """The last of `bad` fails; the good requests around them do not."""
        self.convert()
        lines = [dict(GOOD, id="first"), *bad, dict(GOOD, id="last")]
        result = self.start(["generate", self.model, "--input", self.write(lines), "--output", self.output, "--quiet"],
                            self.options.ranks)
        expect(result.returncode == 3, f"exit status {result.returncode}, want 3: {result.stderr}")
        results = [json.loads(line) for line in self.output.read_text().splitlines()]
        expect(len(results) == len(lines), f"{len(results)} results for {len(lines)} lines")
        expect([r["id"] for r in (results[0], results[-1])] == ["first", "last"], "the order is wrong")
        expect(all(r["finish_reason"] != "error" and len(r["tokens"]) > 0 for r in (results[0], results[-1])),
               "a good request was not answered")
        failed = results[-2]
        expect(failed["finish_reason"] == "error", f"not an error: {failed}")
        for word in wanted:
            expect(word in failed["error"], f"{word!r} is not in: {failed['error']}")
        print(failed["error"])

    def shard(self) -> pathlib.Path:
        return self.checkpoint / "model-00001-of-00003.safetensors"

    def edit_header(self, edit) -> None:
        data = self.shard().read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        edit(header)
        text = json.dumps(header).encode()
        self.shard().write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])

    def edit_config(self, **changes) -> None:
        path = self.checkpoint / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def tensor_names(header: dict) -> list[str]:
    return sorted((name for name in header if name != "__metadata__"), key=lambda n: header[n]["data_offsets"][0])


def truncated_safetensors(run: Run) -> None:
    data = run.shard().read_bytes()
    run.shard().write_bytes(data[:-100])
    run.convert_fails(run.shard().name)


def header_longer_than_file(run: Run) -> None:
    data = run.shard().read_bytes()
    run.shard().write_bytes(struct.pack("<Q", 1 << 40) + data[8:])
    run.convert_fails(run.shard().name, str(1 << 40))


def overlapping_tensors(run: Run) -> None:
    names = []

    def edit(header: dict) -> None:
        first, second = names[:] = tensor_names(header)[:2]
        begin, end = header[second]["data_offsets"]
        header[second]["data_offsets"] = [begin - 2, end - 2]
        expect(header[first]["data_offsets"][1] == begin, "the tensors do not touch")

    run.edit_header(edit)
    run.convert_fails(run.shard().name, names[1])


def unknown_dtype(run: Run) -> None:
    names = []

    def edit(header: dict) -> None:
        names.append(tensor_names(header)[0])
        header[names[0]]["dtype"] = "Q7"

    run.edit_header(edit)
    run.convert_fails(run.shard().name, names[0], "Q7")


def wrong_shape(run: Run) -> None:
    run.edit_config(intermediate_size=170)
    run.convert()
    run.run_fails(2, "mlp", "172", "170")


def missing_tensor(run: Run) -> None:
    run.edit_config(num_hidden_layers=4)
    run.convert()
    run.run_fails(2, "model.layers.3.", "missing")


def unaccounted_tensor(run: Run) -> None:
    run.edit_config(num_hidden_layers=2)
    run.convert()
    run.run_fails(2, "model.layers.2.")


def unknown_config_key(run: Run) -> None:
    run.edit_config(logit_softcap=30.0)
    run.convert()
    run.run_fails(2, "logit_softcap")


def corrupted_byte(run: Run) -> None:
    run.convert()
    name = "model.layers.1.mlp.down_proj.weight"
    with h5py.File(run.model) as file:
        offset = file["weights/" + name.replace(".", "/")].id.get_offset()
    with open(run.model, "r+b") as file:
        file.seek(offset + 4321)
        byte = file.read(1)[0]
        file.seek(offset + 4321)
        file.write(bytes([byte ^ 0x10]))
    run.fails(run.start(["verify", run.model], run.options.ranks), 2, name)
    run.run_fails(2, name, "checksum")


def newer_format(run: Run) -> None:
    run.convert()
    with h5py.File(run.model, "r+") as file:
        version = file.attrs["format_version"]
        file.attrs["format_version"] = type(version)(99)
    run.run_fails(2, "format", "99")


def truncated_model(run: Run) -> None:
    run.convert()
    data = run.model.read_bytes()
    run.model.write_bytes(data[:len(data) // 2])
    run.run_fails(2, run.model.name)


def not_a_model(run: Run) -> None:
    run.model.write_bytes(b"hello" * 1000)
    run.run_fails(2, run.model.name)


def missing_model(run: Run) -> None:
    run.run_fails(2, run.model.name)


def missing_input(run: Run) -> None:
    run.convert()
    result = run.start(["generate", run.model, "--input", run.folder / "no.jsonl", "--output", run.output],
                       run.options.ranks)
    run.fails(result, 2, "no.jsonl")


def unknown_option(run: Run) -> None:
    result = run.start(["generate", run.model, "--inptu", "x"], run.options.ranks)
    run.fails(result, 1, "--inptu")


def output_directory_missing(run: Run) -> None:
    run.convert()
    run.run_fails(2, "nowhere", output=run.folder / "nowhere" / "out.jsonl")


def logits_directory_missing(run: Run) -> None:
    run.convert()
    run.run_fails(2, "nowhere", more=["--logits", run.folder / "nowhere" / "logits.h5"])


def disk_full(run: Run) -> None:
    run.convert()
    lines = [dict(GOOD, id=f"r{i}", max_new_tokens=20, ignore_eos=True) for i in range(100)]
    run.run_fails(4, run.output.name, "Free some space", limit=4096, lines=lines, more=["--batch", "8"])
    again = run.start(["generate", run.model, "--input", run.folder / "in.jsonl", "--output", run.output, "--batch", "8",
                       "--resume", "must"], run.options.ranks)
    expect(again.returncode == 0 and "goes on behind line" in again.stderr, f"nothing was kept: {again.stderr}")
    expect(len(run.output.read_text().splitlines()) == len(lines), "results are missing")


def disk_full_in_convert(run: Run) -> None:
    result = run.start(["convert", run.checkpoint, run.model], 0, 100_000)
    run.fails(result, 4, run.model.name)
    expect(not run.model.exists() and not list(run.folder.glob("*.partial*")), "something was left behind")


def invalid_utf8(run: Run) -> None:
    run.one_request_fails([b'{"id": "b", "prompt": "caf\xe9 au lait"}'], "line 2")


def token_out_of_range(run: Run) -> None:
    run.one_request_fails([{"id": "b", "tokens": [1, 800]}], "line 2", "800")


def empty_prompt(run: Run) -> None:
    run.one_request_fails([{"id": "b", "tokens": []}], "line 2", "tokens")


def prompt_too_long(run: Run) -> None:
    run.one_request_fails([{"id": "b", "tokens": [1] * 300}], "line 2", "300", "256")


def bad_json(run: Run) -> None:
    run.one_request_fails([b'{"id": "b", "tokens": [1, 2}'], "line 2")


def duplicate_ids(run: Run) -> None:
    run.one_request_fails([dict(GOOD, id="twin"), dict(GOOD, id="twin")], "line 3", "twin", "line 2")


def cases_in(names: dict) -> dict:
    return {name: value for name, value in names.items()
            if callable(value) and getattr(value, "__annotations__", {}).keys() == {"run", "return"}}


CASES = cases_in(globals())


def main(cases: dict) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    parser.add_argument("--ranks", type=int, default=3)
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("case", choices=sorted(cases))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            cases[options.case](Run(options, pathlib.Path(folder)))
        except Failure as failure:
            print("FAIL", options.case, failure)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(CASES))
