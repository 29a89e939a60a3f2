#!/usr/bin/env python3
"""What tests/bench/partial_tp.sh measures, and what becomes of it.

  partial_tp.py config SHAPE                    a config.json
  partial_tp.py plans SHAPE                     the placements to measure, one a line
  partial_tp.py report RESULTS DOCUMENT PLOT    tables between the markers of DOCUMENT, and PLOT as SVG

--quick in front of the command: tiny models, to try the scripts.
"""
import argparse
import dataclasses
import fnmatch
import json
import pathlib
import statistics
import sys

import partial_tp_plot

# About 100 million parameters each, and unlike: many layers whose MLP is four fifths of the model, or few layers with an
# odd number of heads, a small MLP and a vocabulary of two fifths.
SHAPES = {
    "wide-mlp": {"model_type": "llama", "vocab_size": 8192, "hidden_size": 768, "intermediate_size": 3072,
                 "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 4,
                 "tie_word_embeddings": False, "rms_norm_eps": 1e-5},
    "25-heads": {"model_type": "qwen2", "vocab_size": 32000, "hidden_size": 1600, "intermediate_size": 1600,
                 "num_hidden_layers": 5, "num_attention_heads": 25, "num_key_value_heads": 5,
                 "tie_word_embeddings": True, "rms_norm_eps": 1e-6},
}
COMMON = {"hidden_act": "silu", "max_position_embeddings": 4096, "rope_theta": 10000.0, "torch_dtype": "bfloat16"}
LINKS = {"shared": "shared memory", "10gbit": "10 Gbit/s", "1gbit": "1 Gbit/s", "latency": "shared memory + 1 ms"}
WORKLOADS = {"prefill": "prefill", "decode-1": "decode, batch 1", "decode-16": "decode, batch 16"}
MARK = "partial_tp.py"
NEAR = 1.05


def config_of(shape: str, quick: bool) -> dict:
    config = {**SHAPES[shape], **COMMON}
    return {**config, "num_hidden_layers": 2, "vocab_size": 1000} if quick else config


@dataclasses.dataclass(frozen=True)
class Plan:
    name: str
    wish: str
    family: str  # "full": every module cut; "none": no matrix cut; "partial": some


def plans_of(config: dict) -> list[Plan]:
    layers = config["num_hidden_layers"]
    lower = range((layers + 1) // 2)
    upper = range(len(lower), layers)

    def layers_are(which: range, placement: str) -> str:
        return ",".join(f"layers.{layer}.*={placement}" for layer in which)

    pipeline = ",".join(["embedding=single:0", layers_are(lower, "single:0"), layers_are(upper, "single:1"),
                         "lm_head=single:1"])
    whole_vocabulary = "embedding=replicate,lm_head=replicate"
    return [
        Plan("shard", "shard", "full"),
        Plan("replicate", "replicate", "none"),
        Plan("split-batch", "split-batch", "none"),
        Plan("one rank", "*=single:0", "none"),
        Plan("pipeline", pipeline, "none"),
        Plan("replicate-attention", "replicate-attention", "partial"),
        Plan("split-batch-attention", "split-batch-attention", "partial"),
        Plan("replicated attention and vocabulary", f"*.attention=replicate,{whole_vocabulary}", "partial"),
        Plan("whole vocabulary", whole_vocabulary, "partial"),
        Plan("vocabulary on rank 0", "embedding=single:0,lm_head=single:0", "partial"),
        Plan("replicated MLP", "*.mlp=replicate", "partial"),
        Plan("split-batch MLP", "*.mlp=split-batch", "partial"),
        Plan("split-batch layers", "*.attention=split-batch,*.mlp=split-batch", "partial"),
        Plan("lower half replicated", layers_are(lower, "replicate"), "partial"),
    ]


@dataclasses.dataclass
class Timed:
    plan: Plan
    runs: list[float]
    collectives: int
    sent_bytes: int

    @property
    def seconds(self) -> float:
        return statistics.median(self.runs)


class Cell:
    """One shape, link and workload: every plan, and the planner's choice."""

    def __init__(self, shape: str, link: str, workload: str, result: dict, choice: dict):
        self.shape, self.link, self.workload = shape, link, workload
        self.batch = result["plans"][0]["batches"][0]
        known = {plan.wish: plan for plan in plans_of(config_of(shape, False)) + plans_of(config_of(shape, True))}
        self.timed, self.auto = [], None
        for entry in result["plans"]:
            plan = known.get(entry["placement"])
            timed = self._timed(plan or Plan(describe(choice), entry["placement"], family_of(choice)),
                                entry["batches"][0])
            if plan is None:
                self.auto = timed
            else:
                self.timed.append(timed)
        self._pool()

    @staticmethod
    def _timed(plan: Plan, batch: dict) -> Timed:
        sent = batch["sent"].values()
        return Timed(plan, batch["total"]["runs"], sum(phase["collectives"] for phase in sent),
                     sum(phase["bytes"] for phase in sent))

    def _pool(self) -> None:
        """A choice that is one of the plans was measured twice: all runs count for both."""
        for timed in self.timed:
            if timed.plan.name == self.auto.plan.name and timed.sent_bytes == self.auto.sent_bytes:
                timed.runs = self.auto.runs = timed.runs + self.auto.runs

    @property
    def best(self) -> Timed:
        return min([*self.timed, self.auto], key=lambda timed: timed.seconds)

    def best_of(self, family: str) -> Timed:
        return min((timed for timed in self.timed if timed.plan.family == family), key=lambda timed: timed.seconds)

    @property
    def ratio(self) -> float:
        return self.auto.seconds / self.best.seconds


def modules_of(choice: dict) -> dict[str, dict[str, int]]:
    """How often each placement occurs: {"attention": {"shard": 12}, "lm_head": {"single:0": 1}, ...}."""
    kinds: dict[str, dict[str, int]] = {}
    for name, module in choice["modules"].items():
        count = kinds.setdefault(name.split(".")[-1], {})
        count[module["placement"]] = count.get(module["placement"], 0) + 1
    return kinds


def describe(choice: dict) -> str:
    """The name of the plan that has the same placements, or a text that says them."""
    kinds = modules_of(choice)
    layers = sum(kinds["attention"].values())
    config = {"num_hidden_layers": layers}
    for plan in plans_of(config):
        if all(placement_under(plan.wish, name) == module["placement"] for name, module in choice["modules"].items()):
            return plan.name
    words = []
    for kind, counts in kinds.items():
        several = len(counts) > 1
        words.append(f"{kind} " + " + ".join(f"{count} {placement}" if several else placement
                                             for placement, count in counts.items()))
    return ", ".join(words)


def placement_under(wish: str, module: str) -> str:
    """What tesserank makes of a wish, for the few kinds of wishes above."""
    presets = {"shard": "", "replicate": "*=replicate", "split-batch": "*=split-batch",
               "replicate-attention": "*.attention=replicate", "split-batch-attention": "*.attention=split-batch"}
    placement = "shard"
    for rule in filter(None, presets.get(wish, wish).split(",")):
        pattern, given = rule.split("=")
        if fnmatch.fnmatchcase(module, pattern):
            placement = given
    return placement


def family_of(choice: dict) -> str:
    cut = [module["placement"] == "shard" for module in choice["modules"].values()]
    return "full" if all(cut) else "partial" if any(cut) else "none"


def cells_in(folder: pathlib.Path) -> list[Cell]:
    cells = []
    for shape in SHAPES:
        for link in LINKS:
            for workload in WORKLOADS:
                stem = f"partial-tp-{shape}-{link}-{workload}"
                result, choice = folder / f"{stem}.json", folder / f"{stem}.plan.json"
                if result.exists() and choice.exists():
                    cells.append(Cell(shape, link, workload, json.loads(result.read_text()),
                                      json.loads(choice.read_text())))
    return cells


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f}" if seconds >= 0.1 else f"{1000 * seconds:.1f}"


def summary(cells: list[Cell]) -> str:
    lines = []
    measured = [cell for cell in cells if cell.link != "latency"]
    for title, group in (("The planner's choice", measured),
                         ("With 1 ms more for each collective, it", [c for c in cells if c.link == "latency"])):
        if group:
            near = sum(cell.ratio <= NEAR for cell in group)
            lines.append(f"{title} is within 5 % of the fastest measured plan in **{near} of {len(group)}** cells; "
                         f"at worst it takes {max(cell.ratio for cell in group):.2f} times as long.")
    return " ".join(lines)


def choices(cells: list[Cell]) -> str:
    rows = []
    for cell in cells:
        shard = next(timed for timed in cell.timed if timed.plan.name == "shard")
        rows.append([cell.shape, LINKS[cell.link], WORKLOADS[cell.workload],
                     f"{cell.best.plan.name}: {milliseconds(cell.best.seconds)}",
                     f"{cell.auto.plan.name}: {milliseconds(cell.auto.seconds)}",
                     f"{cell.ratio:.2f}" if cell.ratio <= NEAR else f"**{cell.ratio:.2f}**",
                     milliseconds(shard.seconds), str(shard.collectives), str(cell.auto.collectives)])
    return table(["model", "link", "workload", "fastest: ms", "auto: ms", "auto / fastest", "shard: ms",
                  "collectives of shard", "of auto"], rows)


def all_plans(cells: list[Cell], shape: str) -> str:
    """Milliseconds of each plan in each cell of a model; the fastest in bold."""
    mine = [cell for cell in cells if cell.shape == shape]
    rows = []
    for index, plan in enumerate(plans_of(config_of(shape, False))):
        row = [plan.name]
        for cell in mine:
            text = milliseconds(cell.timed[index].seconds)
            fastest = cell.timed[index].seconds == min(timed.seconds for timed in cell.timed)
            row.append(f"**{text}**" if fastest else text)
        rows.append(row)
    rows.append(["auto", *(milliseconds(cell.auto.seconds) for cell in mine)])
    return table(["plan", *(f"{LINKS[cell.link]}, {WORKLOADS[cell.workload]}" for cell in mine)], rows)


def workloads(cells: list[Cell]) -> str:
    seen = {}
    for cell in cells:
        seen.setdefault(cell.workload, [WORKLOADS[cell.workload], str(cell.batch["batch"]), str(cell.batch["prompt"]),
                                        str(cell.batch["new_tokens"])])
    return table(["workload", "sequences", "tokens of a prompt", "new tokens"], list(seen.values()))


def document(cells: list[Cell]) -> str:
    parts = [summary(cells), choices(cells), workloads(cells)]
    for shape in SHAPES:
        if any(cell.shape == shape for cell in cells):
            parts += [f"### Every plan, model {shape}", all_plans(cells, shape)]
    return "\n\n".join(parts)


def replace_between(path: pathlib.Path, mark: str, text: str) -> None:
    """Between the lines <!-- MARK: begin --> and <!-- MARK: end --> of a document there is then that text alone."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    old = path.read_text()
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        sys.exit(f"{mark}: {path} has no lines {begin} and {end}")
    path.write_text(f"{old.split(begin)[0]}{begin}\n{text}\n{end}{old.split(end)[1]}")


def report(folder: pathlib.Path, path: pathlib.Path, plot: pathlib.Path) -> None:
    cells = cells_in(folder)
    if not cells:
        sys.exit(f"partial_tp.py: {folder} holds no results")
    if not path.exists():
        image = f"![Times of plans that cut all, some or no modules, by link, workload and model]({plot.name})"
        path.write_text(f"# Partial tensor parallelism\n\n{image}\n\n<!-- {MARK}: begin -->\n<!-- {MARK}: end -->\n")
    replace_between(path, MARK, document(cells))
    plot.write_text(partial_tp_plot.draw(cells, LINKS, WORKLOADS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("config", "plans"):
        commands.add_parser(name).add_argument("shape", choices=SHAPES)
    files = commands.add_parser("report")
    for name in ("results", "document", "plot"):
        files.add_argument(name, type=pathlib.Path)
    options = parser.parse_args()
    if options.command == "config":
        print(json.dumps(config_of(options.shape, options.quick)))
    elif options.command == "plans":
        print(*(plan.wish for plan in plans_of(config_of(options.shape, options.quick))), sep="\n")
    else:
        report(options.results, options.document, options.plot)


if __name__ == "__main__":
    main()
