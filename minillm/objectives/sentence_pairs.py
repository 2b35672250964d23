"""Pairs of sentences: does the second follow the first, and are they in order?

Dimension key: B pairs, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from minillm.batch import Batch, row_padding, stack_rows
from minillm.errors import ConfigError, DataError

Sentence = Sequence[int] | np.ndarray  # token ids without special ones
IS_NEXT, IS_RANDOM = 0, 1  # as BERT's code has it: 0 is the good pair
IN_ORDER, SWAPPED = 0, 1
N_ATTEMPTS = 100  # to find a negative that is not the true next sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFrame:
    """How two texts become one sequence: ``[CLS] a … [SEP] b … [SEP]``."""

    cls_id: int
    sep_id: int
    pad_id: int
    max_tokens: int  # T, special tokens included

    def __post_init__(self) -> None:
        if self.max_tokens < 5:
            raise ConfigError(
                f"max_tokens must be at least 5 (three special tokens and one of each sentence), "
                f"got {self.max_tokens}"
            )


def next_sentence_batch(
    documents: Sequence[Sequence[Sentence]], generator: torch.Generator, *, frame: PairFrame
) -> Batch:
    """Pair a sentence with the next one or with a sentence of another document, half and half.

    BERT's second objective (Devlin et al. 2019, §3.1). The negative comes from another document
    of the batch, so that topic alone tells much; and it is never equal to the true next sentence,
    which a corpus with repetitions offers now and then. Differs from BERT's code in that each
    text is one sentence, not as many as fit.

    Args:
        documents: B of them, each a list of sentences of token ids; every one gives a pair.
        generator: of every draw.
        frame: special tokens and length.

    Returns:
        A batch with inputs, segment_ids, is_padding (B, T) and labels (B,): ``IS_NEXT`` or
        ``IS_RANDOM``.

    Raises:
        DataError: fewer than two documents, a document of one sentence, or documents so equal
            that there is no negative.

    Example:
        >>> frame = PairFrame(cls_id=1, sep_id=2, pad_id=0, max_tokens=8)
        >>> documents = [[[5], [6]], [[7], [8]]]
        >>> batch = next_sentence_batch(documents, torch.Generator(), frame=frame)
        >>> batch.inputs.shape, batch.labels.shape
        (torch.Size([2, 5]), torch.Size([2]))
    """
    if len(documents) < 2:
        raise DataError(
            f"next-sentence prediction takes its negatives from another document, got "
            f"{len(documents)}: give more documents or a larger --batch-size"
        )
    pairs, labels = [], []
    for number, sentences in enumerate(documents):
        first, second = _adjacent(sentences, generator)
        label = int(torch.randint(2, (), generator=generator))
        if label == IS_RANDOM:
            second = _foreign_sentence(documents, number, second, generator)
        pairs.append((first, second))
        labels.append(label)
    return frame_pairs(pairs, labels, frame=frame)


def sentence_order_batch(
    documents: Sequence[Sequence[Sentence]], generator: torch.Generator, *, frame: PairFrame
) -> Batch:
    """Show two adjacent sentences in their order or swapped, half and half.

    ALBERT's objective (Lan et al. 2020, §3.1, arXiv:1909.11942): both sentences are of one
    document, so that the topic tells nothing and only coherence remains.

    Args:
        documents: B of them, each a list of sentences of token ids.
        generator: of every draw.
        frame: special tokens and length.

    Returns:
        As ``next_sentence_batch``, with labels ``IN_ORDER`` or ``SWAPPED``.

    Raises:
        DataError: a document of one sentence.
    """
    pairs, labels = [], []
    for sentences in documents:
        first, second = _adjacent(sentences, generator)
        label = int(torch.randint(2, (), generator=generator))
        pairs.append((second, first) if label == SWAPPED else (first, second))
        labels.append(label)
    return frame_pairs(pairs, labels, frame=frame)


def frame_pairs(
    pairs: Sequence[tuple[Sentence, Sentence]], labels: Sequence[int], *, frame: PairFrame
) -> Batch:
    """Put pairs between special tokens; shorten what is too long, pad what is short.

    Args:
        pairs: B pairs of token ids.
        labels: B classes.
        frame: special tokens and length.

    Returns:
        A batch whose T is that of the longest row.
    """
    rows, segments = [], []
    for first, second in pairs:
        first, second = truncate_pair(first, second, frame.max_tokens - 3)
        rows.append([frame.cls_id, *first, frame.sep_id, *second, frame.sep_id])
        segments.append([0] * (len(first) + 2) + [1] * (len(second) + 1))
    return Batch(
        inputs=stack_rows(rows, fill=frame.pad_id),
        segment_ids=stack_rows(segments, fill=0),
        is_padding=row_padding(rows),
        labels=torch.tensor(labels, dtype=torch.int64),
    )


def truncate_pair(first: Sentence, second: Sentence, max_tokens: int) -> tuple[Sentence, Sentence]:
    """Cut the ends of two texts until both fit: always a token of the longer one.

    Example:
        >>> truncate_pair([1, 2, 3, 4, 5], [6, 7], 5)
        ([1, 2, 3], [6, 7])
    """
    excess = len(first) + len(second) - max_tokens
    while excess > 0:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
        excess -= 1
    return first, second


def _adjacent(
    sentences: Sequence[Sentence], generator: torch.Generator
) -> tuple[Sentence, Sentence]:
    if len(sentences) < 2:
        raise DataError(
            f"a sentence objective needs documents of at least two sentences, got one of "
            f"{len(sentences)}: leave such documents out"
        )
    place = int(torch.randint(len(sentences) - 1, (), generator=generator))
    return sentences[place], sentences[place + 1]


def _foreign_sentence(
    documents: Sequence[Sequence[Sentence]],
    own: int,
    true_next: Sentence,
    generator: torch.Generator,
) -> Sentence:
    """Draw a sentence of another document that does not read like the true next one."""
    for _ in range(N_ATTEMPTS):
        other = int(torch.randint(len(documents) - 1, (), generator=generator))
        document = documents[other + (other >= own)]
        if same_sentences(document, documents[own]):
            continue  # a copy, or the same one again in a batch larger than the corpus
        sentence = document[int(torch.randint(len(document), (), generator=generator))]
        if list(sentence) != list(true_next):
            return sentence
    raise DataError(
        "no other document of the batch has a sentence but the true next one: there is no "
        "negative; the corpus holds copies of one document, or --batch-size is too small"
    )


def same_sentences(document: Sequence[Sentence], other: Sequence[Sentence]) -> bool:
    """Tell whether two documents say the same, sentence by sentence.

    Example:
        >>> same_sentences([[5], [6, 7]], [(5,), (6, 7)])
        True
    """
    if document is other:
        return True
    pairs = zip(document, other, strict=False)
    return len(document) == len(other) and all(list(a) == list(b) for a, b in pairs)
