"""How answers are judged, by the rules that the field compares itself with.

Classes by accuracy and macro F1; entities by whole spans, as CoNLL's script and seqeval do; answers
to questions by exact match and word overlap, as SQuAD's script does. All are shares, from 0 to 1.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import regex

OUTSIDE = "O"
_ARTICLES = regex.compile(r"\b(a|an|the)\b")
_IDEOGRAPH = regex.compile(r"(\p{Han})")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Entity(NamedTuple):
    """A labeled run of words, from ``start`` up to but without ``end``."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanScore:
    """Precision, recall and their harmonic mean, with the counts they come from."""

    n_correct: int
    n_predicted: int
    n_true: int

    @property
    def precision(self) -> float:
        """Share of the predicted entities that are right; 0 where none is predicted."""
        return self.n_correct / self.n_predicted if self.n_predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the true entities that were found; 0 where there is none."""
        return self.n_correct / self.n_true if self.n_true else 0.0

    @property
    def f1(self) -> float:
        """2 · correct / (predicted + true); 0 where there is neither."""
        total = self.n_predicted + self.n_true
        return 2 * self.n_correct / total if total else 0.0


def accuracy(predicted: Sequence[object], true: Sequence[object]) -> float:
    """Return the share of predictions that equal the truth.

    Args:
        predicted: one or more labels.
        true: as many.

    Raises:
        ValueError: no label, or not as many of one as of the other.

    Example:
        >>> accuracy(["a", "b", "b"], ["a", "b", "a"])
        0.6666666666666666
    """
    _check_lengths(predicted, true)
    return sum(a == b for a, b in zip(predicted, true, strict=True)) / len(true)


def macro_f1(predicted: Sequence[str], true: Sequence[str]) -> float:
    """Return the mean of the classes' F1: a rare class counts as much as a frequent one.

    Args:
        predicted: one or more labels.
        true: as many; the classes are those that occur on either side.

    Raises:
        ValueError: no label, or not as many of one as of the other.

    Example:
        >>> macro_f1(["a", "a", "a", "a"], ["a", "a", "a", "b"])  # accuracy would be 0.75
        0.42857142857142855
    """
    _check_lengths(predicted, true)
    n_correct = Counter(a for a, b in zip(predicted, true, strict=True) if a == b)
    n_predicted, n_true = Counter(predicted), Counter(true)
    classes = sorted({*predicted, *true})
    scores = [2 * n_correct[c] / (n_predicted[c] + n_true[c]) for c in classes]
    return sum(scores) / len(scores)


def bio_entities(tags: Sequence[str]) -> list[Entity]:
    """Read the entities of a tagged sentence, whatever a model wrote.

    B begins an entity. So does an I that has nothing to continue: after O, after another kind, at
    the start. That is how CoNLL's ``conlleval`` (Tjong Kim Sang and Buchholz 2000) reads tags, and
    seqeval after it: a missing B alone does not lose an entity.

    Args:
        tags: one a word: ``"O"``, ``"B-PER"``, ``"I-PER"``, …

    Raises:
        ValueError: a tag of another form.

    Example:
        >>> bio_entities(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
        [Entity(kind='PER', start=0, end=2), Entity(kind='LOC', start=3, end=4), \
Entity(kind='LOC', start=4, end=5)]
    """
    entities: list[Entity] = []
    for place, tag in enumerate(tags):
        if tag == OUTSIDE:
            continue
        prefix, _, kind = tag.partition("-")
        if prefix not in ("B", "I") or not kind:
            raise ValueError(f"a tag must be O, B-KIND or I-KIND, got {tag!r} at place {place}")
        last = entities[-1] if entities else None
        goes_on = last is not None and (last.kind, last.end) == (kind, place)
        if prefix == "I" and goes_on:
            entities[-1] = entities[-1]._replace(end=place + 1)
        else:
            entities.append(Entity(kind, place, place + 1))
    return entities


def span_scores(
    predicted: Sequence[Sequence[str]], true: Sequence[Sequence[str]]
) -> dict[str, SpanScore]:
    """Score tagged sentences by their entities: one is right if its kind and both ends are.

    The counts of all sentences are added before anything is divided (micro average), as in CoNLL
    2003 and seqeval. Beside it token accuracy flatters: most words are O, and half an entity is no
    entity.

    Args:
        predicted: the tags of each sentence.
        true: as many sentences with as many tags.

    Returns:
        The score of ``"all"``, and of each kind that occurs, in alphabetical order.

    Raises:
        ValueError: no sentence, or lengths that differ.

    Example:
        >>> scores = span_scores([["B-PER", "I-PER", "O"]], [["B-PER", "O", "B-LOC"]])
        >>> scores["all"].f1, scores["all"].n_true
        (0.0, 2)
    """
    _check_lengths(predicted, true)
    counts = {name: Counter() for name in ("correct", "predicted", "true")}
    for number, (guess, truth) in enumerate(zip(predicted, true, strict=True)):
        if len(guess) != len(truth):
            raise ValueError(f"sentence {number} has {len(truth)} tags, got {len(guess)}")
        found, wanted = bio_entities(guess), bio_entities(truth)
        counts["correct"].update(entity.kind for entity in {*found} & {*wanted})
        counts["predicted"].update(entity.kind for entity in found)
        counts["true"].update(entity.kind for entity in wanted)
    kinds = sorted({*counts["predicted"], *counts["true"]})
    by_kind = {
        kind: SpanScore(
            n_correct=counts["correct"][kind],
            n_predicted=counts["predicted"][kind],
            n_true=counts["true"][kind],
        )
        for kind in kinds
    }
    total = SpanScore(
        n_correct=counts["correct"].total(),
        n_predicted=counts["predicted"].total(),
        n_true=counts["true"].total(),
    )
    return {"all": total, **by_kind}


def normalize_answer(text: str) -> str:
    """Forget what does not make an answer wrong: case, punctuation, articles, extra blanks.

    SQuAD's rule (Rajpurkar et al. 2016, arXiv:1606.05250, and its evaluation script), in its order:
    lower case, ASCII punctuation out, the words a, an, the out, white space to single blanks.

    Example:
        >>> normalize_answer("  The Well-known  cat, a dog.")
        'wellknown cat dog'
    """
    without_punctuation = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without_punctuation).split())


def exact_match(predicted: str, true: str) -> float:
    """Return 1 if both answers are equal once normalized, else 0.

    Example:
        >>> exact_match("the garden", "Garden!")
        1.0
    """
    return float(normalize_answer(predicted) == normalize_answer(true))


def answer_f1(predicted: str, true: str) -> float:
    """Return the harmonic mean of precision and recall of the answers' words, as bags.

    Where one of them is empty ("no answer"), it is 1 if both are, else 0, as in SQuAD 2.0
    (arXiv:1806.03822). Differs from its script for Chinese only: each ideograph is a word, as in
    CMRC 2018 (arXiv:1810.07366).

    Example:
        >>> answer_f1("behind the old well", "the well")
        0.5
    """
    guess, truth = _answer_words(predicted), _answer_words(true)
    if not guess or not truth:
        return float(guess == truth)
    n_common = (Counter(guess) & Counter(truth)).total()
    return 2 * n_common / (len(guess) + len(truth))


def answer_scores(predicted: str, answers: Iterable[str]) -> tuple[float, float]:
    """Return exact match and F1 of an answer, each against the true answer that suits it best.

    Args:
        predicted: ``""`` means "the text does not say".
        answers: all that count as right; none, or only such as normalize to nothing: the question
            has no answer.

    Example:
        >>> answer_scores("old well", ["the well", "a well"]), answer_scores("", [])
        ((0.0, 0.6666666666666666), (1.0, 1.0))
    """
    golds = [answer for answer in answers if normalize_answer(answer)] or [""]
    matches = [exact_match(predicted, gold) for gold in golds]
    return max(matches), max(answer_f1(predicted, gold) for gold in golds)


def _answer_words(text: str) -> list[str]:
    return _IDEOGRAPH.sub(r" \1 ", normalize_answer(text)).split()


def _check_lengths(predicted: Sequence[object], true: Sequence[object]) -> None:
    if len(predicted) != len(true) or not true:
        raise ValueError(
            f"predictions and truth must be as many, and at least one: got {len(predicted)} "
            f"and {len(true)}"
        )
