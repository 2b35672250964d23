"""Right and wrong answers to the second exercise of notebook 14: the F1 of whole entities."""

from __future__ import annotations

import itertools

from exercises.attempts.planted import Planted
from exercises.checks_14 import check_entity_f1
from minillm.finetuning.metrics import bio_entities, span_scores

Tags = list[list[str]]


def _scored(predicted: Tags, true: Tags) -> tuple[Tags, Tags]:
    guess = [
        [p for p, t in zip(a, b, strict=True) if t != ""]
        for a, b in zip(predicted, true, strict=True)
    ]
    return guess, [[t for t in b if t] for b in true]


def _joined(sentences: Tags) -> list[str]:
    return list(itertools.chain.from_iterable(sentences))


# --- right


def _by_library(predicted: Tags, true: Tags) -> float:
    return span_scores(*_scored(predicted, true))["all"].f1


def _by_sets(predicted: Tags, true: Tags) -> float:
    guess, truth = (
        {(n, entity) for n, row in enumerate(rows) for entity in bio_entities(row)}
        for rows in _scored(predicted, true)
    )
    n_right = len(guess & truth)
    if n_right == 0:
        return 0.0
    precision, recall = n_right / len(guess), n_right / len(truth)
    return 2 * precision * recall / (precision + recall)


def _read(tags: list[str], *, start: str = "") -> set[tuple[str, int, int]]:
    """Read entities in one pass; ``start`` plants a mistake about where they start."""
    found: set[tuple[str, int, int]] = set()
    kind, first = None, 0
    for place in range(len(tags) + 1):
        tag = tags[place] if place < len(tags) else "O"
        goes_on = kind is not None and tag == f"I-{kind}"
        if start == "any kind" and kind is not None:
            goes_on = tag.startswith("I-")
        if start == "merging" and kind is not None:
            goes_on = tag[2:] == kind
        if goes_on:
            continue
        if kind is not None:
            found.add((kind, first, place))
        is_new = tag.startswith("B-") if start == "strict" else tag != "O"
        kind, first = (tag[2:] if is_new else None), place
    return found


def _by_one_pass(predicted: Tags, true: Tags, start: str = "") -> float:
    n_right = n_found = 0
    for guess, truth in zip(*_scored(predicted, true), strict=True):
        a, b = _read(guess, start=start), _read(truth, start=start)
        n_right += len(a & b)
        n_found += len(a) + len(b)
    return 2 * n_right / n_found if n_found else 0.0


# --- wrong


def _token_accuracy(predicted: Tags, true: Tags) -> float:
    guess, truth = map(_joined, _scored(predicted, true))
    return sum(map(str.__eq__, guess, truth)) / len(truth)


def _token_f1(predicted: Tags, true: Tags) -> float:
    guess, truth = map(_joined, _scored(predicted, true))
    right = sum(a == b and b != "O" for a, b in zip(guess, truth, strict=True))
    total = len(guess) - guess.count("O") + len(truth) - truth.count("O")
    return 2 * right / total if total else 0.0


def _ratio(predicted: Tags, true: Tags, which: str) -> float:
    score = span_scores(*_scored(predicted, true))["all"]
    return score.precision if which == "precision" else score.recall


def _precision(predicted: Tags, true: Tags) -> float:
    return _ratio(predicted, true, "precision")


def _recall(predicted: Tags, true: Tags) -> float:
    score = span_scores(*_scored(predicted, true))["all"]
    return score.recall


def _arithmetic_mean(predicted: Tags, true: Tags) -> float:
    return sum(_ratio(predicted, true, which) for which in ("precision", "recall")) / 2


def _without_kind(predicted: Tags, true: Tags) -> float:
    found = 0, 0
    for guess, truth in zip(*_scored(predicted, true), strict=True):
        a, b = ({entity[1:] for entity in bio_entities(row)} for row in (guess, truth))
        found = found[0] + len(a & b), found[1] + len(a) + len(b)
    return 2 * found[0] / found[1] if found[1] else 0.0


def _only_starts(predicted: Tags, true: Tags) -> float:
    right = total = 0
    for guess, truth in zip(*_scored(predicted, true), strict=True):
        a, b = ({entity[:2] for entity in bio_entities(row)} for row in (guess, truth))
        right, total = right + len(a & b), total + len(a) + len(b)
    return 2 * right / total if total else 0.0


def _without_sentence(predicted: Tags, true: Tags) -> float:
    guess, truth = (
        [entity for row in rows for entity in bio_entities(row)]
        for rows in _scored(predicted, true)
    )
    n = len(guess) + len(truth)
    return 2 * len(set(guess) & set(truth)) / n if n else 0.0


def _mean_of_sentences(predicted: Tags, true: Tags) -> float:
    scores = [_by_one_pass([p], [t]) for p, t in zip(predicted, true, strict=True)]
    return sum(scores) / len(scores)


def _mean_of_kinds(predicted: Tags, true: Tags) -> float:
    by_kind = span_scores(*_scored(predicted, true))
    del by_kind["all"]
    return sum(score.f1 for score in by_kind.values()) / max(len(by_kind), 1)


def _strict(predicted: Tags, true: Tags) -> float:
    return _by_one_pass(predicted, true, "strict")


def _merging(predicted: Tags, true: Tags) -> float:
    return _by_one_pass(predicted, true, start="merging")


def _any_kind(predicted: Tags, true: Tags) -> float:
    return _by_one_pass(predicted, true, start="any kind")


def _end_lost(predicted: Tags, true: Tags) -> float:
    right = total = 0
    for guess, truth in zip(*_scored(predicted, true), strict=True):
        a, b = ({e for e in _read(row) if e[2] < len(row)} for row in (guess, truth))
        right, total = right + len(a & b), total + len(a) + len(b)
    return 2 * right / total if total else 0.0


def _one_long_text(predicted: Tags, true: Tags) -> float:
    guess, truth = _scored(predicted, true)
    return _by_library([_joined(guess)], [_joined(truth)])


def _every_token(predicted: Tags, true: Tags) -> float:
    return _by_library(predicted, [[tag or "O" for tag in row] for row in true])


def _subwords_continued(predicted: Tags, true: Tags) -> float:
    rows = []
    for row in true:
        filled = list(row)
        for i in range(len(row)):
            if not filled[i]:
                filled[i] = filled[i - 1].replace("B-", "I-")
        rows.append(filled)
    return _by_library(predicted, rows)


PLANTED = (
    Planted(
        check=check_entity_f1,
        arguments=([["B-PER", "O", "B-LOC"]], [["B-PER", "", "B-PER"]]),
        right=(_by_library, _by_sets, _by_one_pass),
        wrong={
            _token_accuracy: "accuracy of tokens",
            _token_f1: "F1 of tokens",
            _precision: "precision alone",
            _recall: "recall alone",
            _arithmetic_mean: "mean of precision and recall",
            _without_kind: "ignores the kind",
            _only_starts: "only where an entity begins",
            _without_sentence: "forgets the sentence",
            _mean_of_sentences: "mean over sentences",
            _mean_of_kinds: "mean over the kinds",
            _strict: "an I without a B is lost",
            _merging: "does not begin another one",
            _any_kind: "an I of another kind goes on",
            _end_lost: "ends with the sentence is lost",
            _one_long_text: "run on into the next sentence",
            _every_token: "scores every subword",
            _subwords_continued: "continues a word's tag",
        },
    ),
)
