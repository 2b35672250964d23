"""Who reads whom: attention weights as pictures, with the tokens as axes.

Dimension key: L layers, H heads, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.image import AxesImage
from torch import Tensor

from minillm.plots.style import (
    GRAY,
    INK,
    WEIGHTS_COLORMAP,
    Figure,
    make_figure,
    shortened,
    styled,
)

_MAX_LABEL = 12  # columns of a token; longer ones are cut
_MAX_HEADS = 6  # maps side by side: with more, a page would shrink them beyond reading
_MAX_NUMBERS = 12  # positions up to which a single map writes its weights into the cells
_HIDDEN = "#eef0f2"  # cells that no causal query may read
_QUERY, _KEY = "query: the token that reads", "key: the token that is read"
_WEIGHT = "weight (each row sums to 1)"


@styled
def plot_attention(weights: Tensor, tokens: Sequence[str], *, title: str = "Attention") -> Figure:
    """Draw the maps of all layers and heads of one text: a row per layer, a column per head.

    More than six heads of a layer go on in its next row. Row t of a map says how the token at t
    divides its attention. The color scale is the square root of the weight, since most weights
    are near 1/T. What a causal model hides is gray.

    Args:
        weights: (L, H, T, T) probabilities, rows are queries.
        tokens: T texts as the reader should see them.
        title: above the figure.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import torch
        >>> weights = torch.full((2, 3, 5, 5), 0.2)
        >>> len(plot_attention(weights, list("abcde")).axes)          # six maps and the scale
        7
    """
    if weights.ndim != 4:
        raise ValueError(f"weights must be (L, H, T, T), got {tuple(weights.shape)}")
    labels = _labels(weights, tokens)
    n_layers, n_heads = weights.shape[:2]
    n_lines = -(-n_heads // _MAX_HEADS)  # rows of one layer, as even as can be
    n_columns = -(-n_heads // n_lines)
    cell = max(1.55, 0.14 * len(labels))  # inches: tokens stay legible
    is_ragged = n_columns * n_lines > n_heads  # then keys are also named above the last row
    height = n_layers * n_lines * (cell + 0.1) + (2.9 if is_ragged else 1.7)
    figure = make_figure(n_columns * cell + 2.1, height)
    grid: Any = figure.subplots(
        n_layers * n_lines, n_columns, squeeze=False, sharex=True, sharey=True
    )
    image = None
    maps = grid.reshape(n_layers, -1)
    for layer, row in enumerate(maps):
        row[0].set_ylabel(f"layer {layer + 1}", fontsize=10, fontweight="bold")
        for head, axes in enumerate(row[:n_heads]):
            image = _draw_map(axes, _values(weights[layer, head]))
            if layer == 0 or n_lines > 1:
                axes.set_title(f"head {head + 1}", fontsize=10, loc="center", pad=5)
    for axes in maps[:, n_heads:].flat:
        axes.remove()
    size = 8.5 if len(labels) > 10 else 9.5
    for axes in grid[:, 0]:
        _label_axis(axes, labels, axis="y", size=size)
    for axes in maps[-1, n_heads - n_columns : n_heads]:  # the lowest map of each column
        _label_axis(axes, labels, axis="x", size=size)
        axes.tick_params(labelbottom=True)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    figure.supxlabel(_KEY, fontsize=10.5)
    figure.supylabel(_QUERY, fontsize=10.5)
    _add_scale(figure, image, list(figure.axes))
    return figure


@styled
def plot_attention_head(
    weights: Tensor, tokens: Sequence[str], *, title: str = "Attention"
) -> Figure:
    """Draw one map large; up to twelve tokens the weights are written into the cells.

    Args:
        weights: (T, T) probabilities, rows are queries.
        tokens: T texts as the reader should see them.
        title: above the figure.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import torch
        >>> figure = plot_attention_head(torch.eye(3), ["The", "cat", "sat"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1.00', '1.00', '1.00']
    """
    if weights.ndim != 2:
        raise ValueError(f"weights must be (T, T), got {tuple(weights.shape)}")
    labels = _labels(weights, tokens)
    side = min(max(3.4, 0.42 * len(labels)), 8.0)
    figure = make_figure(side + 2.4, side + 1.5)
    axes = figure.add_subplot()
    values = _values(weights)
    image = _draw_map(axes, values)
    size = 10.5 if len(labels) <= 20 else 8
    _label_axis(axes, labels, axis="y", size=size)
    _label_axis(axes, labels, axis="x", size=size)
    if len(labels) <= _MAX_NUMBERS:
        _write_numbers(axes, values)
    axes.set_title(title)
    axes.set_ylabel(_QUERY)
    axes.set_xlabel(_KEY)
    _add_scale(figure, image, axes)
    return figure


def _labels(weights: Tensor, tokens: Sequence[str]) -> list[str]:
    """Return labels that fonts can draw, after checking that there is one per position."""
    if weights.shape[-1] != len(tokens) or weights.shape[-2] != len(tokens):
        raise ValueError(f"weights {tuple(weights.shape)} do not fit {len(tokens)} tokens")
    return [shortened(token, _MAX_LABEL) for token in tokens]


def _values(weights: Tensor) -> np.ndarray:
    """Return (T, T) weights; the future is masked out if none of it is read."""
    values = weights.detach().float().cpu().numpy()
    future = np.triu(np.ones_like(values, dtype=bool), k=1)
    return np.ma.array(values, mask=future & (not values[future].any()))


def _draw_map(axes: Axes, values: np.ndarray) -> AxesImage:
    """Draw one map of weights without labels."""
    axes.set_facecolor(_HIDDEN)
    image = axes.imshow(
        values,
        cmap=WEIGHTS_COLORMAP,
        norm=PowerNorm(0.5, vmin=0.0, vmax=1.0),
        interpolation="none",  # in SVG one pixel a cell, kept crisp by the browser
    )
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRAY, linewidth=0.6)
    axes.set_xticks([])
    axes.set_yticks([])
    return image


def _label_axis(axes: Axes, labels: list[str], *, axis: str, size: float) -> None:
    """Write the tokens along one axis; never read as formulas."""
    places = range(len(labels))
    if axis == "x":
        texts = axes.set_xticks(places, labels, rotation=90, fontsize=size)
        texts = axes.get_xticklabels()
    else:
        axes.set_yticks(places, labels, fontsize=size)
        texts = axes.get_yticklabels()
    for text in texts:
        text.set_parse_math(False)  # a token may hold dollar signs


def _write_numbers(axes: Axes, values: np.ndarray) -> None:
    """Write each visible weight into its cell, in a color that stands out."""
    for query, key in zip(*np.nonzero(~np.ma.getmaskarray(values)), strict=True):
        weight = float(values[query, key])
        if weight >= 0.005:  # would be written as 0.00
            color = "white" if weight > 0.35 else INK
            axes.text(
                key, query, f"{weight:.2f}", ha="center", va="center", color=color, fontsize=8.5
            )


def _add_scale(figure: Figure, image: Any, axes: Any) -> None:
    """Add the color scale; its ticks are even on the square-root scale."""
    bar = figure.colorbar(
        image, ax=axes, shrink=0.6, aspect=25, ticks=[0, 0.04, 0.16, 0.36, 0.64, 1]
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label(_WEIGHT, fontsize=9.5)
    bar.ax.tick_params(labelsize=9, length=0)
