"""What a language model must beat: guessing, counting single tokens, compressing."""

from __future__ import annotations

import lzma
import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from minillm.batch import TokenIds
from minillm.errors import DataError
from minillm.evaluation.code_length import owned, require_positive

_XZ_MAX_DICTIONARY = 64 * 2**20  # bytes that xz looks back; it needs about 11 times as much memory
_PASSAGE_BYTES = 32  # too long to come twice by chance; a power of two
_HASH_BASE = 6364136223846793005  # odd and large (Knuth's MMIX multiplier)


def uniform_bits_per_byte(documents: Sequence[TokenIds], *, n_bytes: int, vocab_size: int) -> float:
    """Charge log2(V) bits for every token: a model that has learned nothing.

    Example:
        >>> uniform_bits_per_byte([[256, 72, 105, 257]], n_bytes=2, vocab_size=256)
        12.0
    """
    require_positive(n_bytes=n_bytes, vocab_size=vocab_size)
    return _n_targets(documents) * math.log2(vocab_size) / n_bytes


def unigram_bits_per_byte(
    train_ids: Sequence[int] | Tensor,
    documents: Sequence[TokenIds],
    *,
    n_bytes: int,
    vocab_size: int,
) -> float:
    """Score the documents by how often each token occurs in the training text, plus one.

    p(token) = (count + 1) / (n + V), Laplace's rule of succession. bos opens every document and
    is never predicted, so that it is not counted either.

    Args:
        train_ids: the training stream, one flat sequence or tensor of token ids.
        documents: as for ``evaluate_documents``.
        n_bytes: UTF-8 bytes of the documents' text.
        vocab_size: V.

    Returns:
        Bits per byte of the documents, the end of document charged.

    Raises:
        DataError: if no document has a token to score.

    Example:
        >>> round(unigram_bits_per_byte([2, 0, 1], [[2, 0, 1]], n_bytes=2, vocab_size=3), 6)
        1.321928
    """
    require_positive(n_bytes=n_bytes, vocab_size=vocab_size)
    targets = owned([token for document in documents for token in document[1:]])
    if not len(targets):
        raise DataError("there is nothing to score: no document has a token after its first")
    counts = torch.bincount(owned(train_ids), minlength=vocab_size)
    counts[owned([document[0] for document in documents if len(document)])] = 0
    log_probs = (counts.double() + 1).log2() - math.log2(int(counts.sum()) + vocab_size)
    return -log_probs[targets].sum().item() / n_bytes


def xz_bits_per_byte(train_text: str, validation_text: str) -> float:
    """Measure what the validation text adds to the compressed training text.

    8 · (|xz(train + validation)| − |xz(train)|) / |validation|: a general-purpose compressor
    that learns from the training text as the model did, and the strongest baseline here. It
    looks back at most 64 MB and takes about a second per MB.

    Args:
        train_text: may be empty.
        validation_text: at least one character.

    Returns:
        Bits per UTF-8 byte of the validation text.

    Raises:
        DataError: if the validation text is empty.

    Example:
        >>> text = "What was read before costs little to read again. " * 3
        >>> xz_bits_per_byte(text, text) < xz_bits_per_byte("", text)
        True
    """
    train, validation = train_text.encode(), validation_text.encode()
    if not validation:
        raise DataError("there is nothing to compress: the validation text is empty")
    added = _xz_size(train + validation) - _xz_size(train)
    return 8 * added / len(validation)


def copied_shares(train_text: str, texts: Iterable[str]) -> list[float]:
    """Measure how much of each text can be copied: bytes in passages of 32 seen in training.

    A compressor gets those almost for nothing, and a benchmark that has many of them measures
    memory (Lee et al. 2021, arXiv:2107.06499, §4). Passages are compared by 64-bit hashes.

    Args:
        train_text: may be empty.
        texts: held-out texts.

    Returns:
        For each text the share of its UTF-8 bytes, in [0, 1].

    Example:
        >>> copied_shares("What was read before costs little.", ["What was read before, or not?"])
        [0.0]
    """
    seen = np.unique(_passage_hashes(train_text))
    return [_copied_share(seen, text) for text in texts]


def _copied_share(seen: np.ndarray, text: str) -> float:
    """Mark the bytes of each passage whose hash is among the sorted ones."""
    hashes = _passage_hashes(text)
    if not len(seen) or not len(hashes):
        return 0.0
    places = np.searchsorted(seen, hashes).clip(max=len(seen) - 1)
    is_copied = np.convolve(seen[places] == hashes, np.ones(_PASSAGE_BYTES)) > 0.5
    return float(is_copied.mean())


def _passage_hashes(text: str) -> np.ndarray:
    """Hash each passage of 32 bytes: polynomials of one byte, joined to 2, 4, 8, 16 and 32."""
    hashes = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.uint64)
    if len(hashes) < _PASSAGE_BYTES:
        return hashes[:0]
    width = 1
    while width < _PASSAGE_BYTES:
        factor = np.uint64(pow(_HASH_BASE, width, 2**64))
        hashes = hashes[:-width] * factor + hashes[width:]
        width *= 2
    return hashes


def _n_targets(documents: Sequence[TokenIds]) -> int:
    """Count what is scored: every token but the first of its document."""
    return sum(max(len(document) - 1, 0) for document in documents)


def _xz_size(text: bytes) -> int:
    """Return the size of the compressed text, in bytes."""
    dictionary = min(max(len(text), 4096), _XZ_MAX_DICTIONARY)  # 4096 is the least that xz takes
    preset = 9 | lzma.PRESET_EXTREME
    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": dictionary}
    return len(lzma.compress(text, check=lzma.CHECK_NONE, filters=[lzma2]))
