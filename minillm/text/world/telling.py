"""Tell a derivation in a language: sentences of words, each with where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from minillm.text.world.elements import Element, parse_texts
from minillm.text.world.grammar import Derivation, Language, Slot, Story


class Word(NamedTuple):
    """One word of a told document."""

    text: str  # as the language's tables hold it: "the" even where it begins a sentence
    source: str | None = None  # the slot or choice that it filled; None: it always stands there
    tag: str | None = None  # the kind of named entity that it is: "PER", "LOC", …


Sentence = list[Word]


class _Template(NamedTuple):
    """A text, prepared: its words, and what is put where."""

    words: list[Word]
    slots: tuple[tuple[int, str], ...]  # place in ``words``, name
    choices: tuple[tuple[int, int, tuple[Word, ...]], ...]  # place, which of the drawn, its words


class _SlotWords:
    """The word of a slot in a scene, by looking at the facts that matter for it."""

    def __init__(self, story: Story, slot: Slot) -> None:
        names = sorted({name for form in slot.forms for name in form.when})
        self.facts = tuple(story.fact_index[name] for name in names)
        self.masks = [
            (tuple(form.when.get(name, -1) for name in names), Word(form.word, slot.name, slot.tag))
            for form in slot.forms
        ]
        self.found: dict[tuple[int, ...], Word] = {}  # of combinations of values seen so far

    def word(self, scene: Sequence[int]) -> Word:
        values = tuple([scene[place] for place in self.facts])
        if (known := self.found.get(values)) is not None:
            return known
        self.found[values] = next(
            word
            for masks, word in self.masks
            if all(mask >> value & 1 for mask, value in zip(masks, values, strict=True))
        )
        return self.found[values]


class Teller:
    """Tells derivations of a story in one language; its tables are made once.

    Args:
        story: What the derivations are of.
        language: Whose words.

    Raises:
        ConfigError: The language cannot tell the story, see `parse_texts`.
    """

    def __init__(self, story: Story, language: Language) -> None:
        self.story, self.language = story, language
        self._slots = {slot.name: _SlotWords(story, slot) for slot in language.slots}
        choice_words = {
            name: tuple(Word(word, name) for word in words)
            for name, words in language.choice_words.items()
        }
        self._templates = {
            event: [
                _template(elements, wording, choice_words)
                for elements, wording in zip(
                    texts, [w.choices for w in story.wordings.get(event, ())] or [()], strict=True
                )
            ]
            for event, texts in parse_texts(story, language).items()
        }

    def tell(self, derivation: Derivation) -> list[Sentence]:
        """Return a sentence for each step; the last one is END_WORD alone."""
        scene, known = derivation.scene, {}
        sentences = []
        for event, wording, drawn in derivation.steps:
            words, slots, choices = self._templates[event][wording]
            sentence = words.copy()
            for place, name in slots:
                if name not in known:
                    known[name] = self._slots[name].word(scene)
                sentence[place] = known[name]
            for place, which, texts in choices:
                sentence[place] = texts[drawn[which]]
            sentences.append(sentence)
        return sentences

    def slot_word(self, name: str, scene: Sequence[int]) -> str:
        """Return what a slot says in a scene.

        Args:
            name: Of a slot of the language.
            scene: A value number for each fact of the story.
        """
        return self._slots[name].word(scene).text


def _template(
    elements: Sequence[Element], drawn: Sequence[str], choice_words: dict[str, tuple[Word, ...]]
) -> _Template:
    places = list(enumerate(elements))
    return _Template(
        [Word(element.name) for element in elements],
        tuple((place, e.name) for place, e in places if e.kind == "slot"),
        tuple(
            (place, drawn.index(e.name), choice_words[e.name])
            for place, e in places
            if e.kind == "choice"
        ),
    )


def tell(language: Language, story: Story, derivation: Derivation) -> list[Sentence]:
    """Tell one derivation; whoever tells many keeps a `Teller`.

    Args:
        language: Whose words.
        story: What the derivation is of.
        derivation: What happens.

    Returns:
        A sentence for each step, END_WORD alone the last.
    """
    return Teller(story, language).tell(derivation)
