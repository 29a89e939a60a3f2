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
WORDS = ("apple bear cherry dog eagle fig goat horse iris jay kiwi lemon mango newt olive pear "
         "quince rabbit salmon tulip violet wolf yak zebra").split()
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


def digit_by_digit(number: int) -> str:
    """`ones 3, tens 4: 43.`, from the right as on paper, because a carry moves to the left."""
    places = zip(("ones", "tens", "hundreds", "thousands"), reversed(str(number)))
    return f" {', '.join(f'{place} {digit}' for place, digit in places)}: {number}."


def addition(rng: random.Random) -> Question:
    a, b = random_operand(rng), random_operand(rng)
    prompt = rng.choice([f"What is {a} plus {b}?", f"Add {a} and {b}.", f"How much is {a} + {b}?"])
    return Question("addition", f"{min(a, b)} {max(a, b)}", prompt, digit_by_digit(a + b))


def subtraction(rng: random.Random) -> Question:
    b, a = sorted((random_operand(rng), random_operand(rng)))
    prompt = rng.choice([f"What is {a} minus {b}?", f"Take {b} away from {a}.",
                         f"How much is {a} - {b}?"])
    return Question("subtraction", f"{a} {b}", prompt, digit_by_digit(a - b))


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
    answer = ", ".join(sorted(words))
    return Question("sorting words", " ".join(sorted(words)), prompt, f" {answer}.")


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


def weekday(rng: random.Random) -> Question:
    """Whole weeks change nothing; the rest is counted out, day by day."""
    start, days, later = rng.randrange(7), rng.randint(1, 60), rng.random() < 0.5
    name, amount = WEEKDAYS[start], count_of(days, "day")
    word = "after" if later else "before"
    spoken = f"will it be in {amount}" if later else f"was it {amount} ago"
    prompt = rng.choice([f"Which weekday is {amount} {word} {name}?",
                         f"It is {name}. Which weekday {spoken}?"])
    rest, direction = days % 7, 1 if later else -1
    counted = ", ".join(WEEKDAYS[(start + direction * day) % 7] for day in range(rest + 1))
    answer = f" {days} = {days - rest} + {rest}: {counted}."
    return Question("weekday", f"{name} {word} {days}", prompt, answer)


def clock(minutes: int) -> str:
    """Minutes since midnight on a 24-hour clock."""
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def time_of_day(rng: random.Random) -> Question:
    start, change = rng.randrange(0, 24 * 60, 5), rng.randrange(5, 60, 5)
    later = rng.random() < 0.5
    shown, word = clock(start), "after" if later else "before"
    amount = count_of(change, "minute")
    prompt = rng.choice([f"What time is it {amount} {word} {shown}?",
                         f"What is {amount} {word} {shown}?"])
    signed = change if later else -change
    sum_of_minutes = f"{start % 60} {'+' if later else '-'} {change} = {start % 60 + signed}"
    answer = f" {sum_of_minutes}: {clock((start + signed) % (24 * 60))}."
    return Question("time of day", f"{shown} {word} {change}", prompt, answer)


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


# Kinds that need more practice are drawn more often.
TASKS: list[tuple[Callable[[random.Random], Question], float]] = [
    (addition, 1.5),
    (subtraction, 2.0),
    (sorting_numbers, 2.0),
    (sorting_words, 1.0),
    (comparison, 1.5),
    (weekday, 1.0),
    (time_of_day, 1.5),
    (unit_conversion, 2.0),
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
