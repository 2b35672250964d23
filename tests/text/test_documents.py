import hashlib
import os
import subprocess
import sys
import tempfile

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minillm.errors import ConfigError, DataError
from minillm.text.documents import (
    SECTION_BYTES,
    Document,
    sections,
    split_documents,
    split_stored,
    stable_hash,
    stream_sections,
)
from minillm.text.spool import Spool

TEXTS = st.text(alphabet=st.sampled_from("ab \n\né漢😀"), max_size=300)


@given(text=TEXTS, max_bytes=st.integers(4, 40))
def test_sections_join_back_and_fit(text, max_bytes):
    parts = list(sections(Document(text, "d"), max_bytes=max_bytes))
    assert "".join(part.text for part in parts) == text
    assert all(0 < part.n_bytes <= max_bytes for part in parts)
    expected = ["d", *(f"d#{i}" for i in range(2, len(parts) + 1))]
    assert [part.source for part in parts] == expected[: len(parts)]


@given(text=TEXTS, max_bytes=st.integers(4, 40), size=st.integers(1, 60))
def test_the_pieces_of_a_stream_do_not_move_the_cuts(text, max_bytes, size):
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    whole = list(sections(Document(text, "d"), max_bytes=max_bytes))
    assert list(stream_sections(pieces, "d", max_bytes=max_bytes)) == whole


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("aaa\n\nbbb\nccc ddd eee", "aaa\n\n"),  # a blank line wins over a later newline
        ("aaa\nbbb ccc ddd eee fff", "aaa\n"),
        ("aaa bbb cccccccccccccc", "aaa bbb "),
        ("ééééééééééééééééé", "ééééééé"),  # 7 × 2 bytes: no character is cut
    ],
)
def test_cut_at_the_best_seam(text, first):
    assert next(sections(Document(text, "d"), max_bytes=15)).text == first


def test_short_document_stays_itself_and_32_kb_is_the_limit():
    document = Document("x" * SECTION_BYTES, "d")
    assert list(sections(document)) == [document]
    assert len(list(sections(Document("x" * (SECTION_BYTES + 1), "d")))) == 2
    with pytest.raises(ConfigError, match="4 bytes"):
        list(sections(document, max_bytes=3))


def test_hash_is_sha256_and_the_same_in_every_process():
    assert stable_hash("né") == int(hashlib.sha256("né".encode()).hexdigest()[:16], 16)
    code = "from minillm.text.documents import stable_hash; print(stable_hash('né'))"
    for seed in ("1", "2"):  # Python's own hash() differs between these two
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.curdir}
        command = [sys.executable, "-c", code]
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert int(out.stdout) == stable_hash("né")


def corpus(n):
    return [Document(f"document {i}", f"{i}.txt") for i in range(n)]


def test_split_takes_the_expected_share():
    n, fraction = 4001, 0.1
    n_held_out = len(split_documents(corpus(n), validation_fraction=fraction).validation)
    assert abs(n_held_out - n * fraction) < 5 * (n * fraction * (1 - fraction)) ** 0.5


@settings(max_examples=30)
@given(n=st.integers(2, 60), data=st.data())
def test_split_covers_everything_whatever_the_order_and_neighbors(n, data):
    documents = corpus(n)
    split = split_documents(documents)
    assert split.train
    assert split.validation
    assert set(split.train) | set(split.validation) == set(documents)
    assert not set(split.train) & set(split.validation)
    shuffled = split_documents(data.draw(st.permutations(documents)))
    assert set(shuffled.validation) == set(split.validation)


def test_new_documents_never_move_old_ones():
    small, large = split_documents(corpus(200)), split_documents(corpus(400))
    assert set(small.validation) == set(large.validation) & set(corpus(200))


def test_copies_fall_on_one_side_and_are_counted_row26():
    documents = corpus(101) + [Document(d.text, f"copy of {d.source}") for d in corpus(101)]
    split = split_documents(documents)
    assert not {d.text for d in split.train} & {d.text for d in split.validation}
    assert len(split.train) + len(split.validation) == 202  # counted, not removed
    assert split.n_duplicates == 101
    assert "101 documents repeat" in split.notice
    assert split_documents(corpus(101)).notice is None


@pytest.mark.parametrize("fraction", [1e-9, 1 - 1e-9])
def test_no_side_is_ever_empty(fraction):
    split = split_documents(corpus(7), validation_fraction=fraction)
    assert min(len(split.train), len(split.validation)) == 1
    chosen = split.validation if fraction < 0.5 else split.train
    extreme = min if fraction < 0.5 else max
    assert chosen[0] == extreme(corpus(7), key=lambda document: stable_hash(document.text))


def test_single_document_gives_its_last_tenth_with_a_notice():
    text = "".join(f"Sentence number {i}.\n" + "\n" * (i % 3 == 0) for i in range(100))
    split = split_documents([Document(text, "a.txt")])
    (train,), (validation,) = split.train, split.validation
    assert train.text + validation.text == text
    assert 0.05 <= len(validation.text) / len(text) <= 0.15
    assert train.text.endswith("\n\n")
    assert "only one text (a.txt)" in split.notice


@pytest.mark.parametrize("text", ["ab", " a b ", "\n\nab\n\n", "x" * 1000, "a\n" * 7])
def test_single_document_leaves_text_on_both_sides(text):
    split = split_documents([Document(text, "a"), Document(text, "b")])  # copies count as one
    assert split.train[0].text.strip()
    assert split.validation[0].text.strip()
    assert split.train[0].text + split.validation[0].text == text
    assert split.n_duplicates == 1


@pytest.mark.parametrize("documents", [[], [Document(" \n", "blank")], [Document("a", "one")]])
def test_nothing_to_split_is_refused_row20(documents):
    with pytest.raises(DataError, match="no text"):
        split_documents(documents)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_fraction_outside_is_refused(fraction):
    with pytest.raises(ConfigError, match="validation_fraction"):
        split_documents(corpus(3), validation_fraction=fraction)


@settings(max_examples=30)
@given(numbers=st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_a_split_of_what_is_stored_is_the_split_of_a_list(numbers):
    documents = [Document(f"document {n}" * (n > 0), f"{i}.txt") for i, n in enumerate(numbers)]
    assume(any(numbers))
    expected = by_sorting(documents, 0.1)
    split = split_documents(documents)
    with Spool(documents) as spool:
        stored = split_stored(spool)
        for _ in range(2):  # a side may be read again
            assert tuple(stored.train) == split.train
            assert tuple(stored.validation) == split.validation
        assert (len(stored.train), len(stored.validation)) == (
            len(split.train),
            len(split.validation),
        )
        assert (stored.notice, stored.n_duplicates) == (split.notice, split.n_duplicates)
    if expected is not None:
        assert (split.train, split.validation, split.n_duplicates) == expected


def by_sorting(documents, fraction):
    """Split slowly: sort the distinct texts by hash; None where there is one."""
    documents = [document for document in documents if document.text]
    texts = sorted({document.text for document in documents}, key=stable_hash)
    if len(texts) == 1:
        return None
    n_below = sum(stable_hash(text) / 2**64 < fraction for text in texts)
    held_out = texts[: min(max(n_below, 1), len(texts) - 1)]
    return (
        tuple(document for document in documents if document.text not in held_out),
        tuple(document for document in documents if document.text in held_out),
        len(documents) - len(texts),
    )


def test_blank_documents_are_on_no_side():
    blank = [Document(" \n" * n, "blank") for n in range(20)]
    split = split_stored([*corpus(20), *blank])
    assert {*split.train, *split.validation} == {*corpus(20)}
    assert len(split.train) + len(split.validation) == 20


def test_a_side_knows_its_documents():
    documents = corpus(50)
    split = split_stored(documents)
    assert all((d in split.train) != (d in split.validation) for d in documents)
    assert Document("document 0", "elsewhere") not in split.train


@pytest.mark.parametrize("memory_bytes", [0, 10, 1 << 20])
def test_a_spool_gives_back_what_it_was_given(monkeypatch, memory_bytes):
    monkeypatch.setattr(Spool, "MEMORY_BYTES", memory_bytes)
    documents = [
        Document("a\nb\u2028c\x00é漢😀\r\n", "name:1"),
        Document("", ""),
        Document("[[tea]]", "x", "wiki"),
    ]
    with Spool(iter(documents)) as spool:
        assert list(spool) == list(spool) == documents
    with pytest.raises(ValueError, match="closed"):
        list(spool)


def test_a_spool_whose_reading_fails_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setattr(Spool, "MEMORY_BYTES", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        Spool(Document("text", str(1 / n)) for n in (2, 1, 0))
    assert list(tmp_path.iterdir()) == []
