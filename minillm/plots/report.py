"""A report: a story in sections that becomes one self-contained HTML page.

Everything that is passed in is text and is escaped: a model may well write ``<script>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from matplotlib.figure import Figure as MatplotlibFigure

from minillm.plots.page import FRAME, STYLE_SHEET, escaped
from minillm.plots.style import figure_to_html

Kind = Literal["note", "result", "warning"]


class Sample(NamedTuple):
    """A text that a model wrote."""

    title: str
    text: str  # what it wrote, without the prompt
    prompt: str = ""  # set in color before the text


class Report:
    """Collects sections and their content, in order; every method returns the report.

    Texts may hold ```code``` and ``**bold**``; a blank line begins a new paragraph.

    Args:
        title: of the page.
        subtitle: one or two sentences below it.
        footer: the last line, such as how to make the report again.
        language: of the texts, as HTML names it.

    Example:
        >>> report = Report("My run").section("Pretrain").text("The loss **fell**.")
        >>> "<p>The loss <strong>fell</strong>.</p>" in report.to_html()
        True
    """

    def __init__(
        self, title: str, *, subtitle: str = "", footer: str = "", language: str = "en"
    ) -> None:
        self.title, self.subtitle = title, subtitle
        self.footer, self.language = footer, language
        self._sections: list[str] = []  # titles
        self._parts: list[str] = []

    def section(self, title: str, *, lead: str = "") -> Report:
        """Begin a numbered section; the page's head links to it."""
        self._close_section()
        self._sections.append(title)
        number = len(self._sections)
        heading = f"<h2><span>{number}</span>{escaped(title)}</h2>"
        opening = f'<p class="lead">{_marked(lead)}</p>' if lead else ""
        return self._add(f'<section id="section-{number}">{heading}{opening}')

    def text(self, text: str) -> Report:
        """Add paragraphs."""
        return self._add(_paragraphs(text))

    def callout(self, text: str, *, kind: Kind = "note") -> Report:
        """Add a box for what the reader should not miss.

        Args:
            text: paragraphs.
            kind: ``"note"``; ``"result"`` for what came out; ``"warning"``.

        Raises:
            ValueError: if the kind is unknown.
        """
        if kind not in ("note", "result", "warning"):
            raise ValueError(f"kind must be 'note', 'result' or 'warning', got {kind!r}")
        return self._add(f'<aside class="callout {kind}">{_paragraphs(text)}</aside>')

    def stats(self, values: Mapping[str, object]) -> Report:
        """Add a row of large numbers, by label."""
        cells = (
            f"<div><dt>{_marked(label)}</dt><dd>{escaped(value)}</dd></div>"
            for label, value in values.items()
        )
        return self._add(f'<dl class="stats">{"".join(cells)}</dl>')

    def table(
        self, headers: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = ""
    ) -> Report:
        """Add a table; columns of numbers are set to the right, integers with separators.

        Args:
            headers: one per column.
            rows: cells; give floats as texts in the digits that they deserve.
            caption: below the table.

        Raises:
            ValueError: if a row is not as long as the headers.
        """
        cells = [[_cell(value) for value in row] for row in rows]
        for row in cells:
            if len(row) != len(headers):
                raise ValueError(f"a row has {len(row)} cells, the table {len(headers)} columns")
        is_number = [
            bool(cells) and all(_NUMBER.fullmatch(row[column]) for row in cells)
            for column in range(len(headers))
        ]
        below = f"<caption>{_marked(caption)}</caption>" if caption else ""
        head = _row("th", headers, is_number)
        body = "".join(_row("td", row, is_number) for row in cells)
        table = f"<table>{below}<thead>{head}</thead><tbody>{body}</tbody></table>"
        return self._add(f'<div class="scroll card">{table}</div>')

    def bars(
        self, values: Mapping[str, float], *, highlight: str | None = None, caption: str = ""
    ) -> Report:
        """Add horizontal bars from zero, in the given order; numbers with two decimals.

        Args:
            values: not negative, by name.
            highlight: the name that the comparison is about.
            caption: what the numbers are, with their unit.
        """
        longest = max(values.values(), default=0) or 1
        cells = []
        for name, value in values.items():
            best = ' class="best"' if name == highlight else ""
            width = 88 * value / longest  # percent; the rest is for the number
            bar = f'<i style="width:{width:.2f}%"></i><em>{value:.2f}</em>'
            cells.append(f"<span{best}>{_marked(name)}</span><div{best}>{bar}</div>")
        below = f"<figcaption>{_marked(caption)}</figcaption>" if caption else ""
        bars = f'<div class="card"><div class="bars">{"".join(cells)}</div></div>'
        return self._add(f"<figure>{bars}{below}</figure>")

    def figure(self, figure: MatplotlibFigure, *, alt: str, caption: str = "") -> Report:
        """Add a figure, on white also in the dark.

        Args:
            figure: any Matplotlib figure.
            alt: what it shows, in words.
            caption: what follows from it.
        """
        below = f"<figcaption>{_marked(caption)}</figcaption>" if caption else ""
        picture = figure_to_html(figure, alt)
        width = (
            f"--width: {figure.get_figwidth() * 96:.0f}px"  # a phone scrolls, rather than shrinks
        )
        return self._add(
            f'<figure><div class="picture" style="{width}">{picture}</div>{below}</figure>'
        )

    def samples(self, samples: Iterable[Sample]) -> Report:
        """Add texts that models wrote, side by side where there is room."""
        return self._add(f'<div class="samples">{"".join(map(_sample, samples))}</div>')

    def command(self, text: str) -> Report:
        """Add lines to type into a terminal."""
        return self._add(f'<pre class="command">{escaped(text)}</pre>')

    def to_html(self) -> str:
        """Return the page; the same calls give the same bytes."""
        links = "".join(
            f'<li><a href="#section-{number}"><b>{number}</b>{escaped(title)}</a></li>'
            for number, title in enumerate(self._sections, start=1)
        )
        return FRAME.format(
            language=escaped(self.language),
            title=escaped(self.title),
            style=STYLE_SHEET,
            subtitle=f"<p>{_marked(self.subtitle)}</p>" if self.subtitle else "",
            navigation=f'<nav aria-label="Sections"><ol>{links}</ol></nav>' if links else "",
            body="\n".join(self._parts) + ("</section>" if self._sections else ""),
            footer=_marked(self.footer) or "Made by minillm.",
        )

    def save(self, path: Path) -> Path:
        """Write the page as UTF-8 and return its path; folders are made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.to_html(), encoding="utf-8", newline="\n")
        return path

    def _add(self, part: str) -> Report:
        self._parts.append(part)
        return self

    def _close_section(self) -> None:
        if self._sections:
            self._parts.append("</section>")


_NUMBER = re.compile(r"[−+-]?[\d,]*\.?\d+( ?(%|kB|MB|s|ms|×))?|–|")


def _marked(text: str) -> str:
    """Escape, then turn `code` and **bold** into HTML."""
    text = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escaped(text))
    return re.sub(r"\*\*([^*\n]+)\*\*", r"<strong>\1</strong>", text)


def _paragraphs(text: str) -> str:
    """Return one ``<p>`` per block between blank lines."""
    blocks = re.split(r"\n\s*\n", text.strip())
    return "".join(f"<p>{_marked(block)}</p>" for block in blocks)


def _cell(value: object) -> str:
    """Write a cell: integers with separators, nothing for ``None``."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _row(tag: str, cells: Sequence[str], is_number: Sequence[bool]) -> str:
    """Return one table row."""
    attributes = [' class="number"' if number else "" for number in is_number]
    written = (
        f"<{tag}{attribute}>{_marked(cell)}</{tag}>"
        for cell, attribute in zip(cells, attributes, strict=True)
    )
    return f"<tr>{''.join(written)}</tr>"


def _sample(sample: Sample) -> str:
    """Return one text with its title; nothing in it is read as markup."""
    prompt = f"<b>{escaped(sample.prompt)}</b>" if sample.prompt else ""
    text = f'<div class="sample">{prompt}{escaped(sample.text)}</div>'
    return f"<figure><figcaption>{_marked(sample.title)}</figcaption>{text}</figure>"
