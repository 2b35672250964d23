"""The figures of notebook 02: a table of pairs, and how often against in how many contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from minillm.plots.style import (
    BLUE,
    GRAY,
    INK,
    VERMILLION,
    WEIGHTS_COLORMAP,
    Figure,
    drawable,
    make_figure,
    show_grid,
    styled,
)


@styled
def plot_pairs(probs: Tensor, names: Sequence[str], *, title: str) -> Figure:
    """Draw p(column | row) as a table of colors.

    Args:
        probs: (K, K), rows sum to 1.
        names: K short names of the rows and of the columns.
        title: above the figure.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import torch
        >>> plot_pairs(torch.eye(2), ["a", "b"], title="Pairs").axes[0].get_ylabel()
        'after this letter (row)'
    """
    n = len(names)
    if probs.shape != (n, n):
        raise ValueError(f"{n} names need probs ({n}, {n}), got {tuple(probs.shape)}")
    figure = make_figure(7.4, 6.3)
    axes = figure.add_subplot()
    image = axes.imshow(probs.sqrt().numpy(), cmap=WEIGHTS_COLORMAP, vmin=0, vmax=1)
    axes.set_xticks(range(n), names)
    axes.set_yticks(range(n), names)
    axes.tick_params(length=0, labelsize=9)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set(xlabel="comes this letter (column)", ylabel="after this letter (row)")
    axes.set_title(title, pad=14)
    for spine in axes.spines.values():
        spine.set_visible(False)
    ticks = [0.0, 0.01, 0.1, 0.25, 0.5, 1.0]
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="probability (root scale)")
    bar.set_ticks([x**0.5 for x in ticks], labels=[f"{x:g}" for x in ticks])
    return figure


@styled
def plot_contexts(
    counts: Sequence[int], n_contexts: Sequence[int], marked: Mapping[str, int], *, title: str
) -> Figure:
    """Draw for each token how often it occurs, and after how many different tokens.

    Args:
        counts: of each token.
        n_contexts: of each token, the different tokens before it; tokens with none are left out.
        marked: text → number of a token that gets its name.
        title: above the figure.
    """
    figure = make_figure(8.2, 4.4)
    axes = figure.add_subplot()
    shown = [(x, y) for x, y in zip(counts, n_contexts, strict=True) if y > 0]
    axes.scatter(*zip(*shown, strict=True), s=14, color=BLUE, alpha=0.45, linewidth=0)
    top = max(n_contexts)
    axes.plot([1, top], [1, top], color=GRAY, lw=1.2, ls="--")
    axes.annotate("each time after another token", (top**0.72, top**0.76), color=GRAY, ha="right")
    names = sorted(marked.items(), key=lambda item: -n_contexts[item[1]])
    for line, (text, token) in enumerate(names):  # one below the other where no dots are
        place = counts[token], n_contexts[token]
        axes.scatter(*place, s=34, color=VERMILLION, zorder=3)
        axes.annotate(
            drawable(text),
            place,
            (0.79, 0.44 - 0.4 * line / max(len(names) - 1, 1)),
            textcoords="axes fraction",
            va="center",
            fontsize=10,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": GRAY, "lw": 0.7, "shrinkB": 4},
        )
    axes.set(xscale="log", yscale="log", title=title)
    axes.set_xlabel("occurrences c(w) (logarithmic)")
    axes.set_ylabel("different tokens before it, N₁₊(• w)")
    show_grid(axes)
    return figure
