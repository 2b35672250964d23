"""The figures of notebook 04: what pulls at each score, and a map of token vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
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
        x, y = places[start : start + len(group)].T.tolist()
        start += len(group)
        axes.scatter(x, y, color=color, s=42, label=name)
        for (_, label), point in zip(group, zip(x, y, strict=True), strict=True):
            note = {"textcoords": "offset points", "fontsize": 9.5, "color": color}
            axes.annotate(drawable(label), point, (0, 0), ha="center", va="center", **note)
    axes.set(xlabel="first principal component", ylabel="second principal component")
    axes.set_title(f"Learned vectors: {share:.0%} of their differences lie in this plane")
    axes.margins(0.08)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    _move_labels_apart(figure, axes)
    return figure


def _move_labels_apart(figure: Figure, axes: Axes) -> None:
    """Put each label where it covers least of the points and of the labels put before it."""
    figure.draw_without_rendering()  # only now it is known where the points are
    points = figure.dpi / 72  # pixels a point
    notes = [text for text in axes.texts if isinstance(text, Annotation)]
    centers = [axes.transData.transform(note.xy) for note in notes]
    half = 4 * points  # of a dot
    taken = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in centers]
    for note in notes:
        box = note.get_window_extent()
        best, best_cost = (0.0, 0.0), math.inf
        for right, up in _offsets(box.width / points, box.height / points):
            moved = box.translated(right * points, up * points)
            cost = sum(_shared_area(moved, other) for other in taken) + 0.01 * math.hypot(right, up)
            if cost < best_cost:
                best, best_cost = (right, up), cost
        note.set_position(best)
        taken.append(box.translated(best[0] * points, best[1] * points))


def _offsets(width: float, height: float) -> list[tuple[float, float]]:
    """Return places around a point for the middle of a label, in points; the nearest come first."""
    turns = [(1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8)]
    return [
        (right * (width / 2 + gap), up * (height / 2 + gap))
        for gap in (6, 12, 18, 26)
        for right, up in turns
    ]


def _shared_area(one: Bbox, other: Bbox) -> float:
    """Return how many square pixels two boxes have in common."""
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else both.width * both.height
