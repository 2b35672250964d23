"""Unigram against sums over all segmentations, and against the library's Viterbi."""

import json
import math
import random
from collections import Counter

import numpy as np
import pytest
import tokenizers as library
import torch
from hypothesis import given
from hypothesis import strategies as st

from minillm.errors import ConfigError, DataError
from minillm.tokenizers import UnigramTokenizer, load_tokenizer
from minillm.tokenizers.lattice import Trie, best_path, edge_probs
from minillm.tokenizers.tokenizer_json import N_BYTES, spell
from minillm.tokenizers.unigram_training import (
    Lattices,
    frequent_substrings,
    learn_scores,
    losses,
    normalized,
)

BYTES = [bytes([byte]) for byte in range(N_BYTES)]
PIECES = [*BYTES, b"ab", b"ba", b"aba", "今".encode(), b"abab"]
chunks_of_text = st.dictionaries(
    st.text("ab今", min_size=1, max_size=6), st.integers(1, 5), min_size=1, max_size=4
)


def drawn_probs(seed):
    draw = random.Random(seed)
    return normalized(np.array([draw.random() + 0.01 for _ in PIECES]))


def cuts(word, pieces):
    """Every way to cut a word into pieces."""
    if not word:
        return [()]
    found = []
    for piece in pieces:
        if piece and word.startswith(piece):
            found += [(piece, *rest) for rest in cuts(word[len(piece) :], pieces)]
    return found


def probability(cut, prob_of):
    return math.prod(prob_of[piece] for piece in cut)


@given(word=st.text("ab今é", max_size=7), seed=st.integers(0, 99))
def test_the_best_path_is_the_best_of_all_cuts(word, seed):
    probs = drawn_probs(seed)
    scores = np.log(probs).tolist()
    path = best_path(word.encode(), Trie(PIECES), scores)
    assert b"".join(PIECES[i] for i, _ in path) == word.encode()
    best = max(sum(scores[PIECES.index(p)] for p in cut) for cut in cuts(word.encode(), PIECES))
    assert (path[-1][1] if path else 0.0) == pytest.approx(best, abs=1e-9)
    assert sum(scores[i] for i, _ in path) == pytest.approx(best, abs=1e-9)


def assert_cuts_as_the_library(text, scores):
    """Build the library's model by hand, from the same pieces and scores."""
    ours = UnigramTokenizer(zip(PIECES, scores, strict=True))
    vocab = [(spell(piece), score) for piece, score in zip(PIECES, scores, strict=True)]
    theirs = library.Tokenizer(library.models.Unigram(vocab, None))
    theirs.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    n_special = len(ours.special_tokens)
    ids = [i if i < N_BYTES else i - n_special for word in text.split() for i in ours.encode(word)]
    assert ids == [i for word in text.split() for i in theirs.encode(word).ids]


@given(text=st.text("ab今é 'z", max_size=20), seed=st.integers(0, 99))
def test_it_cuts_as_the_librarys_unigram_with_the_same_scores(text, seed):
    assert_cuts_as_the_library(text, np.round(np.log(drawn_probs(seed)), 6).tolist())


@given(text=st.text("ab", min_size=3, max_size=9), seed=st.integers(0, 99))
def test_equal_cuts_are_decided_as_in_the_library(text, seed):
    draw = random.Random(seed)
    assert_cuts_as_the_library(text, [-float(draw.randint(1, 3)) for _ in PIECES])


@given(chunks=chunks_of_text, seed=st.integers(0, 99))
def test_expected_counts_are_sums_over_all_cuts(chunks, seed):
    probs = drawn_probs(seed)
    prob_of = dict(zip(PIECES, probs.tolist(), strict=True))
    expected, nats = Counter(), 0.0
    for chunk, n_times in chunks.items():
        ways = {cut: probability(cut, prob_of) for cut in cuts(chunk.encode(), PIECES)}
        total = sum(ways.values())
        nats += n_times * math.log(total)
        for cut, p in ways.items():
            for piece in cut:
                expected[piece] += n_times * p / total
    counts, log_likelihood = Lattices(chunks, PIECES).expected_counts(probs)
    assert log_likelihood == pytest.approx(nats, rel=1e-9)
    assert counts.tolist() == pytest.approx([expected[piece] for piece in PIECES], abs=1e-9)


@given(word=st.text("ab今", max_size=7), seed=st.integers(0, 99))
def test_edges_are_shares_of_all_cuts(word, seed):
    prob_of = dict(zip(PIECES, drawn_probs(seed).tolist(), strict=True))
    scores = [math.log(p) for p in prob_of.values()]
    ways = {cut: probability(cut, prob_of) for cut in cuts(word.encode(), PIECES)}
    expected = Counter()
    for cut, p in ways.items():
        start = 0
        for piece in cut:
            expected[start, start + len(piece)] += p / sum(ways.values())
            start += len(piece)
    edges = edge_probs(word.encode(), Trie(PIECES), scores)
    assert {(e.start, e.end): e.prob for e in edges} == pytest.approx(expected, abs=1e-9)
    assert [PIECES[e.piece_id] for e in edges] == [word.encode()[e.start : e.end] for e in edges]


@given(chunks=chunks_of_text, seed=st.integers(0, 99))
def test_em_never_lowers_the_likelihood(chunks, seed):
    lattices, probs = Lattices(chunks, PIECES), drawn_probs(seed)
    counts, before = lattices.expected_counts(probs)
    for _ in range(5):
        counts, after = lattices.expected_counts(normalized(counts))
        # The floor of 1e-7 takes at most 261e-7 of the probability from others, for each piece.
        assert after >= before - 3e-5 * (counts.sum() + 1)
        before = after


@given(chunks=chunks_of_text)
def test_forgetting_pieces_is_building_without_them(chunks):
    kept = np.array([*range(N_BYTES), N_BYTES + 3, N_BYTES + 1])
    pieces, probs = [PIECES[i] for i in kept], drawn_probs(3)[kept]
    filtered = Lattices(chunks, PIECES)
    filtered.keep(kept)
    counts, nats = filtered.expected_counts(probs)
    fresh_counts, fresh_nats = Lattices(chunks, pieces).expected_counts(probs)
    assert nats == pytest.approx(fresh_nats, rel=1e-12)
    assert counts.tolist() == pytest.approx(fresh_counts.tolist(), abs=1e-9)


def test_the_loss_of_a_piece_is_that_of_its_second_best_cut():
    probs = drawn_probs(5)
    prob_of = dict(zip(PIECES, probs.tolist(), strict=True))
    counts = np.arange(len(PIECES), dtype=float)
    found = losses(PIECES, counts, probs)
    assert np.isinf(found[:N_BYTES]).all()
    for index in range(N_BYTES, len(PIECES)):
        piece = PIECES[index]
        others = [cut for cut in cuts(piece, PIECES) if len(cut) > 1]
        best = max(probability(cut, prob_of) for cut in others)
        expected = index * (math.log(prob_of[piece]) - math.log(best))
        assert found[index] == pytest.approx(expected, rel=1e-9)


@given(chunks=chunks_of_text)
def test_seeds_are_the_repeated_substrings(chunks):
    naive = Counter()
    for chunk, n_times in chunks.items():
        for start in range(len(chunk)):
            for end in range(start + 1, len(chunk) + 1):
                naive[chunk[start:end]] += n_times
    naive = {t.encode(): n for t, n in naive.items() if n >= 2 and len(t.encode()) > 1}
    assert frequent_substrings(chunks, 10_000) == naive
    three = frequent_substrings(chunks, 3)
    values = sorted((n * len(p.decode()) for p, n in naive.items()), reverse=True)
    assert [n * len(piece.decode()) for piece, n in three.items()] == values[:3]


def test_training_finds_the_words_that_made_the_text():
    draw = random.Random(1)
    words = ["ka", "tolu", "mire", "sono", "pazi"]
    joined = ["".join(draw.choices(words, k=4)) for _ in range(300)]
    scores = learn_scores(Counter(joined), 5)
    assert sorted(p.decode() for p in list(scores)[N_BYTES:]) == sorted(words)
    assert list(scores)[:N_BYTES] == BYTES
    assert sum(math.exp(score) for score in scores.values()) == pytest.approx(1, abs=1e-4)
    assert all(score == round(score, 6) < 0 for score in scores.values())


def test_the_vocabulary_has_the_size_that_was_asked_for():
    draw = random.Random(2)
    texts = [" ".join("".join(draw.choices("abcdefg", k=5)) for _ in range(900))]
    for vocab_size in (260, 261, 333):
        assert UnigramTokenizer.train(texts, vocab_size).vocab_size == vocab_size
    with pytest.warns(UserWarning, match="only 1 strings"):
        assert UnigramTokenizer.train(["ab ab"], 300).vocab_size == 261  # not " ab": once
    with pytest.raises(ConfigError, match=r"at least 260.*got 259"):
        UnigramTokenizer.train(texts, 259)


def test_pieces_are_whole_characters():
    scores = learn_scores(Counter({"今天天气": 9, "天气很好": 7, "😀😀今天": 3}), 8)
    for piece in list(scores)[N_BYTES:]:
        assert piece.decode()


def test_long_words_and_rare_bytes_do_not_underflow():
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300))) + "ab" * 500
    tokenizer = UnigramTokenizer.train([text, "ab ab"], 262)
    assert all(math.isfinite(score) for score in tokenizer.scores)
    assert tokenizer.decode(tokenizer.encode(text + "\x00")) == text + "\x00"


def scored(**extra):
    return [(b, -6.0) for b in BYTES] + [(p.encode(), score) for p, score in extra.items()]


def test_samples_follow_the_probabilities():
    tokenizer = UnigramTokenizer(scored(ab=-5.0, ba=-7.0, aba=-9.0, abab=-11.0))
    generator = torch.Generator().manual_seed(0)
    for smoothing in (0.0, 0.5, 1.0):
        n_draws = 4_000
        seen = Counter(
            tuple(tokenizer.sample("abab", generator=generator, smoothing=smoothing))
            for _ in range(n_draws)
        )
        score_of = dict(zip(tokenizer._token_bytes, tokenizer.scores, strict=True))
        ways = {
            cut: math.exp(smoothing * sum(score_of[p] for p in cut))
            for cut in cuts(b"abab", [p for p, _ in tokenizer.scored_pieces()])
        }
        total = sum(ways.values())
        for cut, weight in ways.items():
            share = weight / total
            bound = 5 * math.sqrt(n_draws * share * (1 - share)) + 1  # 5 σ of a binomial
            ids = tuple(tokenizer._token_bytes.index(p) for p in cut)
            assert abs(seen[ids] - n_draws * share) < bound
        assert sum(seen.values()) == n_draws


def test_samples_are_the_text_and_come_from_the_generator():
    tokenizer = UnigramTokenizer.train(["low slow lower " * 5, "今天天气"] * 3, 270)
    text = "slower, 今天 lower\x00 😀"
    draws = [
        tokenizer.sample(text, generator=torch.Generator().manual_seed(7), smoothing=0.2)
        for _ in range(2)
    ]
    assert draws[0] == draws[1]
    assert tokenizer.decode(draws[0]) == text
    best = tokenizer.sample(text, generator=torch.Generator().manual_seed(7), smoothing=1e6)
    assert best == tokenizer.encode(text)
    with pytest.raises(ConfigError, match="smoothing must be 0 or more, got -1"):
        tokenizer.sample(text, generator=torch.Generator(), smoothing=-1)
    with pytest.raises(DataError, match="lone surrogate"):
        tokenizer.sample("\ud83d", generator=torch.Generator())


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        (scored()[1:], "256 bytes"),
        ([*scored(), (b"ab", 1.0)], "log-probability, got 1.0"),
        ([*scored(), (b"ab", -math.inf)], "log-probability, got -inf"),
        ([*scored(), (b"ab", math.nan)], "log-probability, got nan"),
        ([*scored(), (b"ab", -1.0), (b"ab", -1.0)], "twice"),
        ([*scored(), (b"", -1.0)], "empty"),
        ([*scored(), (b"<|eos|>", -1.0)], "twice"),
    ],
)
def test_what_is_no_model_is_refused(pieces, message):
    with pytest.raises(ConfigError, match=message):
        UnigramTokenizer(pieces)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["model"]["vocab"].pop(0),
        lambda c: c["model"]["vocab"].append(["今", -1.0]),
        lambda c: c["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex="."),
        lambda c: c["model"]["vocab"][300].append(1),
        lambda c: c["added_tokens"].pop(),
    ],
)
def test_a_foreign_or_damaged_file_is_refused(tmp_path, change):
    contents = json.loads(
        UnigramTokenizer([*scored(), *[(b"a" * n, -2.0) for n in range(2, 60)]]).to_json()
    )
    change(contents)
    (tmp_path / "tokenizer.json").write_text(json.dumps(contents), encoding="utf-8")
    with pytest.raises(DataError, match=r"not a tokenizer\.json written by minillm"):
        load_tokenizer(tmp_path)
