"""Sentences are cut in the text, found again in the stream, and lost nowhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.data import encode_with_sentences, prepare_data
from minillm.errors import ConfigError
from minillm.text.documents import Document
from minillm.text.world import TinyWorld
from minillm.tokenizers import ByteTokenizer, train_tokenizer

TEXTS = [
    "Dr. Smith paid $3.50. Why? Nobody knows.\n\nA new paragraph. ",
    "Only one sentence",
    "“猫在哪里？”他问。它坐在垫子上。",
]


@pytest.mark.parametrize("threads", [1, 2])
def test_sentences_joined_are_the_text(threads):
    for text, ids, starts in encode_with_sentences(ByteTokenizer(), TEXTS, threads=threads):
        assert bytes(ids[1:-1]).decode() == text
        assert starts == sorted(set(starts))
        assert starts[0] == 1
    assert [len(starts) for *_, starts in encode_with_sentences(ByteTokenizer(), TEXTS)] == [
        4,
        1,
        3,
    ]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
@settings(max_examples=50, deadline=None)
def test_any_text_comes_back(texts):
    encoded = list(encode_with_sentences(ByteTokenizer(), texts))
    assert [bytes(ids[1:-1]).decode() for _, ids, _ in encoded] == texts
    for _, ids, starts in encoded:
        assert all(0 < start < len(ids) - 1 for start in starts)


def test_the_stream_gives_back_the_sentences_of_a_story(tmp_path):
    stories = list(TinyWorld().documents(30, split="train+validation"))
    documents = [Document(story.text, str(i)) for i, story in enumerate(stories)]
    data = prepare_data(
        tmp_path / "data", documents, tokenizer="wordpiece", vocab_size=700, sentences=True
    )
    found = data.sentences("train")
    told = [story for story in stories if story.split != "validation"]
    assert len(found) == len(told)
    for document, story in zip(found, told, strict=True):
        assert len(document) == len(story.sentences)
        whole = [token for sentence in document for token in sentence]
        assert whole == data.tokenizer.encode(story.text)
    assert found[2:4][1][0].tolist() == found[3][0].tolist()


def test_documents_of_one_sentence_are_left_out_and_counted(tmp_path):
    documents = [Document(f"{text} {i}", str(i)) for i in range(9) for text in TEXTS]
    data = prepare_data(tmp_path / "data", documents, tokenizer="bytes", sentences=True)
    found = data.sentences("train")
    assert len(found) + found.n_left_out == data.manifest["splits"]["train"]["n_documents"]
    assert found.n_left_out > 0
    assert min(map(len, found)) >= 2


def test_a_corpus_without_sentences_says_so(tmp_path):
    documents = [Document(text * 3, text) for text in TEXTS]
    data = prepare_data(tmp_path / "data", documents, tokenizer="bytes")
    with pytest.raises(ConfigError, match="prepared without sentences"):
        data.sentences("train")
    with pytest.raises(ConfigError, match="split must be"):
        data.sentences("test")  # pyright: ignore


def test_a_tokenizer_that_sees_nothing_makes_no_empty_sentence():
    tokenizer = train_tokenizer("wordpiece", TEXTS, 54)
    ((_, ids, starts),) = encode_with_sentences(tokenizer, ["Nobody knows.\n\n\x01\n\nWhy?"])
    assert len(starts) == 2
    assert all(a < b for a, b in zip(starts, [*starts[1:], len(ids) - 1], strict=True))
