"""Pictures of notebook 14: entities in a text, confused classes, where an answer stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from minillm.finetuning.metrics import bio_entities
from minillm.plots.style import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    LIGHT_GRAY,
    ORANGE,
    PALETTE,
    PURPLE,
    SKY,
    VERMILLION,
    WEIGHTS_COLORMAP,
    Figure,
    drawable,
    make_figure,
    show_grid,
    styled,
)

# In the order of the alphabet, so that a kind has the same color in every picture.
_KIND_COLORS = (GREEN, ORANGE, SKY, PURPLE, BLUE)
_CHARACTER, _BLANK = 0.0795, 0.11  # inches at 9.5 points of a monospaced font; between words
_LINE, _ANSWER_LINE, _WIDTH = 0.43, 0.5, 8.4  # inches
_TRUE = "#00614a"  # green, dark enough to be read
_DARK = 0.55  # of a matrix' greatest value, from which on its number is written in white


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggedText:
    """A text's words with the tags that a model gave them, and the true ones."""

    words: Sequence[str]
    predicted: Sequence[str]
    true: Sequence[str]


@styled
def plot_entities(readers: Mapping[str, Sequence[TaggedText]], *, title: str) -> Figure:
    """Draw predicted entities as boxes in the text, the true ones as lines under it.

    A right entity is a box over a line of the same color and length; a box without a line was
    invented, a line without a box was missed.

    Args:
        readers: name of a reader → texts that it tagged, one under the other.
        title: above the figure.

    Raises:
        ValueError: there is no text, or tags that are not as many as the words.

    Example:
        >>> one = TaggedText(words=["Ann", "hums"], predicted=["B-PER", "O"], true=["B-PER", "O"])
        >>> figure = plot_entities({"a reader": [one]}, title="One text")
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['PER', 'a reader', 'Ann', 'hums']
    """
    texts = [text for group in readers.values() for text in group]
    if not texts or any({len(t.predicted), len(t.true)} != {len(t.words)} for t in texts):
        raise ValueError("plot_entities needs texts with as many tags as words")
    found = [
        entity for t in texts for tags in (t.predicted, t.true) for entity in bio_entities(tags)
    ]
    kinds = sorted({entity.kind for entity in found})
    colors = {kind: _KIND_COLORS[i % len(_KIND_COLORS)] for i, kind in enumerate(kinds)}
    n_lines = sum(_places(text.words)[-1][1] + 1.25 for text in texts) + 1.1 * len(readers)
    figure = make_figure(_WIDTH, _LINE * n_lines + 0.9)
    axes = figure.add_subplot()
    _legend(axes, colors)
    top = 1.05
    for name, group in readers.items():
        axes.text(0, top, name, va="center", fontweight="bold", fontsize=10.5, color=INK)
        top += 1.0
        for text in group:
            places = _places(text.words)
            _draw_text(axes, text, [(x, y + top, width) for x, y, width in places], colors)
            top += places[-1][1] + 1.25
        top += 0.1
    axes.set(xlim=(-0.06, _WIDTH), ylim=(top - 0.4, -0.45))
    axes.axis("off")
    axes.set_title(title)
    return figure


def _places(words: Sequence[str]) -> list[tuple[float, int, float]]:
    """Return x, line and width of each word."""
    places, x, line = [], 0.0, 0
    for word in words:
        width = _CHARACTER * len(drawable(word))
        if x + width > _WIDTH - 0.3:
            x, line = 0.0, line + 1
        places.append((x, line, width))
        x += width + _BLANK
    return places


def _legend(axes: Axes, colors: Mapping[str, str]) -> None:
    x = 0.0
    for kind, color in colors.items():
        width = _CHARACTER * (len(kind) + 1)
        axes.add_patch(_box(x, 0, width, color))
        axes.text(x + width / 2, 0, kind, ha="center", va="center", fontsize=9, color=INK)
        x += width + 0.2


def _draw_text(
    axes: Axes,
    text: TaggedText,
    places: Sequence[tuple[float, float, float]],
    colors: Mapping[str, str],
) -> None:
    for entity in bio_entities(text.predicted):
        for x, y, width in _pieces(places[entity.start : entity.end]):
            axes.add_patch(_box(x, y, width, colors[entity.kind]))
    for entity in bio_entities(text.true):
        for x, y, width in _pieces(places[entity.start : entity.end]):
            rectangle = Rectangle((x, y + 0.37), width, 0.1, color=colors[entity.kind], lw=0)
            axes.add_patch(rectangle)
    for word, (x, y, _) in zip(text.words, places, strict=True):
        style = {"family": "monospace", "fontsize": 9.5, "color": INK}
        axes.text(x, y, drawable(word), va="center", **style)


def _pieces(places: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Join what stands side by side in one line."""
    lines = sorted({y for _, y, _ in places})
    rows = [[place for place in places if place[1] == y] for y in lines]
    return [(row[0][0], row[0][1], row[-1][0] + row[-1][2] - row[0][0]) for row in rows]


def _box(x: float, y: float, width: float, color: str) -> FancyBboxPatch:
    style = {"boxstyle": "round,pad=0,rounding_size=0.05", "mutation_aspect": 2.0}
    return FancyBboxPatch((x - 0.03, y - 0.3), width + 0.06, 0.6, fc=color + "66", lw=0, **style)


@styled
def plot_confusions(
    counts: Mapping[str, Sequence[Sequence[int]]], labels: Sequence[str], *, title: str
) -> Figure:
    """Draw matrices of true classes (rows) against predicted ones (columns), side by side.

    Args:
        counts: name → K rows of K numbers.
        labels: the K classes.
        title: above the figure.

    Raises:
        ValueError: a matrix of another size.

    Example:
        >>> plot_confusions({"a reader": [[3, 1], [0, 4]]}, ["no", "yes"], title="Who is who")
        <Figure size 500x530 with 1 Axes>
    """
    n = len(labels)
    if not counts or any(
        len(rows) != n or any(len(r) != n for r in rows) for rows in counts.values()
    ):
        raise ValueError(f"each matrix must be {n} × {n}, a row and a column for each label")
    figure = make_figure(max(4.7, 1.1 + 3.9 * len(counts)), 5.3)
    top = max(max(row) for rows in counts.values() for row in rows)
    for place, (name, rows) in enumerate(counts.items(), start=1):
        axes = figure.add_subplot(1, len(counts), place)
        axes.imshow(rows, cmap=WEIGHTS_COLORMAP, vmin=0, vmax=top, aspect="auto")
        axes.set_xticks(range(n), [drawable(label) for label in labels], rotation=90)
        axes.set_yticks(range(n), [drawable(label) for label in labels] if place == 1 else [""] * n)
        axes.set(xlabel="predicted class", ylabel="true class" if place == 1 else "")
        axes.tick_params(length=0, labelsize=9)
        n_right = sum(rows[i][i] for i in range(n))
        share = n_right / max(sum(map(sum, rows)), 1)
        axes.set_title(f"{name}: {share:.0%} right", fontsize=11.5)
        _write_counts(axes, rows, top)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=13)
    return figure


def _write_counts(axes: Axes, rows: Sequence[Sequence[int]], top: int) -> None:
    for i, row in enumerate(rows):
        for j, count in enumerate(row):
            if count:
                color = "white" if count > _DARK * top else INK
                axes.text(j, i, str(count), ha="center", va="center", fontsize=7.5, color=color)


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerView:
    """The probabilities of start and end at each place, and what was made of them."""

    question: str
    words: Sequence[str]  # the first stands for "no answer"
    starts: Sequence[float]
    ends: Sequence[float]
    chosen: tuple[int, int]  # first and last place, the first place twice for "no answer"
    true: tuple[int, int]


@styled
def plot_answers(views: Sequence[AnswerView], *, title: str) -> Figure:
    """Draw how probable each word is as the start (bars above it) and the end (bars below it).

    The answer given is shaded, the true one is green and bold.

    Args:
        views: one under the other.
        title: above the figure.

    Raises:
        ValueError: there is none, or its numbers are not as many as its words.

    Example:
        >>> view = AnswerView(question="Who?", words=["(none)", "Ann"], starts=[0.1, 0.9],
        ...                   ends=[0.2, 0.8], chosen=(1, 1), true=(1, 1))
        >>> [text.get_text() for text in plot_answers([view], title="Where?").axes[0].texts]
        ['Who?', '(none)', 'Ann']
    """
    if not views or any({len(v.starts), len(v.ends)} != {len(v.words)} for v in views):
        raise ValueError("plot_answers needs views with two numbers for each word")
    layouts = [_places(view.words) for view in views]
    n_lines = sum(places[-1][1] + 1 for places in layouts) + len(views)
    figure = make_figure(_WIDTH, _ANSWER_LINE * n_lines + 0.75)
    axes = figure.add_subplot()
    top = 0.0
    for view, places in zip(views, layouts, strict=True):
        _draw_answer(axes, view, [(x, top + y + 0.95, width) for x, y, width in places], top)
        top += places[-1][1] + 2
    axes.set(xlim=(-0.06, _WIDTH), ylim=(top - 0.45, -0.4))
    axes.axis("off")
    handles = [Rectangle((0, 0), 1, 1, color=color, lw=0) for color in (BLUE, VERMILLION)]
    names = ("probable as the start", "probable as the end")
    figure.legend(handles, names, loc="upper right", ncols=2, frameon=False, fontsize=9)
    axes.set_title(title)
    return figure


def _draw_answer(
    axes: Axes, view: AnswerView, places: Sequence[tuple[float, float, float]], top: float
) -> None:
    style = {"va": "center", "fontweight": "bold", "fontsize": 10, "color": INK}
    axes.text(0, top, drawable(view.question), **style)
    for x, y, width in _pieces(places[view.chosen[0] : view.chosen[1] + 1]):
        shade = Rectangle((x - 0.03, y - 0.46), width + 0.06, 0.92, color=LIGHT_GRAY, lw=0)
        axes.add_patch(shade)
    bars = zip(places, view.starts, view.ends, strict=True)
    for (x, y, width), start, end in bars:
        axes.add_patch(Rectangle((x, y - 0.2), width, -0.24 * start, color=BLUE, lw=0))
        axes.add_patch(Rectangle((x, y + 0.2), width, 0.24 * end, color=VERMILLION, lw=0))
    for place, (word, (x, y, _)) in enumerate(zip(view.words, places, strict=True)):
        is_true = view.true[0] <= place <= view.true[1]
        look: dict[str, Any] = {"color": _TRUE, "weight": "bold"} if is_true else {"color": INK}
        axes.text(x, y, drawable(word), va="center", family="monospace", fontsize=9.5, **look)


@styled
def plot_tunings(
    ways: Mapping[str, Sequence[tuple[int, float, float]]], *, before: float, title: str
) -> Figure:
    """Draw what ways of fine-tuning reach and what they forget, against how much learns.

    Args:
        ways: name → for each seed the numbers that learn, the F1 reached, and the loss of
            pretraining afterwards in nats a token.
        before: that loss before any fine-tuning.
        title: above the figure.

    Example:
        >>> figure = plot_tunings({"all": [(9, 0.8, 3.0), (9, 0.9, 4.0)]}, before=2.0, title="t")
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['entity F1', 'next-token loss (nats)']
    """
    figure = make_figure(9.2, 3.9)
    panels = [figure.add_subplot(1, 2, place) for place in (1, 2)]
    labels = ("entity F1", "next-token loss (nats)")
    names = ("What it reaches", "What is left of the pretraining")
    for place, (axes, label, name) in enumerate(zip(panels, labels, names, strict=True)):
        for color, (way, runs) in zip(PALETTE, ways.items(), strict=False):
            x, y = [run[0] for run in runs], [run[1 + place] for run in runs]
            axes.plot(x, y, "o", color=color, markersize=7, alpha=0.75, label=way)
        axes.set_xscale("log")
        axes.set(xlabel="numbers that learn (logarithmic)", ylabel=label)
        axes.set_title(name, fontsize=11.5)
        axes.margins(x=0.12, y=0.15)
        show_grid(axes)
    panels[1].axhline(before, color=GRAY, ls="--", lw=1.3, label="before")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=13)
    handles, found = panels[1].get_legend_handles_labels()
    figure.legend(handles, found, loc="outside lower center", ncols=6, frameon=False)
    return figure
