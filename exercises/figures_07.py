"""The figures of notebook 07: a text from both of its sides, and bars that may miss a best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.patches import Patch

from minillm.plots.style import (
    BLUE,
    GRAY,
    GREEN,
    PALETTE,
    VERMILLION,
    Figure,
    drawable,
    make_figure,
    show_grid,
    styled,
)


@styled
def plot_two_sides(
    tokens: Sequence[str],
    left_bits: Sequence[float],
    right_bits: Sequence[float],
    *,
    title: str = "What a token costs",
) -> Figure:
    """Draw for each token its surprise to who comes from the left, and to who comes from the right.

    Args:
        tokens: their texts.
        left_bits: −log2 p given all tokens before, drawn upward.
        right_bits: −log2 p given all tokens after, drawn downward.
        title: above the figure.

    Raises:
        ValueError: if there is not one number of each kind for each token.

    Example:
        >>> figure = plot_two_sides(["The", "cat"], [3.0, 5.0], [4.0, 1.0])
        >>> [float(bar.get_height()) for bar in figure.axes[0].patches]
        [3.0, 5.0, -4.0, -1.0]
    """
    if not len(tokens) == len(left_bits) == len(right_bits):
        counts = len(tokens), len(left_bits), len(right_bits)
        raise ValueError(f"tokens and bits must be equally many, got {counts}")
    figure = make_figure(max(4.0, 0.33 * len(tokens) + 1.2), 4.2)
    axes = figure.add_subplot(ylabel="bits (less is easier)")
    places = range(len(tokens))
    axes.bar(places, list(left_bits), color=BLUE, width=0.75)
    axes.bar(places, [-bits for bits in right_bits], color=VERMILLION, width=0.75)
    axes.axhline(0, color=GRAY, linewidth=1)
    axes.set_xticks(places, [drawable(token) for token in tokens], rotation=90, fontsize=9.5)
    axes.set_xlim(-0.7, len(tokens) - 0.3)
    axes.yaxis.set_major_formatter(lambda bits, _: f"{abs(bits):g}")
    axes.set_title(title, pad=28)
    show_grid(axes)
    names = {"given what stands before it": BLUE, "given what stands after it": VERMILLION}
    handles = [Patch(color=color, label=name) for name, color in names.items()]
    place = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "ncols": 2, "frameon": False}
    axes.legend(handles=handles, **place)
    return figure


@styled
def plot_shares(
    values: Mapping[str, float],
    *,
    limits: Mapping[str, float] | None = None,
    xlabel: str,
    title: str,
) -> Figure:
    """Draw one bar per name, and for some of them a mark where the best possible lies.

    Args:
        values: shares between 0 and 1, by name, the first on top.
        limits: for some of the names the highest value that anyone can reach.
        xlabel: what the shares are of.
        title: above the figure.

    Example:
        >>> figure = plot_shares({"a": 0.5}, limits={"a": 0.75}, xlabel="share", title="Shares")
        >>> [float(bar.get_width()) for bar in figure.axes[0].patches]
        [0.5]
    """
    figure = make_figure(7.8, 1.3 + 0.5 * len(values))
    axes = figure.add_subplot(xlabel=xlabel, xlim=(0, 1.08))
    bars = axes.barh(list(values), list(values.values()), color=BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.2f", padding=5)
    for place, name in enumerate(values):
        if limits is not None and name in limits:
            best = limits[name]
            axes.plot([best, best], [place - 0.4, place + 0.4], color=GREEN, linewidth=3)
            above = {"xytext": (0, 3), "textcoords": "offset points", "va": "bottom"}
            note = {"color": GREEN, "ha": "center", "fontsize": 9}
            axes.annotate(f"best {best:.2f}", (best, place - 0.4), **above, **note)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_title(title, pad=18)
    return figure


@styled
def plot_mixtures(weights: Mapping[str, Sequence[float]], layers: Sequence[str]) -> Figure:
    """Draw for each task how its mixture is shared out among the layers.

    Args:
        weights: task → share of each layer; they sum to 1.
        layers: their names.

    Example:
        >>> figure = plot_mixtures({"a": [0.25, 0.75], "b": [0.5, 0.5]}, ["low", "high"])
        >>> len(figure.axes[0].patches)
        4
    """
    figure = make_figure(7.8, 1.4 + 0.5 * len(weights))
    axes = figure.add_subplot(xlabel="share of the mixture", xlim=(0, 1))
    left = [0.0] * len(weights)
    for color, layer, shares in zip(
        PALETTE, layers, zip(*weights.values(), strict=True), strict=False
    ):
        bars = axes.barh(list(weights), shares, left=left, color=color, height=0.6, label=layer)
        axes.bar_label(bars, fmt="%.2f", label_type="center", color="white")
        left = [start + share for start, share in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_title("What each task takes", pad=28)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=len(layers), frameon=False)
    return figure
