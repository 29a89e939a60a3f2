#!/usr/bin/env python3
"""What convert, inspect, verify and plan say of models with a vision encoder, in both layouts.

  vision_files_test.py --tesserank PROGRAM --golden DIR --count-reads LIBRARY [--mpiexec M] CASE
"""
import json
import pathlib

from load_job import PRESETS, Job, expect, main, read_tensors, sum_of_weights, write_tensors

CASES = ("internvl-hf", "internvl-orig-25heads-bf16", "internvl-orig-psv1-bf16", "internvl-orig-qwen2")
PLACEMENTS = (*PRESETS, "vision.*=split-batch", "vision.*=single:0", "vision.*.attention=replicate")


def job_of(job: Job, case: str) -> Job:
    folder = job.folder / case
    folder.mkdir()
    return Job(job.options, folder, case)


def plan_of(job: Job, ranks: int, placement: str) -> dict:
    result = job.start(0, "plan", job.model, "--ranks", ranks, "--placement", placement, "--json")
    expect(result.returncode == 0, f"plan ended with {result.returncode}: {result.stderr}")
    return json.loads(result.stdout)


def unused_bytes(job: Job) -> int:
    """Of the layer behind the selected one."""
    config = json.loads((job.checkpoint / "config.json").read_text())
    if config.get("select_layer", -1) != -2:
        return 0
    layer = config["vision_config"]["num_hidden_layers"] - 1
    tensors = json.loads(job.start(0, "inspect", job.model, "--json").stdout)["tensors"]
    return sum(t["bytes"] for t in tensors if f"vision_model.encoder.layers.{layer}." in t["name"])


def golden_cases(job: Job) -> None:
    """Each case is converted, inspected, verified and planned: a whole copy holds every byte that is computed with."""
    for case in CASES:
        own = job_of(job, case)
        own.convert()
        own.run(0, "inspect", own.model)
        expect("every checksum is right" in own.start(2, "verify", own.model).stdout, f"{case}: verify")
        weights = sum_of_weights(own.model) - unused_bytes(own)
        for placement in PLACEMENTS:
            plan = plan_of(own, 3, placement)
            names = [module["name"] for module in plan["modules"]]
            expect(names[0] == "vision.embedding" and "vision.projector" in names, f"{case}: {names}")
            held = [rank["weight_bytes"] for rank in plan["by_rank"]]
            expect(placement != "replicate" or held == 3 * [weights], f"{case}: {held}, whole is {weights}")


def check_set(job: Job, ranks: int, placement: str) -> None:
    folder = job.make_set(ranks, placement, f"set{ranks}")
    shared = sum_of_weights(folder / "shared.h5") - unused_bytes(job)
    for rank, facts in enumerate(plan_of(job, ranks, placement)["by_rank"]):
        held = sum_of_weights(folder / f"rank{rank}.h5") + shared
        expect(held == facts["weight_bytes"], f"{job.checkpoint.name}, {ranks} ranks, {placement}: "
               f"rank {rank} holds {held}, planned {facts['weight_bytes']}")
    expect("every checksum is right" in job.start(ranks, "verify", folder).stdout, f"{folder}: verify")


def sets(job: Job) -> None:
    """A set's files hold what the plan says of each rank, with parts of q, k and v that are one tensor."""
    for case, sizes in zip(CASES, ((5,), (2, 3), (4,), (1, 5)), strict=True):
        own = job_of(job, case)
        own.convert()
        for ranks in sizes:
            check_set(own, ranks, "shard")
    check_set(own, 3, "vision.*=split-batch")


def newer_names(job: Job) -> None:
    """Of a checkpoint that a newer version of transformers has written."""
    own = job_of(job, "internvl-hf")
    own.convert()
    want = [plan_of(own, 3, placement)["by_rank"] for placement in PLACEMENTS]
    newer = job.folder / "newer"
    newer.mkdir()
    dtype, tensors = read_tensors(own.checkpoint)
    write_tensors(newer / "model.safetensors", dtype, {
        "model." + name.replace("language_model.model.", "language_model."): array for name, array in tensors.items()})
    (newer / "config.json").write_bytes((own.checkpoint / "config.json").read_bytes())
    own.checkpoint = newer
    own.convert()
    expect([plan_of(own, 3, placement)["by_rank"] for placement in PLACEMENTS] == want, "another plan")
    check_set(own, 3, "shard")


if __name__ == "__main__":
    main({case.__name__: case for case in (golden_cases, sets, newer_names)})
