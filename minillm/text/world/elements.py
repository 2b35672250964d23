"""Texts taken apart, and the check that a language can tell a story: what all of the engine reads.

A text is a row of elements: a word that always stands there, the place of a slot, or the place of
a choice.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

from minillm.errors import ConfigError
from minillm.text.world.grammar import END, END_WORD, Language, Slot, Story


class Element(NamedTuple):
    """One place of a text: a ``kind`` ("word", "slot" or "choice") and the word or the name."""

    kind: str
    name: str


END_TEXT = (Element("word", END_WORD),)
Texts = dict[str, tuple[tuple[Element, ...], ...]]  # event → its texts, in the order of wordings


def parse_texts(story: Story, language: Language) -> Texts:
    """Take every text of a language apart and check that the language can tell the story.

    Returns:
        The elements of each text of each event of ``story.wordings``, and of END.

    Raises:
        ConfigError: a text that is missing or empty, a name that is neither slot nor choice,
            choices that differ from the wording's, a slot whose forms leave a scene without a
            word or with two, a choice whose words do not fit its weights.
    """
    slots = {slot.name for slot in language.slots}
    weights = {choice.name: choice.weights for choice in story.choices}
    for slot in language.slots:
        check_partition(story, slot)
    for name, words in language.choice_words.items():
        if name in slots or len(words) != len(weights.get(name, ())):
            raise ConfigError(
                f"{language.name}: choice {name!r} must not be a slot and needs a word for each "
                f"of its {len(weights.get(name, ()))} weights, got {len(words)} words"
            )
        _check_words(f"{language.name}: choice {name!r}", words)
    texts: Texts = {END: (END_TEXT,)}
    for event, wordings in story.wordings.items():
        lines = language.texts.get(event, ())
        if len(lines) != len(wordings):
            raise ConfigError(
                f"{language.name}: event {event!r} has {len(wordings)} wordings but "
                f"{len(lines)} texts: write one text for each"
            )
        parsed = tuple(_elements(language, slots, line) for line in lines)
        for wording, line, elements in zip(wordings, lines, parsed, strict=True):
            used = sorted(element.name for element in elements if element.kind == "choice")
            if used != sorted(wording.choices):
                raise ConfigError(
                    f"{language.name}: {event!r}: the text {line!r} uses the choices {used}, its "
                    f"wording names {sorted(wording.choices)}"
                )
        texts[event] = parsed
    return texts


def _elements(language: Language, slots: set[str], line: str) -> tuple[Element, ...]:
    elements = []
    for word in line.split():
        name = word[1:-1]
        if not (word.startswith("{") and word.endswith("}")):
            elements.append(Element("word", word))
        elif name in language.choice_words:
            elements.append(Element("choice", name))
        elif name in slots:
            elements.append(Element("slot", name))
        else:
            raise ConfigError(f"{language.name}: {line!r} uses {word}: no slot or choice has it")
    if not elements:
        raise ConfigError(f"{language.name}: a text has no words: every event is one sentence")
    return tuple(elements)


def _check_words(owner: str, words: tuple[str, ...]) -> None:
    for word in words:
        if not word or word == END_WORD or any(character.isspace() for character in word):
            raise ConfigError(f"{owner} says {word!r}: expected one word without blanks")
    repeated = [word for word, count in Counter(words).items() if count > 1]
    if repeated:
        raise ConfigError(f"{owner} says {repeated} twice: the reader could not tell them apart")


def check_partition(story: Story, slot: Slot) -> None:
    """Refuse a slot unless in every scene exactly one of its forms fits.

    Rectangles partition a space when no two overlap and their volumes add up to its volume.

    Raises:
        ConfigError: naming the slot and what is wrong with its forms.
    """
    _check_words(f"slot {slot.name!r}", tuple(form.word for form in slot.forms))
    names = sorted({name for form in slot.forms for name in form.when})
    unknown = [name for name in names if name not in story.fact_index]
    if unknown:
        raise ConfigError(f"slot {slot.name!r} depends on {unknown}: the story has no such facts")
    sizes = {name: len(story.facts[story.fact_index[name]].values) for name in names}
    full = {name: (1 << size) - 1 for name, size in sizes.items()}
    boxes = [[form.when.get(name, full[name]) for name in names] for form in slot.forms]
    for form, box in zip(slot.forms, boxes, strict=True):
        if any(mask <= 0 or mask > full[name] for name, mask in zip(names, box, strict=True)):
            raise ConfigError(f"slot {slot.name!r}: {form.word!r} fits no value, or one too many")
    volume = sum(math.prod(mask.bit_count() for mask in box) for box in boxes)
    if volume != math.prod(sizes.values()):
        raise ConfigError(
            f"slot {slot.name!r}: its {len(boxes)} forms cover {volume} of "
            f"{math.prod(sizes.values())} combinations of {', '.join(names)}: each needs one form"
        )
    for first, box in enumerate(boxes):
        for second in range(first):
            if all(a & b for a, b in zip(box, boxes[second], strict=True)):
                raise ConfigError(
                    f"slot {slot.name!r}: {slot.forms[second].word!r} and "
                    f"{slot.forms[first].word!r} fit the same scene"
                )
