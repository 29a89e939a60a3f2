"""Sums of two numbers: the questions, their right answers, and which of them are held out.

A hash of the operands decides whether a sum may be trained on, so that a held-out sum was never
seen in any picture, in any font, or as text. `3 + 5` is held out together with `5 + 3`.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

HELD_OUT_SHARE = 10  # one sum in ten is kept away from training
LARGEST_OPERAND = 99

# Where a picture is shown it stands in place of `<image>`; some sums come as text alone.
PICTURE_PROMPT = "<image>\nWork it out."
TEXT_PROMPT = "{sum}\nWork it out."


@dataclass(frozen=True)
class Sum:
    """`left` + or - `right`, never below zero."""

    left: int
    sign: str
    right: int

    @property
    def text(self) -> str:
        return f"{self.left} {self.sign} {self.right}"

    @property
    def result(self) -> int:
        return self.left + self.right if self.sign == "+" else self.left - self.right

    @property
    def answer(self) -> str:
        """What was read stands before the result: that makes each of the two easy to learn."""
        return f"{self.text} = {self.result}"

    @property
    def key(self) -> str:
        """Names the sum without the order of what is added."""
        low, high = sorted((self.left, self.right))
        return f"{high} {self.sign} {low}"

    @property
    def held_out(self) -> bool:
        """True if no training run may ever see this sum; the same on every machine."""
        digest = hashlib.sha256(self.key.encode()).digest()
        return int.from_bytes(digest[:4], "big") % HELD_OUT_SHARE == 0


def random_sum(rng: random.Random) -> Sum:
    """Numbers of one digit are rare among those up to 99 and are drawn more often than that."""
    left, right = (rng.randint(0, LARGEST_OPERAND if rng.random() < 0.8 else 9) for _ in range(2))
    sign = rng.choice("+-")
    return Sum(max(left, right), sign, min(left, right)) if sign == "-" else Sum(left, sign, right)


def training_sums(rng: random.Random) -> Iterator[Sum]:
    """An endless stream that leaves out every held-out sum."""
    while True:
        chosen = random_sum(rng)
        if not chosen.held_out:
            yield chosen


def held_out_sums(rng: random.Random, count: int) -> list[Sum]:
    """`count` different held-out sums."""
    found: dict[str, Sum] = {}
    while len(found) < count:
        chosen = random_sum(rng)
        if chosen.held_out:
            found.setdefault(chosen.key, chosen)
    return list(found.values())


def is_right(text: str, answer: str) -> bool:
    """Exact match, except for the white space around it."""
    return text.strip() == answer.strip()
