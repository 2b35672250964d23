"""What a generated language is made of: hidden facts, a script of events, and words for them.

A document is made by choices and by nothing else: first a scene (one value of every fact), then a
path through the script (one event after the other), for each event a wording, and for each wording
its memoryless choices. The script never looks at the values of facts, so that the probability of a
derivation is the product of its choices. A language tells a derivation: two languages of one story
tell the same derivation sentence by sentence.

All weights are integers: a choice is drawn by integer arithmetic, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from minillm.errors import ConfigError

END = "end"  # the event that closes a document; its only word is END_WORD
END_WORD = "<eos>"
State = Hashable  # of a script: whatever it must remember


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One thing that holds in a scene, such as the color of the object.

    A fact has no cause (one row of weights) or is caused by one root fact (a row of weights for
    each value of the cause): the facts are trees of depth two at most. A fact that no slot speaks
    of, such as the topic, stays hidden and must be summed out.
    """

    name: str
    values: tuple[str, ...]  # keys, the same in every language
    weights: tuple[tuple[int, ...], ...]  # p(value | cause) = weight / sum of the row
    cause: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A memoryless choice, such as an adverb: drawn anew wherever a wording uses it."""

    name: str
    weights: tuple[int, ...]


class Arc(NamedTuple):
    """One way on through the script."""

    event: str
    weight: int
    state: State  # the state after it; ignored for END


class Wording(NamedTuple):
    """One way to say an event: how likely it is, and the choices that it contains, each once."""

    weight: int
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """Everything about a world but its words.

    Wording number k of an event is the k-th text of that event in every language, and every
    language uses just the choices that the wording names. One event is one sentence.
    """

    facts: tuple[Fact, ...]
    choices: tuple[Choice, ...]
    script: Mapping[State, tuple[Arc, ...]]
    start: State
    wordings: Mapping[str, tuple[Wording, ...]]
    fact_index: Mapping[str, int] = field(init=False)  # name → place in a scene

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "fact_index", {fact.name: place for place, fact in enumerate(self.facts)}
        )
        _check_story(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One word of a slot, and the facts under which it is the word to say.

    ``when`` is a rectangle: for some facts, the set of values (bit v for value number v) that this
    word fits; facts that are not named do not matter.
    """

    word: str
    when: Mapping[str, int]  # fact name → bit mask over its values


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A place in a text whose word follows from the facts: "she", "balls", "an".

    The forms partition the scenes: in every scene exactly one of them fits. Hence the
    probabilities of a slot's words sum to 1 under any knowledge. Two forms may share no word.
    """

    name: str
    forms: tuple[Form, ...]
    tag: str | None = None  # kind of named entity that the word is: PER, LOC, OBJ, ANI, …


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """How a story is told.

    A text is words separated by spaces, punctuation included; ``{name}`` stands for the word of
    a slot or of a choice.
    """

    name: str  # "en", "zh"
    slots: tuple[Slot, ...]
    choice_words: Mapping[str, tuple[str, ...]]  # of each Choice, in the order of its weights
    texts: Mapping[str, tuple[str, ...]]  # of each event, in the order of its wordings


class Step(NamedTuple):
    """One event of a derivation."""

    event: str
    wording: int
    choices: tuple[int, ...]  # what was drawn for each choice of the wording, in its order


class Derivation(NamedTuple):
    """All choices that made a document (END included as the last step)."""

    scene: tuple[int, ...]  # a value number for each fact
    steps: tuple[Step, ...]


def _check_story(story: Story) -> None:
    """Refuse what has no meaning: rows that do not fit, unknown causes, states without arcs."""
    facts = {fact.name: fact for fact in story.facts}
    for fact in story.facts:
        cause = None if fact.cause is None else facts[fact.cause]
        if cause is not None and cause.cause is not None:
            raise ConfigError(f"{fact.name}: its cause {cause.name} must be a root")
        n_rows = 1 if cause is None else len(cause.values)
        if len(fact.weights) != n_rows or any(len(r) != len(fact.values) for r in fact.weights):
            raise ConfigError(f"{fact.name} needs {n_rows} rows of {len(fact.values)} weights")
    for state, arcs in story.script.items():
        for arc in arcs:
            if arc.event != END and (
                arc.state not in story.script or arc.event not in story.wordings
            ):
                raise ConfigError(f"the arc {arc} of state {state!r} leads nowhere")
