"""Right and wrong answers to the exercise "encoding by rank" of notebook 03."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from exercises.attempts.planted import Planted
from exercises.checks_03 import check_encode

Merges = list[tuple[bytes, bytes]]


def _bytes_of(word: str) -> list[bytes]:
    return [bytes([b]) for b in word.encode()]


# --- right


def _by_rank(word: str, merges: Merges) -> list[bytes]:
    rank = {pair: i for i, pair in enumerate(merges)}
    tokens = _bytes_of(word)
    while len(tokens) > 1:
        place = min(
            range(len(tokens) - 1), key=lambda i: rank.get((tokens[i], tokens[i + 1]), len(rank))
        )
        if (tokens[place], tokens[place + 1]) not in rank:
            break
        tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]
    return tokens


def _by_replay(word: str, merges: Merges) -> list[bytes]:
    tokens = _bytes_of(word)
    for left, right in merges:
        i = 0
        while i < len(tokens) - 1:
            if tokens[i] == left and tokens[i + 1] == right:
                tokens[i : i + 2] = [left + right]
            i += 1
    return tokens


def _by_recursion(word: str, merges: Merges) -> list[bytes]:
    def step(tokens: list[bytes]) -> list[bytes]:
        places = [i for i in range(len(tokens) - 1) if tuple(tokens[i : i + 2]) in merges]
        if not places:
            return tokens
        best = min(places, key=lambda i: merges.index((tokens[i], tokens[i + 1])))
        return step([*tokens[:best], tokens[best] + tokens[best + 1], *tokens[best + 2 :]])

    return step(_bytes_of(word))


# --- wrong


def _longest_match(word: str, merges: Merges) -> list[bytes]:
    vocabulary = {left + right for left, right in merges}
    raw, start, tokens = word.encode(), 0, []
    while start < len(raw):
        end = len(raw)
        while end > start + 1 and raw[start:end] not in vocabulary:
            end -= 1
        tokens.append(raw[start:end])
        start = end
    return tokens


def _left_to_right(word: str, merges: Merges) -> list[bytes]:
    tokens, i = _bytes_of(word), 0
    while i < len(tokens) - 1:
        if (tokens[i], tokens[i + 1]) in merges:
            tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
            i = 0
        else:
            i += 1
    return tokens


def _one_pass(word: str, merges: Merges) -> list[bytes]:
    tokens, i = _bytes_of(word), 0
    while i < len(tokens) - 1:
        if (tokens[i], tokens[i + 1]) in merges:
            tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
        else:
            i += 1
    return tokens


def _latest_first(word: str, merges: Merges) -> list[bytes]:
    tokens = _bytes_of(word)
    while True:
        places = [i for i in range(len(tokens) - 1) if (tokens[i], tokens[i + 1]) in merges]
        if not places:
            return tokens
        i = max(places, key=lambda i: merges.index((tokens[i], tokens[i + 1])))
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]


def _last_place_first(word: str, merges: Merges) -> list[bytes]:
    tokens = _bytes_of(word)
    for left, right in merges:
        for i in range(len(tokens) - 2, -1, -1):
            if tokens[i : i + 2] == [left, right]:
                tokens[i : i + 2] = [left + right]
    return tokens


def _frequent_first(word: str, merges: Merges) -> list[bytes]:
    tokens = _bytes_of(word)
    while True:
        pairs = [pair for pair in pairwise(tokens) if pair in merges]
        if not pairs:
            return tokens
        counts = Counter(pairs)
        best = max(counts, key=lambda pair: (counts[pair], pair))
        i = list(pairwise(tokens)).index(best)
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]


def _longest_token_first(word: str, merges: Merges) -> list[bytes]:
    tokens = _bytes_of(word)
    while True:
        places = [i for i in range(len(tokens) - 1) if (tokens[i], tokens[i + 1]) in merges]
        if not places:
            return tokens
        ranks = {i: merges.index((tokens[i], tokens[i + 1])) for i in places}
        i = max(places, key=lambda i: (len(tokens[i] + tokens[i + 1]), -ranks[i]))
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]


def _any_spelling(word: str, merges: Merges) -> list[bytes]:
    tokens = _bytes_of(word)
    for left, right in merges:
        i = 0
        while i < len(tokens) - 1:
            if tokens[i] + tokens[i + 1] == left + right:
                tokens[i : i + 2] = [left + right]
            i += 1
    return tokens


def _characters(word: str, merges: Merges) -> list[bytes]:
    tokens = [c.encode() for c in word]
    for left, right in merges:
        i = 0
        while i < len(tokens) - 1:
            if tokens[i] == left and tokens[i + 1] == right:
                tokens[i : i + 2] = [left + right]
            i += 1
    return tokens


PLANTED = (
    Planted(
        check=check_encode,
        arguments=("slow", [(b"o", b"w"), (b"l", b"ow")]),
        right=(_by_rank, _by_replay, _by_recursion),
        wrong={
            _longest_match: "the longest token that fits",
            _left_to_right: "the rank decides, not the place",
            _one_pass: "the rank decides, not the place",
            _latest_first: "the latest learned pair first",
            _last_place_first: "merges the last one first",
            _frequent_first: "that is training",
            _longest_token_first: "makes the longest token",
            _any_spelling: "joins any two tokens that spell a token",
            _characters: "begins with characters",
        },
    ),
)
