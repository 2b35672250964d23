"""Encoding in parallel: the same ids in the same order, never more threads than asked for."""

import threading

import pytest

from minillm.errors import DataError
from minillm.tokenizers import BPETokenizer, ByteTokenizer, FastTokenizer, parallel
from minillm.tokenizers.parallel import encode_documents

TEXTS = [f"Document {i} says: tea, 茶 and <|eos|> " * (i % 7) for i in range(97)]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("group", [1, 300, 1 << 20])
@pytest.mark.parametrize("kind", [ByteTokenizer, BPETokenizer, FastTokenizer])
def test_the_ids_are_those_of_one_document_after_the_other(monkeypatch, kind, group, threads):
    monkeypatch.setattr(parallel, "_GROUP_CHARACTERS", group)
    merges = [] if kind is ByteTokenizer else [BPETokenizer.train(TEXTS, 300).merges]
    tokenizer = kind(*merges)
    expected = [(text, tokenizer.encode_document(text)) for text in TEXTS]
    assert list(encode_documents(tokenizer, iter(TEXTS), threads=threads)) == expected
    assert list(encode_documents(tokenizer, [], threads=threads)) == []


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_as_many_at_a_time_as_asked_for_and_no_more(threads):
    together = threading.Barrier(threads)  # fewer would wait in vain
    running, most, lock = 0, 0, threading.Lock()

    class Watched(ByteTokenizer):
        def encode_document(self, text):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            together.wait(timeout=60)
            with lock:
                running -= 1
            return super().encode_document(text)

    list(encode_documents(Watched(), TEXTS[:24], threads=threads))
    assert most == threads


def test_texts_are_read_a_group_at_a_time(monkeypatch):
    monkeypatch.setattr(parallel, "_GROUP_CHARACTERS", 50)
    n_read = 0

    def texts():
        nonlocal n_read
        for _ in range(99):
            n_read += 1
            yield "ten of it." * 2

    pairs = encode_documents(ByteTokenizer(), texts(), threads=2)
    assert [next(pairs)[0] for _ in range(4)] == ["ten of it." * 2] * 4
    assert n_read == 6  # two groups of three


def test_an_error_in_a_thread_reaches_the_caller():
    with pytest.raises(DataError, match="lone surrogate"):
        list(encode_documents(ByteTokenizer(), ["good", "\ud800", "good"], threads=2))
