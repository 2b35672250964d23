"""The inside of a model as pictures: layer by layer, head by head, guess by guess.

Dimension key: L layers, H heads, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from minillm.health import LayerHealth
from minillm.plots.style import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    VERMILLION,
    WEIGHTS_COLORMAP,
    Figure,
    make_figure,
    shortened,
    styled,
)

_USUAL_UPDATE = 1e-3  # Karpathy's rule of thumb for update : weight
_MAX_LABEL = 9  # columns of a token that fit a cell


@styled
def plot_health(health: Mapping[str, LayerHealth], *, title: str = "Health by layer") -> Figure:
    """Draw activations, gradients and updates of every layer on logarithmic axes.

    Args:
        health: from ``minillm.health.watch``, in the order in which it is drawn from the top.
        title: above the figure.

    Raises:
        ValueError: if there is no layer.

    Example:
        >>> figure = plot_health({"up": LayerHealth(1.0, 0.1, 1e-3)})
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['activation (RMS)', 'gradient (RMS)', 'update : weight']
    """
    if not health:
        raise ValueError("health is empty: run a step inside watch(model)")
    figure = make_figure(9.0, 1.4 + 0.19 * len(health))
    columns: Any = figure.subplots(1, 3, sharey=True, squeeze=True)
    places = range(len(health))
    names = ("activation (RMS)", "gradient (RMS)", "update : weight")
    for axes, name, color, values in zip(
        columns, names, (BLUE, VERMILLION, GREEN), zip(*health.values(), strict=True), strict=True
    ):
        axes.plot(values, places, "o", color=color, markersize=4)
        if any(value > 0 for value in values):
            axes.set_xscale("log")
        axes.set_xlabel(name)
        axes.grid(visible=True)
    if any(layer.update > 0 for layer in health.values()):
        columns[2].axvline(_USUAL_UPDATE, color=GRAY, linestyle="--", linewidth=1)
    columns[0].set_yticks(places, list(health), fontsize=8)
    columns[0].tick_params(axis="y", length=0)
    columns[0].set_ylim(len(health) - 0.4, -0.6)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


@styled
def plot_attention_entropy(entropy: Tensor, *, title: str = "Attention entropy") -> Figure:
    """Draw the entropy of each head, a row per layer; dark reads widely, white a single key.

    Args:
        entropy: (L, H) nats, from ``minillm.health.attention_entropy``.
        title: above the figure.

    Raises:
        ValueError: if it is no matrix.

    Example:
        >>> import torch
        >>> [text.get_text() for text in plot_attention_entropy(torch.ones(1, 2)).axes[0].texts]
        ['1.00', '1.00']
    """
    if entropy.ndim != 2:
        raise ValueError(f"entropy must be (L, H), got {tuple(entropy.shape)}")
    n_layers, n_heads = entropy.shape
    cells = [[f"{value:.2f}" for value in row] for row in entropy.tolist()]
    figure = make_figure(max(3.4, 0.55 * n_heads + 2.2), 0.42 * n_layers + 1.5)
    axes = _draw_cells(figure, entropy, cells, top=max(entropy.max().item(), 1e-9), unit="nats")
    axes.set_xticks(range(n_heads), [str(head + 1) for head in range(n_heads)])
    axes.set_yticks(range(n_layers), [str(layer + 1) for layer in range(n_layers)])
    axes.set(xlabel="head", ylabel="layer")
    axes.set_title(title)
    return figure


@styled
def plot_logit_lens(
    logits: Tensor,
    tokens: Sequence[str],
    decode: Callable[[int], str],
    *,
    title: str = "Logit lens: the best guess after each layer",
) -> Figure:
    """Write the likeliest next token after each layer into its cell, darker where it is surer.

    Args:
        logits: (L + 1, T, V) of one text, from ``minillm.health.logit_lens``.
        tokens: the T texts that were read.
        decode: turns a token id into text.
        title: above the figure.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import torch
        >>> figure = plot_logit_lens(torch.eye(3)[None], ["a", "b", "c"], "xyz".__getitem__)
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['x', 'y', 'z']
    """
    if logits.ndim != 3 or logits.shape[1] != len(tokens):
        raise ValueError(
            f"logits must be (L + 1, T, V) with T = {len(tokens)} tokens, got {tuple(logits.shape)}"
        )
    best = logits.float().softmax(dim=-1).max(dim=-1)
    cells = [[_short(decode(i)) for i in row] for row in best.indices.tolist()]
    n_rows, n_columns = best.values.shape
    figure = make_figure(0.78 * n_columns + 2.4, 0.36 * n_rows + 1.9)
    axes = _draw_cells(figure, best.values, cells, top=1.0, unit="probability")
    axes.set_xticks(range(n_columns), [_short(t) for t in tokens], rotation=90, fontsize=9)
    axes.set_yticks(range(n_rows), ["embedding", *(f"layer {i}" for i in range(1, n_rows))])
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
    axes.set_xlabel("token that was read last")
    axes.set_title(title)
    return figure


def _draw_cells(
    figure: Figure, values: Tensor, cells: list[list[str]], *, top: float, unit: str
) -> Any:
    """Draw a colored table with a text in each cell and its color scale."""
    axes = figure.add_subplot()
    shown = values.detach().float().cpu().numpy()
    image = axes.imshow(
        shown, cmap=WEIGHTS_COLORMAP, vmin=0, vmax=top, aspect="auto", interpolation="none"
    )
    for row, texts in enumerate(cells):
        for column, text in enumerate(texts):
            color = "white" if shown[row, column] > 0.5 * top else INK
            axes.text(
                column, row, text, ha="center", va="center", color=color, fontsize=8.5,
                parse_math=False,
            )  # fmt: skip
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.9, aspect=15)
    bar.set_label(unit, fontsize=9.5)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return axes


def _short(text: str) -> str:
    """Cut a token to what fits a cell, in characters that can be seen."""
    return shortened(text.replace(" ", "␣"), _MAX_LABEL)
