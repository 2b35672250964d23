"""Bytes to text, piece by piece: unpacking, UTF-8, newlines, and what to say of damage."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import importlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import IO, Literal

from minillm.errors import ConfigError, DataError

Errors = Literal["strict", "replace"]

CHUNK_BYTES = 1 << 20  # read at once from a file that may be larger than memory
BOM = "\ufeff"


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked on the way where its name ends in .gz or .bz2.

    Args:
        path: the file.

    Raises:
        DataError: what is packed is damaged, cut short or packed otherwise; raised while reading.
    """
    suffix = path.suffix.lower()
    if suffix not in (".gz", ".bz2"):
        with path.open("rb") as file:
            yield file
        return
    unpacker = gzip.GzipFile if suffix == ".gz" else bz2.BZ2File
    try:
        with unpacker(path) as packed, io.BufferedReader(packed, CHUNK_BYTES) as file:
            yield file
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # no permission, a bad disk
            raise
        raise DataError(
            f"{path.as_posix()}: damaged or not a {suffix} file ({error}); download it again, or "
            "repair it"
        ) from error


def decoded_chunks(path: Path, errors: Errors) -> Iterator[str]:
    """Decode piece by piece; a character may lie across two pieces, and so may a CRLF.

    Args:
        path: a file of UTF-8, possibly packed, see `open_bytes`.
        errors: as for `load_corpus`.

    Yields:
        The text in pieces, newlines made the same, without a byte order mark at the start.

    Raises:
        DataError: invalid UTF-8, with its place, or a damaged packed file.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    n_bytes_before, is_start = 0, True
    with open_bytes(path) as file:
        while True:
            piece = file.read(CHUNK_BYTES)
            n_pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                offset = n_bytes_before - n_pending + error.start
                raise DataError(utf8_message(path.as_posix(), offset, error)) from None
            text = newlines.decode(text, final=not piece)
            yield text.removeprefix(BOM) if is_start else text
            is_start = is_start and not text
            n_bytes_before += len(piece)
            if not piece:
                return


def utf8_message(place: str, offset: int, error: UnicodeDecodeError) -> str:
    """Say where UTF-8 is invalid and what to do."""
    return (
        f"{place}: invalid UTF-8 at byte {offset} (0x{error.object[error.start]:02x}, "
        f"{error.reason}); save the file as UTF-8, or ask for errors='replace'"
    )


def import_extra(module: str, *, needed_for: str) -> ModuleType:
    """Import a package that only some readers need.

    Args:
        module: its dotted name.
        needed_for: what cannot be done without it, such as ``"reading .parquet"``.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ConfigError(
            f"{needed_for} needs {package}, which is not installed: "
            "python -m pip install 'minillm[text]'"
        ) from error
