"""The figures of notebook 04: what pulls at each score, and a map of token vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

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


@styled
def plot_pull(words: Sequence[str], probs: Tensor, target: int) -> Figure:
    """Draw one prediction, and beside it the gradient of its loss by the scores.

    Args:
        words: V names.
        probs: (V,) what the model believes.
        target: the id that came.

    Raises:
        ValueError: if the number of words is not that of the probabilities.
    """
    if probs.shape != (len(words),):
        raise ValueError(f"{len(words)} words need probs ({len(words)},), got {tuple(probs.shape)}")
    gradient = probs.clone()
    gradient[target] -= 1
    figure = make_figure(9.0, 0.42 * len(words) + 1.2)
    left, right = figure.subplots(1, 2, sharey=True)
    colors = [VERMILLION if i == target else BLUE for i in range(len(words))]
    for axes, values in ((left, probs.tolist()), (right, gradient.tolist())):
        drawn = axes.barh([drawable(word) for word in words], values, color=colors, height=0.62)
        axes.bar_label(drawn, fmt="%.2f", padding=4)
        axes.axvline(0, color=GRAY, linewidth=1)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.2)
    left.invert_yaxis()  # the first on top
    left.set(title="believed", xlabel=f"p (what came: {drawable(words[target])})")
    right.set(title="slope of the loss", xlabel="∂ loss / ∂ score (nats per unit)")
    return figure


@styled
def plot_vectors(vectors: Tensor, groups: Mapping[str, Sequence[tuple[int, str]]]) -> Figure:
    """Draw vectors in the plane in which they differ most (their two principal components).

    Args:
        vectors: (V, C) float.
        groups: name → (row, label) of its members, which share a color.

    Raises:
        ValueError: if there are fewer than three members.
    """
    members = [member for group in groups.values() for member in group]
    if len(members) < 3:
        raise ValueError(f"a map needs three vectors or more, got {len(members)}")
    chosen = torch.nn.functional.normalize(vectors[[row for row, _ in members]].double(), dim=1)
    centered = chosen - chosen.mean(0)
    _, sizes, axes_of_change = torch.linalg.svd(centered, full_matrices=False)
    places = centered @ axes_of_change[:2].T
    share = (sizes[:2].square().sum() / sizes.square().sum()).item()
    figure = make_figure(8.2, 5.0)
    axes = figure.add_subplot()
    start = 0
    for color, (name, group) in zip(PALETTE, groups.items(), strict=False):
        own = places[start : start + len(group)]
        outward = torch.nn.functional.normalize(own - own.mean(0), dim=1).tolist()
        x, y = own.T.tolist()
        start += len(group)
        axes.scatter(x, y, color=color, s=42, label=name)
        for (_, label), a, b, (right, up) in zip(group, x, y, outward, strict=True):
            note = {"textcoords": "offset points", "fontsize": 9.5, "color": color, "va": "center"}
            note["ha"] = "left" if right >= 0 else "right"
            axes.annotate(drawable(label), (a, b), (6 * right, 9 * up), **note)
    axes.set(xlabel="first principal component", ylabel="second principal component")
    axes.set_title(f"Learned vectors: {share:.0%} of their differences lie in this plane")
    axes.margins(0.08)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure
