"""Right and wrong answers to notebook 01: the split by document."""

from __future__ import annotations

import hashlib
import random
import zlib

from exercises.attempts.planted import Planted
from exercises.checks_01_split import check_split
from minillm.text.documents import stable_hash

Sides = tuple[list[str], list[str]]


def _sides(documents: list[str], held_out: list[bool]) -> Sides:
    train = [text for text, is_out in zip(documents, held_out, strict=True) if not is_out]
    return train, [text for text, is_out in zip(documents, held_out, strict=True) if is_out]


# --- right


def _by_sha256(documents: list[str], fraction: float) -> Sides:
    train, validation = [], []
    for text in documents:
        number = int(hashlib.sha256(text.encode()).hexdigest(), 16)
        (validation if number < fraction * 2**256 else train).append(text)
    return train, validation


def _by_stable_hash(documents: list[str], fraction: float) -> Sides:
    return _sides(documents, [stable_hash(text) < fraction * 2**64 for text in documents])


def _by_remainder(documents: list[str], fraction: float) -> Sides:
    remainders = [int(hashlib.md5(t.encode()).hexdigest(), 16) % 10_000 for t in documents]
    return _sides(documents, [remainder < fraction * 10_000 for remainder in remainders])


def _by_own_random_number(documents: list[str], fraction: float) -> Sides:
    # Random(text) is seeded with SHA-512, not with hash(text)
    return _sides(documents, [random.Random(text).random() < fraction for text in documents])


# --- wrong


def _by_line(documents: list[str], fraction: float) -> Sides:
    lines = [line for text in documents for line in text.splitlines(keepends=True)]
    return _by_stable_hash(lines, fraction)


def _by_python_hash(documents: list[str], fraction: float) -> Sides:
    return _sides(documents, [hash(text) % 1000 < fraction * 1000 for text in documents])


def _by_tidied_python_hash(documents: list[str], fraction: float) -> Sides:
    keys = [" ".join(text.split()).casefold() for text in documents]
    return _sides(documents, [hash(key) % 997 < fraction * 997 for key in keys])


def _by_place(documents: list[str], fraction: float) -> Sides:
    every = round(1 / fraction)
    return _sides(documents, [i % every == 0 for i in range(len(documents))])


def _the_first(documents: list[str], fraction: float) -> Sides:
    n = round(fraction * len(documents))
    return documents[n:], documents[:n]


def _by_shuffling(documents: list[str], fraction: float) -> Sides:
    shuffled = documents.copy()
    random.Random(0).shuffle(shuffled)
    return _the_first(shuffled, fraction)


def _by_rank(documents: list[str], fraction: float) -> Sides:
    return _the_first(sorted(documents, key=stable_hash), fraction)


def _by_hash_of_place(documents: list[str], fraction: float) -> Sides:
    return _sides(
        documents, [stable_hash(str(i)) < fraction * 2**64 for i in range(len(documents))]
    )


def _exchanged(documents: list[str], fraction: float) -> Sides:
    validation, train = _by_sha256(documents, fraction)
    return validation[:0] + train, validation


def _loses_copies(documents: list[str], fraction: float) -> Sides:
    return _by_stable_hash(list(dict.fromkeys(documents)), fraction)


def _by_beginning(documents: list[str], fraction: float) -> Sides:
    return _sides(documents, [zlib.crc32(t[:20].encode()) < fraction * 2**32 for t in documents])


def _by_length(documents: list[str], fraction: float) -> Sides:
    return _sides(documents, [len(text) % 7 < fraction * 7 for text in documents])


def _strips(documents: list[str], fraction: float) -> Sides:
    return _by_stable_hash([text.replace("\n", " ") for text in documents], fraction)


PLANTED = (
    Planted(
        check=check_split,
        arguments=([f"text {i}\n" for i in range(40)], 0.25),
        right=(_by_sha256, _by_stable_hash, _by_remainder, _by_own_random_number),
        wrong={
            _by_line: "it splits lines",
            _by_python_hash: "Python's hash()",
            _by_tidied_python_hash: "Python's hash()",
            _by_place: "depends on the place in the list",
            _the_first: "depends on the place in the list",
            _by_shuffling: "depends on the place in the list",
            _by_hash_of_place: "depends on the place in the list",
            _by_rank: "new documents move old ones",
            _exchanged: "the sides are exchanged",
            _loses_copies: "it loses documents",
            _by_beginning: "they open with the same lines",
            _by_length: "not near the fraction",
            _strips: "it changes texts",
        },
    ),
)
