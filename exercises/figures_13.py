"""Pictures of notebook 13: a text whose spans are cut out, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from minillm.plots.style import (
    GRAY,
    INK,
    PALETTE,
    Figure,
    drawable,
    make_figure,
    styled,
)

_KEPT = "#eef0f2"
_CHARACTER, _GAP = 0.105, 0.16  # inches
Row = Sequence[tuple[str, int | None]]  # text of a token, and the number of its span


@styled
def plot_spans(rows: Mapping[str, Row]) -> Figure:
    """Draw each row of tokens as boxes; what belongs to one span has one color in every row.

    Args:
        rows: name → tokens, each with the number of its span, ``None`` for one that stays.

    Raises:
        ValueError: if there is no row, or one has no token.

    Example:
        >>> plot_spans({"text": [("a", None), ("b", 0)], "inputs": [("a", None), ("<0>", 0)]})
        <Figure size 480x190 with 1 Axes>
    """
    if not rows or not all(rows.values()):
        raise ValueError(f"each row needs a token, got {dict(rows)}")
    lengths = [sum(_width(text) + 0.05 for text, _ in row) for row in rows.values()]
    width = max(max(lengths) + 1.2, 4.8)
    figure = make_figure(width, 0.55 * len(rows) + 0.8)
    axes = figure.add_subplot()
    for place, (name, row) in enumerate(rows.items()):
        axes.text(-0.15, -place, name, ha="right", va="center", fontweight="bold", color=INK)
        _draw_row(axes, row, -place)
    axes.set(xlim=(-1.1, width - 1.1), ylim=(0.6 - len(rows), 0.6))
    axes.axis("off")
    return figure


def _width(text: str) -> float:
    """Return the inches of a box; Chinese characters are twice as wide as Latin ones."""
    shown = drawable(text)
    return _GAP + _CHARACTER * sum(2 if ord(character) > 0x2E7F else 1 for character in shown)


def _draw_row(axes: Axes, row: Row, y: float) -> None:
    """Draw the boxes of one row from left to right."""
    x = 0.0
    for text, span in row:
        color = _KEPT if span is None else PALETTE[span % len(PALETTE)]
        box = {"facecolor": color, "edgecolor": GRAY, "linewidth": 0.6}
        axes.add_patch(_rectangle(x, y, _width(text), **box))
        ink = INK if span is None else "white"
        middle = x + _width(text) / 2
        axes.text(middle, y, drawable(text), ha="center", va="center", color=ink, fontsize=9.5)
        x += _width(text) + 0.05


def _rectangle(x: float, y: float, width: float, **style) -> Rectangle:
    return Rectangle((x, y - 0.36), width, 0.72, **style)
