"""What needs no neural network: tables of words and overlapping words, to be beaten first."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from minillm.finetuning.baselines import BagOfWords, BagOfWordsClassifier, fit_logistic
from minillm.finetuning.examples import (
    ClassExample,
    Example,
    QuestionExample,
    TagExample,
    find_words,
)
from minillm.finetuning.metrics import OUTSIDE, answer_scores
from minillm.finetuning.predicting import (
    AnswerPrediction,
    TagPrediction,
    score_predictions,
)
from minillm.finetuning.tuning import find_labels

_BEFORE_FIRST = ""  # stands for the word before the first one
BAG_STRENGTH = 1e-4  # of the bag of words' penalty; the best of five on other stories
MAX_ANSWER_WORDS = 3  # of the sliding window: longer spans are rarely right, and are many


class WordTable:
    """Give each word the tag that it had most often in training; a word never seen is outside.

    The most frequent tag of a word alone reaches nine tenths of the words in part-of-speech
    tagging (Charniak et al. 1993). In context a word is looked up together with the word before it,
    and alone where that pair was never seen.

    Args:
        examples: labeled, of which the table is made.
        in_context: look at the word before as well.

    Example:
        >>> spans, tags = ((0, 3), (4, 8)), ("B-PER", "O")
        >>> table = WordTable([TagExample(text="Ann hums", word_spans=spans, tags=tags)])
        >>> table.predict([TagExample(text="Bo, Ann", word_spans=((0, 2), (4, 7)))])[0].tags
        ('O', 'B-PER')
    """

    def __init__(self, examples: Sequence[TagExample], *, in_context: bool = False) -> None:
        self.in_context = in_context
        counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for example in examples:
            for keys, tag in zip(_contexts(example), example.tags or (), strict=True):
                for key in keys:
                    counts[key][tag] += 1
        # Among equally frequent tags the first in the alphabet, so that the order is no matter.
        self._tags = {
            key: min(found, key=lambda t: (-found[t], t)) for key, found in counts.items()
        }

    def predict(self, examples: Sequence[TagExample]) -> list[TagPrediction]:
        """Tag the words of each example."""
        return [TagPrediction(tags=tuple(map(self._tag, _contexts(one)))) for one in examples]

    def _tag(self, keys: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
        alone, with_past = keys
        if self.in_context and with_past in self._tags:
            return self._tags[with_past]
        return self._tags.get(alone, OUTSIDE)


def _contexts(example: TagExample) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the keys of each word: alone, and with the word before it."""
    words = [word.lower() for word in example.words]
    past = [_BEFORE_FIRST, *words[:-1]]
    return [((word,), (before, word)) for before, word in zip(past, words, strict=True)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
    """A candidate, with how much of the question stands around it."""

    start: int  # in characters
    end: int
    score: float


class SlidingWindow:
    """Answer with the words around which the question's words stand closest together.

    After the sliding window of MCTest (Richardson et al. 2013, §4.1), which SQuAD took as its first
    baseline (Rajpurkar et al. 2016, §5): each word of the question counts log(1 + 1 / its frequency
    in the context), here divided by its distance to the span. A span has one to three words, none
    of the question's. All that is learned is the score below which there is no answer.

    Args:
        examples: labeled, of which that score is chosen.

    Example:
        >>> window = SlidingWindow([])
        >>> ask = QuestionExample(context="Bo saw. Ann hid a ball.", question="Who hid a ball?")
        >>> window.predict([ask])[0].text
        'Ann'
    """

    def __init__(self, examples: Sequence[QuestionExample]) -> None:
        self.least = -math.inf
        spans = [_best_span(example) for example in examples]
        scores = sorted({-math.inf, *(span.score for span in spans if span is not None)})
        best = -1.0
        for least in scores:
            guesses = [_answer(one, span, least) for one, span in zip(examples, spans, strict=True)]
            quality = sum(map(_f1, guesses, examples))
            if quality > best:
                self.least, best = least, quality

    def predict(self, examples: Sequence[QuestionExample]) -> list[AnswerPrediction]:
        """Answer each question."""
        return [_answer(example, _best_span(example), self.least) for example in examples]


def _f1(guess: AnswerPrediction, example: QuestionExample) -> float:
    return answer_scores(guess.text, [answer.text for answer in example.answers or ()])[1]


def _answer(example: QuestionExample, span: _Span | None, least: float) -> AnswerPrediction:
    if span is None or span.score < least:
        return AnswerPrediction(text="", start=None, margin=-math.inf)
    text = example.context[span.start : span.end]
    return AnswerPrediction(text=text, start=span.start, margin=span.score - least)


def _best_span(example: QuestionExample) -> _Span | None:
    places = find_words(example.context)
    words = [example.context[start:end].lower() for start, end in places]
    question = {example.question[a:b].lower() for a, b in find_words(example.question)}
    weights = _weights(words, question)
    near = [_nearness(words, weights, place) for place in range(len(words))]
    best: _Span | None = None
    for first in range(len(words)):
        for last in range(first, min(first + MAX_ANSWER_WORDS, len(words))):
            if words[last] in question or not words[last].isalnum():
                break
            score = sum(max(near[i].get(q, 0.0) for i in (first, last)) for q in weights)
            if best is None or score > best.score:
                best = _Span(start=places[first][0], end=places[last][1], score=score)
    return best


def _weights(words: Sequence[str], question: set[str]) -> dict[str, float]:
    counts = Counter(word for word in words if word in question and word.isalnum())
    return {word: math.log1p(1 / count) for word, count in sorted(counts.items())}


def _nearness(words: Sequence[str], weights: Mapping[str, float], place: int) -> dict[str, float]:
    """Return for each word of the question its weight over its distance from a place."""
    found: dict[str, float] = {}
    for other, word in enumerate(words):
        if word in weights and other != place:
            found[word] = max(found.get(word, 0.0), weights[word] / abs(other - place))
    return found


Baseline = Callable[[Sequence[Example], Sequence[Example]], dict[str, float]]
"""Labeled examples to learn from and others to be judged on → scores."""


def word_table(training: Sequence[Example], test: Sequence[Example]) -> dict[str, float]:
    """Score a table of the words' most frequent tags, in context."""
    table = WordTable([one for one in training if isinstance(one, TagExample)], in_context=True)
    examples = [one for one in test if isinstance(one, TagExample)]
    return score_predictions(examples, table.predict(examples))


def sliding_window(training: Sequence[Example], test: Sequence[Example]) -> dict[str, float]:
    """Score the words around which the question's words stand."""
    window = SlidingWindow([one for one in training if isinstance(one, QuestionExample)])
    examples = [one for one in test if isinstance(one, QuestionExample)]
    return score_predictions(examples, window.predict(examples))


def bag_of_words(training: Sequence[Example], test: Sequence[Example]) -> dict[str, float]:
    """Score logistic regression on the words of a text, whatever their order.

    The strength of its penalty is fixed: nobody in the arena has examples to choose settings by.
    """
    examples = [one for one in training if isinstance(one, ClassExample)]
    texts, labels = [one.text for one in examples], find_labels(examples)
    bag = BagOfWords.of(texts)
    targets = torch.tensor([labels.index(one.label or "") for one in examples])
    weights = fit_logistic(
        bag.features(texts), targets, n_classes=len(labels), strength=BAG_STRENGTH
    )
    classifier = BagOfWordsClassifier(
        bag=bag, labels=labels, weights=weights, strength=BAG_STRENGTH
    )
    held_out = [one for one in test if isinstance(one, ClassExample)]
    return score_predictions(held_out, classifier.predict(held_out))
