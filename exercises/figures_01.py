"""Pictures of notebook 01: word frequencies, what cleaning removed, and two shares of a text."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from minillm.plots.style import BLUE, GRAY, SKY, VERMILLION, Figure, make_figure, show_grid, styled
from minillm.text.cleaning import CleaningReport


@styled
def plot_zipf(
    counts: Mapping[str, int],
    marked: Collection[str],
    line: tuple[float, float],
    *,
    fitted: tuple[int, int],
    n_named: int = 8,
) -> Figure:
    """Plot the frequency of each word against its rank, and a power law through them.

    Args:
        counts: word → how often it occurs.
        marked: words drawn in another color, such as the stop words.
        line: (slope, intercept) of log10 frequency against log10 rank.
        fitted: first and last rank that the line was fitted to.
        n_named: the most words of each color that are named; as many as do not touch.

    Raises:
        ValueError: if there is no word.
    """
    if not counts:
        raise ValueError("give plot_zipf at least one word, got none")
    words = sorted(counts, key=lambda word: (-counts[word], word))
    ranks = np.arange(1, len(words) + 1)
    frequencies = np.array([counts[word] for word in words])
    is_marked = np.array([word in marked for word in words])
    figure = make_figure(8.2, 4.2)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    for chosen, color, label in (
        (~is_marked, BLUE, "other words"),
        (is_marked, VERMILLION, "stop words"),
    ):
        axes.plot(ranks[chosen], frequencies[chosen], ".", color=color, ms=5, label=label)
        offset = -16 if chosen is is_marked else 10
        for i in _spread(np.flatnonzero(chosen), n_named):
            place = float(ranks[i]), float(frequencies[i])
            style = {"textcoords": "offset points", "ha": "center", "fontsize": 9, "color": color}
            axes.annotate(words[i], place, xytext=(0, offset), **style)
    slope, intercept = line
    ends = np.array(fitted, dtype=float)
    label = f"fit: frequency ∝ 1 / rank^{-slope:.2f}"
    axes.plot(ends, 10 ** (intercept + slope * np.log10(ends)), color=GRAY, lw=2, label=label)
    axes.set_title("Few words are common, most are rare")
    axes.set(xlabel="rank of the word", ylabel="occurrences")
    axes.set_ylim(0.7, frequencies[0] * 4)
    show_grid(axes, "both")
    axes.legend(loc="lower left")
    return figure


def _spread(places: np.ndarray, n_most: int) -> list[int]:
    """Choose places from the first on, each so far behind the last that two names fit."""
    chosen: list[int] = []
    for i in places.tolist():
        if len(chosen) < n_most and (not chosen or i + 1 >= 1.8 * (chosen[-1] + 1)):
            chosen.append(i)
    return chosen


@styled
def plot_cleaning(report: CleaningReport) -> Figure:
    """Draw what each step did: documents changed and dropped, and bytes removed.

    Steps that did nothing are left out.

    Raises:
        ValueError: if no step did anything.
    """
    steps = [step for step in report.steps if step.n_changed or step.n_dropped]
    if not steps:
        raise ValueError("no step changed or dropped a document: there is nothing to draw")
    places = np.arange(len(steps))[::-1]
    figure = make_figure(8.6, 0.9 + 0.36 * len(steps))
    left, right = figure.subplots(1, 2, sharey=True)
    changed = [step.n_changed for step in steps]
    dropped = [step.n_dropped for step in steps]
    left.barh(places, changed, color=SKY, label="changed")
    left.barh(places, dropped, left=changed, color=VERMILLION, label="dropped")
    left.set(xlabel="documents")
    left.set_xticks(range(max(np.add(changed, dropped)) + 1))
    left.set_yticks(places, [step.name for step in steps])
    left.legend(loc="center right")
    left.set_title("Documents")
    removed = [step.bytes_removed for step in steps]
    right.barh(places, removed, color=BLUE)
    for place, n_bytes in zip(places, removed, strict=True):
        right.annotate(
            f"{n_bytes:,}".replace("-", "−"),
            (max(n_bytes, 0), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    right.margins(x=0.15)
    right.set(xlabel="bytes removed")
    right.set_title("Text")
    for axes in (left, right):
        show_grid(axes, "x")
        axes.tick_params(axis="y", length=0)
    return figure


@styled
def plot_shares(
    bars: Mapping[str, Sequence[float]], parts: Sequence[str], *, xlabel: str
) -> Figure:
    """Draw one horizontal bar for each name, divided into parts that add up to 1.

    Raises:
        ValueError: if a bar has another number of parts, or does not add up to 1.
    """
    for name, shares in bars.items():
        if len(shares) != len(parts) or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(
                f"{name!r} must hold {len(parts)} shares that add up to 1, got {list(shares)}"
            )
    colors = (VERMILLION, BLUE, GRAY, SKY)
    figure = make_figure(8.2, 1.2 + 0.45 * len(bars))
    axes = figure.add_subplot()
    places = np.arange(len(bars))[::-1]
    start = np.zeros(len(bars))
    for k, part in enumerate(parts):
        widths = np.array([shares[k] for shares in bars.values()])
        axes.barh(places, widths, left=start, color=colors[k % 4], label=part, height=0.62)
        for place, width, left in zip(places, widths, start, strict=True):
            if width > 0.04:
                axes.text(
                    left + width / 2, place, f"{width:.0%}", color="white", ha="center", va="center"
                )
        start += widths
    axes.set_yticks(places, list(bars))
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set(xlabel=xlabel)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(parts))
    return figure
