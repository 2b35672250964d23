"""The page around a report: style sheet, frame, and what makes a text safe to show in it."""

from __future__ import annotations

import html
import importlib.resources

_FILES = importlib.resources.files("minillm.plots")
STYLE_SHEET = _FILES.joinpath("report.css").read_text("utf-8")
FRAME = _FILES.joinpath("report.html").read_text("utf-8")  # a template for ``str.format``

# HTML has no way to write most controls, nor halves of surrogate pairs.
_VISIBLE = dict.fromkeys(
    (
        *(code for code in range(32) if chr(code) not in "\n\t"),
        *range(0x7F, 0xA0),
        *range(0xD800, 0xE000),
        # Overrides of the writing direction could turn the rest of the page around.
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ),
    "\N{REPLACEMENT CHARACTER}",
)


def escaped(value: object) -> str:
    r"""Return text that is safe in HTML, with a visible sign for each control character.

    Example:
        >>> escaped("<b>\x00&")
        '&lt;b&gt;�&amp;'
    """
    return html.escape(str(value).translate(_VISIBLE))
