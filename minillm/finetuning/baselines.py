"""Baselines that no pretraining helped: what a model should beat before it is praised.

Dimension key: N texts, F features (words that the training knows), K classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minillm.errors import ConfigError
from minillm.finetuning.examples import ClassExample, find_words
from minillm.finetuning.metrics import accuracy
from minillm.finetuning.predicting import ClassPrediction
from minillm.finetuning.tuning import find_labels

STRENGTHS = tuple(10.0**power for power in range(-4, 1))  # nearly none, to hardly a weight at all
_MAX_ITERATIONS = 500  # of L-BFGS; the sum is convex, and a hundred are usual


@dataclass(frozen=True, kw_only=True, slots=True)
class BagOfWords:
    """Texts as weighted counts of the words in them, in no order.

    A word of count c in one of n texts, occurring in d of them, weighs
    (1 + ln c) · (1 + ln((1 + n) / (1 + d))), and a text has length 1: tf–idf, in the form that
    scikit-learn calls sublinear and smooth. Words are those of ``find_words`` in lower case.
    """

    vocabulary: dict[str, int]
    rarity: Tensor  # (F,) float64, the second factor

    @classmethod
    def of(cls, texts: Sequence[str]) -> BagOfWords:
        """Learn the words of texts and how rare each is.

        Example:
            >>> BagOfWords.of(["A tea.", "a cat"]).vocabulary
            {'.': 0, 'a': 1, 'cat': 2, 'tea': 3}
        """
        n_with = Counter(word for text in texts for word in set(_words(text)))
        vocabulary = {word: number for number, word in enumerate(sorted(n_with))}
        counts = torch.tensor([n_with[word] for word in vocabulary], dtype=torch.float64)
        return cls(vocabulary=vocabulary, rarity=1 + ((1 + len(texts)) / (1 + counts)).log())

    def features(self, texts: Sequence[str]) -> Tensor:
        """Weigh the known words of texts, (N, F) float64; a text without one is all zeros."""
        counts = torch.zeros(len(texts), len(self.vocabulary), dtype=torch.float64)
        for row, text in enumerate(texts):
            for word, count in Counter(_words(text)).items():
                if word in self.vocabulary:
                    counts[row, self.vocabulary[word]] = count
        weighed = torch.where(counts > 0, 1 + counts.clamp(min=1).log(), 0.0) * self.rarity
        return nn.functional.normalize(weighed, dim=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class BagOfWordsClassifier:
    """A linear classifier of bags of words, see ``bag_of_words_classifier``."""

    bag: BagOfWords
    labels: tuple[str, ...]
    weights: Tensor  # (F + 1, K) float64, the last row the bias
    strength: float  # of the L2 penalty that validation chose

    def predict(self, examples: Iterable[ClassExample]) -> list[ClassPrediction]:
        """Return the likeliest class of each text."""
        logits = _with_bias(self.bag.features([one.text for one in examples])) @ self.weights
        probabilities, best = logits.softmax(dim=1).max(dim=1)
        return [
            ClassPrediction(label=self.labels[number], probability=probability)
            for number, probability in zip(best.tolist(), probabilities.tolist(), strict=True)
        ]


def bag_of_words_classifier(
    training: Sequence[ClassExample],
    validation: Sequence[ClassExample],
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> BagOfWordsClassifier:
    """Learn to tell classes by which words occur, with multinomial logistic regression.

    Args:
        training: labeled examples.
        validation: labeled examples; they choose the strength of the penalty: the most right ones,
            and among equals the stronger.
        strengths: to choose from.

    Raises:
        ConfigError: there is no example to train on or to choose by, or no strength.
        DataError: all examples are of one class.

    Example:
        >>> tea, cat = (ClassExample(text=text, label=text) for text in ("tea", "cat"))
        >>> classifier = bag_of_words_classifier([tea, cat], [cat])
        >>> classifier.predict([ClassExample(text="a cup of tea")])[0].label
        'tea'
    """
    if not (training and validation and strengths):
        raise ConfigError(
            f"training, validation and strengths must not be empty, got {len(training)}, "
            f"{len(validation)} and {len(strengths)}"
        )
    bag = BagOfWords.of([one.text for one in training])
    labels = find_labels(training)
    features = bag.features([one.text for one in training])
    targets = torch.tensor([labels.index(one.label or "") for one in training])
    true = [one.label for one in validation]
    best: tuple[float, BagOfWordsClassifier] | None = None
    for strength in sorted(strengths, reverse=True):
        weights = fit_logistic(features, targets, n_classes=len(labels), strength=strength)
        one = BagOfWordsClassifier(bag=bag, labels=labels, weights=weights, strength=strength)
        share = accuracy([prediction.label for prediction in one.predict(validation)], true)
        if best is None or share > best[0]:
            best = (share, one)
    assert best is not None, "there is a strength"
    return best[1]


def fit_logistic(features: Tensor, targets: Tensor, *, n_classes: int, strength: float) -> Tensor:
    """Find the weights W and biases b of least mean −log softmax(xW + b) + strength/2 · ‖W‖².

    Convex, so that the starting point, zero, decides nothing; the bias is free. The columns of the
    best W lie in the span of the rows of x (Schölkopf, Herbrich and Smola 2001, A generalized
    representer theorem), and are looked for only there: by L-BFGS with line search (Nocedal and
    Wright, Numerical Optimization, 2006, algorithm 7.5).

    Args:
        features: (N, F) floats.
        targets: (N,) class numbers.
        n_classes: K.
        strength: of the penalty, above 0: without it separable classes have no best weights.

    Returns:
        (F + 1, K) float64; the last row is b.

    Raises:
        ConfigError: the strength is not above 0.
    """
    if not strength > 0:
        raise ConfigError(f"strength must be above 0, got {strength}")
    basis = torch.linalg.qr(features.double().T).Q  # (F, N), or (F, F) where there are fewer words
    inputs = _with_bias(features.double() @ basis)
    weights = torch.zeros(inputs.shape[1], n_classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=_MAX_ITERATIONS,
        tolerance_grad=1e-7,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(inputs @ weights, targets)
        total = loss + strength / 2 * weights[:-1].square().sum()
        total.backward()
        return total

    optimizer.step(objective)
    found = weights.detach()
    return torch.cat([basis @ found[:-1], found[-1:]])


def _words(text: str) -> list[str]:
    return [text[start:end].lower() for start, end in find_words(text)]


def _with_bias(features: Tensor) -> Tensor:
    return torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
