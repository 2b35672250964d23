"""Cleaning as small steps that compose, each with a reason and a count of what it removed.

Web corpora are cleaned by rules like these (C4: Raffel et al. 2020, §2.2, arXiv:1910.10683; Gopher:
Rae et al. 2021, appendix A.1, arXiv:2112.11446; RefinedWeb: Penedo et al. 2023, arXiv:2306.01116).
Ours are gentler: a reader's own folder is small and rarely spam, so every default asks for strong
evidence before it touches a text, and on the stdlib corpus the table stays nearly empty.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

import ftfy
import numpy as np
import regex
from ftfy.fixes import remove_terminal_escapes

from minillm.errors import ConfigError, DataError
from minillm.text.documents import Document, sections, stable_hash
from minillm.text.languages import is_chinese, is_english
from minillm.text.markup import html_to_text, is_html, is_wiki, wiki_to_text
from minillm.text.near_duplicates import survey_near_duplicates
from minillm.text.spool import Spool
from minillm.text.stop_words import drop_stop_words

Rewrite = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rule: a callable from a text to the better text, or to None to drop the document.

    Exactly one way of starting is given. ``begin`` makes the rule afresh for each pass over a
    corpus, because a rule may remember what it saw; ``survey`` first reads the whole corpus.
    ``certain`` is the rule for documents that name the step as their ``markup``: nothing needs to
    be recognized there.

    Example:
        >>> STEPS["html"]("<p>Salt &amp; pepper</p> <p>are spices.</p>")
        'Salt & pepper\\n\\nare spices.'
    """

    reason: str
    begin: Callable[[], Rewrite] | None = None
    survey: Callable[[Iterable[str]], Rewrite] | None = None
    certain: Rewrite | None = None

    def __call__(self, text: str) -> str | None:
        """Apply the rule to one text as if it were the whole corpus."""
        return self.start([text])(text)

    def start(self, texts: Iterable[str]) -> Rewrite:
        """Return the rule, ready for one pass over ``texts``."""
        if self.survey is not None:
            return self.survey(texts)
        assert self.begin is not None, "a step needs begin or survey"
        return self.begin()


@dataclass(slots=True)
class StepCount:
    """What one step did."""

    name: str
    n_documents_in: int = 0
    n_changed: int = 0
    n_dropped: int = 0
    bytes_removed: int = 0  # negative where a repair makes the text longer

    def record(self, before: str, after: str | None) -> None:
        """Count one document."""
        self.n_documents_in += 1
        if after is None:
            self.n_dropped += 1
            self.bytes_removed += len(before.encode())
        elif after != before:
            self.n_changed += 1
            self.bytes_removed += len(before.encode()) - len(after.encode())


@dataclass(slots=True)
class CleaningReport:
    """Counts per step, in the order of the steps; filled while `clean` is being read."""

    steps: list[StepCount] = field(default_factory=list)

    def rows(self) -> list[tuple[str, int, int, int, int]]:
        """Return (step, documents in, changed, dropped, bytes removed) for a table."""
        return [
            (step.name, step.n_documents_in, step.n_changed, step.n_dropped, step.bytes_removed)
            for step in self.steps
        ]

    def to_json(self) -> list[dict[str, int | str]]:
        """Return the same as plain lists and dictionaries."""
        return [asdict(step) for step in self.steps]


def clean(
    documents: Iterable[Document], steps: Sequence[str], report: CleaningReport
) -> Iterator[Document]:
    """Stream documents through the named steps, in the order given.

    A document that a step leaves blank is dropped by that step. Steps that survey the corpus first
    (``boilerplate-lines``) keep it meanwhile in a temporary file, not in memory. Articles of a
    MediaWiki dump, which came whole, are cut into sections at the end.

    Args:
        documents: Where they come from, such as `load_corpus`.
        steps: Names from `STEPS`; `DEFAULT_STEPS` is a good start, ``()`` cleans nothing.
        report: Gets one more `StepCount` for each step.

    Returns:
        An iterator; the report is complete when it is exhausted.

    Raises:
        ConfigError: An unknown step, at once.
        DataError: Documents came and none is left; raised at the end.

    Example:
        >>> report = CleaningReport()
        >>> notes = [Document("Tea for two, and two for tea.", s) for s in ("a", "b")]
        >>> [document.source for document in clean(notes, ["exact-duplicates"], report)]
        ['a']
        >>> report.rows()
        [('exact-duplicates', 2, 0, 1, 29)]
    """
    for name in steps:
        if name not in STEPS:
            raise ConfigError(f"unknown cleaning step {name!r}: choose from {', '.join(STEPS)}")
    counts = [StepCount(name) for name in steps]
    report.steps += counts
    stream: Iterable[Document] = documents
    for count in counts:
        stream = _apply(STEPS[count.name], stream, count)
    return _refuse_nothing(stream, counts)


def _apply(step: Step, documents: Iterable[Document], count: StepCount) -> Iterator[Document]:
    if step.survey is None:
        yield from _rewrite_each(step, step.start(()), documents, count)
        return
    with Spool(documents) as spool:
        rewrite = step.start(document.text for document in spool)
        yield from _rewrite_each(step, rewrite, spool, count)


def _rewrite_each(
    step: Step, rewrite: Rewrite, documents: Iterable[Document], count: StepCount
) -> Iterator[Document]:
    for document in documents:
        rule = step.certain if document.markup == count.name else None
        text = (rule or rewrite)(document.text)
        if text is not None and not text.strip():
            text = None
        count.record(document.text, text)
        if text is not None:
            yield document if text == document.text else replace(document, text=text)


def _refuse_nothing(documents: Iterable[Document], counts: list[StepCount]) -> Iterator[Document]:
    n_left = 0
    for document in documents:
        n_left += 1
        if document.markup:
            yield from sections(document)
        else:
            yield document
    if n_left == 0 and counts and counts[0].n_documents_in > 0:
        dropped = ", ".join(
            f"{count.name} {count.n_dropped}" for count in counts if count.n_dropped
        )
        raise DataError(
            f"no text is left of {counts[0].n_documents_in} documents after cleaning "
            f"(dropped: {dropped}); leave out a step or give more text"
        )


_FTFY = ftfy.TextFixerConfig(
    normalization="NFC",  # é is one character, however it was typed
    unescape_html=False,  # the html step decides that with evidence
    uncurl_quotes=False,  # “ ” are right, not broken
    fix_character_width=False,  # would turn Chinese punctuation into ASCII
    fix_latin_ligatures=True,  # ﬁ from PDFs is the letters f and i
    remove_control_chars=False,  # counted by its own step
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f"  # C0 but tab, newline, CR, form feed; DEL; C1
    "\u00ad\u200b\u2060\ufeff\ufff9-\ufffb]"  # soft hyphen, zero widths, interlinear marks
)  # the zero-width joiners U+200C and U+200D stay: Persian and emoji need them
_MIN_LETTERS = 10  # "ok", "+1", "[deleted]": an answer without its question teaches nothing
_MIN_LETTER_SHARE = (
    0.4  # of what is not blank; in stdlib the lowest is 0.50 (a table of operators 0.54)
)
_LETTER = regex.compile(r"[\p{L}\p{M}]")
_BLOB = re.compile(r"[A-Za-z0-9+/]{61,}")  # base64, hashes, minified code: no word is that long
_MAX_BLOB_SHARE = 0.5
_MIN_BOILERPLATE_LETTERS = 12  # shorter lines repeat for good reasons: "Example:", "Args:", "}"
_MIN_BOILERPLATE_DOCUMENTS = 5
_MIN_BOILERPLATE_SHARE = 0.05  # of all documents


def _repair_unicode(text: str) -> str:
    return text if text.isascii() else ftfy.fix_text(text, _FTFY)


def _remove_controls(text: str) -> str:
    text = remove_terminal_escapes(text) if "\x1b" in text else text
    return _CONTROLS.sub("", text.replace("\x0c", "\n"))  # a form feed ends a page


def _strip_wiki(text: str) -> str | None:
    return wiki_to_text(text) if is_wiki(text) else text


def _strip_html(text: str) -> str:
    return html_to_text(text) if is_html(text) else text


def _tidy_whitespace(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{4,}", "\n\n\n", lines)


def _has_length(text: str) -> str | None:
    n_letters = sum(1 for _ in zip(range(_MIN_LETTERS), _LETTER.finditer(text), strict=False))
    return text if n_letters == _MIN_LETTERS else None


def _has_letters(text: str) -> str | None:
    n_visible = sum(map(len, text.split()))
    n_blob = sum(len(match[0]) for match in _BLOB.finditer(text))
    n_letters = sum(1 for _ in _LETTER.finditer(text))
    is_prose = n_letters >= _MIN_LETTER_SHARE * n_visible and n_blob <= _MAX_BLOB_SHARE * n_visible
    return text if is_prose else None


def _survey_lines(texts: Iterable[str]) -> Rewrite:
    """Find the lines that many documents share; remove them from each."""
    n_documents, seen = 0, array("q")  # 8 bytes for each line of each document
    for text in texts:
        n_documents += 1
        seen.extend({hash(line) for line in _boilerplate_candidates(text)})
    least = max(_MIN_BOILERPLATE_DOCUMENTS, _MIN_BOILERPLATE_SHARE * n_documents)
    repeated = _occurring(seen, math.ceil(least))

    def rewrite(text: str) -> str:
        if not any(hash(line) in repeated for line in _boilerplate_candidates(text)):
            return text
        return "\n".join(line for line in text.split("\n") if hash(line.strip()) not in repeated)

    return rewrite


def _occurring(numbers: array[int], n_times: int) -> set[int]:
    """Return the numbers that occur at least ``n_times``; sorts them in place."""
    if len(numbers) < n_times:
        return set()
    ordered = np.frombuffer(numbers, np.int64)
    ordered.sort()
    firsts = ordered[: len(ordered) - n_times + 1]
    return set(firsts[firsts == ordered[n_times - 1 :]].tolist())


def _boilerplate_candidates(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if sum(map(str.isalpha, line)) >= _MIN_BOILERPLATE_LETTERS:
            yield line.strip()


def _begin_duplicates() -> Rewrite:
    """Remember the hash of each text, white space and letter case aside."""
    seen: set[int] = set()

    def rewrite(text: str) -> str | None:
        key = stable_hash(" ".join(text.split()).casefold())
        if key in seen:
            return None
        seen.add(key)
        return text

    return rewrite


def _always(rewrite: Rewrite, reason: str) -> Step:
    return Step(reason=reason, begin=lambda: rewrite)


STEPS: dict[str, Step] = {
    "unicode": _always(
        _repair_unicode,
        "text decoded wrongly once (Ã© for é) spells a word in several ways; NFC spells it in one",
    ),
    "control-characters": _always(
        _remove_controls, "invisible characters split words that look the same"
    ),
    "wiki": replace(
        _always(_strip_wiki, "templates, tables and link targets are not what a reader reads"),
        certain=wiki_to_text,
    ),
    "html": _always(_strip_html, "tags, scripts and menus are not what a reader reads"),
    "boilerplate-lines": Step(
        survey=_survey_lines,
        reason="a line that many documents share (a license, a footer) is learned by heart",
    ),
    "whitespace": _always(_tidy_whitespace, "blanks at line ends cost tokens and mean nothing"),
    "length": _always(_has_length, "a document of a few letters has no context to learn from"),
    "symbol-ratio": _always(_has_letters, "tables of numbers, dumps and base64 are not language"),
    "exact-duplicates": Step(
        begin=_begin_duplicates,
        reason="copies are memorized, and a copy across the split fakes a low loss",
    ),
    "near-duplicates": Step(
        survey=survey_near_duplicates,
        reason="a page with another date or name is memorized like a copy; see near_duplicates",
    ),
    "english": _always(
        lambda text: text if is_english(text) else None,
        "a small model learns one language better than a mixture; see languages for the evidence",
    ),
    "chinese": _always(
        lambda text: text if is_chinese(text) else None,
        "the same for Chinese, by its script",
    ),
    "stop-words": _always(
        drop_stop_words,
        "for counting topics only, never by default: a language model must learn the, of, not",
    ),
}
OPTIONAL_STEPS = ("near-duplicates", "english", "chinese", "stop-words")  # for who asks for them
DEFAULT_STEPS: tuple[str, ...] = tuple(name for name in STEPS if name not in OPTIONAL_STEPS)
