"""Encoding a stream of documents on several cores, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from minillm.tokenizers.base import Tokenizer

_GROUP_CHARACTERS = 1 << 20  # handed to the threads at once, and their ids kept until then


def encode_documents(
    tokenizer: Tokenizer, texts: Iterable[str], *, threads: int = 1
) -> Iterator[tuple[str, list[int]]]:
    """Encode documents as ``encode_document`` does, several at a time.

    The ``tokenizers`` library works outside Python's lock, so threads of ours run it side by side,
    exactly as many as are asked for. Its own pool takes all cores, or what RAYON_NUM_THREADS
    said when it started, and cannot be told otherwise later.

    Args:
        tokenizer: any; a tokenizer in pure Python gains nothing from threads.
        texts: the documents, streamed.
        threads: documents encoded at a time, at least 1.

    Yields:
        Each text with its ids, bos … eos, in the order of ``texts``.

    Example:
        >>> from minillm.tokenizers import ByteTokenizer
        >>> list(encode_documents(ByteTokenizer(), ["a", "b"], threads=2))
        [('a', [256, 97, 257]), ('b', [256, 98, 257])]
    """
    with ThreadPoolExecutor(threads) as pool:
        for group in _groups(texts):
            encoded = map if threads == 1 else pool.map
            yield from zip(group, encoded(tokenizer.encode_document, group), strict=True)


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    """Gather texts up to a size."""
    group, n_characters = [], 0
    for text in texts:
        group.append(text)
        n_characters += len(text)
        if n_characters >= _GROUP_CHARACTERS:
            yield group
            group, n_characters = [], 0
    yield group
