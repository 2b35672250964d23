"""Shuffled sentences: find the order in which they stood.

Dimension key: B texts, T positions, K sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch, row_padding, stack_rows
from minillm.errors import DataError
from minillm.objectives.sentence_pairs import PairFrame, Sentence


def sentence_reconstruction_batch(
    documents: Sequence[Sequence[Sentence]],
    generator: torch.Generator,
    *,
    frame: PairFrame,
    n_sentences: int,
) -> Batch:
    """Shuffle K adjacent sentences of each document; the label is where each place's sentence is.

    Sentence permutation as in BART (Lewis et al. 2020, §2.2, arXiv:1910.13461), answered by
    pointing (Vinyals et al. 2015, arXiv:1506.03134) instead of by writing the text again.
    ``labels[b, p] = s`` means: the sentence that originally stood at place p is number s of the
    shuffled ones. This is the inverse of the permutation that was drawn; the two are easily
    confused, as they agree for K = 2.

    Args:
        documents: B of them, each a list of sentences of token ids.
        generator: of every draw.
        frame: special tokens and length; too long sentences are cut to equal shares.
        n_sentences: K, at most; a shorter document gives all that it has.

    Returns:
        A batch with inputs ``[CLS] s … [SEP] s … [SEP]``, segment_ids (the number of each token's
        sentence, [CLS] with the first), is_padding, all (B, T), and labels (B, K),
        ``IGNORE_INDEX`` at places that a short document does not have.

    Raises:
        DataError: a document of one sentence, or more sentences than positions.

    Example:
        >>> frame = PairFrame(cls_id=1, sep_id=2, pad_id=0, max_tokens=16)
        >>> batch = sentence_reconstruction_batch(
        ...     [[[5], [6], [7]]], torch.Generator().manual_seed(0), frame=frame, n_sentences=3)
        >>> [5, 6, 7] == [int(batch.inputs[0, 1 + 2 * s]) for s in batch.labels[0]]
        True
    """
    most = (frame.max_tokens - 1) // n_sentences - 1  # tokens of a sentence
    if most < 1:
        raise DataError(
            f"{n_sentences} sentences do not fit into {frame.max_tokens} tokens: ask for fewer "
            "sentences or a longer --context-length"
        )
    rows, segments, labels = [], [], []
    for sentences in documents:
        if len(sentences) < 2:
            raise DataError(
                f"sentences can be put in order where there are at least two, got "
                f"{len(sentences)}: leave such documents out"
            )
        n_own = min(n_sentences, len(sentences))
        start = int(torch.randint(len(sentences) - n_own + 1, (), generator=generator))
        shuffled = torch.randperm(n_own, generator=generator).tolist()
        row, segment = [frame.cls_id], [0]
        for number, place in enumerate(shuffled):
            piece = [*sentences[start + place][:most], frame.sep_id]
            row += piece
            segment += [number] * len(piece)
        rows.append(row)
        segments.append(segment)
        answer = torch.full((n_sentences,), IGNORE_INDEX)
        answer[torch.tensor(shuffled)] = torch.arange(n_own)
        labels.append(answer)
    return Batch(
        inputs=stack_rows(rows, fill=frame.pad_id),
        segment_ids=stack_rows(segments, fill=0),
        is_padding=row_padding(rows),
        labels=torch.stack(labels),
    )


def exact_match(predicted: Tensor, labels: Tensor) -> float:
    """Return the share of texts whose whole order is right.

    Args:
        predicted: (B, K) int64.
        labels: (B, K) int64, ``IGNORE_INDEX`` where there is no sentence.

    Example:
        >>> exact_match(torch.tensor([[0, 1], [1, 0]]), torch.tensor([[0, 1], [0, 1]]))
        0.5
    """
    return ((predicted == labels) | (labels == IGNORE_INDEX)).all(dim=1).double().mean().item()


def kendall_tau(predicted: Tensor, labels: Tensor) -> float:
    """Return the mean over texts of (agreeing − disagreeing pairs) / pairs (Kendall 1938).

    1 for the right order, −1 for the reversed one, 0 on average for a random one.

    Args:
        predicted: (B, K) int64, in each row every sentence once.
        labels: (B, K) int64, ``IGNORE_INDEX`` where there is no sentence.

    Example:
        >>> kendall_tau(torch.tensor([[2, 1, 0]]), torch.tensor([[0, 1, 2]]))
        -1.0
    """
    taus = []
    for answer, truth in zip(predicted, labels, strict=True):
        n_own = int((truth != IGNORE_INDEX).sum())
        place = torch.empty(n_own, dtype=torch.int64)
        place[truth[:n_own]] = torch.arange(n_own)  # sentence → its true place
        order = place[answer[:n_own]]
        above = torch.ones(n_own, n_own).triu(1).bool()
        agreement = torch.sign(order[None, :] - order[:, None])[above]
        taus.append(agreement.double().mean())
    return torch.stack(taus).mean().item()


def best_order(scores: Tensor, labels: Tensor) -> Tensor:
    """Choose for each place a sentence, each once, so that the scores' sum is greatest.

    Args:
        scores: (B, K, K) of ``PointerHead``: row p scores the sentences for place p.
        labels: (B, K), which say by ``IGNORE_INDEX`` how many sentences a text has.

    Returns:
        (B, K) int64; ``IGNORE_INDEX`` where there is no sentence.
    """
    result = torch.full(labels.shape, IGNORE_INDEX)
    for row, (score, truth) in enumerate(zip(scores, labels, strict=True)):
        n_own = int((truth != IGNORE_INDEX).sum())
        orders = torch.tensor(list(permutations(range(n_own))))  # (n!, n): few, K is small
        sums = score[torch.arange(n_own), orders].sum(dim=1)
        result[row, :n_own] = orders[sums.argmax()]
    return result
