import json
import logging
import subprocess
import sys
import tracemalloc

import pytest

from minillm.errors import ConfigError, DataError
from minillm.text import reading
from minillm.text.corpora import load_corpus


def write(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def texts(*names, **options):
    return [document.text for document in load_corpus(names, **options)]


def test_folder_of_several_kinds_is_read_in_order(tmp_path, caplog):
    write(tmp_path, "b.md", "# Title\n")
    write(tmp_path, "a/z.TXT", "deep\n")
    write(tmp_path, "posts.jsonl", '{"text": "one"}\n\n{"text": "two", "by": "x"}\n')
    write(tmp_path, "photo.png", b"\x89PNG\xff")
    write(tmp_path, ".git/config.txt", "hidden")
    with caplog.at_level(logging.WARNING):
        documents = list(load_corpus([str(tmp_path)]))
    assert [document.text for document in documents] == ["deep\n", "# Title\n", "one", "two"]
    assert documents[3].source == f"{(tmp_path / 'posts.jsonl').as_posix()}:3"
    assert "1 × .png" in caplog.text  # skipped, never in silence


@pytest.mark.parametrize("name", ["no-such-thing", "stdlibs", "/nowhere/x.txt"])
def test_unknown_name_lists_the_choices(name):
    with pytest.raises(ConfigError, match=r"unknown corpus.*stdlib, world.*\.txt, \.md, \.jsonl"):
        load_corpus([name])  # at once, before anything is read


def test_other_refusals(tmp_path):
    with pytest.raises(ConfigError, match=r"can read .*got \.pdf"):
        load_corpus([write(tmp_path, "a.pdf", "x")])
    with pytest.raises(ConfigError, match="must be a list"):
        load_corpus("stdlib")
    with pytest.raises(ConfigError, match="'strict' or 'replace'"):
        load_corpus(["stdlib"], errors="ignore")


@pytest.mark.parametrize("data", ["", "\n\n\r\n", "\ufeff", " \t\n", "\ufeff\n"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_no_text_row20(tmp_path, name, data):
    with pytest.raises(DataError, match="no text"):
        texts(write(tmp_path, name, data))


def test_no_text_in_records_and_lists_row20(tmp_path):
    with pytest.raises(DataError, match="no text"):
        texts(write(tmp_path, "a.jsonl", '{"text": " "}\n'))
    with pytest.raises(DataError, match="no text"):
        texts()


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 1 << 20])
@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"abc\xff", 3),
        ("é漢😀".encode() + b"\xc3(", 9),
        (b"\xe6\xbc", 0),  # cut off inside a character
        (b"\xef\xbb\xbfa\x80", 4),  # the byte order mark counts: it is in the file
        (b"a\r\nb\xed\xa0\x80", 4),  # a surrogate, written as if it were a character
    ],
)
def test_invalid_utf8_names_the_byte_row22(tmp_path, monkeypatch, data, offset, chunk_bytes):
    monkeypatch.setattr(reading, "CHUNK_BYTES", chunk_bytes)
    path = write(tmp_path, "a.txt", data)
    with pytest.raises(DataError, match=rf"a\.txt: invalid UTF-8 at byte {offset} \(0x"):
        texts(path)
    assert "\ufffd" in "".join(texts(path, errors="replace"))


def test_invalid_utf8_in_jsonl_names_line_and_byte_row22(tmp_path):
    first = b'{"text": "good"}\n'
    path = write(tmp_path, "a.jsonl", first + b'{"text": "\xff"}\n')
    with pytest.raises(DataError, match=rf"a\.jsonl:2: invalid UTF-8 at byte {len(first) + 10}"):
        texts(path)
    assert texts(path, errors="replace") == ["good", "\ufffd"]


@pytest.mark.parametrize("chunk_bytes", [1, 2, 1 << 20])
def test_nul_and_separators_stay_and_bom_goes_row23(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(reading, "CHUNK_BYTES", chunk_bytes)
    text = "a\x00b\u2028c\x85d\ufeffe"
    assert texts(write(tmp_path, "a.txt", "\ufeff" + text)) == [text]
    record = json.dumps({"text": "\ufeff" + text}, ensure_ascii=False)
    assert texts(write(tmp_path, "a.jsonl", "\ufeff" + record + "\n")) == [text]


def test_lone_surrogate_is_refused_row23(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "ok \\ud83d\\ude00"}\n{"text": "bad \\ud83d"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:2: lone surrogate U\+D83D at character 4"):
        texts(path)
    assert texts(path, errors="replace") == ["ok 😀", "bad \ufffd"]


@pytest.mark.parametrize("chunk_bytes", [1, 2, 5, 1 << 20])
def test_newlines_become_the_same_row25(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(reading, "CHUNK_BYTES", chunk_bytes)
    text = "one\ntwo\n\nthree é\n"
    for newline in ("\n", "\r\n", "\r"):
        data = text.replace("\n", newline)
        assert texts(write(tmp_path, "a.txt", data)) == [text]
        assert texts(write(tmp_path, "a.jsonl", json.dumps({"text": data}))) == [text]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "a JSON list"),
        ('"text"', "a JSON str"),
        ('{"body": "x"}', "an object with the keys 'body'"),
        ("{}", r"\(none\)"),
        ('{"text": 5}', "a text of type int"),
        ('{"text": null}', "a text of type NoneType"),
    ],
)
def test_wrong_line_names_file_and_line(tmp_path, line, reason):
    path = write(tmp_path, "a.jsonl", f'{{"text": "ok"}}\n\n{line}\n')
    with pytest.raises(DataError, match=rf"a\.jsonl:3: .*{reason}"):
        texts(path)


def test_long_files_and_records_come_as_sections(tmp_path):
    text = "A paragraph of some words.\n\n" * 3000
    for name, data in (("a.txt", text), ("a.jsonl", json.dumps({"text": text}))):
        documents = list(load_corpus([write(tmp_path, name, data)]))
        assert len(documents) == 3
        assert documents[1].source.endswith("#2")
        assert "".join(document.text for document in documents) == text


@pytest.mark.parametrize(("name", "most"), [("a.txt", 0.3), ("a.jsonl", 3.2)])
def test_a_line_of_any_length_is_read_in_pieces_row24(tmp_path, monkeypatch, name, most):
    """Peak memory in units of the file's size; a JSON record is parsed as a whole."""
    monkeypatch.setattr(reading, "CHUNK_BYTES", 1 << 16)
    n_bytes = 4 << 20
    path = write(tmp_path, name, '{"text": "' + "spam " * (n_bytes // 5) + '"}\n')
    tracemalloc.start()
    try:
        n_read = sum(document.n_bytes for document in load_corpus([path]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_read >= n_bytes - 5
    assert peak < most * n_bytes


def test_a_corpus_streams(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "good"}\nbroken\n')
    documents = load_corpus([path])
    assert next(documents).text == "good"  # before the broken line is met
    with pytest.raises(DataError, match=":2:"):
        next(documents)


def test_file_that_vanishes_is_a_data_error(tmp_path):
    path = write(tmp_path, "a.txt", "x")
    documents = load_corpus([path])
    (tmp_path / "a.txt").unlink()
    with pytest.raises(DataError, match=r"cannot read .*a\.txt"):
        list(documents)


def test_import_of_text_needs_no_torch():
    code = "import sys, minillm.text.corpora, minillm.text.cleaning; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
    assert not out.stderr
