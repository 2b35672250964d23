"""A language model as a file compressor: arithmetic coding, in exact integers.

The loss is the length of a file (Shannon 1948); here is the file. It can be read only where the
model computes the same digits: the same machine, torch and number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from minillm.errors import DataError
from minillm.models.base import LanguageModel

_SCALE = 2**24  # probabilities become integers out of this, plus 1: none is impossible
_Interval = tuple[int, int, int]  # (low, width, scale): [low / scale, (low + width) / scale)


def compress(model: LanguageModel, document: Sequence[int]) -> tuple[int, int]:
    """Write a document as a binary fraction, in about as many bits as its loss says.

    Each token narrows an interval of [0, 1) to the share that the model gives it; the file is any
    number inside the last interval (Rissanen 1976; Pasco 1976).

    Args:
        model: in evaluation mode; must hold the whole document in its context.
        document: token ids, bos first (it is not written).

    Returns:
        The fraction's numerator, and its length in bits.

    Example:
        ``number, n_bits = compress(model, document)``, then
        ``decompress(model, number, n_bits, bos_id=document[0], eos_id=document[-1])``
    """
    interval, state = (0, 1, 1), None
    for read, token in pairwise(document):
        log_probs, state = model.next_log_probs(torch.tensor([[read]]), state)
        interval, _ = _narrow(interval, log_probs, lambda _, token=token: token)
    low, width, scale = interval
    n_bits = (scale // width).bit_length() + 1
    return -((-low << n_bits) // scale), n_bits


def decompress(
    model: LanguageModel, number: int, n_bits: int, *, bos_id: int, eos_id: int
) -> list[int]:
    """Read back what ``compress`` wrote: in each step, in which token's share lies the number?

    Raises:
        DataError: if no end of document comes before the context is full: not this model's file.
    """
    interval, state, document = (0, 1, 1), None, [bos_id]
    while document[-1] != eos_id:
        if len(document) - 1 == model.context_length:
            raise DataError("no end of document was found: another model wrote this file")
        log_probs, state = model.next_log_probs(torch.tensor([[document[-1]]]), state)
        low, width, scale = interval
        # The number's place inside the interval, as a fraction place[0] / place[1].
        place = number * scale - (low << n_bits), width << n_bits

        def find(counts: list[int], place: tuple[int, int] = place) -> int:
            count = place[0] * sum(counts) // place[1]
            return sum(before <= count for before in accumulate(counts))

        interval, token = _narrow(interval, log_probs, find)
        document.append(token)
    return document


def _narrow(
    interval: _Interval, log_probs: Tensor, choose: Callable[[list[int]], int]
) -> tuple[_Interval, int]:
    """Shrink the interval to the share of the token that ``choose`` takes."""
    low, width, scale = interval
    counts = [int(share) + 1 for share in (log_probs[0].double().exp() * _SCALE).tolist()]
    token, total = choose(counts), sum(counts)
    low = low * total + width * sum(counts[:token])
    return (low, width * counts[token], scale * total), token
