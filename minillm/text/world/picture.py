"""A picture of a document's scene: 16 × 16 pixels, a caption, and questions that need a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minillm.text.world.documents import WorldDocument
from minillm.text.world.english import article
from minillm.text.world.picture_questions import PictureQuestion, ask_about
from minillm.text.world.rng import keyed
from minillm.text.world.scenes import Scene
from minillm.text.world.sprites import BACKGROUND, COLORS, CONTAINERS, OBJECTS, SPRITE_SIZE

SIZE = 16  # pixels a side
_CELLS = ((0, 0), (0, 10), (5, 5))  # row and leftmost column of up to three objects
_CONTAINER_ROW = SIZE - SPRITE_SIZE
_ENGLISH = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """What a document's scene looks like."""

    pixels: np.ndarray  # (16, 16, 3) uint8: red, green, blue
    caption: str
    questions: tuple[PictureQuestion, ...]  # in English


def draw(document: WorldDocument) -> Picture:
    """Draw the object (one, two or three of it) and its container, each in its color.

    Places are drawn from the document's seed and number; everything else is said in the document.

    Args:
        document: In either language; the questions are in English.
    """
    rng = keyed(document.seed, "picture", document.number)
    pixels = np.full((SIZE, SIZE, 3), BACKGROUND, np.uint8)
    cells = list(_CELLS)
    for _ in range(int(document.fact("number"))):
        row, column = cells.pop(rng.below(len(cells)))
        sprite = OBJECTS[document.fact("object")]
        _paint(pixels, sprite, row, column + rng.below(2), COLORS[document.fact("color")])
    column, color = rng.below(SIZE - SPRITE_SIZE + 1), COLORS[document.fact("container_color")]
    _paint(pixels, CONTAINERS[document.fact("container")], _CONTAINER_ROW, column, color)
    return Picture(pixels=pixels, caption=_caption(document), questions=ask_about(document))


def _paint(
    pixels: np.ndarray, sprite: Sequence[str], row: int, column: int, color: Sequence[int]
) -> None:
    drawn = np.array([[pixel == "#" for pixel in line] for line in sprite])
    pixels[row : row + SPRITE_SIZE, column : column + SPRITE_SIZE][drawn] = color


def _caption(document: WorldDocument) -> str:
    scene = Scene(document)
    if document.language != _ENGLISH:
        return scene.say(
            "{number}{measure}{color}{object}和一{measure_container}{container_color}{container}"
        )
    count = _count(document.fact("number"), scene["color"])
    return scene.say(
        f"{count} {{color}} {{object}} and {{article_container}} {{container_color}} {{container}}"
    )


def _count(number: str, next_word: str) -> str:
    return {"1": article(next_word), "2": "two", "3": "three"}[number]
