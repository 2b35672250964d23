"""Figures of causal models: the architecture, who sees whom, runs side by side, the next token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from minillm.config import DecoderConfig
from minillm.plots.style import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    LIGHT_GRAY,
    ORANGE,
    PALETTE,
    Figure,
    drawable,
    make_figure,
    show_grid,
    styled,
)

_LOWEST = -8.0  # log10 of the smallest gradient told apart from zero
_NEARBY = 9  # steps that one point of a smoothed run averages


@styled
def plot_decoder(config: DecoderConfig) -> Figure:
    """Draw the residual stream and the branches that read it and add to it.

    Example:
        >>> len(plot_decoder(DecoderConfig.gpt(vocab_size=9, n_layers=2)).axes[0].texts) > 8
        True
    """
    n_layers, unit = config.n_layers, 4.6
    width = unit * n_layers + 4.9
    figure = make_figure(min(0.5 * width, 12.0), 2.6)
    axes = figure.add_subplot(xlim=(0, width), ylim=(-1.1, 2.9))
    axes.axis("off")
    stream = {"arrowstyle": "-", "lw": 7, "color": LIGHT_GRAY, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (width - 0.9, 0), (0.9, 0), arrowprops=stream)
    ends = [(0.9, "embed", GREEN), (width - 2.7, "norm", GRAY), (width - 0.9, "score", GREEN)]
    inside = [
        (2.9 + unit * layer + dx, name, color)
        for layer in range(n_layers)
        for dx, name, color in ((0.0, "attention", BLUE), (2.15, "feed\nforward", ORANGE))
    ]
    for x, name, color in ends + inside:
        is_end = (x, name, color) in ends
        box = {"boxstyle": "round,pad=0.4", "facecolor": color, "edgecolor": "none"}
        style = {"color": "white", "bbox": box, "ha": "center", "va": "center", "fontsize": 9}
        axes.text(x, 0.0 if is_end else 1.5, name, **style)
        for start, stop, dx in () if is_end else ((0.05, 1.2, -0.45), (1.2, 0.05, 0.45)):
            arrow = {"arrowstyle": "-|>", "color": color, "lw": 1.5, "shrinkA": 0, "shrinkB": 1}
            axes.annotate("", (x + dx, stop), (x + dx, start), arrowprops=arrow)
    for layer in range(n_layers):
        axes.text(3.97 + unit * layer, 2.35, f"block {layer + 1}", ha="center", color=INK)
    stream_note = f"residual stream (B, T, {config.d_model}): every branch reads it and adds to it"
    axes.text(2.0, -0.8, stream_note, color=GRAY, fontsize=9.5)
    axes.text(width - 0.1, -0.8, "logits (B, T, V)", color=GRAY, fontsize=9.5, ha="right")
    return figure


@styled
def plot_influence(maps: Mapping[str, Tensor]) -> Figure:
    """Draw how strongly each output position reacts to each input position, on a log scale.

    Args:
        maps: by name, (T, T) norms of gradients from ``minillm.evaluation.input_influence``.
    """
    figure = make_figure(1.2 + 3.5 * len(maps), 3.7)
    image = None
    for column, (name, values) in enumerate(maps.items(), start=1):
        axes = figure.add_subplot(1, len(maps), column)
        shown = np.log10(np.maximum(values.numpy(), 10**_LOWEST))
        image = axes.imshow(shown, cmap="cividis", vmin=_LOWEST)
        axes.set(xlabel="input position s", ylabel="output position t")
        axes.set_title(name, fontsize=11.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, integer=True))  # a position is a whole number
    if image is not None:
        label = "log₁₀ of the gradient's norm\n(darkest: zero)"
        figure.colorbar(image, ax=figure.axes, label=label, shrink=0.85)
    return figure


@styled
def plot_runs(
    runs: Mapping[str, Sequence[float]], *, lines: Mapping[str, float], highest: float = 12.0
) -> Figure:
    """Draw training losses of several runs, the first one bold, each named at its end.

    Args:
        runs: loss of each step, by name.
        lines: levels to compare with, by name.
        highest: where the axis ends.
    """
    figure = make_figure(9.2, 4.4)
    n_steps = max(map(len, runs.values()))
    axes = figure.add_subplot(xlabel="step", ylabel="training loss (nats per token)")
    axes.set(xlim=(0, n_steps * 1.22), ylim=(0, highest))
    for index, (name, losses) in enumerate(runs.items()):
        smooth = np.convolve(losses, np.ones(_NEARBY) / _NEARBY, mode="valid")
        steps = np.arange(len(smooth)) + 1 + _NEARBY // 2
        style = {"linewidth": 1.7 if index else 3.2, "color": PALETTE[index % len(PALETTE)]}
        axes.plot(steps, smooth, label=name, **style)
    for name, value in lines.items():
        axes.axhline(value, color=GRAY, linestyle=(0, (5, 3)), linewidth=1.2)
        axes.text(n_steps * 1.01, value + 0.12, f"{name} {value:.2f}", color=GRAY, fontsize=9.5)
    axes.legend(loc="upper right", ncols=2)
    show_grid(axes)
    return figure


@styled
def plot_next_token(
    log_probs: Tensor,
    tokens: list[str],
    *,
    temperatures: Sequence[float] = (0.5, 1.0, 1.5),
    top_p: float = 0.8,
    n_shown: int = 14,
) -> Figure:
    """Draw the likeliest next tokens at several temperatures; the nucleus of ``top_p`` in blue.

    Args:
        log_probs: (V,) nats.
        tokens: V texts.
        temperatures: one panel each.
        top_p: the share that the nucleus reaches.
        n_shown: bars of a panel.
    """
    figure = make_figure(9.6, 3.7)
    ranked = log_probs.argsort(descending=True)
    highest = 1.05 * (log_probs / min(temperatures)).softmax(-1).max().item()
    labels = [drawable(tokens[token]) for token in ranked[:n_shown].tolist()]
    for column, temperature in enumerate(temperatures, start=1):
        probs = (log_probs / temperature).softmax(-1)[ranked]
        n_kept = int((probs.cumsum(0) - probs < top_p).sum())
        axes = figure.add_subplot(1, len(temperatures), column)
        colors = [BLUE if rank < n_kept else "#b8c4ce" for rank in range(n_shown)]
        axes.barh(range(n_shown), probs[:n_shown].tolist(), color=colors)
        axes.set_yticks(range(n_shown), labels, fontsize=9)
        axes.invert_yaxis()
        axes.set(xlabel="probability", xlim=(0, highest))
        plural = "token" if n_kept == 1 else "tokens"
        axes.set_title(f"T = {temperature:g}: nucleus of {n_kept} {plural}", fontsize=10.5)
        axes.tick_params(axis="y", length=0)
    return figure
