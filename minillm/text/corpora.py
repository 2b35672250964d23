"""One door to every text: the corpora by name and the reader's own files, as a stream.

What reading does to a text, and nothing else: CRLF and CR become LF, a byte order mark at the start
of a file or record is dropped, long texts are cut into sections. NUL, U+2028 and every other
character stay; removing is the business of ``cleaning``, where it is counted.
"""

from __future__ import annotations

import codecs
import io
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from minillm.errors import ConfigError, DataError
from minillm.text.documents import Document, sections, stream_sections
from minillm.text.stdlib import stdlib_documents

Errors = Literal["strict", "replace"]

CORPORA = ("stdlib", "world")
CHUNK_BYTES = 1 << 20  # read at once from a file that may be larger than memory
_BOM = "\ufeff"
_logger = logging.getLogger(__name__)


def load_corpus(names: Sequence[str], *, errors: Errors = "strict") -> Iterator[Document]:
    """Stream the documents of corpora, files and folders, cut into sections.

    Args:
        names: Each ``"stdlib"``, ``"world"``, or the path of a .txt, .md or .jsonl file or of a
            folder of them (read recursively, in sorted order; hidden files and folders are not
            entered, links to folders not followed, other kinds of files are counted in a logged
            warning). A folder of your own called stdlib is ``./stdlib``.
        errors: What invalid UTF-8 (and a lone surrogate in JSON) becomes: an error that says where,
            or with ``"replace"`` U+FFFD.

    Returns:
        An iterator of documents. Names are checked at once, files when they are reached.

    Raises:
        ConfigError: A name that is no corpus, no file and no folder, or a kind that is not read.
        DataError: A damaged line or file, or no text at all; raised by the iterator.

    Example:
        >>> next(load_corpus(["stdlib"])).source
        'stdlib:topics.assert'
    """
    if isinstance(names, str):  # else its letters would be taken for names
        raise ConfigError(f"names must be a list of corpora, got the string {names!r}")
    if errors not in ("strict", "replace"):
        raise ConfigError(f"errors must be 'strict' or 'replace', got {errors!r}")
    for name in names:
        _check_name(name)
    return _load(list(names), errors)


def _check_name(name: str) -> None:
    if name == "world":
        raise ConfigError("the corpus 'world' is not built yet: it arrives with TinyWorld")
    path = Path(name)
    if name == "stdlib" or path.is_dir():
        return
    if not path.exists():
        raise ConfigError(
            f"unknown corpus {name!r}: choose one of {', '.join(CORPORA)}, "
            f"or the path of a file ({', '.join(READERS)}) or of a folder of such files"
        )
    if path.suffix.lower() not in READERS:
        raise ConfigError(
            f"{name}: can read {', '.join(READERS)}, got {path.suffix or 'no suffix'}"
        )


def _load(names: list[str], errors: Errors) -> Iterator[Document]:
    n_documents = 0
    for name in names:
        for document in _read(name, errors):
            if document.text.strip():  # blank sections and empty files hold nothing to learn
                n_documents += 1
                yield document
    if n_documents == 0:
        raise DataError(f"no text in {', '.join(map(repr, names)) or 'an empty list of corpora'}")


def _read(name: str, errors: Errors) -> Iterator[Document]:
    if name == "stdlib":
        for document in stdlib_documents():
            yield from sections(document)
        return
    path = Path(name)
    try:
        for file in _files_in(path) if path.is_dir() else [path]:
            yield from READERS[file.suffix.lower()](file, errors)
    except OSError as error:
        raise DataError(f"cannot read {error.filename or name}: {error.strerror}") from error


def _files_in(folder: Path) -> list[Path]:
    """List the readable kinds in sorted order and log how many files of other kinds there are."""

    def complain(error: OSError) -> None:
        raise error  # os.walk would skip a folder without permission in silence

    files, skipped = [], Counter()
    for root, folders, names in os.walk(folder, onerror=complain):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(root, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() in READERS:
                files.append(path)
            else:
                skipped[path.suffix or "no suffix"] += 1
    if skipped:
        kinds = ", ".join(f"{n} × {kind}" for kind, n in sorted(skipped.items()))
        _logger.warning("%s: skipped files of kinds that are not read: %s", folder, kinds)
    return sorted(files)


def _read_text_file(path: Path, errors: Errors) -> Iterator[Document]:
    yield from stream_sections(_decoded_chunks(path, errors), path.as_posix())


def _decoded_chunks(path: Path, errors: Errors) -> Iterator[str]:
    """Decode piece by piece; a character may lie across two pieces, and so may a CRLF."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    n_bytes_before, is_start = 0, True
    with path.open("rb") as file:
        while True:
            piece = file.read(CHUNK_BYTES)
            n_pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                offset = n_bytes_before - n_pending + error.start
                raise DataError(_utf8_message(path.as_posix(), offset, error)) from None
            text = newlines.decode(text, final=not piece)
            yield text.removeprefix(_BOM) if is_start else text
            is_start = is_start and not text
            n_bytes_before += len(piece)
            if not piece:
                return


def _utf8_message(place: str, offset: int, error: UnicodeDecodeError) -> str:
    return (
        f"{place}: invalid UTF-8 at byte {offset} (0x{error.object[error.start]:02x}, "
        f"{error.reason}); save the file as UTF-8, or ask for errors='replace'"
    )


def _read_jsonl_file(path: Path, errors: Errors) -> Iterator[Document]:
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            place = f"{path.as_posix()}:{number}"
            try:
                decoded = line.decode(errors=errors)
            except UnicodeDecodeError as error:
                raise DataError(_utf8_message(place, offset + error.start, error)) from None
            offset += len(line)
            if number == 1:
                decoded = decoded.removeprefix(_BOM)
            if decoded.strip():  # a blank line between records is harmless
                yield from sections(Document(_record_text(decoded, place, errors), place))


def _record_text(line: str, place: str, errors: Errors) -> str:
    """Return the normalized text of one record ``{"text": ...}``, or say what it is instead."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error}); expected one object on each line") from None
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise DataError(f'{place}: expected {{"text": "a string"}}, got {_describe(record)}')
    text = record["text"].removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        if errors == "strict":
            raise DataError(
                f"{place}: lone surrogate U+{ord(text[error.start]):04X} at character "
                f"{error.start}, which is no text; repair it, or ask for errors='replace'"
            ) from None
        return "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)
    return text


def _describe(record: object) -> str:
    if not isinstance(record, dict):
        return f"a JSON {type(record).__name__}"
    if "text" in record:
        return f"a text of type {type(record['text']).__name__}"
    return f"an object with the keys {', '.join(map(repr, list(record)[:5])) or '(none)'}"


READERS: dict[str, Callable[[Path, Errors], Iterator[Document]]] = {
    ".txt": _read_text_file,
    ".md": _read_text_file,
    ".jsonl": _read_jsonl_file,
}
