#!/usr/bin/env python3
"""Writes what tests/bench/vision_placements.sh has measured into the tables of a document."""
import argparse
import json
import pathlib

from partial_tp import replace_between

ENCODERS = {"300m": "InternViT-300M, 2 layers", "6b": "InternViT-6B, 1 layer"}
LINKS = {"shared": "shared memory", "1gbit": "1 Gbit/s"}
NAMES = {"vision.*=shard": "shard", "vision.*.attention=replicate": "replicate-attention",
         "vision.*=split-batch": "split-batch", "vision.*=replicate": "replicate"}


def mebibytes(count: float) -> str:
    return f"{count / 2**20:.3g}" if count < 999 * 2**20 else f"{count / 2**20:.0f}"


def table_of(result: dict, link: str) -> list[str]:
    tiles = [encoding["tiles"] for encoding in result["plans"][0]["encodings"]]
    lines = ["| link | placement | " + " | ".join(f"{count} tiles: ms" if count > 1 else "1 tile: ms" for count in tiles)
             + f" | encoder on a rank: MiB | sent for {tiles[-1]} tiles: MiB | collectives |",
             "| --- " * (len(tiles) + 5) + "|"]
    fastest = [min(plan["encodings"][place]["encode"]["median"] for plan in result["plans"]) for place in range(len(tiles))]
    for plan in result["plans"]:
        cells = []
        for place, encoding in enumerate(plan["encodings"]):
            median = encoding["encode"]["median"]
            text = f"{1000 * median:.0f}"
            cells.append(f"**{text}**" if median == fastest[place] else text)
        sent = plan["encodings"][-1]["sent"]
        lines.append(f"| {link} | {NAMES[plan['placement']]} | " + " | ".join(cells)
                     + f" | {mebibytes(max(plan['encoder_bytes']))} | {mebibytes(sent['bytes'])} | {sent['collectives']} |")
    return lines


def tables(results: pathlib.Path) -> str:
    parts = []
    for encoder, title in ENCODERS.items():
        lines: list[str] = []
        for link, name in LINKS.items():
            path = results / f"vision-{encoder}-{link}.json"
            if path.exists():
                table = table_of(json.loads(path.read_text()), name)
                lines += table if not lines else table[2:]
        if lines:
            parts.append("\n".join([f"**{title}**", "", *lines]))
    return "\n\n".join(parts)


def write(results: pathlib.Path, document: pathlib.Path) -> None:
    replace_between(document, "vision_placements.py", tables(results))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=pathlib.Path, help="folder of the raw results")
    parser.add_argument("document", type=pathlib.Path, help="where its tables stand between marks")
    options = parser.parse_args()
    write(options.results, options.document)
