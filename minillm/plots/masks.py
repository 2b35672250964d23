"""Who may read whom: attention masks side by side.

Dimension key: T query positions, S key positions.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from torch import Tensor

from minillm.plots.style import BLUE, GRAY, Figure, make_figure, styled

_HIDDEN = "#eef0f2"
_MAX_TICKS = 12  # positions up to which each one is numbered


@styled
def plot_masks(
    masks: Mapping[str, Tensor], *, n_columns: int = 3, title: str = "Attention masks"
) -> Figure:
    """Draw each mask as a grid: row t shows which keys query t may read.

    Args:
        masks: name → bool mask of one sequence, (T, S) or with leading axes of size 1.
        n_columns: pictures side by side.
        title: above the figure.

    Raises:
        ValueError: if there is no mask, or one is not the boolean mask of a single sequence.

    Example:
        >>> from minillm.masking import causal_mask, sliding_window_mask
        >>> masks = {"causal": causal_mask(5), "window": sliding_window_mask(5, 2)}
        >>> [axes.get_title() for axes in plot_masks(masks).axes]
        ['causal', 'window']
    """
    if not masks:
        raise ValueError("masks is empty: give at least one name and its mask")
    grids = {name: _one_sequence(name, mask) for name, mask in masks.items()}
    n_columns = min(n_columns, len(grids))
    n_rows = -(-len(grids) // n_columns)
    figure = make_figure(2.3 * n_columns + 0.5, 2.45 * n_rows + 1.0)
    for place, (name, grid) in enumerate(grids.items(), start=1):
        _draw(figure.add_subplot(n_rows, n_columns, place), name, grid)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    figure.supxlabel("key position", fontsize=10.5)
    figure.supylabel("query position", fontsize=10.5)
    figure.legend(
        handles=[Patch(color=BLUE, label="may read"), Patch(color=_HIDDEN, label="hidden")],
        loc="outside upper right",
        ncols=2,
    )
    return figure


def _one_sequence(name: str, mask: Tensor) -> Tensor:
    """Return the (T, S) mask without its leading axes."""
    if str(mask.dtype) != "torch.bool" or mask.ndim < 2 or mask.shape[:-2].numel() != 1:
        raise ValueError(
            f"mask {name!r} must be boolean and of one sequence, (T, S) or (1, 1, T, S), got "
            f"{mask.dtype} of shape {tuple(mask.shape)}"
        )
    return mask.detach().cpu().reshape(mask.shape[-2:])


def _draw(axes: Axes, name: str, grid: Tensor) -> None:
    """Draw one mask with lines between its cells."""
    axes.imshow(
        grid.numpy(), cmap=ListedColormap([_HIDDEN, BLUE]), vmin=0, vmax=1, interpolation="none"
    )
    axes.set_anchor("N")
    n_queries, n_keys = grid.shape
    axes.set_title(textwrap.fill(name, 24), fontsize=10, loc="center", pad=5)
    for set_ticks, count in ((axes.set_xticks, n_keys), (axes.set_yticks, n_queries)):
        set_ticks(range(0, count, -(-count // _MAX_TICKS)))
        set_ticks([place - 0.5 for place in range(1, count)], minor=True)
    axes.tick_params(which="both", length=0, labelsize=8, labelcolor=GRAY)
    axes.grid(visible=True, which="minor", color="white", linewidth=1.0)
    for spine in axes.spines.values():
        spine.set_visible(False)
