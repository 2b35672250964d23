"""Documents as lists of sentences: where each sentence begins in a stream of token ids.

Sentences are cut in the text, before it becomes tokens, and encoded one by one; what is stored is
where each begins. A stream with sentences is read in packed windows like any other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import overload

import numpy as np

from minillm.text.languages import is_chinese
from minillm.text.sentences import split_sentences
from minillm.tokenizers.base import Tokenizer
from minillm.tokenizers.parallel import encode_documents

MIN_SENTENCES = 2  # a sentence objective needs a neighbor


class SentenceDocuments(Sequence[list[np.ndarray]]):
    """The documents of a stream that have at least two sentences, cut when they are asked for.

    Args:
        stream: (N,) token ids of all documents, each bos … eos; may be a memory map.
        starts: (S,) where each sentence begins in ``stream``, ascending.
        bos_id: begins every document and occurs nowhere else.

    Attributes:
        numbers: the number of each of these documents among all of the stream.
        n_left_out: documents of fewer than two sentences.

    Example:
        >>> stream = np.array([0, 7, 8, 9, 1, 0, 7, 1])  # bos 0, eos 1; the second is too short
        >>> documents = SentenceDocuments(stream, np.array([1, 3, 6]), bos_id=0)
        >>> [[sentence.tolist() for sentence in document] for document in documents]
        [[[7, 8], [9]]]
    """

    def __init__(self, stream: np.ndarray, starts: np.ndarray, *, bos_id: int) -> None:
        self._stream, self._starts = stream, starts
        begins = np.flatnonzero(stream == bos_id)
        self._ends = np.append(begins[1:], len(stream)) - 1  # where eos stands
        self._first = np.searchsorted(starts, np.append(begins, len(stream)))
        counts = np.diff(self._first)
        self.numbers = np.flatnonzero(counts >= MIN_SENTENCES)
        self.n_left_out = len(counts) - len(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> list[np.ndarray]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[list[np.ndarray]]: ...
    def __getitem__(self, index: int | slice) -> list[np.ndarray] | Sequence[list[np.ndarray]]:
        """Return the sentences of a document: (T,) int64 each, without special tokens."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = self.numbers[index]
        starts = self._starts[self._first[number] : self._first[number + 1]]
        bounds = [*starts.astype(np.int64).tolist(), int(self._ends[number])]
        return [self._stream[start:end].astype(np.int64) for start, end in pairwise(bounds)]


def encode_with_sentences(
    tokenizer: Tokenizer, texts: Iterable[str], *, threads: int = 1
) -> Iterator[tuple[str, list[int], list[int]]]:
    """Cut texts into sentences and encode each, so that no token crosses a boundary.

    The blanks between two sentences go to the second one, as tokenizers of bytes expect.

    Args:
        tokenizer: any.
        texts: documents, streamed; Chinese ones are recognized.
        threads: sentences encoded at a time.

    Yields:
        Each text with its ids, bos … eos, and where its sentences begin among them.

    Raises:
        ConfigError: the package that finds sentences is not installed.

    Example:
        >>> from minillm.tokenizers import ByteTokenizer
        >>> [(text, ids, starts)] = encode_with_sentences(ByteTokenizer(), ["I am. You are."])
        >>> starts, bytes(ids[7:-1])
        ([1, 6], b'You are.')
    """
    waiting: deque[tuple[str, int]] = deque()

    def pieces() -> Iterator[str]:
        for text in texts:
            parts = _sentences(text)
            waiting.append((text, len(parts)))
            yield from parts

    encoded = encode_documents(tokenizer, pieces(), threads=threads)
    for _, piece in encoded:
        text, n_parts = waiting.popleft()
        parts = [piece[1:-1], *(next(encoded)[1][1:-1] for _ in range(n_parts - 1))]
        ids, starts = [tokenizer.bos_id], []
        for part in filter(None, parts):  # a tokenizer may see nothing in a control character
            starts.append(len(ids))
            ids += part
        yield text, [*ids, tokenizer.eos_id], starts


def _sentences(text: str) -> list[str]:
    """Cut a text; every piece but the first begins with the blanks before its sentence."""
    pieces = split_sentences(text, language="zh" if is_chinese(text) else "en") or [text]
    moved, blanks = [], ""
    for piece in pieces:
        sentence = piece.rstrip()
        moved.append(blanks + sentence)
        blanks = piece[len(sentence) :]
    moved[-1] += blanks
    return moved
