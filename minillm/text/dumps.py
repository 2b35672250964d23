"""MediaWiki dumps, such as Wikipedia's ``pages-articles.xml.bz2``, read as a stream of articles.

A dump is one XML file that may be far larger than memory (the format:
https://www.mediawiki.org/wiki/Help:Export). The parser calls back for each tag and builds no tree,
so that no more than one page is held at a time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from minillm.errors import DataError
from minillm.text.documents import Document
from minillm.text.markup import is_wiki_redirect
from minillm.text.reading import Errors, decoded_chunks

_ARTICLES = "0"  # the namespace of articles; the others are talk, users, templates, files …
_FIELDS = frozenset({"title", "ns", "model", "text"})
_FED_CHARACTERS = 1 << 16  # handed to the parser at once: a few pages wait, not thousands
_logger = logging.getLogger(__name__)


def read_dump(path: Path, errors: Errors) -> Iterator[Document]:
    """Stream the articles of a dump as wikitext, whole: `clean` removes the markup, then cuts.

    Pages outside the article namespace, redirects and pages that are no wikitext are skipped and
    counted in a logged warning. Of several revisions of a page the last in the file is taken.

    Args:
        path: a .xml or .xml.bz2 file.
        errors: as for `load_corpus`.

    Yields:
        Documents with sources ``path:title`` and ``markup="wiki"``.

    Raises:
        DataError: damaged XML, with its line, or XML that is no dump.
    """
    place, pages, skipped = path.as_posix(), _Pages(), Counter()
    parser = expat.ParserCreate()
    parser.buffer_text = True  # a text in one piece instead of a line at a time
    parser.StartElementHandler = pages.start
    parser.EndElementHandler = pages.end
    parser.CharacterDataHandler = pages.add
    parser.EntityDeclHandler = pages.refuse_entity  # a few lines of them can fill any memory
    try:
        for _ in _feed(parser, path, errors):
            for page in pages.take():
                if reason := _reason_to_skip(page):
                    skipped[reason] += 1
                else:
                    yield Document(page["text"], f"{place}:{page.get('title', '')}", "wiki")
    except expat.ExpatError as error:
        raise DataError(f"{place}: damaged XML ({error})") from error
    except _NotADumpError as error:
        raise DataError(f"{place}: {error}; expected a MediaWiki dump") from None
    if skipped:
        counts = ", ".join(f"{n} {reason}" for reason, n in sorted(skipped.items()))
        _logger.warning("%s: skipped %s", place, counts)


def is_dump(path: Path) -> bool:
    """Say whether an XML file is a MediaWiki dump, by its first element.

    Raises:
        DataError: the file is damaged where it begins.
    """
    parser, pages = expat.ParserCreate(), _Pages()
    parser.StartElementHandler = pages.start
    try:
        if any(pages.is_open for _ in _feed(parser, path, "replace")):
            return True
    except (_NotADumpError, expat.ExpatError):
        return False
    return False


def _feed(parser: expat.XMLParserType, path: Path, errors: Errors) -> Iterator[None]:
    """Parse the file bit by bit; after each bit the caller may look at what was found."""
    for chunk in decoded_chunks(path, errors):
        for start in range(0, len(chunk), _FED_CHARACTERS):
            parser.Parse(chunk[start : start + _FED_CHARACTERS], False)
            yield
    parser.Parse("", True)
    yield


class _NotADumpError(Exception):
    """Says what was found instead."""


class _Pages:
    """Collects the fields of each page as the parser meets them."""

    def __init__(self) -> None:
        self.is_open = False  # <mediawiki> was seen
        self._page: dict[str, str] | None = None
        self._field = ""
        self._pieces: list[str] = []
        self._done: list[dict[str, str]] = []

    def take(self) -> list[dict[str, str]]:
        """Return the pages that are complete and forget them."""
        done, self._done = self._done, []
        return done

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.is_open and name != "mediawiki":
            raise _NotADumpError(f"the first element is <{name}>")
        self.is_open = True
        if name == "page":
            self._page = {}
        elif name == "redirect" and self._page is not None:
            self._page["redirect"] = attributes.get("title", "")
        elif name in _FIELDS:
            self._field, self._pieces = name, []

    def add(self, text: str) -> None:
        if self._field:
            self._pieces.append(text)

    def end(self, name: str) -> None:
        if self._page is None:
            return
        if name == "page":
            self._done.append(self._page)
            self._page = None
        elif name == self._field:
            self._page[name] = "".join(self._pieces)
            self._field, self._pieces = "", []

    def refuse_entity(self, name: str, *_: object) -> None:
        raise _NotADumpError(f"it declares the entity {name!r}")


def _reason_to_skip(page: dict[str, str]) -> str | None:
    if page.get("ns", _ARTICLES) != _ARTICLES:  # dumps before 2012 have no ns
        return "pages outside the article namespace"
    if "redirect" in page or is_wiki_redirect(page.get("text", "")):
        return "redirects"
    if page.get("model", "wikitext") != "wikitext":
        return "pages of another content model"
    return None if page.get("text", "").strip() else "articles without text"
