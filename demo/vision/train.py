"""Trains a tiny InternVL that reads sums in pictures, and writes it as a checkpoint in bfloat16.

Only the answers are trained on. Two things make it quick. Some sums come as text alone: there
arithmetic is learned for a fraction of what a picture costs. And a second head, which is not
written, names the characters in each patch, so that the encoder learns to read long before an
answer could tell it how. One process with one thread.
"""

import argparse
import itertools
import math
import random
import sys
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy

from checkpoint import new_model, read_checkpoint, train_tokenizer, write_checkpoint
from examples import IGNORED, Example, ExampleMaker, Padded, padded
from model import InternVL
from pictures import CHARACTERS
from sums import held_out_sums

sys.path.append(str(Path(__file__).parent.parent))  # the demo of text has the optimizer
from muon import Muon  # noqa: E402


class Reader(torch.nn.Module):
    """Names the character in each half of each patch: [t, 1 + P, E] -> [t, P, 2, names]"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(width, 2 * (1 + len(CHARACTERS)))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.linear(patches[:, 1:]).unflatten(-1, (2, -1))


def losses(model: InternVL, reader: Reader, part: Padded) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums over all answer tokens, and over all halves of patches."""
    features, of_characters = None, torch.zeros(())
    if part.pixels is not None:
        patches = model.vision_model(part.pixels)
        features = model.project(patches)
        of_characters = cross_entropy(reader(patches).flatten(0, 2), part.characters.flatten(),
                                      reduction="sum")
    wanted = part.labels != IGNORED
    logits = model.logits(model.hidden(part.tokens, features)[wanted])
    return cross_entropy(logits, part.labels[wanted], reduction="sum"), of_characters


def add_gradients(model: InternVL, reader: Reader, batch: list[Example]) -> torch.Tensor:
    """Adds the gradients of the batch; returns the mean loss of answers and of characters. [2]"""
    counts = torch.tensor([sum(len(e.answer) for e in batch),
                           sum(e.characters.size for e in batch if e.characters is not None)])
    total = torch.zeros(2)
    for _, group in itertools.groupby(batch, lambda example: example.tile_count):
        with torch.autocast("cpu", torch.bfloat16):
            means = torch.stack(losses(model, reader, padded(list(group)))) / counts
        means.sum().backward()
        total += means.detach()
    return total


def learning_rate(step: int, steps: int, peak: float, warm_up: int = 100) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def make_optimizers(model: InternVL, reader: Reader) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers and the projector, AdamW for all else."""
    inner = [model.vision_model.encoder, model.mlp1, model.language_model.model.layers]
    matrices = [p for part in inner for p in part.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [Muon(matrices, weight_decay=0.1),
            torch.optim.AdamW([*others, *reader.parameters()], betas=(0.9, 0.98), weight_decay=0.0)]


@torch.no_grad()
def share_right(model: InternVL, examples: list[Example]) -> float:
    """Percentage of answers that are predicted right token by token."""
    right = 0
    for _, group in itertools.groupby(examples, lambda example: example.tile_count):
        part = padded(list(group))
        features = None if part.pixels is None else model.project(model.vision_model(part.pixels))
        best = model.logits(model.hidden(part.tokens, features)).argmax(-1)
        right += int(((best == part.labels) | (part.labels == IGNORED)).all(1).sum())
    return 100 * right / len(examples)


def train(model: InternVL, tokenizer: Tokenizer, options: argparse.Namespace) -> None:
    """Runs all steps; prints a line every few hundred, with the time so far.

    The sums it is checked by are held out too, drawn with another seed than those of the test.
    They are printed only: nothing is chosen by them.
    """
    began, reader = time.monotonic(), Reader(model.vision.hidden_size)
    optimizers = make_optimizers(model, reader)
    maker, checker = (ExampleMaker(tokenizer, model.vision, options.seed + options.done + i)
                      for i in (1, 2))
    check = held_out_sums(random.Random(1), 200)
    pictured = sorted(map(checker.pictured, check), key=lambda example: example.tile_count)
    written = [checker.written(question) for question in check]
    batches = itertools.islice(maker.batches(options.pictures, options.texts),
                               options.steps - options.done)
    recent: list[torch.Tensor] = []
    for step, batch in enumerate(batches, start=options.done):
        for group in itertools.chain(*(o.param_groups for o in optimizers)):
            group["lr"] = learning_rate(step, options.steps, options.peak)
        model.zero_grad()
        reader.zero_grad()
        recent.append(add_gradients(model, reader, batch))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if (step + 1) % options.report == 0:
            (answers, characters), recent = sum(recent) / len(recent), []
            write_checkpoint(model, tokenizer, options.out)
            print(f"step {step + 1}  loss {answers:.4f}, of characters {characters:.4f}  right: "
                  f"pictures {share_right(model, pictured):.1f} %, "
                  f"texts {share_right(model, written):.1f} %  "
                  f"{(time.monotonic() - began) / 60:.1f} min ({time.process_time() / 60:.1f} CPU)",
                  flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "model")
    parser.add_argument("--steps", type=int, default=3300)
    parser.add_argument("--done", type=int, default=0,
                        help="of these steps, when --out has the checkpoint of a stopped run")
    parser.add_argument("--pictures", type=int, default=48, help="of a batch")
    parser.add_argument("--texts", type=int, default=32, help="of a batch, without a picture")
    parser.add_argument("--peak", type=float, default=5e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--report", type=int, default=100, help="steps between two lines of output")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    if options.done:
        model, tokenizer = read_checkpoint(options.out)
    else:
        tokenizer = train_tokenizer()
        model = new_model(tokenizer)
    train(model, tokenizer, options)
    write_checkpoint(model, tokenizer, options.out)


if __name__ == "__main__":
    main()
