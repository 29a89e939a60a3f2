"""What load_test.py and set_test.py share: a folder with a model, and the program to run on it."""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

SECONDS = 30  # that a run of ranks takes at most, with its start on a machine that is busy
PRESETS = ("shard", "replicate", "split-batch", "replicate-attention", "split-batch-attention")


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAIL {message}")


def loaded_event(log: str) -> dict:
    return next(event for event in map(json.loads, log.splitlines()) if event["event"] == "loaded")


class Job:
    """A folder with a model, and the program to run on it."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path, case: str = "llama-gqa-rope3-bf16"):
        self.options, self.folder = options, folder
        self.checkpoint = options.golden / "models" / case
        self.model, self.output = folder / "models" / "model.h5", folder / "out.jsonl"
        self.model.parent.mkdir(exist_ok=True)
        prompts = [json.loads(line) for line in (self.checkpoint / "expected/prompts.jsonl").read_text().splitlines()]
        self.greedy = {row["id"]: row["tokens"] for row in map(
            json.loads, (self.checkpoint / "expected/greedy.jsonl").read_text().splitlines())}
        (folder / "in.jsonl").write_text("".join(json.dumps(
            {"id": p["id"], "tokens": p["prompt_tokens"], "max_new_tokens": p["max_new_tokens"]}) + "\n"
            for p in prompts))

    def start(self, ranks: int, *words: object, **environment: str) -> subprocess.CompletedProcess:
        launcher = [self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks else []
        for name in environment:
            launcher += ["-x", name]
        begin = time.monotonic()
        result = subprocess.run([*launcher, self.options.tesserank, *map(str, words)], capture_output=True, text=True,
                                timeout=120, env=dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive",
                                                      **environment))
        result.seconds = time.monotonic() - begin
        return result

    def run(self, ranks: int, *words: object, **environment: str) -> str:
        result = self.start(ranks, *words, **environment)
        expect(result.returncode == 0, f"{words} ended with {result.returncode}: {result.stderr}")
        return result.stderr

    def fails(self, result: subprocess.CompletedProcess, *wanted: object, status: int = 2) -> None:
        messages = [line for line in result.stderr.splitlines() if line.startswith("tesserank:")]
        expect(result.returncode == status, f"exit status {result.returncode}, want {status}: {result.stderr}")
        expect(result.seconds < SECONDS, f"took {result.seconds:.1f} s")
        expect(len(messages) == 1, f"want one message: {result.stderr}")
        expect("MPI_ABORT" not in result.stderr, f"the ranks did not end together: {result.stderr}")
        for word in wanted:
            expect(str(word) in messages[0], f"{word!r} is not in: {messages[0]}")
        print(messages[0])

    def generate_words(self, model: pathlib.Path, *more: object) -> list:
        return ["generate", model, "--input", self.folder / "in.jsonl", "--output", self.output, *more]

    def loaded(self, ranks: int, model: pathlib.Path, *more: object, **environment: str) -> dict:
        """Runs generate, compares its tokens with the golden ones, and returns what it says of loading."""
        events = self.run(ranks, *self.generate_words(model, "--log-json", *more), **environment)
        got = {row["id"]: row["tokens"] for row in map(json.loads, self.output.read_text().splitlines())}
        expect(got == self.greedy, f"{model.name} on {ranks} ranks, {more}: other tokens than the golden ones")
        return loaded_event(events)

    def make_set(self, ranks: int, placement: object, name: str = "set", *more: object) -> pathlib.Path:
        folder = self.model.parent / name
        self.run(0, "convert", self.checkpoint, folder, "--ranks", ranks, "--placement", placement, "--quiet", *more)
        return folder

    def convert(self) -> None:
        self.run(0, "convert", self.checkpoint, self.model, "--quiet", "--force")

    def watch(self) -> dict:
        """The environment in which each rank leaves the bytes that it has read below the models' folder."""
        return {"LD_PRELOAD": str(self.options.count_reads), "COUNT_READS_IN": str(self.folder),
                "COUNT_READS_BELOW": str(self.model.parent.resolve())}

    def watched(self, ranks: int) -> int:
        return sum(int((self.folder / f"bytes.{rank}").read_text()) for rank in range(ranks))


def shapes_of(hidden: int, inner: int, kv: int, vocabulary: int, layers: int) -> dict:
    shapes = {"model.embed_tokens": (vocabulary, hidden), "model.norm": (hidden,), "lm_head": (vocabulary, hidden)}
    for layer in (f"model.layers.{i}." for i in range(layers)):
        shapes.update({layer + "input_layernorm": (hidden,), layer + "post_attention_layernorm": (hidden,),
                       layer + "self_attn.q_proj": (hidden, hidden), layer + "self_attn.k_proj": (kv, hidden),
                       layer + "self_attn.v_proj": (kv, hidden), layer + "self_attn.o_proj": (hidden, hidden),
                       layer + "mlp.gate_proj": (inner, hidden), layer + "mlp.up_proj": (inner, hidden),
                       layer + "mlp.down_proj": (hidden, inner)})
    return shapes


def write_checkpoint(folder: pathlib.Path, vocabulary: int, zeros: bool = False) -> None:
    """A model with 2 KiB of weights for each word of its vocabulary, random ones or zeros that take no place on the
    disk, and 15 MB besides: its texts and index are nothing beside that."""
    folder.mkdir()
    hidden, inner, heads, kv_heads, layers = 256, 1024, 8, 2, 4
    (folder / "config.json").write_text(json.dumps(
        {"model_type": "llama", "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": inner,
         "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
         "hidden_act": "silu", "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": False}))
    shapes = shapes_of(hidden, inner, hidden // heads * kv_heads, vocabulary, layers)
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * int(np.prod(shape))
        header[name + ".weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text, random = json.dumps(header).encode(), np.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in () if zeros else shapes.values():
            file.write(random.normal(0, 0.05, shape).astype("<f4").tobytes())
        file.truncate(8 + len(text) + end)


# Read and written as they are.
BYTES = {"F32": "<u4", "BF16": "<u2"}


def read_tensors(folder: pathlib.Path) -> tuple[str, dict]:
    """The dtype of a checkpoint, and its tensors."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        for name, info in json.loads(data[8:8 + size]).items():
            if name == "__metadata__":
                continue
            begin, end = (8 + size + offset for offset in info["data_offsets"])
            dtype = info["dtype"]
            tensors[name] = np.frombuffer(data[begin:end], BYTES[dtype]).reshape(info["shape"])
    return dtype, tensors


def write_tensors(path: pathlib.Path, dtype: str, tensors: dict) -> None:
    header, end = {}, 0
    for name, array in tensors.items():
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in tensors.values()))


def sum_of_weights(path: pathlib.Path) -> int:
    total = []
    with h5py.File(path) as file:
        if "weights" in file:  # a rank's file may hold nothing
            file["weights"].visititems(
                lambda _, item: total.append(item.id.get_storage_size()) if isinstance(item, h5py.Dataset) else None)
    return sum(total)


def flip_byte(path: pathlib.Path, name: str) -> None:
    with h5py.File(path) as file:
        offset = file["weights/" + name.replace(".", "/")].id.get_offset()
    with open(path, "r+b") as file:
        file.seek(offset + 321)
        byte = file.read(1)[0]
        file.seek(offset + 321)
        file.write(bytes([byte ^ 0x10]))


def main(cases: dict) -> None:
    """Runs the case that the command line names, in a folder of its own."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--golden", required=True, type=pathlib.Path)
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("--count-reads", type=pathlib.Path, help="the library that counts reads")
    parser.add_argument("--inject-fault", type=pathlib.Path, help="the library that makes calls of the system fail")
    parser.add_argument("case", choices=cases)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cases[options.case](Job(options, pathlib.Path(name)))
