"""Questions about a picture, balanced: whoever does not look is right half of the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import lcm

from minillm.text.world.documents import FACT_PLACES, WorldDocument
from minillm.text.world.english import article
from minillm.text.world.rng import SplitMix64, cumulate, keyed
from minillm.text.world.story import STORY

_THINGS = {"object": "top", "container": "bottom"}  # fact → where it is drawn
_COLORS = {"color": "top", "container_color": "bottom"}
_COUNTS = {"1": "one thing", "2": "two things", "3": "three things"}


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureQuestion:
    """A question about a picture, with the answers to choose from."""

    kind: str  # the fact that is asked for: "object", "color", "number", …
    text: str
    choices: tuple[str, str]
    answer: str  # one of the choices


class Wheel:
    """Finds for each value of a fact another one, such that nobody can tell which is the true one.

    The values are sectors of a wheel, each as large as its probability. Where the wheel stopped at
    the true value, it is turned on by just one half. No sector is larger than a half, so another
    value comes up; and since a half turn back is a half turn too, (a, b) is as likely as (b, a):
    of two values shown, each is the true one with probability 1/2, however likely they are.

    Args:
        weights: Of the values, whole numbers.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self._ends = cumulate(2 * weight for weight in weights)  # even: the half is whole
        self._total = self._ends[-1]
        if 2 * max(weights) > self._total // 2:
            raise ValueError(f"a value of weight {max(weights)} has more than half of the wheel")

    def other(self, value: int, rng: SplitMix64) -> int:
        """Return another value.

        Args:
            value: The true one, drawn with its weight.
            rng: Draws where inside its sector the wheel stopped.
        """
        start = self._ends[value - 1] if value else 0
        stopped = start + rng.below(self._ends[value] - start)
        turned = (stopped + self._total // 2) % self._total
        return next(place for place, end in enumerate(self._ends) if turned < end)


@cache
def _wheel(fact: str) -> Wheel:
    return Wheel(marginal(fact))


def marginal(fact: str) -> list[int]:
    """Return whole numbers in proportion to the probabilities of a fact's values.

    Where a cause decides, the sum over the cause: p(value) = Σ p(cause) p(value | cause).
    """
    of = STORY.facts[FACT_PLACES[fact]]
    (prior,) = ((1,),) if of.cause is None else STORY.facts[FACT_PLACES[of.cause]].weights
    whole = lcm(*(sum(row) for row in of.weights))  # brings all rows to one denominator
    return [
        sum(p * row[value] * (whole // sum(row)) for p, row in zip(prior, of.weights, strict=True))
        for value in range(len(of.values))
    ]


def ask_about(document: WorldDocument) -> tuple[PictureQuestion, ...]:
    """Ask for what the picture of a document's scene shows, in English.

    Of each kind there is a yes-or-no question and one with two values to choose from. A question
    gives away nothing about another: it names no value but those that it asks for.
    """
    rng = keyed(document.seed, "picture questions", document.number)
    questions: list[PictureQuestion] = []
    for kind in (*_THINGS, *_COLORS, "number"):
        true = document.derivation.scene[FACT_PLACES[kind]]
        other = _other_number(true, rng) if kind == "number" else _wheel(kind).other(true, rng)
        if other is not None:
            asked, first = (true, other)[rng.below(2)], rng.below(2)
            questions.append(_yes_or_no(kind, asked, is_true=asked == true))
            questions.append(_either_or(kind, ((true, other), (other, true))[first], first))
    return tuple(questions)


def _other_number(true: int, rng: SplitMix64) -> int | None:
    """Return another number of objects, or None: then nothing is asked.

    One object is more likely than all other numbers together, so no wheel would do. Scenes with
    likely numbers are passed over until all numbers are equally likely among the rest.
    """
    weights = STORY.facts[FACT_PLACES["number"]].weights[0]
    if rng.below(weights[true]) >= min(weights):
        return None
    return (true + 1 + rng.below(len(weights) - 1)) % len(weights)


def _yes_or_no(kind: str, asked: int, *, is_true: bool) -> PictureQuestion:
    value = _shown(kind, asked)
    if kind in _THINGS:
        text = f"Is there {value} at the {_THINGS[kind]}?"
    elif kind in _COLORS:
        text = f"Is there something {value} at the {_COLORS[kind]}?"
    else:
        text = f"Do you see {value} at the top?"
    return PictureQuestion(
        kind=kind, text=text, choices=("no", "yes"), answer="yes" if is_true else "no"
    )


def _either_or(kind: str, values: tuple[int, int], true: int) -> PictureQuestion:
    choices = _shown(kind, values[0]), _shown(kind, values[1])
    either = " or ".join(choices)
    if kind in _COLORS:
        text = f"Which color is at the {_COLORS[kind]}: {either}?"
    else:
        text = f"What is at the {_THINGS.get(kind, 'top')}: {either}?"
    return PictureQuestion(kind=kind, text=text, choices=choices, answer=choices[true])


def _shown(kind: str, value: int) -> str:
    """Write a value: "a ball", "red", "two things"."""
    key = STORY.facts[FACT_PLACES[kind]].values[value]
    if kind in _THINGS:
        return f"{article(key)} {key}"
    return _COUNTS[key] if kind == "number" else key
