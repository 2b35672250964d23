"""The engine against a list of every document of a small story, made by code of its own."""

import math
import random
from collections import defaultdict

import pytest


def entropy(probabilities):
    return -math.fsum(p * math.log2(p) for p in probabilities)


def test_all_documents_have_their_probability(toy_texts, toy_exact):
    assert math.fsum(toy_texts.values()) == pytest.approx(1, abs=1e-12)
    some = sorted(toy_texts)[::19]
    worst = max(abs(toy_exact.bits(words) + math.log2(toy_texts[words])) for words in some)
    assert worst < 1e-10, f"log2 p is off by {worst} bits"


def test_the_entropy_in_closed_form_is_that_of_the_list(toy_texts, toy_joint, toy_exact):
    computed = toy_exact.entropy()
    assert computed.total == pytest.approx(entropy(toy_texts.values()), abs=1e-9)
    ambiguity = entropy(toy_joint.values()) - entropy(toy_texts.values())  # of topic and gender
    assert ambiguity > 0.3, "the story must leave its topic open, or the test is blunt"
    assert computed.words == pytest.approx(
        math.fsum(p * len(words) for words, p in toy_texts.items()), abs=1e-9
    )
    assert computed.topic_ambiguity == pytest.approx(ambiguity, abs=1e-9)


def test_next_words_are_the_list_cut_at_a_prefix(toy_texts, toy_exact):
    document = max(toy_texts, key=len)
    for length in range(0, len(document) + 1, 5):
        prefix = document[:length]
        following = defaultdict(float)
        for words, probability in toy_texts.items():
            if words[:length] == prefix and len(words) > length:
                following[words[length]] += probability
        total = math.fsum(following.values())
        expected = {word: probability / total for word, probability in following.items()}
        assert toy_exact.next_words(prefix) == pytest.approx(expected, abs=1e-12)


def test_hidden_words_are_the_list_filtered(toy_texts, toy_exact):
    document = max(toy_texts, key=len)
    draws = random.Random(5)
    for n_hidden in (1, 2, 5, 11, len(document)):
        hidden = sorted(draws.sample(range(len(document)), n_hidden))
        alike = {
            words: probability
            for words, probability in toy_texts.items()
            if len(words) == len(document)
            and all(
                a == b or i in hidden for i, (a, b) in enumerate(zip(words, document, strict=True))
            )
        }
        total = math.fsum(alike.values())
        assert toy_exact.hidden_bits(document, hidden) == pytest.approx(
            -math.log2(toy_texts[document] / total), abs=1e-10
        )
        for position, found in zip(hidden, toy_exact.hidden_words(document, hidden), strict=True):
            expected = defaultdict(float)
            for words, probability in alike.items():
                expected[words[position]] += probability / total
            assert found == pytest.approx(expected, abs=1e-10)
