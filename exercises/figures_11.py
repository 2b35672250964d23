"""The figures of notebook 11: what became of each token, and which ways there are to choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from exercises.figures_09 import Line, plot_lines
from minillm.plots.style import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    LIGHT_GRAY,
    VERMILLION,
    Figure,
    drawable,
    make_figure,
    styled,
)

FATE_COLORS = {"[MASK]": BLUE, "random": VERMILLION, "kept": GREEN}
_MONO = "DejaVu Sans Mono"
_COLUMN_INCHES = 0.093  # of one letter at the size below
_SIZE = 9.5


@styled
def plot_corruption(
    tokens: Sequence[str], shown: Sequence[str], fates: Sequence[str], *, columns: int = 92
) -> Figure:
    """Draw a text as the model reads it; under each chosen token stands what it must say.

    Args:
        tokens: the text.
        shown: what stands there instead.
        fates: for each token ``""`` (not chosen), ``"[MASK]"``, ``"random"`` or ``"kept"``.
        columns: letters in a line.

    Raises:
        ValueError: if the three differ in length.

    Example:
        >>> figure = plot_corruption(["a", "cat"], ["a", "[MASK]"], ["", "[MASK]"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['a', '[MASK]', 'cat']
    """
    if not len(tokens) == len(shown) == len(fates):
        counts = len(tokens), len(shown), len(fates)
        raise ValueError(f"tokens, shown and fates must be equally many, got {counts}")
    placed = list(_layout(tokens, shown, columns))
    n_lines = placed[-1][1] + 1
    figure = make_figure(columns * _COLUMN_INCHES + 0.3, 0.56 * n_lines + 0.7)
    axes = figure.add_subplot(xlim=(0, columns), ylim=(n_lines, -0.1))
    axes.axis("off")
    for (column, line, width), token, seen, fate in zip(placed, tokens, shown, fates, strict=True):
        color = FATE_COLORS.get(fate, LIGHT_GRAY)
        ink = "white" if fate else INK
        _box(axes, column, line, width, color)
        _write(axes, column + width / 2, line + 0.24, seen, ink)
        if fate:
            _write(axes, column + width / 2, line + 0.68, token, color, weight="bold")
    handles = [Patch(color=color, label=name) for name, color in FATE_COLORS.items()]
    handles.append(Patch(color=LIGHT_GRAY, label="not chosen, not scored"))
    axes.set_title(
        "In the box: what the model reads. Below: what it must say.", fontsize=11, pad=26
    )
    place = {"loc": "lower left", "bbox_to_anchor": (-0.01, 0.99), "ncols": 4, "frameon": False}
    axes.legend(handles=handles, **place)
    return figure


def _layout(
    tokens: Sequence[str], shown: Sequence[str], columns: int
) -> Iterator[tuple[int, int, int]]:
    """Yield column, line and width of each token; the wider of its two texts decides."""
    column = line = 0
    for token, seen in zip(tokens, shown, strict=True):
        width = max(len(token), len(seen)) + 1
        if column + width > columns:
            column, line = 0, line + 1
        yield column, line, width
        column += width


def _box(axes: Axes, column: float, line: float, width: float, color: str) -> None:
    axes.add_patch(
        Rectangle((column + 0.15, line + 0.03), width - 0.3, 0.42, facecolor=color, linewidth=0)
    )


def _write(
    axes: Axes, x: float, y: float, text: str, color: str, *, weight: str = "normal"
) -> None:
    style = {"family": _MONO, "fontsize": _SIZE, "ha": "center", "va": "center"}
    axes.text(x, y, drawable(text), color=color, weight=weight, **style)  # pyright: ignore[reportArgumentType]


@styled
def plot_choices(tokens: Sequence[str], choices: Mapping[str, Sequence[bool]]) -> Figure:
    """Draw under the tokens of one text which of them each way of choosing hides.

    Args:
        tokens: the text.
        choices: name → whether each token is chosen.

    Example:
        >>> figure = plot_choices(["a", "b"], {"alone": [True, False], "spans": [True, True]})
        >>> len(figure.axes[0].patches)
        4
    """
    figure = make_figure(max(6.0, 0.25 * len(tokens) + 1.8), 0.42 * len(choices) + 1.6)
    axes = figure.add_subplot(xlim=(-0.6, len(tokens) - 0.4), ylim=(len(choices) - 0.4, -0.6))
    for row, chosen in enumerate(choices.values()):
        for place, is_chosen in enumerate(chosen):
            color = BLUE if is_chosen else LIGHT_GRAY
            corner = place - 0.45, row - 0.38
            axes.add_patch(Rectangle(corner, 0.9, 0.76, facecolor=color, linewidth=0))
    axes.set_xticks(range(len(tokens)), map(drawable, tokens), rotation=90, family=_MONO)
    axes.set_yticks(range(len(choices)), list(choices))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("tokens of one text; blue: hidden", color=GRAY)
    return figure


def plot_fates(
    points: Sequence[Sequence[float]], *, frequency: float, title: str, log_x: bool = False
) -> Figure:
    """Draw the losses where [MASK], a random token and the token itself stand.

    Args:
        points: step and the three losses in nats, at each step that was looked at.
        frequency: what a token at [MASK] costs who knows only how frequent each token is.
        title: above the figure.
        log_x: a logarithmic axis of steps.
    """
    steps, *losses = zip(*points, strict=True)
    lines: dict[str, Line] = {
        name: (steps, values) for name, values in zip(FATE_COLORS, losses, strict=True)
    }
    lines["frequencies, at [MASK]"] = (steps, [frequency] * len(steps))
    options = {"log_x": log_x, "colors": (*FATE_COLORS.values(), GRAY)}
    return plot_lines({title: lines}, xlabel="step", ylabel="nats per scored token", **options)


@styled
def plot_bars(
    groups: Mapping[str, Mapping[str, float]],
    *,
    ylabel: str,
    title: str,
    levels: Mapping[str, float] | None = None,
    number: str = "%.2f",
) -> Figure:
    """Draw a group of bars for each name, one bar for each of its values.

    Args:
        groups: group → name of a bar → value.
        ylabel: what the values are, with their unit.
        title: above the figure.
        levels: name → value of a dashed line across.
        number: how the values are written above the bars.

    Example:
        >>> figure = plot_bars({"a": {"x": 1.0, "y": 2.0}}, ylabel="nats", title="Two bars")
        >>> [float(bar.get_height()) for bar in figure.axes[0].patches]
        [1.0, 2.0]
    """
    figure = make_figure(8.2, 3.5)
    axes = figure.add_subplot(ylabel=ylabel)
    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    width = 0.8 / len(names)
    colors = (BLUE, VERMILLION, GREEN, GRAY)
    for i, name in enumerate(names):
        places = [
            g + (i - (len(names) - 1) / 2) * width
            for g, b in enumerate(groups.values())
            if name in b
        ]
        values = [bars[name] for bars in groups.values() if name in bars]
        drawn = axes.bar(places, values, width * 0.92, color=colors[i], label=name)
        axes.bar_label(drawn, fmt=number, padding=2, fontsize=9)
    for style, (name, value) in zip(("--", ":"), (levels or {}).items(), strict=False):
        axes.axhline(value, color=GRAY, ls=style, lw=1.3, label=name)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.15)
    has_legend = len(names) > 1 or bool(levels)
    axes.set_title(title, pad=28 if has_legend else 10)
    if has_legend:
        place = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "ncols": 4, "frameon": False}
        axes.legend(**place)
    return figure
