"""Right and wrong answers to the exercise "BPE training" of notebook 03."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from exercises.attempts.planted import Planted
from exercises.checks_03 import check_train_bpe

Merges = list[tuple[bytes, bytes]]

# --- right


def _by_lists(words: list[str], n_merges: int) -> Merges:
    split = [[bytes([b]) for b in word.encode("utf-8")] for word in words]
    merges: Merges = []
    for _ in range(n_merges):
        counts: dict[tuple[bytes, bytes], int] = {}
        for word in split:
            for left, right in pairwise(word):
                counts[left, right] = counts.get((left, right), 0) + 1
        if not counts:
            break
        best = max(counts.items(), key=lambda item: (item[1], item[0]))[0]
        merges.append(best)
        for word in split:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = [word[i] + word[i + 1]]
                i += 1
    return merges


def _by_tuples_and_counts(words: list[str], n_merges: int) -> Merges:
    table = Counter(
        tuple(word.encode()[i : i + 1] for i in range(len(word.encode()))) for word in words
    )
    merges: Merges = []
    while len(merges) < n_merges:
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for word, n in table.items():
            for i in range(len(word) - 1):
                counts[word[i : i + 2]] += n  # type: ignore[index]
        ranked = sorted(counts, key=lambda pair: (counts[pair], pair[0], pair[1]))
        if not ranked:
            return merges
        merges.append(ranked[-1])
        joined: Counter[tuple[bytes, ...]] = Counter()
        for word, n in table.items():
            joined[_merged(word, ranked[-1])] += n
        table = joined
    return merges


def _merged(word: tuple[bytes, ...], pair: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if len(word) < 2:
        return word
    if word[:2] == pair:
        return (word[0] + word[1], *_merged(word[2:], pair))
    return (word[0], *_merged(word[1:], pair))


# --- wrong


def _bytes_of(word: str) -> list[bytes]:
    return [bytes([b]) for b in word.encode()]


def _loop(words: list[list[bytes]], n_merges: int, key, *, step: int = 1, first_only: bool = False):
    merges = []
    for _ in range(n_merges):
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for word in words:
            counts.update(zip(word[::step], word[1::step], strict=False))
        if not counts:
            break
        best = max(counts, key=lambda pair: key(pair, counts))
        merges.append(best)
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = [word[i] + word[i + 1]]
                    if first_only:
                        break
                i += 1
    return merges


def _by_larger(pair, counts):
    return counts[pair], pair


def _insertion_order(words: list[str], n_merges: int) -> Merges:
    return _loop([_bytes_of(w) for w in words], n_merges, lambda pair, counts: counts[pair])


def _smaller_first(words: list[str], n_merges: int) -> Merges:
    def key(pair, counts):
        return counts[pair], [[-b for b in token] + [0] for token in pair]  # "a" before "ab"

    return _loop([_bytes_of(w) for w in words], n_merges, key)


def _across_words(words: list[str], n_merges: int) -> Merges:
    return _loop([_bytes_of("".join(words))], n_merges, _by_larger)


def _each_word_once(words: list[str], n_merges: int) -> Merges:
    return _loop([_bytes_of(w) for w in sorted(set(words))], n_merges, _by_larger)


def _characters(words: list[str], n_merges: int) -> Merges:
    return _loop([[c.encode() for c in w] for w in words], n_merges, _by_larger)


def _first_place_only(words: list[str], n_merges: int) -> Merges:
    return _loop([_bytes_of(w) for w in words], n_merges, _by_larger, first_only=True)


def _counted_once(words: list[str], n_merges: int) -> Merges:
    split = [_bytes_of(w) for w in words]
    counts = Counter(pair for w in split for pair in pairwise(w))
    return sorted(counts, key=lambda pair: (counts[pair], pair), reverse=True)[:n_merges]


def _words_with_the_pair(words: list[str], n_merges: int) -> Merges:
    split, merges = [_bytes_of(w) for w in words], []
    for _ in range(n_merges):
        counts = Counter(pair for w in split for pair in set(pairwise(w)))
        if not counts:
            break
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        split = [list(_merged(tuple(w), merges[-1])) for w in split]
    return merges


def _aaa_once(words: list[str], n_merges: int) -> Merges:
    split, merges = [_bytes_of(w) for w in words], []
    for _ in range(n_merges):
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for w in split:
            i = 0
            while i + 1 < len(w):
                counts[w[i], w[i + 1]] += 1
                i += 1 + (w[i] == w[i + 1])
        if not counts:
            break
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        split = [list(_merged(tuple(w), merges[-1])) for w in split]
    return merges


def _overlapping(words: list[str], n_merges: int) -> Merges:
    split, merges = [_bytes_of(w) for w in words], []
    for _ in range(n_merges):
        counts = Counter(pair for w in split for pair in pairwise(w))
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        new = []
        for w in split:
            hits = {i for i in range(len(w) - 1) if (w[i], w[i + 1]) == best}
            kept = (i for i in range(len(w)) if i in hits or i - 1 not in hits)
            new.append([best[0] + best[1] if i in hits else w[i] for i in kept])
        split = new
    return merges


PLANTED = (
    Planted(
        check=check_train_bpe,
        arguments=(["low", "lower"], 2),
        right=(_by_lists, _by_tuples_and_counts),
        wrong={
            _insertion_order: "the one that it met first",
            _smaller_first: "byte-wise smaller one",
            _across_words: "merges across words",
            _each_word_once: "each different word once",
            _characters: "begins with characters",
            _first_place_only: "only the first place",
            _counted_once: "it counts once, at the start",
            _words_with_the_pair: "counts words that hold a pair",
            _aaa_once: "counts the pair (a, a) once",
            _overlapping: "replaces overlapping pairs",
        },
    ),
)
