#!/usr/bin/env python3
"""What vision_placements.py makes of results, with results that are made up."""
import json
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
import vision_placements


def result(milliseconds: dict[str, tuple[float, float]]) -> dict:
    return {"plans": [{"placement": placement, "encoder_bytes": [3 << 20, 2 << 20], "encodings": [
        {"tiles": tiles, "encode": {"median": time / 1000}, "sent": {"collectives": 7 * tiles, "bytes": tiles << 21}}
        for tiles, time in zip((1, 2), times)]} for placement, times in milliseconds.items()]}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        times = {"vision.*=shard": (10, 21), "vision.*=split-batch": (19, 20)}
        (folder / "vision-300m-shared.json").write_text(json.dumps(result(times)))
        (folder / "vision-300m-1gbit.json").write_text(json.dumps(result({"vision.*=replicate": (30, 60)})))
        document = folder / "document.md"
        document.write_text("Mine.\n<!-- vision_placements.py: begin -->\nold\n<!-- vision_placements.py: end -->\nMine too.\n")
        vision_placements.write(folder, document)
        text = document.read_text()
    for wanted in ("Mine.\n", "\nMine too.\n", "**InternViT-300M, 2 layers**", "1 tile: ms | 2 tiles: ms",
                   "| shared memory | shard | **10** | 21 | 3 | 4 | 14 |",
                   "| shared memory | split-batch | 19 | **20** | 3 | 4 | 14 |",
                   "| 1 Gbit/s | replicate | **30** | **60** | 3 | 4 | 14 |"):
        if wanted not in text:
            sys.exit(f"FAIL no {wanted!r} in {text}")
    if "old" in text or "6B" in text:
        sys.exit(f"FAIL too much in {text}")


if __name__ == "__main__":
    main()
