"""Labeled examples of three tasks, as they come from a file or from TinyWorld.

What a file must hold stands in docs/finetuning.md. An example without its label is one to predict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, get_args

import regex

from minillm.errors import ConfigError, DataError
from minillm.finetuning.metrics import OUTSIDE, Entity
from minillm.text.documents import stable_hash
from minillm.tokenizers import CharSpan

TaskName = Literal["classify", "tag", "qa"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)
# A word as BERT cuts it: letters and digits in a row, an ideograph, any other visible character.
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}--\p{Han}]+|[^\s]", regex.V1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassExample:
    """A text and the class that it belongs to."""

    text: str
    label: str | None = None
    source: str = ""  # such as "reviews.jsonl:12"

    @property
    def group(self) -> str:
        """What must not stand on both sides of a split."""
        return self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class TagExample:
    """A text, the words in it, and a BIO tag for each."""

    text: str
    word_spans: tuple[CharSpan, ...]  # ascending, none empty
    tags: tuple[str, ...] | None = None
    source: str = ""

    @property
    def group(self) -> str:
        """What must not stand on both sides of a split."""
        return self.text

    @property
    def words(self) -> list[str]:
        """The words themselves."""
        return [self.text[start:end] for start, end in self.word_spans]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A piece of the context: ``context[start : start + len(text)]``."""

    text: str
    start: int


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionExample:
    """A question about a context, and all answers that count as right."""

    context: str
    question: str
    answers: tuple[Answer, ...] | None = None  # (): the context does not say; None: not known
    source: str = ""

    @property
    def group(self) -> str:
        """What must not stand on both sides of a split."""
        return self.context


Example = ClassExample | TagExample | QuestionExample


class Grouped(Protocol):
    """What can be split into training and validation."""

    @property
    def group(self) -> str:
        """What must not stand on both sides of a split."""
        ...


AnyExample = TypeVar("AnyExample", bound=Grouped)


def find_words(text: str) -> tuple[CharSpan, ...]:
    """Return where the words of a text stand: BERT's words, so that marks stand alone.

    Example:
        >>> find_words("3 don't")
        ((0, 1), (2, 5), (5, 6), (6, 7))
    """
    return tuple(match.span() for match in _WORD.finditer(text) if not match[0].isspace())


def tags_of_entities(entities: Sequence[Entity], n_words: int) -> tuple[str, ...]:
    """Write entities as BIO tags; the inverse of ``metrics.bio_entities``.

    Example:
        >>> tags_of_entities([Entity("PER", 1, 3)], 4)
        ('O', 'B-PER', 'I-PER', 'O')
    """
    tags = [OUTSIDE] * n_words
    for kind, start, end in entities:
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tuple(tags)


def check_task(task: str) -> None:
    """Refuse an unknown task.

    Raises:
        ConfigError: naming those that there are.
    """
    if task not in TASKS:
        raise ConfigError(f"task must be one of {', '.join(TASKS)}, got {task!r}")


def hold_out(
    examples: Sequence[AnyExample], *, share: float = 0.1
) -> tuple[list[AnyExample], list[AnyExample]]:
    """Set examples aside for validation by the hash of their text.

    All examples of one text (the questions about a context) fall on one side; the order of the
    examples does not matter.

    Args:
        examples: of two texts or more.
        share: of the texts that are held out, at least one.

    Returns:
        What is left for training, and what is held out, both in their order.

    Raises:
        ConfigError: the share is not between 0 and 1.
        DataError: there is only one text.

    Example:
        >>> examples = [ClassExample(text=f"note {i}", label="a") for i in range(20)]
        >>> [len(side) for side in hold_out(examples)]
        [18, 2]
    """
    if not 0.0 < share < 1.0:
        raise ConfigError(f"share must be between 0 and 1, got {share}")
    groups = sorted({example.group for example in examples}, key=stable_hash)
    if len(groups) < 2:
        raise DataError(
            f"{len(groups)} different text(s) cannot be split into training and validation: give "
            "more examples, or validation examples of your own"
        )
    n_held_out = min(max(round(share * len(groups)), 1), len(groups) - 1)
    held_out = set(groups[:n_held_out])
    return (
        [example for example in examples if example.group not in held_out],
        [example for example in examples if example.group in held_out],
    )
