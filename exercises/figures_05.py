"""The figure of notebook 05 that needs more than lines: paths through a ravine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from minillm.plots.style import GRAY, INK, LIGHT_GRAY, PALETTE, Figure, make_figure, styled

_N_CONTOURS = 9
_N_PIXELS = 120  # of the grid on which the contours are found, in each direction


@styled
def plot_paths(
    height: Callable[[Tensor], Tensor],
    paths: Mapping[str, Tensor],
    *,
    limits: tuple[float, float, float, float],
) -> Figure:
    """Draw the steps of each rule over the contour lines of the function that it descends.

    Args:
        height: (N, 2) points in, (N,) values out; its lowest point is (0, 0).
        paths: by name, (T, 2) points in the order in which they were visited.
        limits: least and greatest x, least and greatest y.

    Raises:
        ValueError: if there is no path.

    Example:
        >>> paths = {"straight": torch.tensor([[2.0, 1.0], [0.0, 0.0]])}
        >>> figure = plot_paths(lambda x: x.square().sum(-1), paths, limits=(-3, 3, -2, 2))
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['straight']
    """
    if not paths:
        raise ValueError("give plot_paths at least one path, got none")
    figure = make_figure(3.3 * max(len(paths), 2), 3.1)
    left, right, low, high = limits
    x, y = np.linspace(left, right, _N_PIXELS), np.linspace(low, high, _N_PIXELS)
    grid = torch.from_numpy(np.stack(np.meshgrid(x, y), axis=-1))
    heights = height(grid.flatten(0, 1)).view(_N_PIXELS, _N_PIXELS).numpy()
    levels = np.geomspace(heights.max() / 2000, heights.max(), _N_CONTOURS)
    columns = figure.subplots(1, len(paths), sharey=True, squeeze=False)[0]
    for axes, color, (name, path) in zip(columns, PALETTE, paths.items(), strict=False):
        axes.contourf(x, y, heights, levels=[0, *levels], cmap="Greys", alpha=0.35)
        axes.contour(x, y, heights, levels=levels, colors=LIGHT_GRAY, linewidths=0.8)
        axes.plot(*path.T.numpy(), color=color, linewidth=1.5, marker="o", markersize=3.5)
        axes.plot(0, 0, marker="*", markersize=13, color=INK, markeredgecolor="white")
        axes.set(xlim=(left, right), ylim=(low, high), xlabel="weight θ₁")
        axes.set_title(name, fontsize=11)
        n_steps = len(path) - 1
        steps = "1 step" if n_steps == 1 else f"{n_steps} steps"
        axes.text(0.97, 0.04, steps, transform=axes.transAxes, ha="right", color=GRAY)
    columns[0].set_ylabel("weight θ₂")
    return figure
