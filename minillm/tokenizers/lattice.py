"""All ways to cut a word into pieces, and the best of them.

A lattice has a node before, between and after the bytes of a word, and an edge for every piece
that stands there. A path from the first node to the last is a segmentation; its score is the sum
of its pieces' scores. The best path is found by dynamic programming: the best way to reach a
node is the best way to an earlier one, and one edge (Viterbi 1967).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

_END = -1  # the key of a piece's id, where bytes are the keys of longer pieces


class Edge(NamedTuple):
    """A piece where it stands, and the probability that a cut of the word goes through it."""

    start: int
    end: int
    piece_id: int
    prob: float


class Trie:
    """Pieces by their beginnings: one walk finds all that start at a place.

    Example:
        >>> list(Trie([b"a", b"ab", b"b"]).matches(b"abc", 0))
        [(1, 0), (2, 1)]
    """

    def __init__(self, pieces: Iterable[bytes | None]) -> None:
        """Give every piece its place in ``pieces`` as its id; None is no piece."""
        self._root: dict[int, Any] = {}
        for piece_id, piece in enumerate(pieces):
            if piece is not None:
                node = self._root
                for byte in piece:
                    node = node.setdefault(byte, {})
                node[_END] = piece_id

    def matches(self, word: bytes, start: int) -> Iterator[tuple[int, int]]:
        """Yield (end, id) of each piece that stands at ``start``, the shortest first."""
        node = self._root
        for position in range(start, len(word)):
            node = node.get(word[position])
            if node is None:
                return
            if _END in node:
                yield position + 1, node[_END]


def best_path(word: bytes, trie: Trie, scores: list[float]) -> list[tuple[int, float]]:
    """Return the segmentation with the highest sum of scores.

    Args:
        word: the bytes to cut.
        trie: the pieces; one must stand at each place that can be reached.
        scores: log-probability of each id.

    Returns:
        For each piece its id and the sum of scores up to its end. Of equal sums the one whose
        last piece is longer wins, and so on backwards, as in the ``tokenizers`` library.

    Example:
        >>> trie = Trie([b"a", b"b", b"ab"])
        >>> best_path(b"aba", trie, [-1.0, -2.0, -2.5])
        [(2, -2.5), (0, -3.5)]
    """
    best = [0.0] + [-math.inf] * len(word)  # the highest sum that reaches each node
    last: list[tuple[int, int]] = [(0, 0)] * (len(word) + 1)  # where from, by which piece
    for start in range(len(word)):
        here = best[start]
        if here == -math.inf:
            continue
        for end, piece_id in trie.matches(word, start):
            score = here + scores[piece_id]
            if score > best[end]:
                best[end], last[end] = score, (start, piece_id)
    path, end = [], len(word)
    while end > 0:
        start, piece_id = last[end]
        path.append((piece_id, best[end]))
        end = start
    return path[::-1]


def edge_probs(word: bytes, trie: Trie, scores: Sequence[float]) -> list[Edge]:
    """Return every edge with its posterior probability: the sum of all cuts that take it.

    α(node) sums the probability of all ways from the start to it, β(node) of all ways from it to
    the end; an edge has the share α(start) p β(end) / α(word's end) (Kudo 2018, section 3.2).

    Args:
        word: the bytes to cut.
        trie: the pieces; one must stand at each place that can be reached.
        scores: log-probability of each id.

    Example:
        >>> edges = edge_probs(b"ab", Trie([b"a", b"b", b"ab"]), [-1.0, -1.0, -2.0])
        >>> [(edge.start, edge.end, round(edge.prob, 3)) for edge in edges]
        [(0, 1, 0.5), (0, 2, 0.5), (1, 2, 0.5)]
    """
    edges = [(s, e, i) for s in range(len(word)) for e, i in trie.matches(word, s)]
    arriving: dict[int, list[float]] = {0: [0.0]}
    for start, end, piece in edges:
        arriving.setdefault(end, []).append(log_sum(arriving[start]) + scores[piece])
    leaving: dict[int, list[float]] = {len(word): [0.0]}
    for start, end, piece in reversed(edges):
        leaving.setdefault(start, []).append(log_sum(leaving[end]) + scores[piece])
    alpha, beta = ({n: log_sum(x) for n, x in ways.items()} for ways in (arriving, leaving))
    total = alpha[len(word)]
    return [Edge(s, e, i, math.exp(alpha[s] + scores[i] + beta[e] - total)) for s, e, i in edges]


def log_sum(weights: Sequence[float]) -> float:
    """Return the logarithm of a sum of exponentials, without overflow."""
    largest = max(weights)
    return largest + math.log(sum(math.exp(weight - largest) for weight in weights))
