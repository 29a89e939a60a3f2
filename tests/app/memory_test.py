#!/usr/bin/env python3
"""Memory of real processes: what a run takes against what its plan said, and limits from outside.

  memory_test.py --tesserank PROGRAM --mpiexec M CASE
"""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

SHARE = 0.03  # of the plan, by which a run may differ
RANKS = 2
BATCH, PROMPT, NEW = 4, 128, 4  # prompts that fill a prefill step, as the workspace is made for one
MIB = 1 << 20

# Runs a program and leaves the most memory that it had.
PEAK = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1] + os.environ["OMPI_COMM_WORLD_RANK"], "w") as file:
    file.write(str(usage.ru_maxrss << 10))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAIL {message}")


def write_checkpoint(folder: pathlib.Path, hidden: int, layers: int, vocabulary: int) -> None:
    """Zeros in bf16, which take no place on the disk."""
    folder.mkdir()
    heads, inner = hidden // 32, 3 * hidden
    (folder / "config.json").write_text(json.dumps(
        {"model_type": "llama", "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": inner,
         "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": heads, "hidden_act": "silu",
         "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "tie_word_embeddings": False}))
    shapes = {"model.embed_tokens": (vocabulary, hidden), "model.norm": (hidden, 1), "lm_head": (vocabulary, hidden)}
    for layer in (f"model.layers.{i}." for i in range(layers)):
        shapes |= {layer + "input_layernorm": (hidden, 1), layer + "post_attention_layernorm": (hidden, 1)}
        shapes |= {layer + f"self_attn.{name}_proj": (hidden, hidden) for name in "qkvo"}
        shapes |= {layer + "mlp.gate_proj": (inner, hidden), layer + "mlp.up_proj": (inner, hidden),
                   layer + "mlp.down_proj": (hidden, inner)}
    header, end = {}, 0
    for name, (rows, cols) in shapes.items():
        begin, end = end, end + 2 * rows * cols
        header[name + ".weight"] = {"dtype": "BF16", "shape": [rows] if cols == 1 else [rows, cols],
                                    "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


class Model:
    def __init__(self, options: argparse.Namespace, folder: pathlib.Path, name: str, **sizes: int):
        self.options, self.folder, self.path = options, folder, folder / f"{name}.h5"
        write_checkpoint(folder / name, **sizes)
        self.tesserank("convert", folder / name, self.path, "--quiet")
        (folder / "in.jsonl").write_text("".join(json.dumps(
            {"id": str(i), "tokens": [1] * PROMPT, "max_new_tokens": NEW, "ignore_eos": True}) + "\n"
            for i in range(BATCH)))

    def tesserank(self, *words: object) -> str:
        result = subprocess.run([self.options.tesserank, *map(str, words)], capture_output=True, text=True, check=False)
        expect(result.returncode == 0, f"{words}: {result.stderr}")
        return result.stdout

    def planned(self, *words: str) -> list:
        """Bytes by rank."""
        plan = self.tesserank("plan", self.path, "--ranks", RANKS, "--batch", BATCH, "--prompt", PROMPT, "--new", NEW,
                              "--json", "--backend", "kokkos", *words)
        return [rank["total_bytes"] for rank in json.loads(plan)["by_rank"]]

    def taken(self, *words: str) -> list:
        """The same, of a run."""
        peak = self.folder / "peak."
        command = [self.options.mpiexec, "--oversubscribe", "--bind-to", "none", "-n", str(RANKS), sys.executable, "-c", PEAK,
                   peak, self.options.tesserank, "generate", self.path, "--input", self.folder / "in.jsonl", "--output",
                   self.folder / "out.jsonl", "--batch", BATCH, "--max-length", PROMPT + NEW, "--backend", "kokkos", "--quiet",
                   *words]
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        expect(result.returncode == 0, f"{words}: {result.stderr}")
        (self.folder / "out.jsonl").unlink()
        return [int((self.folder / f"peak.{rank}").read_text()) for rank in range(RANKS)]


def shares_off(small: "Model", large: "Model") -> list[float]:
    """Of what is planned, for each rank under two plans."""
    base = [taken - planned for taken, planned in zip(small.taken(), small.planned())]
    print("processes take", [f"{bytes / MIB:.1f} MiB" for bytes in base])
    shares = []
    for words in (("--placement", "shard", "--dtype", "bf16"), ("--placement", "replicate", "--dtype", "f32")):
        planned, taken = large.planned(*words), large.taken(*words)
        for rank in range(RANKS):
            shares.append((taken[rank] - base[rank] - planned[rank]) / planned[rank])
            print(f"{words[1]} {words[3]}, rank {rank}: planned {planned[rank] / MIB:.1f} MiB, taken "
                  f"{taken[rank] / MIB:.1f} MiB: {100 * shares[-1]:+.2f} %")
    return shares


def as_planned(options: argparse.Namespace, folder: pathlib.Path) -> None:
    """What a process takes besides its plan is what it takes for a model of next to nothing. The vocabulary is small, as a
    plan has room for 512 rows of logits on rank 0, of which decoding touches a few. On a busy machine more messages wait in
    buffers of MPI: what is off is measured again."""
    small = Model(options, folder, "small", hidden=64, layers=1, vocabulary=256)
    large = Model(options, folder, "large", hidden=1280, layers=6, vocabulary=512)
    attempts = 3
    right = any(max(map(abs, shares_off(small, large))) <= SHARE for _ in range(attempts))
    expect(right, f"that is too far off, {attempts} times")


def control_group(options: argparse.Namespace, folder: pathlib.Path) -> None:
    """The kernel's limit is seen before it is felt. 77 where no group can be made."""
    group = make_group(200 * MIB)
    if group is None:
        print("no control group with a memory limit can be made here")
        sys.exit(77)
    try:
        def run(*words: object) -> subprocess.CompletedProcess:
            return subprocess.run(["bash", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "bash", options.tesserank,
                                   *map(str, words)], capture_output=True, text=True, check=False)

        place = json.loads(run("doctor", "--json").stdout)["places"][0]
        expect(place["memory_limit"].startswith(f"control group /{group.name} (v"), place["memory_limit"])
        expect(0 < place["memory_bytes"] <= 200 * MIB, f"{place['memory_bytes']} bytes are left")
        large = Model(options, folder, "large", hidden=1280, layers=6, vocabulary=512)
        result = run("generate", large.path, "--input", folder / "in.jsonl", "--output", folder / "out.jsonl")
        expect(result.returncode == 2 and "memory" in result.stderr, f"{result.returncode}: {result.stderr}")
        print(result.stderr)
    finally:
        group.rmdir()


def make_group(limit: int) -> pathlib.Path | None:
    for mount, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = pathlib.Path(mount) / f"tesserank_test_{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / name).write_text(str(limit))
            return group
        except OSError:
            group.rmdir()
    return None


def main() -> int:
    cases = {case.__name__: case for case in (as_planned, control_group)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tesserank", required=True)
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("case", choices=cases)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases[options.case](options, pathlib.Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
