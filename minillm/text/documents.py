"""Documents: the unit that is cleaned, split, packed and evaluated as one whole."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from minillm.errors import ConfigError, DataError

SECTION_BYTES = 32_000  # DESIGN.md: a longer file is cut, or one book would be the whole validation
_SEAMS = ("\n\n", "\n", " ")  # where a cut hurts least, best first


@dataclass(frozen=True, slots=True)
class Document:
    """One text and where it came from, such as ``"notes/a.md"`` or ``"posts.jsonl:17"``."""

    text: str
    source: str
    markup: str = ""  # the cleaning step that it needs for certain; "": who looks will see

    @property
    def n_bytes(self) -> int:
        """Length in UTF-8 bytes: the denominator of bits per byte."""
        return len(self.text.encode())


@dataclass(frozen=True, slots=True)
class Split:
    """Documents to learn from and documents to be judged by, with what the reader should know."""

    train: Collection[Document]
    validation: Collection[Document]
    notice: str | None = None
    n_duplicates: int = 0  # documents whose exact text came before


def sections(document: Document, *, max_bytes: int = SECTION_BYTES) -> Iterator[Document]:
    r"""Cut a document that is longer than ``max_bytes`` at blank lines.

    Where a section holds no blank line it is cut at a newline, else at a space, else between two
    characters. Nothing is lost: the texts joined are the document's text.

    Args:
        document: Any text; a short one comes back as it is.
        max_bytes: The most UTF-8 bytes of a section, at least 4 (one character).

    Yields:
        Documents with sources ``name``, ``name#2``, ``name#3`` …

    Example:
        >>> poem = Document("one line\n\nanother\n\nthe last", "poem.txt")
        >>> [(part.source, part.text) for part in sections(poem, max_bytes=20)]
        [('poem.txt', 'one line\n\nanother\n\n'), ('poem.txt#2', 'the last')]
    """
    yield from stream_sections([document.text], document.source, max_bytes=max_bytes)


def stream_sections(
    chunks: Iterable[str], source: str, *, max_bytes: int = SECTION_BYTES
) -> Iterator[Document]:
    """Cut a text that arrives in pieces, as `sections` does, holding little more than a section.

    Where the pieces end changes nothing: a cut waits until a whole section can be seen.

    Args:
        chunks: The text in order, in strings of any length.
        source: Name of the whole.
        max_bytes: As in `sections`.

    Yields:
        Documents, as `sections`.
    """
    if max_bytes < 4:
        raise ConfigError(f"max_bytes must hold one character (4 bytes), got {max_bytes}")
    rest, n_sections = "", 0
    for chunk in chunks:
        rest, start = rest + chunk, 0
        # A look-ahead of max_bytes + 1 characters always overflows one section.
        while len(rest) - start > max_bytes:
            window = rest[start : start + max_bytes + 1]
            end = start + _cut_position(window, max_bytes)
            n_sections += 1
            yield Document(rest[start:end], _section_source(source, n_sections))
            start = end
        rest = rest[start:]
    while rest:
        end = _cut_position(rest, max_bytes)
        n_sections += 1
        yield Document(rest[:end], _section_source(source, n_sections))
        rest = rest[end:]


def _section_source(source: str, number: int) -> str:
    return source if number == 1 else f"{source}#{number}"


def _cut_position(text: str, max_bytes: int) -> int:
    """Return how many characters of ``text`` make the next section."""
    if len(text) * 4 <= max_bytes or len(text.encode()) <= max_bytes:
        return len(text)
    # "ignore" drops the character that the limit would cut in two
    fitting = len(text[:max_bytes].encode()[:max_bytes].decode(errors="ignore"))
    for seam in _SEAMS:
        found = text.rfind(seam, 1, fitting)
        if found > 0 and not text[:found].isspace():
            end = found + len(seam)
            while end < fitting and text[end] == seam[0]:  # keep a run of blank lines together
                end += 1
            return end
    return fitting


def stable_hash(text: str) -> int:
    """Return 64 bits of SHA-256: the same number on every machine and in every process.

    Python's own ``hash`` is salted per process, so a split by it would change at every start.

    Example:
        >>> stable_hash("hello") >> 32
        754077114
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def hash_each(documents: Iterable[Document], digest: hashlib._Hash) -> Iterator[Document]:
    """Pass documents on, feeding each text, with its length, to ``digest``."""
    for document in documents:
        raw = document.text.encode("utf-8")
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
        yield document


def corpus_sha256(documents: Iterable[Document]) -> str:
    """Hash the raw text of a corpus in its order, as a prepared corpus' ``manifest.json`` holds it.

    Args:
        documents: the corpus, streamed.

    Example:
        >>> tea = [Document("Tea for two", "a.txt"), Document("and two for tea", "b.txt")]
        >>> corpus_sha256(tea) == corpus_sha256(tea[::-1])
        False
    """
    digest = hashlib.sha256()
    for _ in hash_each(documents, digest):
        pass
    return digest.hexdigest()


def split_documents(documents: Iterable[Document], *, validation_fraction: float = 0.1) -> Split:
    """Set documents aside for validation by the hash of their text.

    A document is held out when ``stable_hash(text) < validation_fraction * 2**64``. The side
    depends on the text alone: new documents never move old ones, the order does not matter, and
    copies of one text always fall on one side, so that no copy leaks an answer. Each side gets at
    least one document; one single text gives its last part, cut at a seam, and says so.

    Args:
        documents: At least one, with some text.
        validation_fraction: Expected share of the documents, in (0, 1).

    Returns:
        Both sides as tuples in the given order, a notice where the reader should know something,
        and the number of documents that repeat an earlier one's exact text.

    Raises:
        ConfigError: The fraction is not inside (0, 1).
        DataError: There is no text, or a single text of one character.

    Example:
        >>> notes = [Document(f"note number {i}", f"{i}.txt") for i in range(100)]
        >>> split = split_documents(notes)
        >>> len(split.train), len(split.validation)
        (93, 7)
    """
    split = split_stored(tuple(documents), validation_fraction=validation_fraction)
    return replace(split, train=tuple(split.train), validation=tuple(split.validation))


def split_stored(documents: Iterable[Document], *, validation_fraction: float = 0.1) -> Split:
    """Split as `split_documents` does, without holding any text: only its hash, 8 bytes.

    Args:
        documents: what gives the same documents each time it is read, such as a `Spool`; it is
            read once here and once whenever a side is read.
        validation_fraction: as in `split_documents`.

    Returns:
        Sides that read ``documents`` anew; they have a length.
    """
    if not 0.0 < validation_fraction < 1.0:
        raise ConfigError(f"validation_fraction must be between 0 and 1, got {validation_fraction}")
    first = next((document for document in documents if document.text.strip()), None)
    if first is None:
        raise DataError("no text: the corpus has no document that is more than blank space")
    texts = (document.text for document in documents if document.text.strip())
    hashes = np.frombuffer(array("Q", map(stable_hash, texts)), np.uint64)
    distinct = np.unique(hashes)
    n_duplicates = len(hashes) - len(distinct)
    if len(distinct) == 1:
        return _split_single(first, validation_fraction, n_duplicates)
    n_below = int(np.searchsorted(distinct, np.uint64(math.ceil(validation_fraction * 2**64))))
    last = distinct[min(max(n_below, 1), len(distinct) - 1) - 1]  # never none of them, never all
    n_held_out = int((hashes <= last).sum())
    notice = None
    if n_duplicates:
        notice = f"{n_duplicates} documents repeat an earlier text; copies stay on one side"
    return Split(
        _Side(documents, int(last), len(hashes) - n_held_out, is_held_out=False),
        _Side(documents, int(last), n_held_out, is_held_out=True),
        notice,
        n_duplicates,
    )


class _Side(Collection[Document]):
    """The documents of one side, chosen anew from what is stored whenever they are read."""

    def __init__(
        self, documents: Iterable[Document], last: int, length: int, *, is_held_out: bool
    ) -> None:
        self._documents, self._last, self._length = documents, last, length
        self._is_held_out = is_held_out

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Document]:
        for document in self._documents:
            if document.text.strip() and self._is_here(document.text):
                yield document

    def __contains__(self, document: object) -> bool:
        return any(document == other for other in self)

    def _is_here(self, text: str) -> bool:
        return (stable_hash(text) <= self._last) == self._is_held_out


def _split_single(document: Document, fraction: float, n_duplicates: int) -> Split:
    """Hold out the end of the only text there is."""
    text = document.text
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    if last - first < 2:
        raise DataError(f"no text to hold out: {document.source} has a single character, needs 2")
    wanted = round(last - (last - first) * fraction)
    cut = min(max(_nearest_seam(text, wanted, (last - first) // 20), first + 1), last - 1)
    notice = (
        f"only one text ({document.source}): its last {len(text) - cut} of {len(text)} characters "
        "are the validation; more documents give a fairer one"
    )
    if n_duplicates:
        notice += f"; {n_duplicates} copies of it left out"
    return Split(
        (replace(document, text=text[:cut]),),
        (Document(text[cut:], f"{document.source}#end"),),
        notice,
        n_duplicates,
    )


def _nearest_seam(text: str, wanted: int, reach: int) -> int:
    """Return the position after the best seam within ``reach`` characters of ``wanted``."""
    low, high = max(wanted - reach, 0), wanted + reach
    for seam in _SEAMS:
        before, after = text.rfind(seam, low, wanted), text.find(seam, wanted, high)
        found = [position + len(seam) for position in (before, after) if position >= 0]
        if found:
            return min(found, key=lambda position: abs(position - wanted))
    return wanted
