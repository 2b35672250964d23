"""The bag of words against formulas, and against weights that a formula gives."""

import math
import random
from collections import Counter

import numpy as np
import pytest
import torch

from minillm.errors import ConfigError, DataError
from minillm.finetuning.baselines import BagOfWords, bag_of_words_classifier, fit_logistic
from minillm.finetuning.examples import ClassExample
from minillm.finetuning.predicting import score_predictions

TEXTS = ("The tea, the tea!", "the CAT sat", "tea_cat")


def test_features_are_those_of_the_formula():
    bag = BagOfWords.of(TEXTS)
    features = bag.features(["tea tea tea sat unknown", "unknown"])
    expected = {"tea": (1 + math.log(3)) * (1 + math.log(4 / 3)), "sat": 1 + math.log(4 / 2)}
    length = math.hypot(*expected.values())
    for word, number in bag.vocabulary.items():
        assert features[0, number].item() == pytest.approx(expected.get(word, 0.0) / length)
    assert not features[1].any()
    assert {"_", "cat", "the", ",", "!"} < set(bag.vocabulary)


def test_the_weights_are_where_the_slope_is_zero():
    draw = np.random.default_rng(1)
    features, targets = draw.normal(size=(23, 5)), draw.integers(3, size=23)
    for strength in (1e-4, 0.3):
        found = fit_logistic(
            torch.tensor(features), torch.tensor(targets), n_classes=3, strength=strength
        ).numpy()
        weights, bias = found[:-1], found[-1]
        odds = np.exp(features @ weights + bias)
        errors = odds / odds.sum(axis=1, keepdims=True) - np.eye(3)[targets]
        assert np.abs(features.T @ errors / 23 + strength * weights).max() < 1e-6
        assert np.abs(errors.sum(axis=0)).max() < 1e-5  # the bias is free


def test_two_mirrored_texts_have_the_weight_of_the_equation():
    found = fit_logistic(
        torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1]), n_classes=2, strength=0.1
    )
    weight = found[0, 0].item()  # the other class has its negative, the biases are zero
    assert found[0, 1].item() == pytest.approx(-weight)
    assert found[1].tolist() == pytest.approx([0, 0], abs=1e-9)
    assert 0.1 * weight == pytest.approx(1 / (1 + math.exp(2 * weight)), rel=1e-6)


def bags(seed, n):
    """Draw texts of two kinds by known probabilities of words."""
    draw, words = random.Random(seed), ("ash", "oak", "elm", "fir")
    chances = {"left": (5, 3, 1, 1), "right": (1, 1, 3, 5)}
    kinds = [draw.choice(("left", "right")) for _ in range(n)]
    return [
        ClassExample(text=" ".join(draw.choices(words, chances[kind], k=3)), label=kind)
        for kind in kinds
    ]


def test_it_is_nearly_as_good_as_the_rule_that_made_the_texts():
    test = bags(7, 500)
    classifier = bag_of_words_classifier(bags(1, 300), bags(2, 100))
    found = score_predictions(test, classifier.predict(test))["accuracy"]
    odds = {"ash": math.log(5), "oak": math.log(3), "elm": -math.log(3), "fir": -math.log(5)}
    bayes = ["left" if sum(odds[w] for w in one.text.split()) > 0 else "right" for one in test]
    best = sum(a == one.label for a, one in zip(bayes, test, strict=True)) / len(test)
    assert best - 0.03 < found <= best + 0.03


def test_validation_chooses_the_strength_and_equals_prefer_the_stronger():
    training, validation = bags(1, 40), bags(2, 40)
    alone = {
        strength: bag_of_words_classifier(training, validation, strengths=[strength])
        for strength in (1e-3, 1e-1, 1.0, 100.0)
    }
    rights = {
        strength: score_predictions(validation, one.predict(validation))["accuracy"]
        for strength, one in alone.items()
    }
    best = max(rights, key=lambda strength: (rights[strength], strength))
    chosen = bag_of_words_classifier(training, validation, strengths=[*alone])
    assert chosen.strength == best
    torch.testing.assert_close(chosen.weights, alone[best].weights, rtol=0, atol=0)
    assert len(set(rights.values())) > 1


def test_of_a_text_without_known_words_it_says_what_is_frequent():
    training = [one for one in bags(1, 60) if one.label == "left"] + bags(2, 10)
    classifier = bag_of_words_classifier(training, training)
    answer = classifier.predict([ClassExample(text="birch")])[0]
    assert answer.label == Counter(one.label for one in training).most_common()[0][0]
    assert 0.5 < answer.probability < 1


def test_what_cannot_be_learned_is_refused():
    examples = bags(1, 9)
    with pytest.raises(ConfigError, match="must not be empty, got 9, 0 and 5"):
        bag_of_words_classifier(examples, [])
    with pytest.raises(DataError, match="every example is of the class"):
        bag_of_words_classifier(examples[:1], examples)
    with pytest.raises(ConfigError, match=r"above 0, got 0\.0"):
        bag_of_words_classifier(examples, examples, strengths=[0.0])
