"""The Unigram model: every piece has a probability, and the most probable cut wins.

Kudo (2018, "Subword Regularization", arXiv 1804.10959, section 3.2) takes a text to be drawn
piece by piece, independently, so a segmentation x of a word has P(x) = ∏ p(xᵢ). Encoding finds the
best one; sampling draws others in proportion to P(x)^α, so that a model in training sees a word
cut in more than one way. How pieces and probabilities are learned stands in
``unigram_training.py``.

Where we differ from SentencePiece: its characters outside the vocabulary become bytes by an
exception ("byte fallback"); here the 256 bytes are pieces like others, with probabilities, so
that every string has a cut and comes back exactly. Words are cut first by the pattern that BPE
uses, so that the two tokenizers differ in nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from minillm.errors import ConfigError
from minillm.tokenizers.base import (
    DEFAULT_SPECIAL_TOKENS,
    Tokenizer,
    check_special_tokens,
    check_text,
)
from minillm.tokenizers.bpe_training import check_vocab_size, count_words
from minillm.tokenizers.lattice import Edge, Trie, best_path, edge_probs, log_sum
from minillm.tokenizers.pattern import split_words
from minillm.tokenizers.tokenizer_json import BYTE_SPELLINGS, N_BYTES, scores_to_json, spell
from minillm.tokenizers.unigram_training import learn_scores

if TYPE_CHECKING:
    import torch

_NEVER = -1e9  # the score of a special token's string; the bytes of any text do better
_MAX_CACHED_WORDS = 200_000
_LONG_WORD = 100  # bytes; longer words are rare, and costly to keep


class UnigramTokenizer(Tokenizer):
    """Bytes and pieces with log-probabilities; exact: ``decode(encode(text)) == text``.

    Ids 0..255 are the bytes, then come the special tokens, then the pieces.

    Attributes:
        scores: log-probability of each id in nats; special tokens never occur.

    Example:
        >>> pieces = [(bytes([b]), -6.0) for b in range(256)] + [(b"low", -3.0), (b"er", -4.0)]
        >>> tokenizer = UnigramTokenizer(pieces)
        >>> [tokenizer.token_text(i) for i in tokenizer.encode("slower")]
        ['s', 'low', 'er']
    """

    def __init__(
        self,
        scored_pieces: Iterable[tuple[bytes, float]],
        *,
        special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
    ) -> None:
        """Number the bytes, the special tokens, the pieces.

        Args:
            scored_pieces: the 256 bytes in their order, then the pieces, each with its
                log-probability.
            special_tokens: strings of ids 256, 257, …; the default four are among them.

        Raises:
            ConfigError: bytes that are missing, a piece that stands there twice or is spelled like
                a special token, a score that is not a log-probability.
        """
        check_special_tokens(special_tokens)
        scored = list(scored_pieces)
        _check_pieces(scored, special_tokens)
        n_special = len(special_tokens)
        table, scores = map(list, zip(*scored, strict=True))
        table[N_BYTES:N_BYTES] = [token.encode() for token in special_tokens]
        scores[N_BYTES:N_BYTES] = [_NEVER] * n_special
        super().__init__(table, {t: N_BYTES + i for i, t in enumerate(special_tokens)})
        self.scores: list[float] = scores
        specials = range(N_BYTES, N_BYTES + n_special)
        self._trie = Trie(None if i in specials else piece for i, piece in enumerate(table))
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
        show_work: Callable[[str], object] | None = None,
    ) -> UnigramTokenizer:
        """Learn pieces and their probabilities from texts, which are read once.

        Args:
            texts: the documents; a generator will do.
            vocab_size: number of ids wanted, bytes and special tokens included.
            special_tokens: strings of ids 256, 257, …
            show_work: called with a line on each round, e.g. ``print``.

        Raises:
            ConfigError: vocab_size too small for bytes and special tokens.

        Example:
            >>> tokenizer = UnigramTokenizer.train(["low slow lower"] * 9, 262)
            >>> [tokenizer.token_text(i) for i in tokenizer.encode("slow")]
            ['s', 'low']
        """
        n_pieces = check_vocab_size(vocab_size, special_tokens)
        scores = learn_scores(
            count_words(texts), n_pieces, taken=set(special_tokens), show_work=show_work
        )
        return cls(scores.items(), special_tokens=special_tokens)

    def scored_pieces(self) -> list[tuple[bytes, float]]:
        """Return what the constructor takes: the bytes and pieces with their log-probabilities."""
        specials = set(self.special_tokens.values())
        rows = enumerate(zip(self._token_bytes, self.scores, strict=True))
        return [row for token_id, row in rows if token_id not in specials]

    def sample(self, text: str, *, generator: torch.Generator, smoothing: float = 1.0) -> list[int]:
        """Draw a segmentation x of each word in proportion to P(x)^α (subword regularization).

        Kudo (2018, section 3.3) draws among the best few; summing over the lattice draws exactly,
        among all. Forward: the weight of all ways to reach each node. Backward: from the end, an
        edge in proportion to what comes through it.

        Args:
            text: any string without lone surrogates.
            generator: of the draws.
            smoothing: α; large is nearly the best path, 0 draws any way equally often.

        Raises:
            ConfigError: smoothing below 0.
            DataError: a lone surrogate.
        """
        import torch

        if not smoothing >= 0:
            raise ConfigError(f"smoothing must be 0 or more, got {smoothing}")
        check_text(text)
        ids: list[int] = []
        for word in (word.encode() for word in split_words(text)):
            arriving = self._arriving(word, smoothing)
            draws = iter(torch.rand(len(word), generator=generator).tolist())
            path, end = [], len(word)
            while end > 0:
                start, piece_id = _draw(arriving[end], next(draws))
                path.append(piece_id)
                end = start
            ids += path[::-1]
        return ids

    def edges(self, word: str) -> list[Edge]:
        """Return every piece that stands in a word, with the probability that a cut takes it.

        Args:
            word: one word; see ``split_words``.

        Example:
            >>> pieces = [(bytes([b]), -6.0) for b in range(256)] + [(b"ab", -12.0)]
            >>> [round(edge.prob, 3) for edge in UnigramTokenizer(pieces).edges("ab")]
            [0.5, 0.5, 0.5]
        """
        check_text(word)
        return edge_probs(word.encode(), self._trie, self.scores)

    def show_work(self, text: str, *, n_best: int = 3) -> Iterator[str]:
        """Narrate how each word is cut: the pieces that end at each place, and the best path.

        Args:
            text: any text.
            n_best: how many pieces are named at each place.

        Example:
            >>> pieces = [(bytes([b]), -6.0) for b in range(256)] + [(b"lo", -3.0), (b"ow", -4.0)]
            >>> print(*UnigramTokenizer(pieces).show_work("low"), sep="\\n")
            low up to 1: l -6.00
            low up to 2: lo -3.00, l + o -12.00
            low up to 3: lo + w -9.00, l + ow -10.00
        """
        check_text(text)
        for word in split_words(text):
            yield from self._narrate(word, n_best)

    def to_json(self) -> str:
        """Write the tokenizer in the ``tokenizers`` library's format, always the same bytes."""
        return scores_to_json(self._token_bytes, self.scores, self.special_tokens)

    def _encode_plain(self, text: str) -> list[int]:
        ids: list[int] = []
        cache = self._cache
        for word in split_words(text):
            word_ids = cache.get(word)
            if word_ids is None:
                word_ids = self._encode_word(word)
            ids += word_ids
        return ids

    def _encode_word(self, word: str) -> list[int]:
        path = best_path(word.encode(), self._trie, self.scores)
        ids = [piece_id for piece_id, _ in path]
        if len(word) <= _LONG_WORD:
            if len(self._cache) >= _MAX_CACHED_WORDS:
                self._cache.clear()
            self._cache[word] = ids
        return ids

    def _narrate(self, word: str, n_best: int) -> Iterator[str]:
        raw = word.encode()
        ends: dict[int, list[tuple[float, str]]] = {end: [] for end in range(1, len(raw) + 1)}
        best = {0: (0.0, "")}
        for start in range(len(raw)):
            if start:
                ends[start].sort(key=lambda way: -way[0])
                best[start] = ends[start][0]
            score, way = best[start]
            for end, piece_id in self._trie.matches(raw, start):
                name = f"{way} + {self.token_text(piece_id)}".removeprefix(" + ")
                ends[end].append((score + self.scores[piece_id], name))
        for end, ways in ends.items():
            ways.sort(key=lambda way: -way[0])
            shown = ", ".join(f"{name} {score:.2f}" for score, name in ways[:n_best])
            yield f"{word} up to {end}: {shown}"

    def _arriving(self, word: bytes, smoothing: float) -> list[list[tuple[float, int, int]]]:
        """List for each node (log weight of all paths through the edge, from, piece)."""
        arriving: list[list[tuple[float, int, int]]] = [[] for _ in range(len(word) + 1)]
        for start in range(len(word)):
            total = log_sum([weight for weight, _, _ in arriving[start]]) if start else 0.0
            for end, piece_id in self._trie.matches(word, start):
                weight = total + smoothing * self.scores[piece_id]
                arriving[end].append((weight, start, piece_id))
        return arriving


def _draw(edges: Sequence[tuple[float, int, int]], uniform: float) -> tuple[int, int]:
    """Choose an edge in proportion to its weight."""
    total, below = log_sum([weight for weight, _, _ in edges]), 0.0
    for weight, start, piece_id in edges:
        below += math.exp(weight - total)
        if uniform < below:
            return start, piece_id
    return edges[-1][1:]  # rounding left a little above the last one


def _check_pieces(scored: Sequence[tuple[bytes, float]], special_tokens: Sequence[str]) -> None:
    """Refuse what is no vocabulary of a Unigram model."""
    if [piece for piece, _ in scored[:N_BYTES]] != [bytes([byte]) for byte in range(N_BYTES)]:
        raise ConfigError("scored_pieces must begin with the 256 bytes in their order")
    spelled = {*BYTE_SPELLINGS, *special_tokens}
    for rank, (piece, score) in enumerate(scored):
        if not _NEVER / 1e3 < score <= 0:
            raise ConfigError(f"the score of {piece!r} must be a log-probability, got {score}")
        if rank >= N_BYTES:
            if not piece or (spelling := spell(piece)) in spelled:
                raise ConfigError(f"{piece!r} would stand twice in the vocabulary, or is empty")
            spelled.add(spelling)
