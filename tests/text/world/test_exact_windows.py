"""Windows of unknown position and floors, against the list of every document of a small story."""

import math
import random
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from minillm.errors import ConfigError, DataError
from minillm.text.world import floors
from minillm.text.world.grammar import END_WORD


def cut(words):
    """Cut a document of the toy into sentences; its end is one too."""
    sentences, begun = [], []
    for word in words:
        begun.append(word)
        if word in (".", END_WORD):
            sentences.append(tuple(begun))
            begun = []
    return sentences


@pytest.fixture(scope="module")
def cut_texts(toy_texts):
    return [(cut(words), probability) for words, probability in toy_texts.items()]


@pytest.fixture(scope="module")
def drawn(toy_texts):
    """Every 1500th document of the list."""
    return [cut(words) for words in sorted(toy_texts)[::1500]]


@pytest.mark.parametrize("n_sentences", [1, 2, 3])
def test_the_weight_of_a_window_is_its_mean_number_in_a_document(
    cut_texts, drawn, toy_exact, n_sentences
):
    counted, n_windows = Counter(), 0.0
    for sentences, probability in cut_texts:
        for place in range(len(sentences) - n_sentences):  # the end is no sentence of a window
            counted[tuple(sentences[place : place + n_sentences])] += probability
            n_windows += probability
    windows = toy_exact.windows
    assert windows.n_windows(n_sentences) == pytest.approx(n_windows, abs=1e-9)
    for document in drawn[::7]:
        some = document[1 : 1 + n_sentences]
        assert windows.weight(some) == pytest.approx(counted[tuple(some)], rel=1e-9)
        assert toy_exact.window_bits(some) == pytest.approx(
            -math.log2(counted[tuple(some)] / n_windows), abs=1e-9
        )


def test_a_sentence_before_another_is_counted_so(cut_texts, toy_exact):
    expected = defaultdict(float)
    for sentences, probability in cut_texts:
        for first, _ in pairwise(sentences[:-1]):
            expected[first] += probability
    some = sorted(expected)[::11]
    for first in some:
        computed = toy_exact.windows.weight_before_another([first])
        assert computed == pytest.approx(expected[first], rel=1e-9)


def test_a_limited_reader_predicts_as_the_list_with_all_else_forgotten(cut_texts, drawn, toy_exact):
    document = max(drawn, key=len)
    expected = 0.0
    for place, sentence in enumerate(document):
        seen = document[max(place - 2, 0) : place]
        both = before = 0.0
        for sentences, probability in cut_texts:
            starts = range(len(sentences) - len(seen)) if place >= 2 else [0]
            for start in starts:
                if sentences[start : start + len(seen)] == seen:
                    following = sentences[start + len(seen)]
                    before += probability
                    both += probability * (following == sentence)
        expected -= math.log2(both / before)
    assert toy_exact.limited_bits(document, n_before=2) == pytest.approx(expected, abs=1e-9)


def test_who_sees_everything_is_not_limited(drawn, toy_exact):
    document = drawn[3]
    words = [word for sentence in document for word in sentence]
    everything = toy_exact.limited_bits(document, n_before=len(document))
    assert everything == pytest.approx(toy_exact.bits(words), abs=1e-9)


def test_sentences_that_cannot_be_neighbors_weigh_nothing(toy_exact):
    went, lay = ["anna", "went", "to", "the", "barn", "."], ["one", "egg", "lay", "there", "."]
    assert toy_exact.windows.weight([lay, went]) == 0
    with pytest.raises(DataError, match="no document holds these 2 sentences"):
        toy_exact.window_bits([lay, went])
    with pytest.raises(DataError, match="word 2 of 3 \\('flew'\\)"):
        toy_exact.window_bits([["anna", "flew", "."]])
    with pytest.raises(DataError, match=r"sentence 2 .* cannot follow the 1 sentences before it"):
        toy_exact.limited_bits([went, went])


def test_best_accuracies_are_those_of_the_list(cut_texts, toy_exact):
    """Monte Carlo over the list, drawn by its probabilities, against sums over all pairs."""
    pairs, singles = Counter(), Counter()
    for sentences, probability in cut_texts:
        for sentence in sentences[:-1]:
            singles[sentence] += probability
        for pair in pairwise(sentences[:-1]):
            pairs[pair] += probability
    total = math.fsum(pairs.values())
    order = math.fsum(max(p, pairs[pair[::-1]]) for pair, p in pairs.items() if p) / 2
    swapped = math.fsum(p for pair, p in pairs.items() if not pairs[pair[::-1]]) / 2
    firsts = Counter()
    for (first, _), probability in pairs.items():
        firsts[first] += probability
    n_singles = math.fsum(singles.values())
    follows = math.fsum(
        max(pairs[first, second], p * q / n_singles)
        for first, p in firsts.items()
        for second, q in singles.items()
    )
    documents = random.Random(3).choices(
        [sentences for sentences, _ in cut_texts], [p for _, p in cut_texts], k=2000
    )
    found = floors.sentence_order(toy_exact, documents, n_pairs=1500, seed=2)
    assert abs(found.value - (order + swapped) / total) < 4 * found.standard_error
    found = floors.next_sentence(toy_exact, documents, n_pairs=1500, seed=2)
    assert abs(found.value - follows / total / 2) < 4 * found.standard_error


def test_masked_words_cost_what_the_list_says(toy_texts, toy_exact):
    """All words hidden: only the length is known, so the floor follows from the list at once."""
    document = max(toy_texts, key=len)
    alike = {w: p for w, p in toy_texts.items() if len(w) == len(document)}
    total = math.fsum(alike.values())
    bits = right = 0.0
    for place in range(len(document) - 1):
        said = defaultdict(float)
        for words, probability in alike.items():
            said[words[place]] += probability / total
        bits -= math.log2(said[document[place]])
        right += max(said.values())
    found = floors.masked_words(toy_exact, [cut(document)] * 2, rate=1.0)
    assert found.bits.value == pytest.approx(bits / (len(document) - 1), abs=1e-9)
    assert found.accuracy.value == pytest.approx(right / (len(document) - 1), abs=1e-9)
    assert found.bits.standard_error == pytest.approx(0, abs=1e-9)  # twice the same document


def test_estimates_are_means_with_errors():
    found = floors.ratio([1.0, 2.0, 6.0], [1.0, 1.0, 2.0])
    assert found.value == 9 / 4
    # residuals −5/4, −1/4, 6/4 about the ratio; their squares sum to 62/16
    assert found.standard_error == pytest.approx(math.sqrt(62 / 16 * 3 / 2) / 4)
    assert floors.mean([1.0, 3.0]).standard_error == pytest.approx(1.0)  # sd √2 / √2
    with pytest.raises(ConfigError, match="at least 2 draws, got 1"):
        floors.mean([1.0])
    with pytest.raises(ConfigError, match="rate must be above 0"):
        floors.masked_words(None, [], rate=0.0)
