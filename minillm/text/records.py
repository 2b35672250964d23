"""Files of records, each with a text: JSON lines, packed or not, and Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minillm.errors import DataError
from minillm.text.documents import Document, sections
from minillm.text.reading import BOM, Errors, import_extra, open_bytes, utf8_message

_ROWS_AT_ONCE = 256  # of a Parquet file; each may be a whole book


def read_jsonl_file(path: Path, errors: Errors) -> Iterator[Document]:
    """Stream ``{"text": ...}`` records, one a line, cut into sections.

    Args:
        path: a .jsonl or .jsonl.gz file.
        errors: as for `load_corpus`.

    Yields:
        Documents with sources ``path:line``.

    Raises:
        DataError: a damaged file or line, named by its number.
    """
    for place, record in read_json_lines(path, errors):
        yield from sections(Document(_record_text(record, place, errors), place))


def read_json_lines(path: Path, errors: Errors = "strict") -> Iterator[tuple[str, Any]]:
    """Stream the values of a file that holds one JSON value a line.

    Args:
        path: a .jsonl or .jsonl.gz file.
        errors: as for `load_corpus`.

    Yields:
        The line's place, ``path:line`` with lines counted from 1, and its value. Blank lines are
        passed over.

    Raises:
        DataError: a damaged file, invalid UTF-8, or a line that is no JSON, named by its number.
    """
    number = offset = 0
    with open_bytes(path) as file:
        for line in file:
            number += 1
            place = f"{path.as_posix()}:{number}"
            decoded = _decode(line, place, errors, offset=offset)
            offset += len(line)
            del line  # a record may be as large as the file: one copy of it less
            if number == 1:
                decoded = decoded.removeprefix(BOM)
            if decoded.strip():  # a blank line between records is harmless
                record = _parse(decoded, place)
                del decoded
                yield place, record


def read_parquet_file(path: Path, errors: Errors) -> Iterator[Document]:
    """Stream the ``text`` column of an Apache Parquet file, cut into sections.

    Args:
        path: a .parquet file, as data sets are published.
        errors: as for `load_corpus`.

    Yields:
        Documents with sources ``path:row``, rows counted from 1.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: a damaged file, no column ``text`` of strings, or a row without one.
    """
    number = 0
    for column in _text_columns(
        path, import_extra("pyarrow.parquet", needed_for="reading .parquet")
    ):
        for raw in column.to_pylist():
            number += 1
            place = f"{path.as_posix()}:{number}"
            if raw is None:
                raise DataError(f"{place}: expected a text, the row has none (null)")
            yield from sections(Document(_normalize(_decode(raw, place, errors)), place))


def _text_columns(path: Path, parquet: Any) -> Iterator[Any]:
    """Yield pieces of the column as arrays of bytes, so that invalid UTF-8 reaches our decoder."""
    pyarrow = import_extra("pyarrow", needed_for="reading .parquet")
    try:
        with path.open("rb") as opened, parquet.ParquetFile(opened, buffer_size=1 << 20) as file:
            schema = file.schema_arrow
            if "text" not in schema.names:
                raise DataError(
                    f"{path.as_posix()}: no column 'text'; its columns are "
                    f"{', '.join(schema.names) or '(none)'}"
                )
            kind = schema.field("text").type
            if kind not in (pyarrow.string(), pyarrow.large_string()):
                raise DataError(
                    f"{path.as_posix()}: the column 'text' must hold strings, it holds {kind}"
                )
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=["text"]):
                yield batch.column(0).cast(pyarrow.large_binary())
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # no permission, a bad disk
            raise
        raise DataError(f"{path.as_posix()}: damaged or not a Parquet file ({error})") from error


def _decode(raw: bytes, place: str, errors: Errors, *, offset: int = 0) -> str:
    try:
        return raw.decode(errors=errors)
    except UnicodeDecodeError as error:
        raise DataError(utf8_message(place, offset + error.start, error)) from None


def _normalize(text: str) -> str:
    return text.removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n")


def _parse(line: str, place: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error}); expected one object on each line") from None


def _record_text(record: Any, place: str, errors: Errors) -> str:
    """Return the normalized text of one record ``{"text": ...}``, or say what it is instead."""
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise DataError(f'{place}: expected {{"text": "a string"}}, got {_describe(record)}')
    text = _normalize(record["text"])
    try:
        if not text.isascii():  # a large record need not be copied for nothing
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
