"""Token positions in characters: the library's own offsets are the reference."""

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from minillm.tokenizers import ByteTokenizer, Tokenizer, encode_with_spans, train_tokenizer

TEXT = 'It was "Zoë\'s" Crêpe-stand,\n\n  3 tall trees; 小静在花园里。 Naïve\t한국 😀!'
UNKNOWN = "Qxz zoë ąę 花 x\u200by ﬁn İs e\u0301t [UNK] ##a 한"


@pytest.fixture(scope="module", params=["bytes", "bpe", "unigram", "wordpiece"])
def tokenizer(request) -> Tokenizer:
    size = 67 if request.param == "wordpiece" else 300
    return train_tokenizer(request.param, [TEXT] * 5, vocab_size=size)


def test_each_token_is_found_in_its_place(tokenizer):
    for text in (TEXT, UNKNOWN, "", " ", "a", "\n"):
        token_ids, spans = encode_with_spans(tokenizer, text)
        assert token_ids == tokenizer.encode(text)
        assert len(spans) == len(token_ids)
        assert spans == sorted(spans)
        assert all(start < end for start, end in spans)
        if tokenizer.is_lossless:
            for token_id, (start, end) in zip(token_ids, spans, strict=True):
                assert tokenizer.decode_bytes([token_id]) in text[start:end].encode()


@pytest.fixture(scope="module")
def word_pieces():
    ours = train_tokenizer("wordpiece", [TEXT] * 5, vocab_size=67)
    library = tokenizers.Tokenizer.from_str(ours.to_json())
    library.encode_special_tokens = True
    return ours, library


def test_word_pieces_lie_where_the_library_says(word_pieces):
    ours, library = word_pieces
    for text in (TEXT, UNKNOWN):
        encoding = library.encode(text, add_special_tokens=False)
        assert encode_with_spans(ours, text) == (encoding.ids, encoding.offsets)


@given(st.text(st.sampled_from("aZé \n.,小İ\u0301\u200bﬁ한#x"), max_size=13))
def test_word_pieces_of_any_text_lie_where_the_library_says(word_pieces, text):
    ours, library = word_pieces
    encoding = library.encode(text, add_special_tokens=False)
    assert encode_with_spans(ours, text) == (encoding.ids, encoding.offsets)


@given(st.text(max_size=13))
def test_bytes_cover_the_text(text):
    _, spans = encode_with_spans(ByteTokenizer(), text)
    assert spans == [(i, i + 1) for i, character in enumerate(text) for _ in character.encode()]
