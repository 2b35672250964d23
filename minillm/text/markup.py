"""HTML and wiki markup, each recognized before it is touched, and turned into the text it shows.

Recognition comes first because real English speaks *about* markup: a page that explains ``<p>`` or
``List<int>`` is no web page. Every scan is linear in the text: a pattern stops at the next bracket,
possessive repeats give nothing back, and nesting is followed with a stack. (The standard library's
html.parser of Python 3.11.7 needs 34 s for 250 kB of ``<!--``, which is why it is not used here.)
"""

from __future__ import annotations

import html
import re

_KIND_OF_TAG = {
    tag: kind
    for kind, tags in {
        "paragraph": "address article blockquote body caption center dd details div dl dt fieldset "
        "figcaption figure h1 h2 h3 h4 h5 h6 header hr html main ol p pre section summary table ul",
        "line": "br li option tr",
        "cell": "td th",
        # never shown, or the furniture of a page
        "dropped": "aside button footer form head iframe math nav noscript ref script select style "
        "svg template textarea",
        "inline": "a abbr area b bdi bdo big base cite code col colgroup data del dfn em embed "
        "font i img input ins kbd label legend link map mark meta nowiki object param picture q "
        "references rp rt ruby s samp small source span strike strong sub sup tbody tfoot thead "
        "time title tt u var video audio wbr",
    }.items()
    for tag in tags.split()
}
_TAG = re.compile(
    r"""<(?P<slash>/?)(?P<name>[A-Za-z][A-Za-z0-9]*+)
        (?:[\s/](?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+>   # attributes; a quoted value may hold >
          |[\s/][^<>]*+>                               # a stray quote: up to the next >
          |>)
      |(?P<comment><!--)
      |<[!?][^<>]*+>                                   # doctype, processing instruction""",
    re.VERBOSE,
)
_RAW_END = {
    "comment": re.compile("-->"),
    "script": re.compile(r"(?=</script[\s>])", re.IGNORECASE),
    "style": re.compile(r"(?=</style[\s>])", re.IGNORECASE),
}
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_UNESCAPED = re.compile(r"&(?![A-Za-z#])|<")
_MIN_TAGS = 4
_MIN_TAG_SHARE = 0.03  # of the characters; stdlib's pages about tags stay below 0.005


def is_html(text: str) -> bool:
    """Say whether a text is written in HTML, rather than about it.

    Example:
        >>> is_html("<p>Tom &amp; Jerry</p><p>A film.</p>")
        True
        >>> is_html("The <p> element opens a paragraph; List<int> is a type.")
        False
    """
    if text[:200].lstrip().lower().startswith(("<!doctype html", "<html")):
        return True
    tags = [match for match in _TAG.finditer(text) if _name(match) in _KIND_OF_TAG]
    n_inside = sum(len(match[0]) for match in tags)
    if len(tags) >= _MIN_TAGS and n_inside >= _MIN_TAG_SHARE * len(text):
        return True
    # Text that was escaped has no bare "&" or "<" left; a page that explains "&amp;" has some.
    return bool(_ENTITY.search(text)) and not _UNESCAPED.search(text)


def html_to_text(text: str, *, keep_lines: bool = False) -> str:
    r"""Return what a browser would show: no tags, no scripts, no menus, entities as characters.

    Tags that HTML does not know stay, so that ``List<int>`` survives.

    Args:
        text: HTML, whole or a fragment.
        keep_lines: Whether line breaks of the source mean something (in wiki text they do).

    Returns:
        Paragraphs separated by blank lines; text inside ``<pre>`` keeps its lines.

    Example:
        >>> html_to_text("<nav>Home</nav><h1>Cats</h1><p>They sleep &amp; <b>purr</b>.</p>")
        'Cats\n\nThey sleep & purr.'
    """
    reader = _Reader(keep_lines=keep_lines)
    reader.read(text)
    lines = "".join(reader.pieces).split("\n")
    if not keep_lines:
        lines = [line.strip(" ") if line.isspace() else line.rstrip(" ") for line in lines]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _name(match: re.Match[str]) -> str:
    return (match["name"] or "").lower()


class _Reader:
    """Collect pieces of text; closing a dropped element removes the pieces since its opening."""

    def __init__(self, *, keep_lines: bool) -> None:
        self.pieces: list[str] = []
        self._keep_lines = keep_lines
        self._n_pre = 0  # open <pre> elements
        self._dropped_from: dict[str, list[int]] = {}  # an element never closed drops nothing
        self._endless: set[str] = set()  # raw parts with no end in the rest: not searched again

    def read(self, text: str) -> None:
        position = 0
        while match := _TAG.search(text, position):
            self._add_text(text[position : match.start()])
            position = match.end()
            if match["comment"]:
                position = self._skip_raw("comment", text, position)
            elif match["name"]:
                self._add_tag(match)
                if not match["slash"]:
                    position = self._skip_raw(_name(match), text, position)
        self._add_text(text[position:])

    def _skip_raw(self, kind: str, text: str, position: int) -> int:
        """Return the end of a comment or script; ``position`` where it has none."""
        if kind not in _RAW_END or kind in self._endless:
            return position
        end = _RAW_END[kind].search(text, position)
        if end is None:
            self._endless.add(kind)
            return position
        return end.end()

    def _add_text(self, text: str) -> None:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text).replace("\xa0", " ")
        if not (self._keep_lines or self._n_pre):
            text = re.sub(r"\s+", " ", text)
            if not self.pieces or self.pieces[-1].endswith((" ", "\n")):
                text = text.removeprefix(" ")
        if text:
            self.pieces.append(text)

    def _add_tag(self, match: re.Match[str]) -> None:
        name, is_end = _name(match), bool(match["slash"])
        kind = _KIND_OF_TAG.get(name)
        if kind is None:
            self.pieces.append(match[0])
        elif kind == "dropped":
            self._drop(name, is_end=is_end, is_empty=match[0].endswith("/>"))
        elif kind == "paragraph":
            self.pieces.append("\n\n")
        elif kind == "line" and not (is_end and name == "br"):
            self.pieces.append("\n")
        elif kind == "cell" and self.pieces and not self.pieces[-1].endswith((" ", "\n")):
            self.pieces.append(" ")
        if name == "pre":
            self._n_pre = max(self._n_pre - 1, 0) if is_end else self._n_pre + 1

    def _drop(self, name: str, *, is_end: bool, is_empty: bool) -> None:
        opened = self._dropped_from.setdefault(name, [])
        if not is_end and not is_empty:
            opened.append(len(self.pieces))
        elif is_end and opened:
            del self.pieces[opened.pop() :]


_WIKI_SIGNS = (
    re.compile(r"\[\[:?[^\W\d_][^\[\]\n]{0,200}\]\]"),  # [[link]]
    re.compile(r"\{\{[^\W\d_][^{}]{0,300}\}\}"),  # {{template}}
    re.compile(r"^==+[^=\n]{1,200}==+[ \t]*$", re.MULTILINE),  # == heading ==
    re.compile(r"'''[^'\n]{1,200}'''"),  # '''bold'''
    re.compile(r"^\{\|", re.MULTILINE),  # table
    re.compile(r"<ref[ >]"),
)
_MIN_SIGNS = 2  # kinds, not occurrences: Python has [[lists]] and '''strings''', wikis have both
_BRACKETS = re.compile(r"\{\{|\}\}|\{\||\|\}(?!\})|\[\[|\]\]")
_CLOSES = {"}}": "{{", "|}": "{|", "]]": "[["}
_OUTSIDE_LINK = re.compile(r"\[(?:https?:)?//[^\s\[\]]+(?:[ \t]+([^\[\]\n]*))?\]")
_EMPHASIS = re.compile(r"'{2,5}")
_SWITCH = re.compile(r"__[A-Z]{3,20}__")
_NOT_TEXT = ("file:", "image:", "category:", "media:", "文件:", "图像:", "分类:", "檔案:", "分類:")


def is_wiki(text: str) -> bool:
    """Say whether a text is MediaWiki source: at least two kinds of its markup occur.

    Example:
        >>> is_wiki("'''Paris''' is the capital of [[France]].")
        True
        >>> is_wiki("rows = [[a, b], [c, d]]")
        False
    """
    return sum(1 for sign in _WIKI_SIGNS if sign.search(text)) >= _MIN_SIGNS


def is_wiki_redirect(text: str) -> bool:
    """Say whether a wiki page only sends its readers to another one.

    Example:
        >>> is_wiki_redirect("#REDIRECT [[Cat]]")
        True
    """
    return text.lstrip()[:20].lower().startswith(("#redirect", "#重定向"))


def wiki_to_text(text: str) -> str | None:
    """Return the prose of a wiki page; None for a redirect, which has none.

    Templates, tables, references and files go; links and headings leave their words.

    Example:
        >>> wiki_to_text("'''Paris''' {{IPA|x}}is the [[Capital city|capital]] of [[France]].")
        'Paris is the capital of France.'
    """
    if is_wiki_redirect(text):
        return None
    text = html_to_text(_resolve_brackets(text), keep_lines=True)
    text = _OUTSIDE_LINK.sub(lambda match: match[1] or "", text)
    text = _SWITCH.sub("", _EMPHASIS.sub("", text))
    return re.sub(
        r"\n{3,}", "\n\n", "\n".join(map(_without_heading_signs, text.split("\n")))
    ).strip()


def _without_heading_signs(line: str) -> str:
    bare = line.strip()
    return bare.strip("= ") if bare.startswith("==") and bare.endswith("==") else line


def _resolve_brackets(text: str) -> str:
    """Remove templates and tables and replace links by their labels, innermost first."""
    pieces: list[str] = []
    opened: list[tuple[str, int]] = []
    position = 0
    for match in _BRACKETS.finditer(text):
        pieces.append(text[position : match.start()])
        position, bracket = match.end(), match[0]
        if bracket not in _CLOSES:
            opened.append((bracket, len(pieces)))
            pieces.append(bracket)
        elif opened and opened[-1][0] == _CLOSES[bracket]:
            _, start = opened.pop()
            inside = "".join(pieces[start + 1 :]) if bracket == "]]" else ""
            del pieces[start:]
            pieces.append(_link_label(inside))
        else:  # closes nothing: it is text
            pieces.append(bracket)
    return "".join([*pieces, text[position:]])


def _link_label(inside: str) -> str:
    is_text = not inside.strip().lower().startswith(_NOT_TEXT)
    return inside.rsplit("|", 1)[-1].removeprefix(":") if is_text else ""
