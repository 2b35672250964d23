"""Learning a Unigram model: too many pieces, their probabilities by EM, the useless ones dropped.

A word of the text is seen, its segmentation is not: a hidden variable. Expectation–maximization
(Dempster, Laird and Rubin 1977) alternates two steps, each of which can only raise the likelihood
L = Σ_words n · log Σ_x ∏ p(xᵢ), the inner sum over all segmentations x (Kudo 2018, section 3.2):

    E  c(u) = Σ_words n · Σ_edges of u  α(start) p(u) β(end) / α(word's end)
    M  p(u) = c(u) / Σ c

α sums the probability of all ways from the start to a node, β from a node to the end. Then the
pieces whose loss hurts least are dropped, and so on, until as many are left as were wanted. The
loss of u is estimated by c(u) · (log p(u) − log P(u's best cut into others)). SentencePiece also
lets the parts' own probabilities grow by that, and its M step discounts small counts (a
Dirichlet prior, by digamma); ours is the paper's.
"""

from __future__ import annotations

import math
import warnings
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from minillm.tokenizers.lattice import Trie, best_path
from minillm.tokenizers.tokenizer_json import N_BYTES, spell

MAX_PIECE = 16  # characters, as in SentencePiece
_MAX_CHUNK = 40  # bytes of a word that are cut together: 1e-7 ** 40 is still a float
_LEAST_PROBABILITY = 1e-7  # of a byte: no text is impossible
_SEEDS_PER_PIECE, _LEAST_SEEDS = 8, 5_000
_KEPT_SHARE = 0.75  # of the pieces, a round
_EM_STEPS = 2  # a round, as in SentencePiece
_LEAST_EXPECTED = 0.5  # a piece used less often in all is dropped at once
_DIGITS = 6  # of a score, written exactly by every JSON reader
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
_BYTES = [bytes([byte]) for byte in range(N_BYTES)]


def learn_scores(
    word_counts: Mapping[str, int],
    n_pieces: int,
    *,
    taken: Collection[str] = (),
    show_work: Callable[[str], object] | None = None,
) -> dict[bytes, float]:
    """Learn the pieces of a Unigram model and their log-probabilities.

    Args:
        word_counts: how often each word occurs.
        n_pieces: pieces wanted besides the 256 bytes.
        taken: spellings that no piece may have, such as special tokens.
        show_work: called with a line on each round.

    Returns:
        piece → nats: the bytes in their order, then the pieces, the most probable first.

    Example:
        >>> scores = learn_scores({"low": 9, "lower": 2}, 2)
        >>> list(scores)[256:]
        [b'low', b'lower']
    """
    chunks = _chunks(word_counts)
    seeds = frequent_substrings(chunks, max(_SEEDS_PER_PIECE * n_pieces, _LEAST_SEEDS))
    pieces = [*_BYTES, *(piece for piece in seeds if spell(piece) not in taken)]
    probs = normalized(_first_counts(pieces, chunks, seeds))
    lattices = Lattices(chunks, pieces)
    counts, nats = probs, 0.0
    while True:
        for _ in range(_EM_STEPS):
            counts, nats = lattices.expected_counts(probs)
            kept = _used(counts, n_pieces)
            pieces, counts = [pieces[i] for i in kept], counts[kept]
            lattices.keep(kept)
            probs = normalized(counts)
        n_now = len(pieces) - N_BYTES
        if show_work is not None:
            show_work(f"{n_now:,} pieces: {-nats / math.log(2):,.0f} bits")
        if n_now <= n_pieces:
            break
        n_kept = max(n_pieces, int(_KEPT_SHARE * n_now))
        kept = _least_missed(losses(pieces, counts, probs), n_kept)
        pieces = [pieces[i] for i in kept]
        lattices.keep(kept)
        probs = normalized(probs[kept])
    if n_now < n_pieces:
        warnings.warn(
            f"the corpus is too small for {n_pieces} pieces: only {n_now} strings of two bytes or "
            "more stand in it twice and help",
            stacklevel=3,
        )
    return _sorted_scores(pieces, probs)


def frequent_substrings(chunks: Mapping[str, int], n_seeds: int) -> dict[bytes, int]:
    """Return the substrings with the largest count × length, of those that occur twice.

    A substring is never more frequent than its beginning, so each length needs to look only where
    the length before found something (Agrawal and Srikant 1994, "Apriori").

    Args:
        chunks: how often each piece of text occurs.
        n_seeds: how many to return at most.

    Returns:
        Substring of two bytes or more → count.

    Example:
        >>> frequent_substrings({"abab": 1, "ab": 1}, 9)
        {b'ab': 3}
    """
    found: Counter[str] = Counter()
    places = [(chunk, range(len(chunk))) for chunk in chunks]
    for length in range(1, MAX_PIECE + 1):
        counts: Counter[str] = Counter()
        for chunk, starts in places:
            n_times = chunks[chunk]
            for start in starts:
                counts[chunk[start : start + length]] += n_times
        frequent = {text: n for text, n in counts.items() if n >= 2}
        found.update(frequent)
        longer = (
            (
                chunk,
                [
                    start
                    for start in starts
                    if start + length < len(chunk) and chunk[start : start + length] in frequent
                ],
            )
            for chunk, starts in places
        )
        places = [(chunk, starts) for chunk, starts in longer if starts]
    seeds = {text.encode(): n for text, n in found.items() if len(text.encode()) > 1}
    best = sorted(seeds, key=lambda piece: (-seeds[piece] * len(piece.decode()), piece))
    return {piece: seeds[piece] for piece in best[:n_seeds]}


class Lattices:
    """The lattices of all chunks in flat arrays, so that one step of numpy serves all of them.

    Nodes are numbered position by position, and within a position chunk by chunk, the longest
    first: the nodes of one position are neighbors, and all edges lead to larger numbers.
    """

    def __init__(self, chunks: Mapping[str, int], pieces: Sequence[bytes]) -> None:
        """Find every piece wherever it stands.

        Args:
            chunks: how often each stretch of text occurs, none above 40 bytes.
            pieces: the vocabulary; the 256 bytes are among it, so that each chunk has a cut.
        """
        ordered = sorted((chunk.encode() for chunk in chunks), key=lambda raw: (-len(raw), raw))
        lengths = np.array([len(raw) for raw in ordered])
        n_at = [int((lengths >= position).sum()) for position in range(lengths.max(initial=0) + 1)]
        self._first = np.concatenate([[0], np.cumsum(n_at)])  # node of each position
        self._last = self._first[lengths] + np.arange(len(ordered))  # node that ends each chunk
        self._n_times = np.array([chunks[raw.decode()] for raw in ordered], np.float64)
        trie, edges = Trie(pieces), array("q")
        first = self._first.tolist()
        for row, raw in enumerate(ordered):
            for start in range(len(raw)):
                for end, piece in trie.matches(raw, start):
                    edges.extend((first[start] + row, first[end] + row, piece))
        self.n_pieces = len(pieces)
        self._sort(np.array(edges, np.int64).reshape(-1, 3))

    def keep(self, kept: Indices) -> None:
        """Forget all pieces but ``kept``, which are numbered anew in that order."""
        new_number = np.full(self.n_pieces, -1)
        new_number[kept] = np.arange(len(kept))
        self.n_pieces = len(kept)
        edges = self._edges.copy()
        edges[:, 2] = new_number[edges[:, 2]]
        self._sort(edges[edges[:, 2] >= 0])

    def expected_counts(self, probs: Floats) -> tuple[Floats, float]:
        """Return how often each piece is expected, and the log-likelihood in nats: the E step.

        Args:
            probs: (n_pieces,) probability of each piece, not below 1e-7.
        """
        start, end, piece = self._edges.T
        ways = np.zeros(self._first[-1])  # α
        ways[: len(self._last)] = 1.0
        for position in range(1, len(self._first) - 1):
            here, edges = self._nodes(position), self._arriving(position)
            through = ways[start[edges]] * probs[piece[edges]]
            ways[here] = np.bincount(end[edges] - here.start, through, here.stop - here.start)
        total = ways[self._last]
        rest = np.zeros_like(ways)  # β, times occurrences / α(word's end)
        rest[self._last] = self._n_times / total
        counts = np.zeros(self.n_pieces)
        for position in range(len(self._first) - 2, 0, -1):
            edges = self._arriving(position)
            through = probs[piece[edges]] * rest[end[edges]]
            np.add.at(rest, start[edges], through)
            counts += np.bincount(piece[edges], ways[start[edges]] * through, self.n_pieces)
        return counts, float(self._n_times @ np.log(total))

    def _sort(self, edges: Indices) -> None:
        self._edges = edges[np.argsort(edges[:, 1], kind="stable")]
        self._bounds = np.searchsorted(self._edges[:, 1], self._first)

    def _nodes(self, position: int) -> slice:
        return slice(int(self._first[position]), int(self._first[position + 1]))

    def _arriving(self, position: int) -> slice:
        return slice(int(self._bounds[position]), int(self._bounds[position + 1]))


def losses(pieces: Sequence[bytes], counts: Floats, probs: Floats) -> Floats:
    """Estimate by how many nats the likelihood falls without each piece.

    Args:
        pieces: the vocabulary.
        counts: (n_pieces,) expected counts.
        probs: (n_pieces,) probabilities.

    Returns:
        (n_pieces,) nats; a byte can never go, so its loss is infinite.
    """
    trie, scores = Trie(pieces), np.log(probs).tolist()
    found = np.full(len(pieces), math.inf)
    for index in range(N_BYTES, len(pieces)):
        score, scores[index] = scores[index], -math.inf
        _, without = best_path(pieces[index], trie, scores)[-1]
        scores[index] = score
        found[index] = counts[index] * (score - without)
    return found


def normalized(counts: Floats) -> Floats:
    """Turn counts into probabilities, none below 1e-7: the M step."""
    probs = np.maximum(counts / counts.sum(), _LEAST_PROBABILITY)
    return probs / probs.sum()


def _chunks(word_counts: Mapping[str, int]) -> dict[str, int]:
    """Cut long words, so that the probability of a chunk is never rounded to 0."""
    counts: Counter[str] = Counter()
    for word in sorted(word_counts):
        start = size = 0
        for position, character in enumerate(word):
            n_bytes = len(character.encode())
            if size + n_bytes > _MAX_CHUNK:
                counts[word[start:position]] += word_counts[word]
                start, size = position, 0
            size += n_bytes
        counts[word[start:]] += word_counts[word]
    return dict(counts)


def _first_counts(
    pieces: Sequence[bytes], chunks: Mapping[str, int], seeds: Mapping[bytes, int]
) -> Floats:
    """Begin with count × length, which favors long pieces; EM soon corrects it."""
    counts = np.array([seeds.get(p, 0) * len(p.decode("utf-8", "ignore")) for p in pieces], float)
    for chunk, n_times in chunks.items():
        np.add.at(counts, np.frombuffer(chunk.encode(), np.uint8), n_times)
    return counts


def _used(counts: Floats, n_pieces: int) -> Indices:
    """Name the bytes and the pieces that are used, but never fewer than are wanted."""
    order = N_BYTES + np.argsort(-counts[N_BYTES:], kind="stable")
    n_used = max(int((counts[N_BYTES:] >= _LEAST_EXPECTED).sum()), n_pieces)
    return np.concatenate([np.arange(N_BYTES), np.sort(order[:n_used])])


def _least_missed(nats: Floats, n_kept: int) -> Indices:
    """Name the bytes and the ``n_kept`` pieces with the largest losses."""
    order = np.argsort(-nats, kind="stable")  # the bytes come first
    return np.sort(order[: N_BYTES + n_kept])


def _sorted_scores(pieces: Sequence[bytes], probs: Floats) -> dict[bytes, float]:
    scores = dict(zip(pieces, np.round(np.log(probs), _DIGITS).tolist(), strict=True))
    learned = sorted(pieces[N_BYTES:], key=lambda piece: (-scores[piece], piece))
    return {piece: scores[piece] for piece in [*_BYTES, *learned]}
