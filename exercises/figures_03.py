"""The figures of notebook 03: how tokenizers cut a text, and the lattice of a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from minillm.plots.style import (
    BLUE,
    GRAY,
    PALETTE,
    VERMILLION,
    Figure,
    drawable,
    make_figure,
    styled,
)
from minillm.tokenizers.lattice import Edge

_TINTS = 3  # neighbors never share one, so that a cut is seen
_FAINT = 0.03  # an edge below this share of the cuts is not drawn


@styled
def plot_cuts(cuts: Mapping[str, Sequence[str]]) -> Figure:
    """Draw one row of boxes for each way to cut a text; a box is a token.

    Args:
        cuts: name of the tokenizer → its tokens as they are shown.

    Raises:
        ValueError: if there is no row, or a row has no token.
    """
    if not cuts or not all(cuts.values()):
        raise ValueError(f"every row needs tokens, got {dict(cuts)}")
    width = max(sum(map(len, tokens)) for tokens in cuts.values())
    figure = make_figure(9.6, 0.55 * len(cuts) + 0.9)
    axes = figure.add_subplot()
    for row, tokens in enumerate(cuts.values()):
        _draw_row(axes, row, tokens)
    axes.set(xlim=(-0.5, width + 0.5), ylim=(len(cuts) - 0.5, -0.6))
    labels = [f"{name} ({len(tokens)})" for name, tokens in cuts.items()]
    axes.set_yticks(range(len(cuts)), labels)
    axes.set_xticks([])
    axes.set(ylabel="tokenizer (tokens)", xlabel="the text, from left to right")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _draw_row(axes: Axes, row: int, tokens: Sequence[str]) -> None:
    left = 0
    for index, token in enumerate(tokens):
        color = PALETTE[index % _TINTS]
        box = Rectangle((left + 0.06, row - 0.36), len(token) - 0.12, 0.72, alpha=0.2, fc=color)
        axes.add_patch(box)
        middle = left + len(token) / 2
        style = {"ha": "center", "va": "center", "family": "monospace", "fontsize": 9.5}
        axes.text(middle, row, drawable(token), **style)
        left += len(token)


@styled
def plot_lattice(word: str, edges: Sequence[Edge], best: Sequence[tuple[int, int]]) -> Figure:
    """Draw the pieces of a word as arcs, as thick as the share of cuts that take them.

    Args:
        word: ASCII, so that a byte is a letter.
        edges: its lattice.
        best: (start, end) of the pieces of the best cut, which stand in another color.

    Raises:
        ValueError: if the word has characters of more than one byte.
    """
    if not word.isascii():
        raise ValueError(f"plot_lattice needs an ASCII word, got {word!r}")
    figure = make_figure(9.4, 3.6)
    axes = figure.add_subplot()
    for edge in edges:
        is_best = (edge.start, edge.end) in best
        if edge.prob >= _FAINT or is_best:
            _draw_edge(axes, edge, word[edge.start : edge.end], VERMILLION if is_best else BLUE)
    axes.plot(range(len(word) + 1), [0] * (len(word) + 1), "o", color=GRAY, ms=7, zorder=3)
    for place, letter in enumerate(word):
        axes.text(place + 0.5, -0.25, drawable(letter), ha="center", va="top", fontsize=12)
    axes.set(xlim=(-0.3, len(word) + 0.3), ylim=(-0.6, None), yticks=[])
    axes.set_xticks(range(len(word) + 1))
    axes.set(xlabel="bytes before the node", ylabel="pieces (arcs)")
    for name in ("left", "right", "top"):
        axes.spines[name].set_visible(False)
    return figure


def _draw_edge(axes: Axes, edge: Edge, piece: str, color: str) -> None:
    """Draw half an ellipse, higher for a longer piece, and the name on its top."""
    length, height = edge.end - edge.start, 0.55 * (edge.end - edge.start) ** 0.8
    places = [i / 40 for i in range(41)]
    x = [edge.start + length * t for t in places]
    y = [height * (1 - (2 * t - 1) ** 2) ** 0.5 for t in places]
    axes.plot(x, y, color=color, lw=0.8 + 6 * edge.prob, alpha=0.75, solid_capstyle="round")
    name = f"{piece.replace(' ', '␣')} {edge.prob:.2f}"
    style = {"ha": "center", "va": "bottom", "fontsize": 9, "color": color}
    axes.text(edge.start + length / 2, height + 0.07, drawable(name), **style)
