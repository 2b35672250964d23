"""Documents of TinyWorld for people to read: their text and, if asked for, every other view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from minillm.text.world.dialogue import converse
from minillm.text.world.documents import WorldDocument
from minillm.text.world.labels import label
from minillm.text.world.picture import draw
from minillm.text.world.questions import ask
from minillm.text.world.sprites import BACKGROUND, COLORS
from minillm.text.world.tags import OUTSIDE, tag

# A letter for each color where a terminal shows none; several share their first one.
_LETTERS = dict(zip(COLORS, "rbgywknopuads", strict=True))


def document_lines(
    document: WorldDocument, *, views: bool = False, colored: bool = False
) -> Iterator[str]:
    """Return a document as lines of text.

    Args:
        document: What to show.
        views: Show its labels, entities, questions, dialogue and picture too.
        colored: The lines go to a terminal that shows colors: draw the picture in blocks.
    """
    yield f"{document.source} ({document.split})"
    yield document.text
    if views:
        labels, picture = label(document), draw(document)
        yield f"  labels    topic {labels.topic}, ending {labels.ending}"
        yield "  entities  " + ", ".join(f"{text} {kind}" for text, kind in entities(document))
        for question in ask(document):
            place = "" if question.start is None else f" [{question.start}:{question.end}]"
            yield f"  question  {question.text} {question.answer or '(not said)'}{place}"
        for turn in converse(document):
            yield f"  {turn.role:<9} {turn.speaker}: {turn.text}"
        yield f"  caption   {picture.caption}"
        for question in picture.questions:
            yield f"  look      {question.text} {question.answer}"
        yield from (f"            {line}" for line in picture_lines(picture.pixels, colored))
    yield ""


def picture_lines(pixels: np.ndarray, colored: bool) -> Iterator[str]:
    """Return a picture as lines: blocks of color, or letters with a key.

    Args:
        pixels: (H, W, 3) uint8.
        colored: Draw blocks, by the escape codes of terminals.
    """
    letters: dict[tuple[int, ...], str] = {BACKGROUND: "."}
    letters |= {COLORS[name]: letter for name, letter in _LETTERS.items()}
    rows = [[tuple(map(int, pixel)) for pixel in row] for row in pixels]
    for row in rows:
        if colored:
            yield "".join(f"\033[48;2;{r};{g};{b}m  " for r, g, b in row) + "\033[0m"
        else:
            yield " ".join(letters[pixel] for pixel in row)
    if not colored:
        seen = {pixel for row in rows for pixel in row}
        named = (f"{_LETTERS[name]} {name}" for name, color in COLORS.items() if color in seen)
        yield ", ".join(named)


def entities(document: WorldDocument) -> list[tuple[str, str]]:
    """Return the named entities of a document, each with its kind, in their order."""
    gap = " " if document.language == "en" else ""
    found: list[tuple[str, str]] = []
    for word, kind in tag(document):
        if kind.startswith("I-"):
            found[-1] = f"{found[-1][0]}{gap}{word}", found[-1][1]
        elif kind != OUTSIDE:
            found.append((word, kind[2:]))
    return found


def entropy_lines(numbers: Mapping[str, float]) -> Iterator[str]:
    """Return numbers as lines, each with its standard error where it has one.

    Args:
        numbers: From `entropy_report`.
    """
    errors = {"monte_carlo_bits_per_document": "standard_error"}
    for name, value in numbers.items():
        error = errors.get(name, f"{name}_error")
        if name != "standard_error" and not name.endswith("_error"):
            beside = f" ± {numbers[error]:.4f}" if error in numbers else ""
            yield f"{value:12.4f}{beside:<10}  {name.replace('_', ' ')}"


def document_json(document: WorldDocument, *, views: bool = False) -> dict[str, Any]:
    """Return a document for JSON: where it comes from, its text and, if asked for, its views.

    Args:
        document: What to show.
        views: Add labels, tags, questions, dialogue and picture.
    """
    shown: dict[str, Any] = {
        "source": document.source,
        "split": document.split,
        "text": document.text,
    }
    if views:
        picture = draw(document)
        shown |= {
            "labels": asdict(label(document)),
            "tags": [list(one) for one in tag(document)],
            "questions": [asdict(question) for question in ask(document)],
            "dialogue": [asdict(turn) for turn in converse(document)],
            "picture": picture.pixels.tolist(),
            "caption": picture.caption,
            "picture_questions": [asdict(question) for question in picture.questions],
        }
    return shown
