"""One look for all figures: colors, type, and how a figure becomes HTML.

Figures are built without pyplot: no global state, no window, nothing to close. They show
themselves in a notebook as the last expression of a cell.
"""

from __future__ import annotations

import base64
import functools
import io
import re
import unicodedata
from collections.abc import Callable
from itertools import accumulate
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import matplotlib.style
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as MatplotlibFigure
from PIL import Image

from minillm.plots.page import escaped

# Okabe and Ito 2008, https://jfly.uni-koeln.de/color: told apart with any color vision.
BLUE, SKY, VERMILLION, ORANGE = "#0072B2", "#56B4E9", "#D55E00", "#E69F00"
GREEN, PURPLE, YELLOW, BLACK = "#009E73", "#CC79A7", "#F0E442", "#000000"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
INK, GRAY, LIGHT_GRAY = "#1f2933", "#66727f", "#e4e7eb"
# White is nothing and lightness falls steadily, so that it also reads in print and in gray.
WEIGHTS_COLORMAP = LinearSegmentedColormap.from_list(
    "minillm_weights", ["#ffffff", "#cfe3f1", "#6fb1d8", BLUE, "#08306b"]
)

_PNG_DPI = 144  # shown at 96: sharp on dense screens, and below 100 kB
_CSS_DPI = 96  # pixels per inch of a web page
_CJK_FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "Noto Sans CJK JP",
)
_CJK_FILE = re.compile(r"CJK|NotoSansSC|SourceHan|wqy|PingFang|Hiragino|msyh", re.IGNORECASE)
_SETTINGS = {
    "font.size": 10.5,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRAY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "grid.color": LIGHT_GRAY,
    "grid.linewidth": 0.8,
    "xtick.color": GRAY,
    "ytick.color": GRAY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": True,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "none",
    "figure.facecolor": "white",  # also in a dark notebook
    "figure.constrained_layout.use": True,
}

P = ParamSpec("P")
R = TypeVar("R")


class Figure(MatplotlibFigure):
    """A Matplotlib figure that needs no pyplot to show itself in a notebook."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture and the size at which a notebook shows it."""
        drawn, buffer = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=_PNG_DPI)
        # 128 colors suffice for a chart and make the notebook three times smaller.
        Image.open(drawn).convert("RGB").quantize(128).save(buffer, format="png", optimize=True)
        width, height = (round(inches * _CSS_DPI) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


def make_figure(width: float, height: float) -> Figure:
    """Build an empty figure; sizes in inches.

    Example:
        >>> make_figure(6, 4).get_size_inches().tolist()
        [6.0, 4.0]
    """
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def styled(plot: Callable[P, R]) -> Callable[P, R]:
    """Make ``plot`` draw in the house style, whatever the reader's own settings are."""

    @functools.wraps(plot)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.style.context(["default", _SETTINGS | {"font.family": _families()}]):
            return plot(*args, **kwargs)

    return wrapper


def show_grid(axes: Axes, axis: str = "y") -> None:
    """Draw light lines across; the data stand above them."""
    axes.grid(visible=True, axis=axis)  # pyright: ignore[reportArgumentType]
    axes.tick_params(length=0 if axis == "y" else 3, axis="y")


def drawable(text: str) -> str:
    r"""Return ``text`` with every character that no installed font can draw spelled out.

    Example:
        >>> drawable("a\nb"), drawable("\x00")
        ('a⏎b', '\\x00')
    """
    text = text.replace("\n", "⏎").replace("\t", "⇥")
    return "".join(c if _can_draw(c) else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str, width: int) -> str:
    r"""Return ``drawable(text)``, cut to ``width`` columns; a Chinese character takes two.

    Example:
        >>> shortened("internationalization", 6), shortened("\x00\x00", 6)
        ('inter…', '\\x00…')
    """
    pieces = [drawable(character) for character in text]
    ends = list(accumulate(map(_columns, pieces)))
    if not ends or ends[-1] <= width:
        return "".join(pieces)
    return "".join(piece for piece, end in zip(pieces, ends, strict=True) if end < width) + "…"


def figure_to_html(figure: MatplotlibFigure, alt: str) -> str:
    """Return an ``<img>`` that holds the figure as SVG: sharp, offline, the same bytes each time.

    An image, not inline SVG, so that the ids of two figures on one page cannot collide.

    Args:
        figure: any Matplotlib figure.
        alt: what the picture shows, in words, for those who cannot see it.

    Raises:
        ValueError: if ``alt`` is empty.

    Example:
        >>> figure_to_html(make_figure(2, 1), "an empty figure")[:22]
        '<img alt="an empty fig'
    """
    if not alt.strip():
        raise ValueError("alt must say in words what the figure shows, got an empty text")
    buffer = io.BytesIO()
    fixed: dict[Any, Any] = {"svg.hashsalt": "minillm", "svg.fonttype": "path"}
    with mpl.rc_context(fixed):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = (round(inches * _CSS_DPI) for inches in figure.get_size_inches())
    return (
        f'<img alt="{escaped(alt)}" width="{width}" height="{height}" '
        f'src="data:image/svg+xml;base64,{data}">'
    )


@functools.cache
def _families() -> list[str]:
    """Return the fonts to look in, in order; only those that are here, or Matplotlib complains."""
    from matplotlib import font_manager  # reads the list of installed fonts: only when we draw

    def chinese() -> list[str]:
        installed = {font.name for font in font_manager.fontManager.ttflist}
        return [name for name in _CJK_FAMILIES if name in installed][:1]

    if not chinese():  # Matplotlib made its list once; fonts that came later are not on it
        for path in filter(_CJK_FILE.search, font_manager.findSystemFonts()):
            font_manager.fontManager.addfont(path)
    return ["DejaVu Sans", *chinese()]


def _columns(text: str) -> int:
    """Count the columns that ``text`` takes: two for a full-width character."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@functools.cache
def _characters() -> frozenset[int]:
    """Return the code points that some font of ours can draw."""
    from matplotlib import font_manager

    charmaps = [
        font_manager.get_font(font_manager.findfont(name)).get_charmap() for name in _families()
    ]
    return frozenset().union(*charmaps)


def _can_draw(character: str) -> bool:
    """Say whether a character has a glyph and is not a control."""
    return ord(character) in _characters() and unicodedata.category(character)[0] != "C"
