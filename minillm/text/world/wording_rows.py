"""One row for each way to say an event: its weight, its English text and its Chinese text."""

from __future__ import annotations

import re
from typing import NamedTuple

from minillm.errors import ConfigError
from minillm.text.world.grammar import Wording
from minillm.text.world.lexicon_choices import CHOICES

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def placeholders(text: str) -> tuple[str, ...]:
    """Return the names between braces, in their order.

    Example:
        >>> placeholders("{person} had {article} {object} .")
        ('person', 'article', 'object')
    """
    return tuple(_PLACEHOLDER.findall(text))


class Row(NamedTuple):
    """A wording in both languages; the words of both texts are separated by spaces."""

    wording: Wording
    en: str
    zh: str


def row(weight: int, en: str, zh: str) -> Row:
    """Build a row; its choices are the placeholders of the English text that name choices.

    Raises:
        ConfigError: The Chinese text makes other choices, or a choice is made twice.
    """
    choices = tuple(name for name in placeholders(en) if name in CHOICES)
    in_chinese = [name for name in placeholders(zh) if name in CHOICES]
    if sorted(choices) != sorted(in_chinese) or len(set(choices)) != len(choices):
        raise ConfigError(f"the choices {choices} of {en!r} are not those of {zh!r}: {in_chinese}")
    return Row(Wording(weight, choices), en, zh)
