"""The first check of notebook 03: learning the merges of byte-pair encoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise

import torch

from exercises.harness import Attempt, Mistakes, exercise

Pair = tuple[bytes, bytes]
Words = list[list[bytes]]


def _as_bytes(words: list[str]) -> Words:
    return [[bytes([byte]) for byte in word.encode()] for word in words]


def _as_characters(words: list[str]) -> Words:
    return [[character.encode() for character in word] for word in words]


def _as_one(words: list[str]) -> Words:
    return _as_bytes(["".join(words)])


def _once_each(words: list[str]) -> Words:
    return _as_bytes(list(dict.fromkeys(words)))


def _count(words: Words) -> Counter[Pair]:
    """Count every neighboring pair, also where two of them overlap."""
    return Counter(pair for word in words for pair in pairwise(word))


def _count_apart(words: Words) -> Counter[Pair]:
    """Count pairs that do not overlap, so that "aaa" holds one."""
    counts: Counter[Pair] = Counter()
    for word in words:
        position = 0
        while position < len(word) - 1:
            pair = word[position], word[position + 1]
            counts[pair] += 1
            position += 2 if len(set(pair)) == 1 else 1
    return counts


def _count_words(words: Words) -> Counter[Pair]:
    """Count in how many words a pair stands, not how often."""
    return Counter(pair for word in words for pair in set(pairwise(word)))


def join(word: list[bytes], pair: Pair) -> list[bytes]:
    """Merge a pair from the left, without overlaps."""
    joined: list[bytes] = []
    for token in word:
        joined.append(token)
        if tuple(joined[-2:]) == pair:
            joined[-2:] = [b"".join(pair)]
    return joined


def _join_overlapping(word: list[bytes], pair: Pair) -> list[bytes]:
    """Replace every occurrence, so that the middle of "aaa" is used twice."""
    places = [i for i, found in enumerate(pairwise(word)) if found == pair]
    joined = [word[i] if i not in places else b"".join(pair) for i in range(len(word))]
    return [token for i, token in enumerate(joined) if i in places or i - 1 not in places]


def _join_first(word: list[bytes], pair: Pair) -> list[bytes]:
    """Merge only the first place where the pair stands in a word."""
    places = [i for i, found in enumerate(pairwise(word)) if found == pair][:1]
    for place in places:
        word = [*word[:place], b"".join(pair), *word[place + 2 :]]
    return word


def _first_met(counts: Counter[Pair]) -> Pair:
    return max(counts, key=counts.__getitem__)


def _smaller(counts: Counter[Pair]) -> Pair:
    return min(counts, key=lambda pair: (-counts[pair], pair))


def larger(counts: Counter[Pair]) -> Pair:
    """Return the most frequent pair; among equals the byte-wise larger one."""
    return max(counts, key=lambda pair: (counts[pair], pair))


def _longer(counts: Counter[Pair]) -> Pair:
    return max(counts, key=lambda pair: (counts[pair], len(b"".join(pair)), pair))


def slow_merges(
    words: list[str],
    n_merges: int,
    *,
    start: Callable[[list[str]], Words] = _as_bytes,
    count: Callable[[Words], Counter[Pair]] = _count,
    best: Callable[[Counter[Pair]], Pair] = larger,
    merge: Callable[[list[bytes], Pair], list[bytes]] = join,
    recount: bool = True,
) -> list[Pair]:
    """Follow the definition in a slow loop; the options make a mistake of it."""
    split, merges = start(words), []
    counts = count(split)
    while len(merges) < n_merges and counts:
        pair = best(counts)
        merges.append(pair)
        split = [merge(word, pair) for word in split]
        if recount:
            counts = count(split)
        else:
            del counts[pair]
    return merges


TRAINING_MISTAKES: Mistakes = {
    "among equally frequent pairs it takes the one that it met first: expected the byte-wise "
    "larger pair, whatever the order of the words": partial(slow_merges, best=_first_met),
    "among equally frequent pairs it takes the byte-wise smaller one, expected the larger": (
        partial(slow_merges, best=_smaller)
    ),
    "among equally frequent pairs it takes the longer token, expected the byte-wise larger pair": (
        partial(slow_merges, best=_longer)
    ),
    "it merges across words: the last byte of a word and the first of the next are no pair": (
        partial(slow_merges, start=_as_one)
    ),
    "it counts each different word once: a word that comes five times counts five times": (
        partial(slow_merges, start=_once_each)
    ),
    "it counts words that hold a pair: a pair that stands twice in a word counts twice": (
        partial(slow_merges, count=_count_words)
    ),
    "in 'aaa' it counts the pair (a, a) once: here any two neighbors are a pair, so it is twice": (
        partial(slow_merges, count=_count_apart)
    ),
    "it begins with characters: the first tokens are the bytes of the UTF-8 text": (
        partial(slow_merges, start=_as_characters)
    ),
    "its merge replaces overlapping pairs: in 'aaa' only the first two merge, the third is left": (
        partial(slow_merges, merge=_join_overlapping)
    ),
    "it merges only the first place of a pair in each word: merge it everywhere": (
        partial(slow_merges, merge=_join_first)
    ),
    "it counts once, at the start: every merge makes new pairs and ends others, so count again": (
        partial(slow_merges, recount=False)
    ),
}


def _pairs(*texts: str) -> list[Pair]:
    """Write pairs as "a b"."""
    return [(left.encode(), right.encode()) for left, right in map(str.split, texts)]


def _random_words(letters: str, generator: torch.Generator) -> list[str]:
    """Draw short words, so that ties are frequent."""
    lengths: Iterable[int] = torch.randint(1, 7, (13,), generator=generator).tolist()
    return [
        "".join(letters[i] for i in torch.randint(len(letters), (n,), generator=generator))
        for n in lengths
    ]


@exercise("BPE training")
def check_train_bpe(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``train_bpe(words, n_merges)``: the merges in the order in which they are learned.

    ``words`` is a list of strings, as often as they stand in the text; a merge is a pair of
    ``bytes``. Fewer are returned when no pair is left.
    """
    mistakes = TRAINING_MISTAKES
    words = ["é", "bbbébb", "ab", "ab"]  # small, and every usual mistake gives something else
    attempt.equals("ties and repeats", (words, 5), slow_merges(words, 5), mistakes)
    words = ["low", "low", "low", "slow", "lower"]  # lo 5, ow 5, sl we er 1
    expected = _pairs("o w", "l ow", "w er")[:2]  # a tie: (o, w) > (l, o)
    attempt.equals("low low low slow lower, two merges", (words, 2), expected, mistakes)
    attempt.equals("a tie in one word", (["ab", "cd", "bc"], 1), _pairs("c d"), mistakes)
    attempt.equals("the same in another order", (["cd", "bc", "ab"], 1), _pairs("c d"), mistakes)
    attempt.equals("aaa", (["aaa", "bc"], 1), _pairs("a a"), mistakes)  # 2 against 1
    attempt.equals("aaaa", (["aaaab"], 3), _pairs("a a", "aa b", "aa aab"), mistakes)
    attempt.equals("no merge is asked for", (["ab"], 0), [], mistakes)
    attempt.equals("no pair is left", (["ab", "c"], 5), _pairs("a b"), mistakes)
    arguments = (["é", "é", "a"], 1)
    attempt.equals("a character of two bytes", arguments, [(b"\xc3", b"\xa9")], mistakes)
    for letters, n_merges in (("ab", 7), ("abc", 11), ("aé今", 13)):
        words = _random_words(letters, generator)
        what = f"words of the letters {letters}"
        attempt.equals(what, (words, n_merges), slow_merges(words, n_merges), mistakes)
