"""Named entities: a BIO tag for each word of a document."""

from __future__ import annotations

from typing import NamedTuple

from minillm.text.world.documents import WorldDocument

# The words that belong to the entity that follows them: "the big red ball" is one.
_ADJECTIVES = frozenset(["size", "color", "container_color", "clothing_color", "animal_trait"])
OUTSIDE = "O"


class TaggedWord(NamedTuple):
    """A word as the text shows it, with its tag."""

    word: str
    tag: str  # "B-OBJ" begins an entity, "I-OBJ" goes on with it, "O" is none


def tag(document: WorldDocument) -> list[TaggedWord]:
    """Tag the words of a document, END_WORD left out.

    The scheme is that of Ramshaw & Marcus, *Text Chunking using Transformation-Based Learning*
    (1995), in the form where every entity begins with B. Kinds: PER people, LOC places, OBJ things,
    ANI animals, FOOD. The tag comes with the slot, not with the word: "orange" is a color here.
    """
    tags = []
    for sentence in document.sentences:
        n_adjectives = 0  # directly before this word
        for word in sentence:
            if word.tag is None:
                tags.append(OUTSIDE)
                n_adjectives = n_adjectives + 1 if word.source in _ADJECTIVES else 0
                continue
            start = len(tags) - n_adjectives
            tags[start:] = [f"I-{word.tag}"] * n_adjectives + [f"I-{word.tag}"]
            tags[start] = f"B-{word.tag}"
            n_adjectives = 0
    shown = (document.text[start:end] for start, end in document.spans)
    return [TaggedWord(*pair) for pair in zip(shown, tags, strict=True)]
