"""Right and wrong answers to the exercise "bits per byte" of notebook 03."""

from __future__ import annotations

import math

from exercises.attempts.planted import Planted
from exercises.checks_03 import check_bits_of_texts

Losses = list[list[float]]

# --- right


def _plain(losses: Losses, texts: list[str]) -> float:
    nats = sum(sum(document) for document in losses)
    n_bytes = sum(len(text.encode("utf-8")) for text in texts)
    return nats / math.log(2) / n_bytes


def _joined(losses: Losses, texts: list[str]) -> float:
    nats = [x for document in losses for x in document]
    return sum(nats) * math.log2(math.e) / len("".join(texts).encode())


def _by_probabilities(losses: Losses, texts: list[str]) -> float:
    bits = [-math.log2(math.exp(-x)) for document in losses for x in document]
    return math.fsum(bits) / len(b"".join(text.encode() for text in texts))


# --- wrong


def _nats(losses: Losses, texts: list[str]) -> float:
    return _plain(losses, texts) * math.log(2)


def _wrong_way(losses: Losses, texts: list[str]) -> float:
    return _plain(losses, texts) * math.log(2) ** 2


def _per_token(losses: Losses, texts: list[str]) -> float:
    return sum(map(sum, losses)) / math.log(2) / sum(map(len, losses))


def _per_character(losses: Losses, texts: list[str]) -> float:
    return sum(map(sum, losses)) / math.log(2) / len("".join(texts))


def _mean_of_documents(losses: Losses, texts: list[str]) -> float:
    values = [sum(x) / math.log(2) / len(t.encode()) for x, t in zip(losses, texts, strict=True)]
    return sum(values) / len(values)


def _without_end(losses: Losses, texts: list[str]) -> float:
    return _plain([x[:-1] for x in losses], texts)


def _perplexity(losses: Losses, texts: list[str]) -> float:
    return 2 ** _plain(losses, texts)


def _sum(losses: Losses, texts: list[str]) -> float:
    return sum(map(sum, losses)) / math.log(2)


def _upside_down(losses: Losses, texts: list[str]) -> float:
    return 1 / _plain(losses, texts)


def _utf16(losses: Losses, texts: list[str]) -> float:
    return sum(map(sum, losses)) / math.log(2) / len("".join(texts).encode("utf-16-le"))


PLANTED = (
    Planted(
        check=check_bits_of_texts,
        arguments=([[1.0, 2.0], [0.5]], ["ab", "é"]),
        right=(_plain, _joined, _by_probabilities),
        wrong={
            _nats: "divide by ln 2",
            _wrong_way: "multiplies by ln 2",
            _per_token: "counts per token",
            _per_character: "counts per character",
            _mean_of_documents: "averages the documents' values",
            _without_end: "leaves out the last token",
            _perplexity: "returns a perplexity",
            _sum: "returns the sum",
            _upside_down: "upside down",
            _utf16: "UTF-16",
        },
    ),
)
