"""Build the slots of a language from a rule that says which word fits which values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

from minillm.errors import ConfigError
from minillm.text.world.grammar import Form, Slot
from minillm.text.world.story import FACTS

_VALUES: Mapping[str, tuple[str, ...]] = {fact.name: fact.values for fact in FACTS}


def make_slot(
    name: str, facts: Sequence[str], word: Callable[..., str], tag: str | None = None
) -> Slot:
    """Make the slot whose word is ``word(value of each fact)``.

    Values that share a word become one form, and must be a rectangle: some values of the first
    fact, each with the same values of the second. A fact of which a form allows all values is
    left out of it. The forms partition the scenes because the rule names one word for each.

    Args:
        name: What texts write between braces.
        facts: Names of the facts that the word depends on.
        word: The rule; its arguments are the facts' value keys, in the order of ``facts``.
        tag: Kind of named entity, or None.

    Raises:
        ConfigError: The values of a word are no rectangle.

    Example:
        >>> [form.word for form in make_slot("she", ["gender"], {"f": "she", "m": "he"}.get).forms]
        ['she', 'he']
    """
    groups: dict[str, list[tuple[int, ...]]] = {}
    for place in product(*(range(len(_VALUES[fact])) for fact in facts)):
        values = [_VALUES[fact][number] for fact, number in zip(facts, place, strict=True)]
        groups.setdefault(word(*values), []).append(place)
    return Slot(
        name=name,
        forms=tuple(_form(name, facts, text, places) for text, places in groups.items()),
        tag=tag,
    )


def _form(name: str, facts: Sequence[str], word: str, places: list[tuple[int, ...]]) -> Form:
    when, size = {}, 1
    for fact, numbers in zip(facts, zip(*places, strict=True), strict=True):
        allowed = set(numbers)
        size *= len(allowed)
        if len(allowed) < len(_VALUES[fact]):
            when[fact] = sum(1 << number for number in allowed)
    if size != len(places):
        raise ConfigError(f"{word!r} in slot {name}: its values of {list(facts)} are no rectangle")
    return Form(word=word, when=when)
