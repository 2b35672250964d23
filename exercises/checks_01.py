"""Checks of notebook 01: near-duplicates, and training texts that hold what is tested.

A phrase is a run of three words, letter case aside; a text is the set of its phrases.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch

from exercises.checks_01_split import check_split
from exercises.harness import Attempt, Mistakes, exercise

__all__ = ["check_decontaminate", "check_distinct", "check_split"]

Similarity = Callable[[str, str], float]


def phrases(text: str, n_words: int = 3) -> set[tuple[str, ...]]:
    """Return the runs of ``n_words`` words, letter case aside.

    Example:
        >>> sorted(phrases("The cat sat down"))
        [('cat', 'sat', 'down'), ('the', 'cat', 'sat')]
    """
    words = text.casefold().split()
    return {tuple(words[i : i + n_words]) for i in range(len(words) - n_words + 1)}


def _jaccard(a: str, b: str) -> float:
    return len(phrases(a) & phrases(b)) / len(phrases(a) | phrases(b))


def _containment(a: str, b: str) -> float:
    return len(phrases(a) & phrases(b)) / min(len(phrases(a)), len(phrases(b)))


def _same_words(a: str, b: str) -> float:
    return len(phrases(a, 1) & phrases(b, 1)) / len(phrases(a, 1) | phrases(b, 1))


def _case_matters(a: str, b: str) -> float:
    words = [[tuple(t.split()[i : i + 3]) for i in range(len(t.split()) - 2)] for t in (a, b)]
    return len(set(words[0]) & set(words[1])) / len(set(words[0]) | set(words[1]))


def _rank(text: str) -> tuple[int, str]:
    """Sort the longest first, equals by their letters."""
    return -len(text), text


def _one_by_one(texts: list[str], is_near: Callable[[str, str], bool]) -> list[str]:
    """Keep each text that resembles none that is kept, in the order given."""
    kept: list[str] = []
    for text in texts:
        if not any(text == other or is_near(text, other) for other in kept):
            kept.append(text)
    return kept


def _by(
    similarity: Similarity, *, key: Callable[[str], object] = _rank
) -> Callable[..., list[str]]:
    """Make the mistake of another similarity, or of another text that stays."""

    def formula(texts: list[str], threshold: float) -> list[str]:
        ordered = sorted(texts, key=key)  # pyright: ignore[reportArgumentType,reportCallIssue]
        kept = _one_by_one(ordered, lambda a, b: similarity(a, b) >= threshold)
        return [text for text in dict.fromkeys(texts) if text in kept]

    return formula


def _above(texts: list[str], threshold: float) -> list[str]:
    return _by(_jaccard)(texts, threshold + 1e-9)


def _drop_both(texts: list[str], threshold: float) -> list[str]:
    near = [
        any(i != j and _jaccard(text, other) >= threshold for j, other in enumerate(texts))
        for i, text in enumerate(texts)
    ]
    return [text for text, is_near in zip(texts, near, strict=True) if not is_near]


def _chained(texts: list[str], threshold: float) -> list[str]:
    """Drop what resembles any longer text, dropped or not."""
    kept = [
        text
        for text in texts
        if not any(_jaccard(text, o) >= threshold and _rank(o) < _rank(text) for o in texts)
    ]
    return list(dict.fromkeys(kept))


def _neighbors(texts: list[str], threshold: float) -> list[str]:
    kept = texts[:1]
    for text in texts[1:]:
        if _jaccard(text, kept[-1]) < threshold:
            kept.append(text)
    return kept


DISTINCT_MISTAKES: Mistakes = {
    "it finds exact copies only: one changed word, and a text counts as new": lambda texts, _: list(
        dict.fromkeys(texts)
    ),
    "it keeps whichever comes first, or the shortest: the longest says most, wherever it stands": (
        lambda t, s: _one_by_one(t, lambda a, b: _jaccard(a, b) >= s)
    ),
    "it keeps the shortest: of two versions the longer says more": _by(_jaccard, key=len),
    "it drops every member of a group: one of them must stay": _drop_both,
    "it asks for more than the threshold: J ≥ threshold is a near-duplicate": _above,
    "it compares sets of words: the man who bites the dog is another story": _by(_same_words),
    "it divides by the smaller set: a long text that quotes a short one is no copy. J has the "
    "union below": _by(_containment),
    "it compares letter case: a headline in capitals says the same": _by(_case_matters),
    "it compares with texts that are gone: in a chain a ~ b ~ c, b goes because of a, and then "
    "nothing is left that c resembles": _chained,
    "it compares with the one before only: copies may stand anywhere": _neighbors,
}

_FOX = "the quick brown fox jumps over the lazy dog and runs home"  # 12 words, 10 phrases
_LETTERS = [f"{a}{b}" for a in "bdfgkl" for b in "aeio"]  # words of equal length


def _run(first: int, last: int) -> str:
    return " ".join(_LETTERS[first : last + 1])


@exercise("near-duplicates")
def check_distinct(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``distinct(texts, threshold)``: one text of each group of near-duplicates."""
    mistakes = DISTINCT_MISTAKES
    bird = "a blue bird sings in the old tree"
    attempt.equals("a copy", ([_FOX, bird, _FOX], 0.5), [_FOX, bird], mistakes)
    # A word more: 10 phrases of 11 are shared.
    case = [_FOX, bird, _FOX + " again"]
    attempt.equals("one word more", (case, 0.8), case[1:], mistakes)
    case = [_FOX.upper(), bird, _FOX]  # capitals come before small letters
    attempt.equals("letter case", (case, 0.8), case[:2], mistakes)
    case = ["one two three four five", bird, "one two three four five six"]
    attempt.equals("J = 3/4 at threshold 3/4", (case, 0.75), case[1:], mistakes)
    case = ["the man bites the dog today", "the dog bites the man today"]
    attempt.equals("the same words", (case, 0.5), case, mistakes)
    case = ["jumps over the lazy dog", _FOX]  # 3 phrases of 10
    attempt.equals("a quotation", (case, 0.5), case, mistakes)
    # 12, 11, 10 phrases; neighbors have J = 10/13 and 9/12, the ends 8/14
    chain = [_run(0, 13), _run(2, 14), _run(4, 15)]
    for name, case in {"a chain": chain, "a chain, backward": chain[::-1]}.items():
        attempt.equals(name, (case, 0.7), [case[0], case[2]], mistakes)
    shuffle = random.Random(int(torch.randint(10**6, (), generator=generator)))
    originals = [" ".join(shuffle.choices(_LETTERS, k=20)) for _ in range(20)]
    case = originals + [text.rpartition(" ")[0] for text in originals[:7]]  # 17 of 18 phrases
    shuffle.shuffle(case)
    expected = [text for text in case if text in originals]
    attempt.equals("7 planted in 20", (case, 0.9), expected, mistakes)
    kept = sorted(attempt(case, 0.9)), sorted(attempt(case[::-1], 0.9))
    attempt.holds("the order", kept[0] == kept[1], "another order of the texts keeps others")


def _cleaned_by(
    share: Callable[[set[tuple[str, ...]], set[tuple[str, ...]]], float],
) -> Callable[..., list[str]]:
    """Make the mistake of another share of common phrases."""

    def formula(train: list[str], validation: list[str], threshold: float) -> list[str]:
        return [
            text
            for text in train
            if not any(share(phrases(text), phrases(v)) >= threshold for v in validation)
        ]

    return formula


def _against_all(train: list[str], validation: list[str], threshold: float) -> list[str]:
    """Add up what a text shares with all validation texts together."""
    tested = set().union(*map(phrases, validation))
    least = min(len(phrases(text)) for text in validation)
    return [text for text in train if len(phrases(text) & tested) < threshold * least]


DECONTAMINATE_MISTAKES: Mistakes = {
    "it finds exact copies only: one changed word, and the answer stays in the training text": (
        lambda train, validation, _: [text for text in train if text not in validation]
    ),
    "it deduplicates each side by itself, after the split: what leaks is a pair with one text on "
    "each side": lambda train, _, threshold: _by(_jaccard)(train, threshold),
    "it divides by more than the test's own phrases (the training text's, or Jaccard's J): a long "
    "text that quotes the whole test has a small share of it, and leaks it": (
        _cleaned_by(lambda t, v: len(t & v) / len(t | v))
    ),
    "it divides by the training text's phrases: the question is how much of the test it holds": (
        _cleaned_by(lambda t, v: len(t & v) / len(t))
    ),
    "it asks for more than the threshold: a share ≥ threshold goes": (
        _cleaned_by(lambda t, v: len(t & v) / len(v) - 1e-9)
    ),
    "it adds up what is shared with all validation texts: a little of each is ordinary language": (
        _against_all
    ),
    "it counts common words: all English shares those; phrases are what is copied": (
        lambda train, validation, threshold: [
            t
            for t in train
            if not any(
                len(phrases(t, 1) & phrases(v, 1)) >= threshold * len(phrases(v, 1))
                for v in validation
            )
        ]
    ),
    "it returns what must go: the texts that may stay are asked for": (
        lambda train, validation, threshold: [
            t
            for t in train
            if any(len(phrases(t) & phrases(v)) >= threshold * len(phrases(v)) for v in validation)
        ]
    ),
}


@exercise("decontaminated training texts")
def check_decontaminate(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``decontaminate(train, validation, threshold)``: the training texts that may stay."""
    mistakes = DECONTAMINATE_MISTAKES
    bird, tea = "a blue bird sings in the old tree", "two cups of black tea are enough"
    attempt.equals("a copy", ([bird, _FOX, tea], [_FOX], 0.5), [bird, tea], mistakes)
    changed = _FOX.replace("home", "away")  # 9 of the 10 phrases
    attempt.equals("one word changed", ([bird, changed], [_FOX], 0.8), [bird], mistakes)
    long = f"{_run(0, 11)} {_FOX} {_run(12, 23)}"
    attempt.equals("a quotation", ([long, bird], [_FOX], 0.8), [bird], mistakes)
    part = "jumps over the lazy dog"  # all of its phrases, 3 of the test's 10
    attempt.equals("a short part", ([part, bird], [_FOX], 0.8), [part, bird], mistakes)
    half = "one two three four five six"  # 4 phrases; the text below holds 2 of them
    attempt.equals("exactly 1/2", (["one two three four"], [half], 0.5), [], mistakes)
    turned = "six five four three two one"
    attempt.equals("the same words", ([turned, bird], [half], 0.5), [turned, bird], mistakes)
    both = "one two three and a blue bird"  # 1 of 4 and 1 of 6 phrases
    attempt.equals("a little of each", ([both], [half, bird], 0.5), [both], mistakes)
    twice = [tea, bird, tea]  # copies inside the training side leak nothing
    attempt.equals("copies of one side", (twice, [_FOX], 0.5), twice, mistakes)
    shuffle = random.Random(int(torch.randint(10**6, (), generator=generator)))
    texts = [" ".join(shuffle.choices(_LETTERS, k=20)) for _ in range(24)]
    tested, clean = texts[:4], texts[4:]
    train = clean + [f"{text} {shuffle.choice(clean)}" for text in tested]
    shuffle.shuffle(train)
    expected = [text for text in train if text in clean]
    attempt.equals("4 planted in 20", (train, tested, 0.8), expected, mistakes)
