"""Writes the pictures of the demo, the questions about them, and what PyTorch answers.

questions.jsonl / answers.jsonl   300 held-out sums, counted by the test
prompts.jsonl / expected.jsonl    8 held-out sums, shown by the demo

Sums and pictures depend on seeds alone, never on what the model gets right. The reference reads
the committed bfloat16 weights, computes in float32, and takes one picture at a time, decoded by
Pillow from its file. With --keep-pictures only the answers are written anew.
"""

import argparse
import json
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer

from checkpoint import END_OF_TEXT, MAX_NEW_TOKENS, pixel_values, prompt_tokens, read_checkpoint
from model import InternVL
from pictures import draw, encoded, tiles_of
from sums import PICTURE_PROMPT, Sum, held_out_sums, is_right

TEST_SEED, TEST_COUNT = 2, 300
SHOWN_SEED, SHOWN_COUNT = 3, 8
KINDS = ["png", "jpg", "webp"]


@dataclass
class Answered:
    """The new tokens, end of text included, and the smallest lead of a best logit over the next."""

    tokens: list[int]
    lead: float


@torch.no_grad()
def greedy(model: InternVL, tokenizer: Tokenizer, tiles: np.ndarray) -> Answered:
    features = model.project(model.vision_model(pixel_values(tiles)))
    prompt = prompt_tokens(tokenizer, PICTURE_PROMPT, len(tiles), model.vision.features)
    end, answered = tokenizer.token_to_id(END_OF_TEXT), Answered([], float("inf"))
    while len(answered.tokens) < MAX_NEW_TOKENS and end not in answered.tokens:
        hidden = model.hidden(torch.tensor([prompt + answered.tokens]), features)
        best_two = model.logits(hidden[0, -1]).topk(2)
        answered.tokens.append(int(best_two.indices[0]))
        answered.lead = min(answered.lead, float(best_two.values[0] - best_two.values[1]))
    return answered


def draw_pictures(sums: list[Sum], paths: list[Path], rng: random.Random) -> None:
    """Those in PNG have no grain: that would make their files large."""
    for question, path in zip(sums, paths, strict=True):
        kind = path.suffix[1:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(draw(question.text, rng, grain=kind != "png").image, kind, rng))


def write_lines(path: Path, rows: list[dict]) -> None:
    """One JSON object per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def answer_all(model: InternVL, tokenizer: Tokenizer, sums: list[Sum], paths: list[Path],
               requests: Path, answers: Path) -> None:
    """Writes both files and prints the share of right answers by the number of tiles."""
    asked, answered, leads = [], [], []
    right: dict[str, list[bool]] = defaultdict(list)
    for index, (question, path) in enumerate(zip(sums, paths, strict=True)):
        with Image.open(path) as image:
            tiles = tiles_of(image)
        result = greedy(model, tokenizer, tiles)
        text = tokenizer.decode(result.tokens, skip_special_tokens=True)
        asked.append({"id": f"q{index}", "prompt": PICTURE_PROMPT,
                      "images": [f"{path.parent.name}/{path.name}"],
                      "max_new_tokens": MAX_NEW_TOKENS})
        kind = "1 tile" if len(tiles) == 1 else f"{len(tiles)} tiles"
        answered.append({"id": f"q{index}", "answer": question.answer, "kind": kind,
                         "torch_text": text, "torch_tokens": result.tokens,
                         "smallest_lead": round(result.lead, 3)})
        leads.append(result.lead)
        right[kind].append(is_right(text, question.answer))
        if not right[kind][-1]:
            print(f"wrong: {path.name} -> {text!r}, not {question.answer!r}")
    write_lines(requests, asked)
    write_lines(answers, answered)
    for kind, results in sorted(right.items()):
        print(f"{kind:8}{sum(results):4} of {len(results)}")
    print(f"{'all':8}{sum(map(sum, right.values())):4} of {len(sums)}")
    print(f"smallest lead {min(leads):.3f}, next {[round(lead, 3) for lead in sorted(leads)[1:6]]}")


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=here / "model")
    parser.add_argument("--out", type=Path, default=here)
    parser.add_argument("--keep-pictures", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(1)
    model, tokenizer = read_checkpoint(options.model)
    for seed, count, folder, requests, answers in [
            (TEST_SEED, TEST_COUNT, "pictures", "questions.jsonl", "answers.jsonl"),
            (SHOWN_SEED, SHOWN_COUNT, "shown", "prompts.jsonl", "expected.jsonl")]:
        rng = random.Random(seed)
        sums = held_out_sums(rng, count)
        paths = [options.out / folder / f"{i:03}.{KINDS[i % len(KINDS)]}" for i in range(count)]
        if not options.keep_pictures:
            draw_pictures(sums, paths, rng)
        answer_all(model, tokenizer, sums, paths, options.out / requests, options.out / answers)


if __name__ == "__main__":
    main()
