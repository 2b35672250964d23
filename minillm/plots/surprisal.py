"""Which tokens were hard: a text whose tokens are colored by the bits that each one cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_hex
from matplotlib.patches import Rectangle

from minillm.plots.page import escaped
from minillm.plots.style import INK, VERMILLION, Figure, drawable, make_figure, styled

# White costs nothing; it ends at a vermillion that black text can still be read on.
SURPRISAL_COLORMAP = LinearSegmentedColormap.from_list(
    "minillm_surprisal", ["#ffffff", "#fde5d6", "#f6b78f", VERMILLION]
)
_MAX_BITS = 12.0  # full color: a token that the model gave one chance in 4,096
_CHARACTER = 0.0795  # inches that a character takes at 9.5 points: 0.602 · 9.5 / 72
_MAX_ALT = 200  # characters of the text that the alternative text repeats


@styled
def plot_surprisal(
    tokens: Sequence[str],
    bits: Sequence[float],
    *,
    title: str = "Bits per token",
    columns: int = 84,
) -> Figure:
    """Draw a text with each token on the color of its surprisal, −log2 p.

    Args:
        tokens: the texts of the tokens; a line ends after a line feed.
        bits: what each token cost, not negative.
        title: above the figure.
        columns: characters of a line.

    Raises:
        ValueError: if there is nothing to draw, or not one number for each token.

    Example:
        >>> figure = plot_surprisal(["The", " cat"], [7.5, 3.25])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['The', ' cat']
    """
    _check(tokens, bits)
    cells = list(_layout(tokens, columns))
    n_lines = cells[-1][1] + 1
    figure = make_figure(_CHARACTER * columns + 0.25, 0.26 * n_lines + 1.1)
    axes = figure.add_subplot()
    for (column, line, label), cost in zip(cells, bits, strict=True):
        _draw_token(axes, column, line, label, _color(cost))
    axes.set_xlim(0, columns)
    axes.set_ylim(n_lines, 0)
    axes.axis("off")
    axes.set_title(title)
    scale = ScalarMappable(Normalize(0, _MAX_BITS), SURPRISAL_COLORMAP)
    bar = figure.colorbar(scale, ax=axes, orientation="horizontal", aspect=45, pad=0.01)
    bar.set_label("surprisal (bits); darkest: 12 or more", fontsize=9.5)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.ax.tick_params(labelsize=9, length=0)
    return figure


def surprisal_html(
    tokens: Sequence[str], bits: Sequence[float], *, guesses: Sequence[str] | None = None
) -> str:
    """Return the same picture as HTML, where each token shows its numbers under the pointer.

    Args:
        tokens: the texts of the tokens.
        bits: what each token cost.
        guesses: what the model would rather have seen, in words, for each token.

    Raises:
        ValueError: if there is nothing to show, or the lengths differ.

    Example:
        >>> "cat: 3.2 bits" in surprisal_html([" cat"], [3.2])
        True
    """
    _check(tokens, bits)
    if guesses is not None and len(guesses) != len(tokens):
        raise ValueError(f"{len(guesses)} guesses do not fit {len(tokens)} tokens")
    spans = []
    for index, (token, cost) in enumerate(zip(tokens, bits, strict=True)):
        hint = f"{drawable(token).strip() or repr(token)}: {cost:.1f} bits"
        if guesses is not None:
            hint += f" · expected: {guesses[index]}"
        spans.append(
            f'<span title="{escaped(hint)}" '
            f'style="background:{_color(cost)}">{escaped(token)}</span>'
        )
    alt = escaped(f"Text colored by surprisal, dark = hard: {''.join(tokens)[:_MAX_ALT]}")
    style = (
        f"color:{INK};background:#fff;padding:12px 16px;border:1px solid #dde2e8;"
        "border-radius:8px;white-space:pre-wrap;line-height:1.7;font-size:13px"
    )
    return f'<pre role="img" aria-label="{alt}" style="{style}">{"".join(spans)}</pre>'


def _color(cost: float) -> str:
    return to_hex(SURPRISAL_COLORMAP(min(cost / _MAX_BITS, 1.0)))


def _check(tokens: Sequence[str], bits: Sequence[float]) -> None:
    if not len(tokens) or len(tokens) != len(bits):
        raise ValueError(f"give one number for each token, got {len(bits)} for {len(tokens)}")


def _layout(tokens: Sequence[str], columns: int) -> Iterator[tuple[int, int, str]]:
    """Yield (column, line, label) of each token: line feeds are shown, then obeyed."""
    column = line = 0
    for token in tokens:
        label = drawable(token)[:columns]
        if column + len(label) > columns:
            column, line = 0, line + 1
        yield column, line, label
        column += len(label)
        if token.endswith("\n"):
            column, line = 0, line + 1


def _draw_token(axes: Axes, column: int, line: int, label: str, color: str) -> None:
    axes.add_patch(
        Rectangle((column, line + 0.06), len(label), 0.88, facecolor=color, edgecolor="white")
    )
    axes.text(column, line + 0.5, label, family="DejaVu Sans Mono", fontsize=9.5, va="center")
