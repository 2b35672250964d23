"""The second check of notebook 03: encoding by the rank of merges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import torch

from exercises.checks_03_training import Pair, join, slow_merges
from exercises.harness import Attempt, Mistakes, exercise

Formula = Callable[[str, list[Pair]], list[bytes]]


def _start(word: str) -> list[bytes]:
    return [bytes([byte]) for byte in word.encode()]


def slow_encode(word: str, merges: list[Pair]) -> list[bytes]:
    """Replay the training: every merge in the order in which it was learned, everywhere."""
    tokens = _start(word)
    for pair in merges:
        tokens = join(tokens, pair)
    return tokens


def _vocabulary(merges: list[Pair]) -> set[bytes]:
    return {b"".join(pair) for pair in merges}


def _longest_match(word: str, merges: list[Pair]) -> list[bytes]:
    raw, known, tokens = word.encode(), _vocabulary(merges), []
    while raw:
        end = next((n for n in range(len(raw), 1, -1) if raw[:n] in known), 1)
        tokens.append(raw[:end])
        raw = raw[end:]
    return tokens


def _fewest_tokens(word: str, merges: list[Pair]) -> list[bytes]:
    """Cut into as few tokens as possible, the longer one first."""
    raw, known = word.encode(), _vocabulary(merges)
    best: list[list[bytes]] = [[]]
    for end in range(1, len(raw) + 1):
        starts = (s for s in range(end) if end - s == 1 or raw[s:end] in known)
        best.append(min(([*best[s], raw[s:end]] for s in starts), key=len))
    return best[-1]


def _repeat(choose: Callable[[list[Pair], list[Pair]], int]) -> Formula:
    """Merge one place after the other; ``choose`` gets all pairs of the word and the merges."""

    def formula(word: str, merges: list[Pair]) -> list[bytes]:
        tokens = _start(word)
        while any(pair in merges for pair in pairwise(tokens)):
            place = choose(list(pairwise(tokens)), merges)
            tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]
        return tokens

    return formula


def _leftmost(pairs: list[Pair], merges: list[Pair]) -> int:
    return next(i for i, pair in enumerate(pairs) if pair in merges)


def _latest(pairs: list[Pair], merges: list[Pair]) -> int:
    known = [i for i, pair in enumerate(pairs) if pair in merges]
    return max(known, key=lambda i: merges.index(pairs[i]))


def _from_the_right(pairs: list[Pair], merges: list[Pair]) -> int:
    """The right rank, but of its places the last one."""
    known = [i for i, pair in enumerate(pairs) if pair in merges]
    return min(known, key=lambda i: (merges.index(pairs[i]), -i))


def _most_frequent(pairs: list[Pair], merges: list[Pair]) -> int:
    """Train on the word instead of encoding it."""
    counts = Counter(pair for pair in pairs if pair in merges)
    best = max(counts, key=lambda pair: (counts[pair], pair))
    return pairs.index(best)


def _longest_token(pairs: list[Pair], merges: list[Pair]) -> int:
    known = [i for i, pair in enumerate(pairs) if pair in merges]
    return max(known, key=lambda i: (len(b"".join(pairs[i])), -merges.index(pairs[i])))


def _one_pass(word: str, merges: list[Pair]) -> list[bytes]:
    """Go over the word once, merging neighbors that are known."""
    tokens: list[bytes] = []
    for token in _start(word):
        if tokens and (tokens[-1], token) in merges:
            tokens[-1] += token
        else:
            tokens.append(token)
    return tokens


def _by_strings(word: str, merges: list[Pair]) -> list[bytes]:
    """Join two tokens whenever their bytes are those of some token."""
    known, tokens = _vocabulary(merges), _start(word)
    for wanted in (b"".join(pair) for pair in merges):
        position = 0
        while position < len(tokens) - 1:
            both = tokens[position] + tokens[position + 1]
            if both == wanted and both in known:
                tokens[position : position + 2] = [both]
            position += 1
    return tokens


def _characters(word: str, merges: list[Pair]) -> list[bytes]:
    tokens = [character.encode() for character in word]
    for pair in merges:
        tokens = join(tokens, pair)
    return tokens


ENCODING_MISTAKES: Mistakes = {
    "it joins any two tokens that spell a token: a merge joins the two that it was learned from": (
        _by_strings
    ),
    "it begins with characters: the first tokens are the bytes of the UTF-8 text": _characters,
    "it takes the longest token that fits, from left to right: that is WordPiece; BPE replays its "
    "merges, the earliest learned first": _longest_match,
    "it merges the pair that makes the longest token: the earliest learned one comes first": (
        _repeat(_longest_token)
    ),
    "it merges the most frequent pair of this word: that is training; encoding follows the ranks": (
        _repeat(_most_frequent)
    ),
    "it merges the leftmost known pair: the rank decides, not the place": _repeat(_leftmost),
    "it goes over the word once, merging what it meets: the rank decides, not the place": _one_pass,
    "it merges the latest learned pair first: the earliest learned one comes first": (
        _repeat(_latest)
    ),
    "of equal pairs it merges the last one first: 'aaa' becomes aa + a, from the left": (
        _repeat(_from_the_right)
    ),
    "it looks for the fewest tokens: BPE does not, it replays its merges": _fewest_tokens,
}


def _merges(*texts: str) -> list[Pair]:
    return [(left.encode(), right.encode()) for left, right in map(str.split, texts)]


@exercise("encoding by rank")
def check_encode(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``encode(word, merges)``: the tokens of one word, as a list of ``bytes``.

    ``merges`` is a list of pairs of ``bytes`` in the order in which they were learned.
    """
    mistakes = ENCODING_MISTAKES
    attempt.equals("no merges", ("low", []), [b"l", b"o", b"w"], mistakes)
    attempt.equals("nothing to encode", ("", _merges("a b")), [], mistakes)
    # The first word tells four mistakes apart, the next ones those that are left.
    merges = _merges("b b", "b a", "bb bb")
    attempt.equals("bbbbbba", ("bbbbbba", merges), [b"bbbb", b"bb", b"a"], mistakes)
    attempt.equals("abc", ("abc", _merges("b c", "a b", "a bc")), [b"abc"], mistakes)
    merges, expected = _merges("a a", "b b", "b a", "aa a"), [b"aa", b"aaa", b"b", b"aa"]
    attempt.equals("aaaaabaa", ("aaaaabaa", merges), expected, mistakes)
    expected = [b"bb", b"\xc3", b"\xa9"]
    attempt.equals("bbé", ("bbé", _merges("a a", "b b")), expected, mistakes)
    merges = _merges("a b", "b c", "a bc")  # abc was learned as a + bc; here ab comes first
    attempt.equals("abc", ("abc", merges), [b"ab", b"c"], mistakes)
    merges = _merges("o w", "l o", "l ow")
    attempt.equals("slow", ("slow", merges), [b"s", b"low"], mistakes)
    merges = [(b"\xc3", b"\xa9"), (b"a", b"\xc3")]
    attempt.equals("a character of two bytes", ("aé", merges), [b"a", b"\xc3\xa9"], mistakes)
    for letters in ("ab", "abc", "aé"):
        draws = torch.randint(len(letters), (9, 12), generator=generator).tolist()
        words = ["".join(letters[i] for i in row) for row in draws]
        merges = slow_merges(words, 11)
        for word in (words[0], words[1][::-1], words[2] + words[3]):
            what = f"a word of the letters {letters}"
            attempt.equals(what, (word, merges), slow_encode(word, merges), mistakes)
            result = attempt(word, merges)
            attempt.holds("round trip", b"".join(result) == word.encode(), "bytes were lost")
