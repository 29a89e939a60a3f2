#!/usr/bin/env python3
"""What partial_tp.py makes of results, with results that are made up."""
import json
import pathlib
import sys
import tempfile
import xml.dom.minidom

sys.dont_write_bytecode = True
import partial_tp


def expect(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAIL {message}")


def entry(placement: str, seconds: float, sent: int = 100) -> dict:
    runs = [seconds * factor for factor in (1.0, 0.99, 1.5, 0.98, 1.01)]
    none = {"collectives": 0, "bytes": 0}
    return {"placement": placement, "batches": [
        {"batch": 4, "prompt": 8, "new_tokens": 2, "total": {"runs": runs},
         "sent": {"prefill": {"collectives": 9, "bytes": sent}, "decode": none}}]}


def choice_of(wish: str, layers: int) -> dict:
    names = ["embedding", *(f"layers.{i}.{kind}" for i in range(layers) for kind in ("attention", "mlp")), "lm_head"]
    return {"modules": {name: {"placement": partial_tp.placement_under(wish, name)} for name in names}}


def write_cell(folder: pathlib.Path, shape: str, link: str, seconds: dict[str, float], wish: str, auto: float) -> None:
    """A cell where plans take what `seconds` says by name, and all others twice as long as plain sharding."""
    config = partial_tp.config_of(shape, False)
    stem = f"partial-tp-{shape}-{link}-decode-1"
    entries = [entry(plan.wish, seconds.get(plan.name, 2.0)) for plan in partial_tp.plans_of(config)]
    entries.append(entry(f"{stem}.plan.json", auto))
    (folder / f"{stem}.json").write_text(json.dumps({"plans": entries}))
    (folder / f"{stem}.plan.json").write_text(json.dumps(choice_of(wish, config["num_hidden_layers"])))


def plans_have_their_names() -> None:
    for shape in partial_tp.SHAPES:
        config = partial_tp.config_of(shape, False)
        plans = partial_tp.plans_of(config)
        expect(len({plan.wish for plan in plans}) == len(plans) >= 12, "fewer than 12 plans")
        for plan in plans:
            choice = choice_of(plan.wish, config["num_hidden_layers"])
            expect(partial_tp.describe(choice) == plan.name, f"{plan.name} is called {partial_tp.describe(choice)}")
            expect(partial_tp.family_of(choice) == plan.family, f"{plan.name} is of family {partial_tp.family_of(choice)}")
    other = choice_of("layers.0.mlp=single:1,lm_head=single:0", 5)
    expect(partial_tp.describe(other) == "embedding shard, attention shard, mlp 1 single:1 + 4 shard, lm_head single:0",
           partial_tp.describe(other))


def the_document_says_who_wins(folder: pathlib.Path) -> None:
    write_cell(folder, "wide-mlp", "shared", {"shard": 1.0}, "*.mlp=single:1", 1.04)
    write_cell(folder, "wide-mlp", "1gbit", {"shard": 1.0, "replicate-attention": 0.5}, "lm_head=single:1", 0.6)
    write_cell(folder, "25-heads", "latency", {"split-batch": 0.25}, "split-batch", 0.27)
    document, plot = folder / "doc.md", folder / "plot.svg"
    document.write_text("Mine.\n<!-- partial_tp.py: begin -->\nold\n<!-- partial_tp.py: end -->\nMine too.\n")
    partial_tp.report(folder, document, plot)
    text = document.read_text()
    expect(text.startswith("Mine.\n") and text.endswith("Mine too.\n") and "old" not in text, "the prose has changed")
    expect("**1 of 2** cells; at worst it takes 1.20 times" in text, f"the summary: {text}")
    # Measured twice, so the median of ten runs stands for both.
    expect("**1 of 1** cells; at worst it takes 1.00 times" in text, f"the summary with latency: {text}")
    expect("| replicate-attention: 500 | " in text and "**1.20** | 1000 | 9 | 9 |" in text, f"the choices: {text}")
    expect("| **1000** | 1000 |" in text, f"the plans: {text}")
    drawn = xml.dom.minidom.parseString(plot.read_text())
    rings = [circle for circle in drawn.getElementsByTagName("circle") if circle.getAttribute("class") == "auto"]
    expect(len(rings) == 3 + 1, "want a ring for each cell, and one that explains it")
    expect("prefers-color-scheme: dark" in plot.read_text(), "no dark mode")
    again = text
    partial_tp.report(folder, document, plot)
    expect(document.read_text() == again, "the same results gave another document")


def what_is_missing_is_named(folder: pathlib.Path) -> None:
    def message(document: pathlib.Path) -> str:
        try:
            partial_tp.report(folder, document, folder / "plot.svg")
        except SystemExit as error:
            return str(error)
        return ""

    expect("no results" in message(folder / "doc.md"), "no results")
    write_cell(folder, "wide-mlp", "shared", {"shard": 1.0}, "shard", 1.0)
    (folder / "doc.md").write_text("prose alone")
    expect("doc.md" in message(folder / "doc.md"), "no markers")
    expect((folder / "doc.md").read_text() == "prose alone", "the prose was replaced")
    expect(message(folder / "new.md") == "" and "plot.svg" in (folder / "new.md").read_text(), "a new document")


def main() -> None:
    plans_have_their_names()
    for case in (the_document_says_who_wins, what_is_missing_is_named):
        with tempfile.TemporaryDirectory() as name:
            case(pathlib.Path(name))
            print("ok", case.__name__)


if __name__ == "__main__":
    main()
