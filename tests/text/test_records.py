"""Packed JSON lines and Parquet: the same documents as plain JSON lines, and damage by name."""

import gzip
import importlib
import json
import tracemalloc

import pytest

from minillm.errors import ConfigError, DataError
from minillm.text import reading
from minillm.text.corpora import load_corpus

RECORDS = ["Tea for two.", "\ufeffone\r\ntwo\rthree é 漢😀 \x00 \u2028", "A long one. " * 6000]


def read(path, **options):
    return list(load_corpus([str(path)], **options))


def write_jsonl(path, texts):
    lines = "".join(json.dumps({"text": text, "id": 7}) + "\n" for text in texts)
    raw = lines.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def write_parquet(path, columns, **options):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table(columns), path, **options)
    return path


@pytest.fixture
def plain(tmp_path):
    documents = read(write_jsonl(tmp_path / "a.jsonl", RECORDS))
    assert [document.text for document in documents[:2]] == [
        "Tea for two.",
        "one\ntwo\nthree é 漢😀 \x00 \u2028",
    ]
    assert "".join(document.text for document in documents[2:]) == RECORDS[2]
    return documents


def same_but_for_the_name(documents, plain):
    assert [document.text for document in documents] == [document.text for document in plain]
    assert [document.source.partition(":")[2] for document in documents] == [
        "1",
        "2",
        "3",
        "3#2",
        "3#3",
    ]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "A.JSONL.GZ"])
def test_packed_lines_are_the_same_lines(tmp_path, plain, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    same_but_for_the_name(read(path), plain)


def test_packed_files_may_come_in_several_pieces(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "one"}\n{"te') + gzip.compress(b'xt": "two"}\n'))
    assert [document.text for document in read(path)] == ["one", "two"]


def test_places_in_packed_files_count_what_was_unpacked(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "good"}\n{"text": "\xff"}\n'))
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:2: invalid UTF-8 at byte 27"):
        read(path)
    path.write_bytes(gzip.compress(b'{"text": "good"}\n{}\n'))
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:2: expected .*\(none\)"):
        read(path)


@pytest.mark.parametrize("damage", ["cut", "flip", "block", "checksum", "plain", "empty", "tail"])
def test_a_damaged_packed_file_is_named(tmp_path, damage):
    path = write_jsonl(tmp_path / "a.jsonl.gz", ["Tea for two."] * 99)
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[len(raw) // 2] ^= 255
    if damage == "block":  # no kind of block that gzip knows
        raw[10:40] = b"\xff" * 30
    if damage == "checksum":
        raw[-6] ^= 1
    raw = {"cut": raw[:-9], "plain": b'{"text": "x"}\n', "empty": b"", "tail": raw + b"x"}.get(
        damage, raw
    )
    path.write_bytes(raw)
    message = "no text" if damage == "empty" else r"a\.jsonl\.gz: damaged or not a \.gz file \("
    with pytest.raises(DataError, match=message):
        read(path)


def test_a_packed_file_streams(tmp_path):
    text = "spam " * 4000  # 20 kB
    path = write_jsonl(tmp_path / "a.jsonl.gz", [text] * 500)
    tracemalloc.start()
    try:
        n_read = sum(document.n_bytes for document in read_lazily(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_read == 500 * len(text)
    assert peak < 0.5 * n_read


def read_lazily(path):
    return load_corpus([str(path)])


def test_other_packed_files_are_refused_with_both_endings(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"can read .*\.jsonl\.gz, \.parquet.*, got \.tar\.gz"):
        read(tmp_path / "a.tar.gz")
    (tmp_path / "b.gz").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"got \.gz$"):
        read(tmp_path / "b.gz")


# Parquet.


@pytest.mark.parametrize("kind", ["string", "large_string"])
@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
def test_parquet_rows_are_the_same_records(tmp_path, plain, kind, compression):
    arrow = pytest.importorskip("pyarrow")
    texts = arrow.array(RECORDS, getattr(arrow, kind)())
    columns = {"id": [1, 2, 3], "text": texts, "score": [0.5, 0.25, 0.0]}
    path = write_parquet(tmp_path / "a.parquet", columns, compression=compression, row_group_size=2)
    same_but_for_the_name(read(path), plain)


def test_rows_are_counted_across_pieces(tmp_path, monkeypatch):
    path = write_parquet(
        tmp_path / "a.parquet", {"text": [f"row {n}" for n in range(1, 24)]}, row_group_size=11
    )
    monkeypatch.setattr("minillm.text.records._ROWS_AT_ONCE", 5)
    assert [d.source.rpartition(":")[2] for d in read(path)] == [str(n) for n in range(1, 24)]
    assert [d.text for d in read(path)] == [f"row {n}" for n in range(1, 24)]


def test_a_parquet_file_without_texts_lists_its_columns(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"title": ["x"], "body": ["y"]})
    with pytest.raises(
        DataError, match=r"a\.parquet: no column 'text'; its columns are title, body"
    ):
        read(path)
    path = write_parquet(tmp_path / "a.parquet", {"text": [5]})
    with pytest.raises(DataError, match=r"a\.parquet: the column 'text' must hold strings.*int64"):
        read(path)
    path = write_parquet(tmp_path / "a.parquet", {"text": ["x", None]})
    with pytest.raises(DataError, match=r"a\.parquet:2: expected a text, the row has none"):
        read(path)


def test_invalid_utf8_in_parquet_names_the_row_row22(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    raw = arrow.array([b"good", b"ab\xff"], arrow.binary())
    path = write_parquet(tmp_path / "a.parquet", {"text": raw.view(arrow.string())})
    with pytest.raises(DataError, match=r"a\.parquet:2: invalid UTF-8 at byte 2 \(0xff"):
        read(path)
    assert [document.text for document in read(path, errors="replace")] == ["good", "ab\ufffd"]


@pytest.mark.parametrize("damage", ["cut", "middle", "plain", "empty"])
def test_a_damaged_parquet_file_is_named(tmp_path, damage):
    texts = [f"Row {n} of many rows." for n in range(999)]
    path = write_parquet(tmp_path / "a.parquet", {"text": texts}, compression="none")
    raw = bytearray(path.read_bytes())
    raw[4:200] = b"\xff" * 196 if damage == "middle" else raw[4:200]
    path.write_bytes({"cut": raw[:-9], "plain": b"Just text.", "empty": b""}.get(damage, raw))
    with pytest.raises(DataError, match=r"a\.parquet: damaged or not a Parquet file \("):
        read(path)


def test_a_missing_package_is_named_with_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")

    def fail(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", fail)
    assert reading.importlib is importlib
    message = r"reading \.parquet needs pyarrow, .*python -m pip install 'minillm\[text\]'"
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / "a.parquet")
