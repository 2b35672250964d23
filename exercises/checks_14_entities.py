"""The second check of notebook 14: the F1 of whole entities, by seqeval's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from exercises.harness import Attempt, Mistakes, exercise

Tags = list[list[str]]  # of each sentence
Span = tuple[int, str, int, int]  # sentence, kind, first word, last word
Reader = Callable[[list[str]], list[tuple[str, int, int]]]
KINDS = ("PER", "LOC")


def _split(tag: str) -> tuple[str, str]:
    return (tag[0], tag[2:]) if tag else ("O", "")


def _chunks(tags: list[str]) -> list[tuple[str, int, int]]:
    """Read entities as CoNLL's ``conlleval`` does: where does one end, where does one start?"""
    chunks, start = [], 0
    before = ("O", "")
    for place, tag in enumerate([*tags, "O"]):
        now = _split(tag)
        ends = before[0] != "O" and (now[0] in "BO" or now[1] != before[1])
        starts = now[0] == "B" or (now[0] == "I" and (before[0] == "O" or now[1] != before[1]))
        if ends:
            chunks.append((before[1], start, place - 1))
        if starts:
            start = place
        before = now
    return chunks


def _strict(tags: list[str]) -> list[tuple[str, int, int]]:
    """Lose the entities that no B begins."""
    return [chunk for chunk in _chunks(tags) if tags[chunk[1]][0] == "B"]


def _merging(tags: list[str]) -> list[tuple[str, int, int]]:
    """Take neighbors of one kind for one entity."""
    return _chunks([tag.replace("B-", "I-") for tag in tags])


def _kindless_continuation(tags: list[str]) -> list[tuple[str, int, int]]:
    """Let every I continue, whatever its kind."""
    chunks: list[tuple[str, int, int]] = []
    for place, tag in enumerate(tags):
        prefix, kind = _split(tag)
        if prefix == "I" and chunks and chunks[-1][2] == place - 1:
            chunks[-1] = (*chunks[-1][:2], place)
        elif prefix != "O":
            chunks.append((kind, place, place))
    return chunks


def _unfinished(tags: list[str]) -> list[tuple[str, int, int]]:
    """Forget the entity that is open when the sentence ends."""
    return [chunk for chunk in _chunks(tags) if chunk[2] < len(tags) - 1]


def _kept(predicted: Tags, true: Tags) -> tuple[Tags, Tags]:
    """Leave out the tokens that are not scored."""
    pairs = [
        [(p, t) for p, t in zip(*sentence, strict=True) if t]
        for sentence in zip(predicted, true, strict=True)
    ]
    return [[p for p, _ in pair] for pair in pairs], [[t for _, t in pair] for pair in pairs]


def _flat(sentences: Tags) -> list[str]:
    return [tag for tags in sentences for tag in tags]


def _spans(sentences: Tags, read: Reader = _chunks) -> list[Span]:
    return [(n, *chunk) for n, tags in enumerate(sentences) for chunk in read(tags)]


def _f1(guess: Iterable[object], truth: Iterable[object]) -> float:
    guess, truth = list(guess), list(truth)
    n_correct = len({*guess} & {*truth})
    return 2 * n_correct / max(len(guess) + len(truth), 1)


def _read_with(read: Reader) -> Callable[[Tags, Tags], float]:
    def score(predicted: Tags, true: Tags) -> float:
        guess, truth = _kept(predicted, true)
        return _f1(_spans(guess, read), _spans(truth, read))

    return score


entity_f1 = _read_with(_chunks)


def _compared_by(key: Callable[[Span], object]) -> Callable[[Tags, Tags], float]:
    def score(predicted: Tags, true: Tags) -> float:
        guess, truth = _kept(predicted, true)
        return _f1(map(key, _spans(guess)), map(key, _spans(truth)))

    return score


def _counts(predicted: Tags, true: Tags) -> tuple[int, int, int]:
    guess, truth = ({*_spans(tags)} for tags in _kept(predicted, true))
    return len(guess & truth), len(guess), len(truth)


def _precision(predicted: Tags, true: Tags) -> float:
    n_correct, n_guess, _ = _counts(predicted, true)
    return n_correct / max(n_guess, 1)


def _recall(predicted: Tags, true: Tags) -> float:
    n_correct, _, n_true = _counts(predicted, true)
    return n_correct / max(n_true, 1)


def _accuracy(predicted: Tags, true: Tags) -> float:
    guess, truth = map(_flat, _kept(predicted, true))
    return sum(p == t for p, t in zip(guess, truth, strict=True)) / max(len(truth), 1)


def _token_f1(predicted: Tags, true: Tags) -> float:
    guess, truth = map(_flat, _kept(predicted, true))
    pairs = zip(guess, truth, strict=True)
    n_correct = sum(p == t != "O" for p, t in pairs)
    total = sum(tag != "O" for tag in guess + truth)
    return 2 * n_correct / max(total, 1)


def _sentence_mean(predicted: Tags, true: Tags) -> float:
    pairs = list(zip(predicted, true, strict=True))
    return sum(entity_f1([p], [t]) for p, t in pairs) / len(pairs)


def _kind_mean(predicted: Tags, true: Tags) -> float:
    guess, truth = map(_spans, _kept(predicted, true))
    kinds = sorted({span[1] for span in guess + truth})
    scores = [_f1(*([s for s in side if s[1] == k] for side in (guess, truth))) for k in kinds]
    return sum(scores) / max(len(scores), 1)


def _every_subword(predicted: Tags, true: Tags) -> float:
    return _f1(_spans(predicted), _spans(true))


def _continued(predicted: Tags, true: Tags) -> float:
    """Give each subword the tag of its word, continued."""
    filled = []
    for tags in true:
        row: list[str] = []
        for tag in tags:
            word = row[-1] if row else "O"
            row.append(tag or ("O" if word == "O" else f"I-{word[2:]}"))
        filled.append(row)
    return _f1(_spans(predicted), _spans(filled))


def _one_text(predicted: Tags, true: Tags) -> float:
    guess, truth = map(_flat, _kept(predicted, true))
    return entity_f1([guess], [truth])


ENTITY_MISTAKES: Mistakes = {
    "it is the accuracy of tokens: most words are O, and half an entity is no entity": _accuracy,
    "it is the F1 of tokens: an entity counts as often as it has words, and half of one counts": (
        _token_f1
    ),
    "it is the precision alone: who says nothing is never wrong": _precision,
    "it is the recall alone: who tags every word misses nothing": _recall,
    "it is the mean of precision and recall; F1 is their harmonic mean, near the worse of them": (
        lambda p, t: (_precision(p, t) + _recall(p, t)) / 2
    ),
    "it ignores the kind: a person where a place is counts as right": (
        _compared_by(lambda span: (span[0], *span[2:]))
    ),
    "it compares only where an entity begins: its end must be right too": (
        _compared_by(lambda span: span[:3])
    ),
    "it forgets the sentence: an entity at the same place of another sentence counts as found": (
        _compared_by(lambda span: span[1:])
    ),
    "it is a mean over sentences: add up the counts of all of them, then divide (micro average)": (
        _sentence_mean
    ),
    "it is a mean over the kinds (macro average): add up their counts, then divide": _kind_mean,
    "an I without a B is lost: by seqeval's rules it begins an entity": _read_with(_strict),
    "a B right after an entity of its kind does not begin another one": _read_with(_merging),
    "an I of another kind goes on with the entity: it begins one": (
        _read_with(_kindless_continuation)
    ),
    "an entity that ends with the sentence is lost": _read_with(_unfinished),
    "entities run on into the next sentence": _one_text,
    "it scores every subword: where the true tag is empty the token is to be left out": (
        _every_subword
    ),
    "it continues a word's tag over its subwords and scores them all: leave them out": _continued,
}


@exercise("entities and F1")
def check_entity_f1(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``entity_f1(predicted, true)``: the micro F1 of whole entities.

    Both are lists of sentences of tags: "O", "B-PER", "I-PER", … Where a true tag is "" the token
    does not begin a word, and is left out on both sides. No entity at all: 0.0. A float.
    """
    cases: tuple[tuple[str, Tags, Tags, float], ...] = (
        (
            "two of four found, with three guesses",
            [["B-PER", "I-PER", "O", "B-LOC", "O", "O", "B-PER", "I-PER", "O"]],
            [["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC", "B-PER", "I-PER", "O"]],
            4 / 7,
        ),
        ("the wrong kind", [["B-PER", "O"]], [["B-LOC", "O"]], 0.0),
        ("half an entity", [["B-PER", "O", "O"]], [["B-PER", "I-PER", "O"]], 0.0),
        ("an I begins", [["O", "I-PER", "I-PER", "O"]], [["O", "B-PER", "I-PER", "O"]], 1.0),
        ("two neighbors", [["B-LOC", "I-LOC", "O"]], [["B-LOC", "B-LOC", "O"]], 0.0),
        ("kinds side by side", [["B-LOC", "I-PER", "O"]], [["B-LOC", "B-PER", "O"]], 1.0),
        ("at the end", [["O", "B-PER", "I-PER"]], [["O", "B-PER", "I-PER"]], 1.0),
        ("two sentences", [["B-PER"], ["I-PER"]], [["B-PER"], ["B-PER"]], 1.0),
        ("another sentence", [["B-PER", "O"], ["O", "O"]], [["O", "O"], ["B-PER", "O"]], 0.0),
        (
            "two sentences, one of them empty",
            [["B-PER", "O"], ["O", "O"]],
            [["B-PER", "O"], ["O", "O"]],
            1.0,
        ),
        (
            "one kind rare, the other frequent",
            [["B-LOC", "O", "B-PER", "O", "B-PER", "O"]],
            [["O", "B-LOC", "B-PER", "O", "B-PER", "O"]],
            2 / 3,
        ),
        (
            "words of two tokens",
            [["B-PER", "B-PER", "I-PER", "O", "B-LOC"]],
            [["B-PER", "", "I-PER", "O", ""]],
            1.0,
        ),
        ("no entity", [["O", "O"]], [["O", "O"]], 0.0),
    )
    for what, predicted, true, expected in cases:
        attempt.equals(what, (predicted, true), expected, ENTITY_MISTAKES)
    for what, share in {"few right": 0.3, "many right": 0.9}.items():
        predicted, true = _drawn(generator, share)
        expected = entity_f1(predicted, true)
        attempt.equals(what, (predicted, true), expected, ENTITY_MISTAKES)


def _drawn(generator: torch.Generator, share: float) -> tuple[Tags, Tags]:
    """Draw true tags in BIO's form with subwords, and predictions that are often equal."""
    tags = ("O", *(f"{part}-{kind}" for kind in KINDS for part in "BI"))
    predicted, true = [], []
    for _ in range(5):
        drawn = torch.randint(len(tags), (2, 9), generator=generator).tolist()
        is_equal = (torch.rand(9, generator=generator) < share).tolist()
        is_word = [True, *(torch.rand(8, generator=generator) < 0.8).tolist()]
        truth = [tags[i] for i in drawn[0]]
        guess = [t if e else tags[i] for t, i, e in zip(truth, drawn[1], is_equal, strict=True)]
        predicted.append(guess)
        true.append([t if w else "" for t, w in zip(truth, is_word, strict=True)])
    return predicted, true
