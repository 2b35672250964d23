"""One door to every text: the corpora by name and the reader's own files, as a stream.

What reading does to a text, and nothing else: CRLF and CR become LF, a byte order mark at the start
of a file or record is dropped, long texts are cut into sections. NUL, U+2028 and every other
character stay; removing is the business of ``cleaning``, where it is counted.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from minillm.errors import ConfigError, DataError
from minillm.text.documents import Document, sections, stream_sections
from minillm.text.dumps import is_dump, read_dump
from minillm.text.reading import Errors, decoded_chunks
from minillm.text.records import read_jsonl_file, read_parquet_file
from minillm.text.stdlib import stdlib_documents
from minillm.text.world.corpus import is_world, parse_corpus

CORPORA = ("stdlib", "world")
_logger = logging.getLogger(__name__)


def load_corpus(names: Sequence[str], *, errors: Errors = "strict") -> Iterator[Document]:
    """Stream the documents of corpora, files and folders, cut into sections.

    Args:
        names: Each ``"stdlib"``, ``"world"`` (with options such as
            ``"world:documents=5000,seed=3,language=zh,split=test"``, see `parse_corpus`), or the
            path of a file of one of the `READERS` or of a folder of them (read recursively, in
            sorted order; hidden files and folders are not entered, links to folders not followed,
            other kinds of files are counted in a logged warning, and so is XML that is no MediaWiki
            dump). A folder of your own called stdlib is ``./stdlib``.
        errors: What invalid UTF-8 (and a lone surrogate in JSON) becomes: an error that says where,
            or with ``"replace"`` U+FFFD.

    Returns:
        An iterator of documents. Names are checked at once, files when they are reached.
        Articles of a MediaWiki dump come whole, as wikitext: a cut could fall inside a table.

    Raises:
        ConfigError: A name that is no corpus, no file and no folder, or a kind that is not read;
            a package that the kind needs is not installed.
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
    if is_world(name):
        parse_corpus(name)
        return
    path = Path(name)
    if name == "stdlib" or path.is_dir():
        return
    if not path.exists():
        raise ConfigError(
            f"unknown corpus {name!r}: choose one of {', '.join(CORPORA)}, "
            f"or the path of a file ({', '.join(READERS)}) or of a folder of such files"
        )
    if not _kind(path):
        raise ConfigError(f"{name}: can read {', '.join(READERS)}, got {_suffixes(path)}")


def _kind(path: Path) -> str | None:
    """Return the ending that says how to read a file: no other reader's ending is longer."""
    name = path.name.lower()
    return max((kind for kind in READERS if name.endswith(kind)), key=len, default=None)


def _suffixes(path: Path) -> str:
    """Name the ending of a file, both parts of it where it is packed."""
    n_parts = 2 if path.suffix.lower() in (".gz", ".bz2") else 1
    return "".join(path.suffixes[-n_parts:]) or "no suffix"


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
    if is_world(name):
        yield from parse_corpus(name)
        return
    path = Path(name)
    try:
        for file in _files_in(path) if path.is_dir() else [path]:
            kind = _kind(file)
            assert kind is not None, "only files that can be read are listed"
            yield from READERS[kind](file, errors)
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
            kind = _kind(path)
            if kind is not None and (READERS[kind] is not read_dump or is_dump(path)):
                files.append(path)
            else:
                skipped[_suffixes(path)] += 1
    if skipped:
        kinds = ", ".join(f"{n} × {kind}" for kind, n in sorted(skipped.items()))
        _logger.warning("%s: skipped files of kinds that are not read: %s", folder, kinds)
    return sorted(files)


def _read_text_file(path: Path, errors: Errors) -> Iterator[Document]:
    yield from stream_sections(decoded_chunks(path, errors), path.as_posix())


READERS: dict[str, Callable[[Path, Errors], Iterator[Document]]] = {
    ".txt": _read_text_file,
    ".md": _read_text_file,
    ".jsonl": read_jsonl_file,
    ".jsonl.gz": read_jsonl_file,
    ".parquet": read_parquet_file,
    ".xml": read_dump,
    ".xml.bz2": read_dump,
}
