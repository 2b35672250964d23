"""The trainer and the encoder against slow loops that follow the definition."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.errors import ConfigError, DataError
from minillm.tokenizers import DEFAULT_SPECIAL_TOKENS, BPETokenizer
from minillm.tokenizers.bpe import merge_long_word, merge_steps
from minillm.tokenizers.bpe_training import count_words, learn_merges
from minillm.tokenizers.pattern import split_words

few_letters = st.text("ab", min_size=1, max_size=12)
word_counts = st.dictionaries(few_letters | st.text("ab é今", min_size=1), st.integers(1, 5))


def naive_merges(counts, n_merges):
    """Recount every pair for every merge; words are lists of byte strings."""
    words = {word: [bytes([byte]) for byte in word.encode()] for word in counts}
    merges = []
    for _ in range(n_merges):
        pairs = Counter()
        for word, parts in words.items():
            for pair in pairwise(parts):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], *pair))
        merges.append((*best, pairs[best]))
        for word, parts in words.items():
            words[word] = naive_join(parts, best)
    return merges


def naive_join(parts, pair):
    joined = []
    while parts:
        n_taken = 2 if tuple(parts[:2]) == pair else 1
        joined.append(b"".join(parts[:n_taken]))
        parts = parts[n_taken:]
    return joined


def naive_encode(word, merges):
    parts = [bytes([byte]) for byte in word.encode()]
    for left, right, _ in merges:  # every merge in the order of training
        parts = naive_join(parts, (left, right))
    return parts


def learned(counts, n_merges):
    return [(m.left, m.right, m.n_times) for m in learn_merges(counts, n_merges)]


@given(counts=word_counts, n_merges=st.integers(0, 40))
def test_training_equals_the_naive_loop_row36(counts, n_merges):
    assert learned(counts, n_merges) == naive_merges(counts, n_merges)


def test_training_equals_the_naive_loop_on_real_text_row36():
    counts = count_words(["\n".join(map(str, (random.__doc__, Counter.__doc__, pytest.__doc__)))])
    assert learned(counts, 300) == naive_merges(counts, 300)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"ab": 2, "cd": 2}, (b"c", b"d", 2)),  # the larger left token
        ({"ab": 2, "ac": 2}, (b"a", b"c", 2)),  # then the larger right token
        ({"ab": 2, "a\u00e9": 2}, (b"\xc3", b"\xa9", 2)),  # by bytes
        ({"aaa": 1, "bc": 1}, (b"a", b"a", 2)),  # overlapping pairs both count
        ({"zz": 1, "ab": 2}, (b"a", b"b", 2)),  # frequency before order
    ],
)
def test_ties_go_to_the_byte_wise_larger_pair_row36(counts, expected):
    assert learned(counts, 1) == [expected]


def test_a_longer_token_is_larger_than_its_prefix_row36():
    # after ab: (ab, x) and (a, y) stand once each; b"ab" > b"a"
    assert learned({"ab": 3, "abx": 1, "ay": 1}, 2)[1] == (b"ab", b"x", 1)


@given(counts=word_counts, words=st.lists(few_letters | st.text("ab é今"), max_size=5))
def test_encoding_replays_the_merges_in_order(counts, words):
    merges = list(learn_merges(counts, 25))
    tokenizer = BPETokenizer([merge.pair for merge in merges])
    naive = [(merge.left, merge.right, merge.n_times) for merge in merges]
    for text in (*words, *words):  # the second time from the cache
        parts = [part for word in split_words(text) for part in naive_encode(word, naive)]
        assert [tokenizer.decode_bytes([i]) for i in tokenizer.encode(text)] == parts


@given(counts=word_counts, word=st.text("ab", max_size=300) | st.text("ab é今", max_size=60))
def test_long_words_merge_as_short_ones_do_row35(counts, word):
    pairs = [merge.pair for merge in learn_merges(counts, 40)]
    merged_id = {pair: 260 + rank for rank, pair in enumerate(pairs)}
    *_, expected = merge_steps(list(word.encode()), merged_id)
    assert merge_long_word(list(word.encode()), merged_id) == expected


class CountingDict(dict):
    n_lookups = 0

    def __contains__(self, key):
        self.n_lookups += 1
        return super().__contains__(key)


def test_a_long_word_costs_a_few_lookups_a_byte_row35(monkeypatch):
    draw = random.Random(35)
    word = "".join(draw.choices("abcdefgh", k=20_011))
    tokenizer = BPETokenizer.train([word[:3_000]], 700)  # 440 merges, each somewhere in the word
    *_, expected = merge_steps(list(word.encode()), tokenizer._merged_id)
    tokenizer._merged_id = CountingDict(tokenizer._merged_id)
    monkeypatch.setattr("minillm.tokenizers.bpe.merge_steps", None)  # would look 440 times
    assert tokenizer.encode(word) == expected
    # one look at each byte and two at each merge, of which there are fewer than bytes
    assert tokenizer._merged_id.n_lookups < 3 * len(word)


def test_no_merge_writes_a_special_token_row31():
    special_tokens = (*DEFAULT_SPECIAL_TOKENS, "mask")
    with pytest.warns(UserWarning, match="stopped at 266"):  # the pair that spells it is left over
        tokenizer = BPETokenizer.train(["mask masks"] * 9, 300, special_tokens=special_tokens)
    assert "mask" not in [tokenizer.token_text(i) for i in range(261, 266)]
    assert tokenizer.special_tokens["mask"] not in tokenizer.encode("mask")


def test_merges_never_cross_words():
    tokenizer = BPETokenizer.train(["a, b, a, b, "] * 5, 262)
    assert tokenizer.encode("a, b") == [ord("a"), ord(","), *tokenizer.encode(" b")]


def test_a_stream_is_read_once():
    texts = iter(["to be", "or not", "to be"])
    assert count_words(texts) == {"to": 2, " be": 2, "or": 1, " not": 1}
    assert list(texts) == []


def test_one_string_is_no_list_of_texts():
    with pytest.raises(ConfigError, match="put it in a list"):
        BPETokenizer.train("abc", 300)
    with pytest.raises(DataError, match="surrogate"):
        BPETokenizer.train(["a\ud800"], 300)


def test_training_shows_its_work():
    lines = []
    tokenizer = BPETokenizer.train(["hello hello"], 263, show_work=lines.append)
    assert len(lines) == len(tokenizer.merges) == 3
    assert lines[0] == "260  l + o → lo  (2 times)"


def test_encoding_shows_its_work():
    tokenizer = BPETokenizer([(ord("l"), ord("o")), (260, ord("w"))])
    lines = list(tokenizer.show_work("lo low"))
    assert lines == ["l o", "lo", "␣ l o w", "␣ lo w", "␣ low"]
    assert list(tokenizer.show_work("")) == []


def test_the_cache_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr("minillm.tokenizers.bpe._MAX_CACHED_WORDS", 10)
    tokenizer = BPETokenizer([(ord("1"), ord("2"))])
    text = " ".join(str(number) for number in range(100, 200)) + "a" * 500
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer._cache) <= 10
    assert not any(len(word) > 100 for word in tokenizer._cache)


def test_words_are_counted_exactly_up_to_a_limit_and_frequent_ones_beyond_it():
    rare = [f"rare{chr(0x4E00 + i)}" for i in range(600)]
    texts = [f"tea tea tea {' '.join(rare[i : i + 3])} milk" for i in range(0, 600, 3)]
    exact = Counter(word for text in texts for word in split_words(text))
    assert count_words(texts, max_distinct=len(exact)) == exact
    with pytest.warns(UserWarning, match=r"more than 100 distinct words.*up to 6 times too sel"):
        counts = count_words(texts, max_distinct=100)
    assert len(counts) <= 100
    for word in ("tea", " tea", " milk"):
        assert 0 <= exact[word] - counts[word] <= 6
    assert set(counts) <= set(exact)


def test_forgetting_rare_words_never_leaves_too_many():
    """All words are equally rare: all must go, or the table would overflow at each text."""
    texts = [" ".join(chr(0x4E00 + 7 * t + i) for i in range(7)) for t in range(30)]
    with pytest.warns(UserWarning, match="more than 20 distinct words"):
        assert len(count_words(texts, max_distinct=20)) <= 20
