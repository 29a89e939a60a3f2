"""Short English questions with one right answer that a program can compute.

Every question has a key that names its facts but not its wording or the order of its operands.
A hash of the key decides whether the question may be trained on, so a held-out question was never
trained on in another phrasing either, and `3 + 5` is never the shadow of a trained `5 + 3`.
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HELD_OUT_SHARE = 10  # one key in ten is kept away from training

WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = ("January February March April May June July August September October November "
          "December").split()
WORDS = ("apple bear cherry dog eagle fig goat horse iris jay kiwi lemon mango newt olive pear quince "
         "rabbit salmon tulip violet wolf yak zebra").split()
# (large unit, small unit, small units in a large one, largest count of the large unit)
UNITS = [
    ("hour", "minute", 60, 12),
    ("minute", "second", 60, 12),
    ("metre", "centimetre", 100, 20),
    ("kilometre", "metre", 1000, 20),
    ("kilogram", "gram", 1000, 20),
]


@dataclass(frozen=True)
class Question:
    """A prompt, the exact text that must follow it, and the key that decides about its use."""

    kind: str
    key: str
    prompt: str
    answer: str

    @property
    def held_out(self) -> bool:
        """True if no training run may ever see this question; the same on every machine."""
        digest = hashlib.sha256(f"{self.kind} {self.key}".encode()).digest()
        return int.from_bytes(digest[:4], "big") % HELD_OUT_SHARE == 0


def is_right(text: str, answer: str) -> bool:
    """Exact match, except for the white space around the sentence."""
    return text.strip() == answer.strip()


def count_of(number: int, unit: str) -> str:
    """`1 hour`, `2 hours`."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def listing(items: list[str]) -> str:
    """`3, 7 and 5`, as a person would write a list inside a sentence."""
    return f"{', '.join(items[:-1])} and {items[-1]}"


def random_operand(rng: random.Random) -> int:
    """Numbers of up to three digits; uniform numbers alone would leave short ones almost unseen."""
    return rng.randint(0, 999) if rng.random() < 0.8 else rng.randint(0, 99)


def addition(rng: random.Random) -> Question:
    a, b = random_operand(rng), random_operand(rng)
    prompt = rng.choice([f"What is {a} plus {b}?", f"Add {a} and {b}.", f"How much is {a} + {b}?"])
    return Question("addition", f"{min(a, b)} {max(a, b)}", prompt, f" {a + b}.")


def subtraction(rng: random.Random) -> Question:
    b, a = sorted((random_operand(rng), random_operand(rng)))
    prompt = rng.choice([f"What is {a} minus {b}?", f"Take {b} away from {a}.",
                         f"How much is {a} - {b}?"])
    return Question("subtraction", f"{a} {b}", prompt, f" {a - b}.")


def sorting_numbers(rng: random.Random) -> Question:
    numbers = rng.sample(range(100), rng.randint(3, 4))
    descending = rng.random() < 0.5
    shown = listing([str(n) for n in numbers])
    order = "from largest to smallest" if descending else "from smallest to largest"
    prompt = rng.choice([f"Sort {shown} {order}.", f"List {shown} {order}."])
    answer = ", ".join(str(n) for n in sorted(numbers, reverse=descending))
    return Question("sorting numbers", " ".join(map(str, sorted(numbers))), prompt, f" {answer}.")


def sorting_words(rng: random.Random) -> Question:
    words = rng.sample(WORDS, rng.randint(3, 4))
    prompt = rng.choice([f"Sort {listing(words)} alphabetically.",
                         f"Put {listing(words)} in alphabetical order."])
    return Question("sorting words", " ".join(sorted(words)), prompt, f" {', '.join(sorted(words))}.")


def comparison(rng: random.Random) -> Question:
    if rng.random() < 0.3:  # close numbers are decided by their last digit and need practice
        base = rng.randint(0, 989)
        numbers = [base + n for n in rng.sample(range(10), 2)]
    else:
        numbers = rng.sample(range(1000), rng.randint(2, 3))
    adjective, pick = rng.choice([("largest", max), ("smallest", min)])
    if len(numbers) == 2:
        adjective = {"largest": "larger", "smallest": "smaller"}[adjective]
    shown = [str(n) for n in numbers]
    prompt = rng.choice([f"Which is {adjective}, {', '.join(shown[:-1])} or {shown[-1]}?",
                         f"Which of {listing(shown)} is {adjective}?"])
    return Question("comparison", " ".join(map(str, sorted(numbers))), prompt, f" {pick(numbers)}.")


def step_in_cycle(rng: random.Random, kind: str, names: list[str], unit: str, most: int) -> Question:
    """A weekday or a month some steps later or earlier than another."""
    start, steps = rng.randrange(len(names)), rng.randint(1, most)
    name, later = names[start], rng.random() < 0.5
    amount, word = count_of(steps, unit), "after" if later else "before"
    spoken = f"in {amount}" if later else f"{amount} ago"
    verb = "will it be" if later else "was it"
    prompt = rng.choice([f"Which {kind} is {amount} {word} {name}?",
                         f"It is {name}. Which {kind} {verb} {spoken}?"])
    end = names[(start + (steps if later else -steps)) % len(names)]
    return Question(kind, f"{name} {word} {steps}", prompt, f" {end}.")


def weekday(rng: random.Random) -> Question:
    return step_in_cycle(rng, "weekday", WEEKDAYS, "day", 60)


def month(rng: random.Random) -> Question:
    return step_in_cycle(rng, "month", MONTHS, "month", 36)


def clock(minutes: int) -> str:
    """Minutes since midnight on a 24-hour clock."""
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def time_of_day(rng: random.Random) -> Question:
    start, change = rng.randrange(24 * 60), rng.randint(1, 150)
    later = rng.random() < 0.5
    shown, word = clock(start), "after" if later else "before"
    amount = count_of(change, "minute")
    prompt = rng.choice([f"What time is it {amount} {word} {shown}?", f"What is {amount} {word} {shown}?"])
    end = clock((start + (change if later else -change)) % (24 * 60))
    return Question("time of day", f"{shown} {word} {change}", prompt, f" {end}.")


def unit_conversion(rng: random.Random) -> Question:
    large, small, factor, most = rng.choice(UNITS)
    high, low = rng.randint(1, most), rng.randint(1, factor - 1)
    mixed = f"{count_of(high, large)} and {count_of(low, small)}"
    total = count_of(high * factor + low, small)
    if rng.random() < 0.5:
        prompt = rng.choice([f"How many {small}s are {mixed}?", f"Convert {mixed} to {small}s."])
        answer = total
    else:
        prompt = rng.choice([f"How many {large}s and {small}s are {total}?",
                             f"Convert {total} to {large}s and {small}s."])
        answer = mixed
    return Question("unit conversion", f"{high} {large} {low} {small}", prompt, f" {answer}.")


# Weights follow how much practice each kind needs, found in short pilot runs.
TASKS: list[tuple[Callable[[random.Random], Question], float]] = [
    (addition, 2.0),
    (subtraction, 2.0),
    (sorting_numbers, 1.5),
    (sorting_words, 1.0),
    (comparison, 1.0),
    (weekday, 1.5),
    (month, 1.5),
    (time_of_day, 2.0),
    (unit_conversion, 1.5),
]


def training_questions(rng: random.Random) -> Iterator[Question]:
    """An endless stream that leaves out every held-out question."""
    makers, weights = zip(*TASKS)
    while True:
        for maker in rng.choices(makers, weights, k=64):
            question = maker(rng)
            if not question.held_out:
                yield question


def held_out_questions(seed: int, count: int) -> list[Question]:
    """`count` held-out questions about different facts, in equal numbers by kind (up to one)."""
    rng, found, seen = random.Random(seed), [], set()
    while len(found) < count:
        maker = TASKS[len(found) % len(TASKS)][0]
        question = maker(rng)
        if question.held_out and (question.kind, question.key) not in seen:
            seen.add((question.kind, question.key))
            found.append(question)
    return found
