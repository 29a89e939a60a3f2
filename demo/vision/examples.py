"""What training sees: sums as prompts with right answers, with or without a picture."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from checkpoint import END_OF_TEXT, pixel_values, prompt_tokens
from model import VisionShape
from pictures import labels_of, random_drawing, tiles_of
from sums import PICTURE_PROMPT, TEXT_PROMPT, Sum, training_sums

IGNORED = -100  # label of positions without a loss


@dataclass
class Example:
    prompt: list[int]
    answer: list[int]
    tiles: np.ndarray | None = None  # [t, S, S, 3]
    characters: np.ndarray | None = None  # in each half of each patch [t, P, 2]

    @property
    def tile_count(self) -> int:
        return 0 if self.tiles is None else len(self.tiles)


class ExampleMaker:
    """Turns sums into examples; everything random comes from one seed."""

    def __init__(self, tokenizer: Tokenizer, shape: VisionShape, seed: int) -> None:
        self.tokenizer, self.shape, self.rng = tokenizer, shape, random.Random(seed)
        self.end = tokenizer.token_to_id(END_OF_TEXT)

    def answer(self, question: Sum) -> list[int]:
        return self.tokenizer.encode(question.answer).ids + [self.end]

    def pictured(self, question: Sum) -> Example:
        drawing = random_drawing(question.text, self.rng)
        tiles = tiles_of(drawing.image)
        prompt = prompt_tokens(self.tokenizer, PICTURE_PROMPT, len(tiles), self.shape.features)
        return Example(prompt, self.answer(question), tiles,
                       labels_of(drawing, self.shape.patches_across))

    def written(self, question: Sum) -> Example:
        prompt = self.tokenizer.encode(TEXT_PROMPT.format(sum=question.text)).ids
        return Example(prompt, self.answer(question))

    def batches(self, pictures: int, texts: int) -> Iterator[list[Example]]:
        """Endless batches; those with as many tiles, and so of nearly one length, together."""
        sums = training_sums(self.rng)
        while True:
            batch = [self.pictured(question) for question in itertools.islice(sums, pictures)]
            batch += [self.written(question) for question in itertools.islice(sums, texts)]
            yield sorted(batch, key=lambda example: example.tile_count)


@dataclass
class Padded:
    """Examples as tensors, padded on the right, where causal attention never looks."""

    tokens: torch.Tensor  # [B, T]
    labels: torch.Tensor  # [B, T], of the next token
    pixels: torch.Tensor | None  # [t, 3, S, S] of all pictures
    characters: torch.Tensor | None  # [t, P, 2]


def padded(examples: list[Example]) -> Padded:
    longest = max(len(e.prompt) + len(e.answer) for e in examples)
    tokens, labels = [], []
    for example in examples:
        padding = longest - len(example.prompt) - len(example.answer)
        tokens.append(example.prompt + example.answer + [0] * padding)
        labels.append([IGNORED] * len(example.prompt) + example.answer + [IGNORED] * padding)
    with_picture = [e for e in examples if e.tiles is not None]
    pixels, characters = None, None
    if with_picture:
        pixels = pixel_values(np.concatenate([e.tiles for e in with_picture]))
        characters = torch.from_numpy(np.concatenate([e.characters for e in with_picture])).long()
    return Padded(torch.tensor(tokens)[:, :-1], torch.tensor(labels)[:, 1:], pixels, characters)
