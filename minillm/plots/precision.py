"""What float16 does to gradients, and how the loss scale finds its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from minillm.plots.style import (
    BLUE,
    GRAY,
    LIGHT_GRAY,
    VERMILLION,
    Figure,
    make_figure,
    show_grid,
    styled,
)

# float16: below half of its smallest number all is rounded to 0; below 2^-14 it loses digits.
_ZERO, _NORMAL, _LARGEST = -25, -14, 16  # powers of two
_LOWEST, _HIGHEST = -40, 30  # as far as the picture goes


@styled
def plot_underflow(
    gradients: np.ndarray, *, scales: Sequence[float] = (1.0, 2.0**16), title: str | None = None
) -> Figure:
    """Draw how large the gradients are, beside what float16 can hold; a row for each loss scale.

    Figure 3 of Micikevicius et al. 2017 (arXiv:1710.03740), for gradients that were computed in
    float32: what stands left of the format would be lost, what stands right of it infinite.

    Args:
        gradients: float, any shape; signs do not matter, zeros are counted and left out.
        scales: the loss scales to compare, each above 0.
        title: above the figure; ``None`` says how many gradients there are.

    Returns:
        A figure with one histogram a scale, in whole powers of two.

    Raises:
        ValueError: if no gradient is a finite number other than 0.

    Example:
        >>> figure = plot_underflow(np.array([1e-9, -1e-3, 0.0]))
        >>> figure.axes[1].get_xlabel()
        'size of a gradient (power of two)'
    """
    sizes = np.abs(np.asarray(gradients, dtype=np.float64)).ravel()
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(sizes):
        raise ValueError("no gradient is finite and other than 0: there is nothing to draw")
    figure = make_figure(8.2, 0.9 + 1.9 * len(scales))
    panels = np.atleast_1d(figure.subplots(len(scales), sharex=True))
    # What is far outside stands in the outermost bar: all of it is lost in the same way.
    powers = [np.clip(np.log2(sizes * scale), _LOWEST, _HIGHEST - 0.5) for scale in scales]
    low = min(_ZERO - 5, int(np.floor(min(x.min() for x in powers))))
    high = max(_LARGEST + 6, int(np.ceil(max(x.max() for x in powers))))
    for axes, scale, power in zip(panels, scales, powers, strict=True):
        _draw_format(axes, low, high)
        heights, edges = np.histogram(power, bins=np.arange(low, high + 1))
        axes.bar(edges[:-1], 100 * heights / len(sizes), width=1.0, align="edge", color=BLUE)
        axes.set_title(_lost(sizes, scale), fontsize=10.5, fontweight="normal", pad=4)
        axes.set_ylabel("gradients (%)")
        axes.set_ylim(0, 125 * heights.max() / len(sizes))  # room for the words above the bars
        show_grid(axes)
    panels[-1].set_xlabel("size of a gradient (power of two)")
    panels[-1].set_xlim(low, high)
    n_zeros = int(np.sum(np.asarray(gradients) == 0))
    zeros = f", {n_zeros:,} zeros left out" if n_zeros else ""
    figure.suptitle(
        title or f"{len(sizes):,} gradients beside float16{zeros}",
        x=0.01,
        ha="left",
        fontsize=13,
        fontweight="bold",
    )
    return figure


@styled
def plot_loss_scale(metrics: Sequence[Mapping[str, Any]], *, title: str = "Loss scale") -> Figure:
    """Draw the loss scale of each step and the updates that were skipped.

    Args:
        metrics: one mapping per line of ``metrics.jsonl`` of a float16 run: ``step``,
            ``loss_scale`` and ``skipped``.
        title: above the figure.

    Returns:
        A figure.

    Raises:
        ValueError: if no line has a loss scale.

    Example:
        >>> lines = [{"step": n, "loss_scale": 4.0 / n, "skipped": n == 1} for n in (1, 2)]
        >>> plot_loss_scale(lines).axes[0].get_ylabel()
        'loss scale (power of two)'
    """
    lines = [line for line in metrics if line.get("loss_scale") is not None]
    if not lines:
        raise ValueError("metrics hold no 'loss_scale': it is logged where dtype is float16")
    steps = np.array([line["step"] for line in lines])
    powers = np.log2([line["loss_scale"] for line in lines])
    skipped = np.array([bool(line["skipped"]) for line in lines])
    figure = make_figure(8.2, 3.4)
    axes = figure.add_subplot()
    axes.step(steps, powers, where="mid", color=BLUE, linewidth=1.8, label="loss scale")
    if skipped.any():
        axes.plot(
            steps[skipped],
            powers[skipped],
            "x",
            color=VERMILLION,
            markersize=8,
            markeredgewidth=2,
            label=f"update skipped ({skipped.sum():,} of {len(steps):,})",
        )
    axes.set_xlabel("step")
    axes.set_ylabel("loss scale (power of two)")
    axes.margins(y=0.15)
    axes.set_title(title, pad=30)
    show_grid(axes)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, frameon=False)
    return figure


def _draw_format(axes: Axes, low: int, high: int) -> None:
    """Shade what float16 cannot hold, and what it holds with fewer digits."""
    for start, end, color in (
        (low, _ZERO, "#f7d9c8"),
        (_ZERO, _NORMAL, LIGHT_GRAY),
        (_LARGEST, high, "#f7d9c8"),
    ):
        axes.axvspan(start, end, color=color, zorder=0, linewidth=0)
    top = axes.get_xaxis_transform()
    for middle, text in (
        ((low + _ZERO) / 2, "becomes 0"),
        ((_ZERO + _NORMAL) / 2, "fewer digits"),
        ((_NORMAL + _LARGEST) / 2, "10 bits after the first"),
        ((_LARGEST + high) / 2, "becomes ∞"),
    ):
        axes.text(
            middle, 0.97, text, transform=top, ha="center", va="top", fontsize=8.5, color=GRAY
        )


def _lost(sizes: np.ndarray, scale: float) -> str:
    """Say what rounding to float16 would do at this scale."""
    with np.errstate(over="ignore"):
        rounded = (sizes * scale).astype(np.float16)
    name = "loss as it is" if scale == 1 else f"loss × {scale:,g}"
    zero, infinite = (100 * float(np.mean(x)) for x in (rounded == 0, np.isinf(rounded)))
    return f"{name}: {zero:.2g} % become 0, {infinite:.2g} % become ∞"
