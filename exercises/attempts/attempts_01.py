"""Right and wrong answers to notebook 01: near-duplicates and decontamination."""

from __future__ import annotations

from itertools import combinations

from exercises.attempts.planted import Planted
from exercises.checks_01 import check_decontaminate, check_distinct, phrases

# --- near-duplicates, right


def _distinct_by_loop(texts: list[str], threshold: float) -> list[str]:
    kept: list[str] = []
    for text in sorted(texts, key=lambda t: (-len(t), t)):
        a = phrases(text)
        if all(len(a & phrases(k)) < threshold * len(a | phrases(k)) for k in kept):
            kept.append(text)
    order = [texts.index(text) for text in kept]
    return [texts[i] for i in sorted(order)]


def _distinct_by_pairs(texts: list[str], threshold: float) -> list[str]:
    unique = sorted(set(texts), key=lambda t: (len(t), [-ord(c) for c in t]), reverse=True)
    words = [t.lower().split() for t in unique]
    sets = [set(zip(w, w[1:], w[2:], strict=False)) for w in words]
    gone: set[int] = set()
    for i, j in combinations(range(len(unique)), 2):
        common = len(sets[i] & sets[j])
        similarity = common / (len(sets[i]) + len(sets[j]) - common)
        if i not in gone and j not in gone and similarity >= threshold:
            gone.add(j)
    left = {text for i, text in enumerate(unique) if i not in gone}
    result = []
    for text in texts:
        if text in left:
            left.remove(text)
            result.append(text)
    return result


# --- near-duplicates, wrong


def _j(a: str, b: str) -> float:
    return len(phrases(a) & phrases(b)) / len(phrases(a) | phrases(b))


def _exact_only(texts: list[str], threshold: float) -> list[str]:
    seen, kept = set(), []
    for text in texts:
        if hash(text) not in seen:
            kept.append(text)
        seen.add(hash(text))
    return kept


def _first_wins(texts: list[str], threshold: float) -> list[str]:
    kept: list[str] = []
    for text in texts:
        if not any(_j(text, k) >= threshold for k in kept):
            kept.append(text)
    return kept


def _greedy(texts, threshold, similarity, key=lambda t: (-len(t), t)):
    kept: list[str] = []
    for text in sorted(set(texts), key=key):
        if max((similarity(text, k) for k in kept), default=-1.0) < threshold:
            kept.append(text)
    return sorted(kept, key=texts.index)


def _shortest_wins(texts: list[str], threshold: float) -> list[str]:
    return _greedy(texts, threshold, _j, key=len)


def _drops_all(texts: list[str], threshold: float) -> list[str]:
    gone: set[int] = set()
    for i, j in combinations(range(len(texts)), 2):
        if _j(texts[i], texts[j]) >= threshold:
            gone |= {i, j}
    return [text for i, text in enumerate(texts) if i not in gone]


def _strictly_above(texts: list[str], threshold: float) -> list[str]:
    kept: list[str] = []
    for text in sorted(set(texts), key=lambda t: (-len(t), t)):
        if all(_j(text, k) <= threshold for k in kept):
            kept.append(text)
    return [t for t in dict.fromkeys(texts) if t in kept]


def _bag_of_words(texts: list[str], threshold: float) -> list[str]:
    def bag(text: str) -> set[str]:
        return set(text.lower().split())

    return _greedy(texts, threshold, lambda a, b: len(bag(a) & bag(b)) / len(bag(a) | bag(b)))


def _overlap(texts: list[str], threshold: float) -> list[str]:
    def share(a: str, b: str) -> float:
        return len(phrases(a) & phrases(b)) / min(len(phrases(a)), len(phrases(b)))

    return _greedy(texts, threshold, share)


def _minds_case(texts: list[str], threshold: float) -> list[str]:
    def cut(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return set(zip(words, words[1:], words[2:], strict=False))

    return _greedy(texts, threshold, lambda a, b: len(cut(a) & cut(b)) / len(cut(a) | cut(b)))


def _compares_with_gone(texts: list[str], threshold: float) -> list[str]:
    ordered = sorted(set(texts), key=lambda t: (-len(t), t))
    kept = [
        text
        for i, text in enumerate(ordered)
        if not any(_j(text, longer) >= threshold for longer in ordered[:i])
    ]
    return sorted(kept, key=texts.index)


def _looks_back_once(texts: list[str], threshold: float) -> list[str]:
    kept = [texts[0]]
    for text in texts[1:]:
        if _j(text, kept[-1]) < threshold:
            kept += [text]
    return kept


# --- decontamination, right


def _clean_by_sets(train: list[str], validation: list[str], threshold: float) -> list[str]:
    tested = [phrases(text) for text in validation]
    return [
        text for text in train if all(len(v & phrases(text)) / len(v) < threshold for v in tested)
    ]


def _clean_by_counting(train: list[str], validation: list[str], threshold: float) -> list[str]:
    stays = []
    for text in train:
        padded = " " + " ".join(text.lower().split()) + " "
        worst = 0.0
        for test in validation:
            wanted = {" ".join(phrase) for phrase in phrases(test)}
            worst = max(worst, sum(f" {w} " in padded for w in wanted) / len(wanted))
        if worst < threshold:
            stays.append(text)
    return stays


# --- decontamination, wrong


def _removes_equal(train: list[str], validation: list[str], threshold: float) -> list[str]:
    return [text for text in train if all(text != v for v in validation)]


def _after_the_split(train: list[str], validation: list[str], threshold: float) -> list[str]:
    return _distinct_by_loop(train, threshold)


def _with_jaccard(train: list[str], validation: list[str], threshold: float) -> list[str]:
    return [t for t in train if max(_j(t, v) for v in validation) < threshold]


def _of_training_text(train: list[str], validation: list[str], threshold: float) -> list[str]:
    def share(t: str, v: str) -> float:
        return len(phrases(t) & phrases(v)) / len(phrases(t))

    return [t for t in train if max(share(t, v) for v in validation) < threshold]


def _lets_threshold_pass(train: list[str], validation: list[str], threshold: float) -> list[str]:
    return [
        t
        for t in train
        if all(len(phrases(t) & phrases(v)) <= threshold * len(phrases(v)) for v in validation)
    ]


def _adds_up(train: list[str], validation: list[str], threshold: float) -> list[str]:
    everything = {phrase for text in validation for phrase in phrases(text)}
    shortest = min(len(phrases(text)) for text in validation)
    return [t for t in train if len(phrases(t) & everything) / shortest < threshold]


def _shares_words(train: list[str], validation: list[str], threshold: float) -> list[str]:
    def share(t: str, v: str) -> float:
        words = set(v.lower().split())
        return len(words & set(t.lower().split())) / len(words)

    return [t for t in train if max(share(t, v) for v in validation) < threshold]


def _returns_the_leaks(train: list[str], validation: list[str], threshold: float) -> list[str]:
    stays = _clean_by_sets(train, validation, threshold)
    return [text for text in train if text not in stays]


_TEXTS = ["the man bites the dog today", "a blue bird sings in the tree"]

PLANTED = (
    Planted(
        check=check_distinct,
        arguments=(_TEXTS, 0.5),
        right=(_distinct_by_loop, _distinct_by_pairs),
        wrong={
            _exact_only: "exact copies only",
            _first_wins: "whichever comes first",
            _shortest_wins: "the shortest",
            _drops_all: "one of them must stay",
            _strictly_above: "more than the threshold",
            _bag_of_words: "sets of words",
            _overlap: "divides by the smaller set",
            _minds_case: "compares letter case",
            _compares_with_gone: "texts that are gone",
            _looks_back_once: "with the one before only",
        },
    ),
    Planted(
        check=check_decontaminate,
        arguments=(_TEXTS, _TEXTS[:1], 0.5),
        right=(_clean_by_sets, _clean_by_counting),
        wrong={
            _removes_equal: "exact copies only",
            _after_the_split: "after the split",
            _with_jaccard: "Jaccard's J",
            _of_training_text: "divides by",
            _lets_threshold_pass: "more than the threshold",
            _adds_up: "a little of each is ordinary language",
            _shares_words: "counts common words",
            _returns_the_leaks: "returns what must go",
        },
    ),
)
