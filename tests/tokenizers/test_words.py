"""Words are found again in the tokens, whatever the tokenizer."""

import pytest
import torch

from minillm.tokenizers import Words, train_tokenizer

TEXT = "The (unbelievable) cats' naïve cat-flap: 3.14, “why?” 猫坐在垫子上。 End"
TEXTS = [TEXT, "the cat sat on the unbelievable mat, believe it. " * 5, "猫坐在垫子上。" * 3]


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram", "bytes"])
def test_words_are_bounded_by_blanks_punctuation_and_ideographs(kind):
    vocab_size = {"wordpiece": 68, "bpe": 290, "unigram": 300, "bytes": 260}[kind]
    tokenizer = train_tokenizer(kind, TEXTS, vocab_size)
    ids = tokenizer.encode_document(TEXT)
    numbers = Words(tokenizer).ids(torch.tensor([ids]))[0].tolist()
    words: dict[int, list[int]] = {}
    for token, number in zip(ids, numbers, strict=True):
        words.setdefault(number, []).append(token)
    said = [tokenizer.decode_bytes(tokens, skip_special=True).decode() for tokens in words.values()]
    found = [word.strip() for word in said if word.strip()]
    for word in ("The", "unbelievable", "cats", "cat", "flap", "3", "14", "End"):
        assert word in found or word.lower() in found, (word, found)
    assert not any("猫" in word and "坐" in word for word in found) or kind in ("bpe", "unigram")
    assert numbers == sorted(numbers)
    assert len(words[0]) == len(words[numbers[-1]]) == 1  # bos and eos stand alone


def test_special_tokens_are_words_of_their_own():
    tokenizer = train_tokenizer("bpe", TEXTS, 290)
    row = [tokenizer.bos_id, *tokenizer.encode("cat"), tokenizer.mask_id, *tokenizer.encode("cat")]
    numbers = Words(tokenizer).ids(torch.tensor([row]))[0].tolist()
    assert len(set(numbers)) == 4
