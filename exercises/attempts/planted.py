"""What the checks are tested with: for each exercise, right answers and wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exercises.harness import Check


@dataclass(frozen=True, kw_only=True)
class Planted:
    """The right and wrong answers to one exercise.

    Attributes:
        check: the exercise's check.
        arguments: an input on which every answer, right or wrong, returns the same type, shape and
            dtype: a mistake that such a test would catch needs no check of ours.
        right: at least two answers, written in different ways.
        wrong: at least five, each with a part of the message that names its misconception.
    """

    check: Check
    arguments: tuple[Any, ...]
    right: tuple[Callable[..., Any], ...]
    wrong: Mapping[Callable[..., Any], str]
