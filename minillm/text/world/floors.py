"""The best that any model can reach at a task: floors for losses, ceilings for accuracies.

What has no closed form is averaged over drawn documents with exact probabilities for each, so that
only the draw is uncertain, and comes with its standard error. Where the best guess is right with a
known probability, that probability is averaged and not the hits: the mean is the same, its error is
smaller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from minillm.errors import ConfigError
from minillm.text.world import forward, next_word
from minillm.text.world.grammar import END_WORD
from minillm.text.world.rng import SplitMix64, keyed

if TYPE_CHECKING:
    from minillm.text.world.exact import ExactModel

Sentences = Sequence[Sequence[str]]  # of one document, with or without [END_WORD] as the last


class Estimate(NamedTuple):
    """A mean over draws."""

    value: float
    standard_error: float
    n: int  # independent draws: documents or pairs

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.standard_error:.4f} ({self.n})"


class MaskedWords(NamedTuple):
    """The floor of masked language modeling."""

    bits: Estimate  # per hidden word
    accuracy: Estimate  # of guessing each hidden word by itself


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean of independent values with its standard error."""
    return ratio(values, [1.0] * len(values))


def ratio(sums: Sequence[float], counts: Sequence[float]) -> Estimate:
    """Return a ratio of sums, such as bits per word over documents, with its standard error.

    The error is that of the linearized ratio, over independent documents (Cochran, *Sampling
    Techniques*, 1977, §6.4).
    """
    n = len(sums)
    if n < 2:
        raise ConfigError(f"an error needs at least 2 draws, got {n}")
    value = math.fsum(sums) / math.fsum(counts)
    squares = math.fsum((s - value * c) ** 2 for s, c in zip(sums, counts, strict=True))
    return Estimate(value, math.sqrt(squares * n / (n - 1)) / math.fsum(counts), n)


def bits_per_document(exact: ExactModel, documents: Sequence[Sentences]) -> Estimate:
    """Estimate the entropy from draws: the mean −log2 p of documents."""
    return mean([exact.bits(_words(sentences)) for sentences in documents])


def bytes_per_document(exact: ExactModel, documents: Sequence[Sentences]) -> Estimate:
    """Estimate the mean UTF-8 bytes of a rendered document: entropy / bytes = bits per byte."""
    render = exact.rendering.render
    return mean([float(len(render(_words(sentences)).encode())) for sentences in documents])


def next_word_accuracy(exact: ExactModel, documents: Sequence[Sentences]) -> Estimate:
    """Estimate how often the likeliest next word comes, given all words before it."""
    right, counts = [], []
    for sentences in documents:
        words = _words(sentences)
        hypotheses, likeliest = forward.start(exact.tries), []
        for word in words:
            likeliest.append(max(next_word.next_words(exact.tries, hypotheses).values()))
            hypotheses, _ = forward.advance(exact.tries, hypotheses, word)
        right.append(math.fsum(likeliest))
        counts.append(float(len(words)))
    return ratio(right, counts)


def fact_accuracy(exact: ExactModel, documents: Sequence[Sentences], name: str) -> Estimate:
    """Estimate how often the likeliest value of a fact, such as the topic, is the true one.

    The reader has read the whole document.
    """
    return mean([max(exact.fact(name, _words(d)).values()) for d in documents])


def limited_context(
    exact: ExactModel, documents: Sequence[Sentences], *, n_before: int = 6
) -> tuple[Estimate, Estimate]:
    """Estimate what a reader loses who sees only a sentence and ``n_before`` before it.

    Returns:
        Bits per word of this reader, and how much more that is than those of who reads all.
    """
    limited = [exact.limited_bits(_whole(sentences), n_before=n_before) for sentences in documents]
    whole = [exact.bits(_words(sentences)) for sentences in documents]
    counts = [float(len(_words(sentences))) for sentences in documents]
    excess = [a - b for a, b in zip(limited, whole, strict=True)]
    return ratio(limited, counts), ratio(excess, counts)


def masked_words(
    exact: ExactModel, documents: Sequence[Sentences], *, rate: float = 0.15, seed: int = 0
) -> MaskedWords:
    """Estimate the floor when a share of whole words is replaced by [MASK].

    Of each document ``rate`` of the words (rounded, at least one, never END_WORD) are hidden, all
    of them by [MASK]. A hidden word is scored given all words that are not hidden.
    """
    if not 0 < rate <= 1:
        raise ConfigError(f"rate must be above 0 and at most 1, got {rate}")
    bits, right, counts = [], [], []
    for number, sentences in enumerate(documents):
        words = _words(sentences)
        n_words = len(words) - 1
        hidden = _sample(
            keyed(seed, "masked words", number), n_words, max(1, round(rate * n_words))
        )
        posteriors = exact.hidden_words(words, hidden)
        bits.append(
            -math.fsum(math.log2(p[words[i]]) for p, i in zip(posteriors, hidden, strict=True))
        )
        right.append(math.fsum(max(p.values()) for p in posteriors))
        counts.append(float(len(hidden)))
    return MaskedWords(ratio(bits, counts), ratio(right, counts))


def next_sentence(
    exact: ExactModel, documents: Sequence[Sentences], *, n_pairs: int, seed: int = 0
) -> Estimate:
    """Estimate the best accuracy at telling whether a sentence follows another.

    A pair is drawn uniformly from all adjacent sentences; in half of the pairs the second one is
    replaced by a sentence drawn uniformly from all sentences of *other* documents. The best guess
    compares p(both) with p(first, before some sentence) · p(second).
    """
    pairs = _adjacent(documents)
    rng = keyed(seed, "next sentence", 0)
    right = []
    for number in range(n_pairs):
        home, first, second = pairs[rng.below(len(pairs))]
        if number % 2:
            second = _elsewhere(documents, home, rng)
        is_next = next_sentence_probability(exact, first, second)
        right.append(max(is_next, 1 - is_next))
    return mean(right)


def next_sentence_probability(
    exact: ExactModel, first: Sequence[str], second: Sequence[str]
) -> float:
    """Return p(the second sentence follows the first | both), half of all pairs being such.

    As in `next_sentence`: otherwise the second one is any sentence of another document.
    """
    windows = exact.windows
    n_one, n_two = windows.n_windows(1), windows.n_windows(2)
    together = windows.weight([first, second]) / n_two
    apart = windows.weight_before_another([first]) / n_two * windows.weight([second]) / n_one
    return together / (together + apart)


def sentence_order(
    exact: ExactModel, documents: Sequence[Sentences], *, n_pairs: int, seed: int = 0
) -> Estimate:
    """Estimate the best accuracy at telling whether two adjacent sentences were swapped.

    A pair is drawn uniformly from all adjacent sentences, and swapped in half of the cases.
    """
    pairs = _adjacent(documents)
    rng = keyed(seed, "sentence order", 0)
    right = []
    for _ in range(n_pairs):
        _, first, second = pairs[rng.below(len(pairs))]
        in_order = sentence_order_probability(exact, first, second)
        right.append(max(in_order, 1 - in_order))
    return mean(right)


def sentence_order_probability(
    exact: ExactModel, first: Sequence[str], second: Sequence[str]
) -> float:
    """Return p(two adjacent sentences are shown in their order | both), half of all being so."""
    kept, swapped = exact.windows.weight([first, second]), exact.windows.weight([second, first])
    return kept / (kept + swapped)


def _words(sentences: Sentences) -> list[str]:
    return [word for sentence in _whole(sentences) for word in sentence]


def _whole(sentences: Sentences) -> Sentences:
    """Return the sentences with the end of the document as the last one."""
    return sentences if list(sentences[-1]) == [END_WORD] else [*sentences, [END_WORD]]


def _told(sentences: Sentences) -> Sentences:
    """Return the sentences without the end of the document."""
    return sentences[:-1] if list(sentences[-1]) == [END_WORD] else sentences


def _adjacent(
    documents: Sequence[Sentences],
) -> list[tuple[int, Sequence[str], Sequence[str]]]:
    return [
        (home, first, second)
        for home, sentences in enumerate(documents)
        for first, second in zip(_told(sentences), _told(sentences)[1:], strict=False)
    ]


def _elsewhere(documents: Sequence[Sentences], home: int, rng: SplitMix64) -> Sequence[str]:
    """Draw a sentence uniformly from all sentences of other documents."""
    longest = max(len(sentences) for sentences in documents)
    while True:  # by rejection: a document counts as often as it has sentences
        other, place = rng.below(len(documents)), rng.below(longest)
        if other != home and place < len(_told(documents[other])):
            return documents[other][place]


def _sample(rng: SplitMix64, n_places: int, n_drawn: int) -> list[int]:
    """Draw places without replacement, in ascending order."""
    places = list(range(n_places))
    for drawn in range(n_drawn):
        other = drawn + rng.below(n_places - drawn)
        places[drawn], places[other] = places[other], places[drawn]
    return sorted(places[:n_drawn])
