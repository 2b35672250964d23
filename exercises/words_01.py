"""Notebook 01's experiment on stop words: what does each content word cost in their company?

Dimension key: V vocabulary, N tokens of a stream, one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from minillm.batch import Batch
from minillm.config import NgramConfig
from minillm.models.ngram import Ngram
from minillm.text.stop_words import STOP_WORDS

BLANK = "·"
CHANGES: dict[str, Callable[[str], str]] = {
    "with stop words": lambda word: word,
    "each one blanked": lambda word: BLANK if word in STOP_WORDS else word,
    "without stop words": lambda word: "" if word in STOP_WORDS else word,
}


class Words:
    """A vocabulary of whole words, and what is a stop word in it.

    Args:
        frequent: the words that have an id of their own; all others are one unknown word.

    Example:
        >>> words = Words(["the", "cat"])
        >>> words.ids([["the", "cat"], ["dog"]], CHANGES["without stop words"]).tolist()
        [4, 1, 5, 4, 3, 5]
    """

    def __init__(self, frequent: Sequence[str]) -> None:
        self.names = [*frequent, BLANK, "<unk>", "<bos>", "<eos>"]
        self.number = {name: i for i, name in enumerate(self.names)}
        self.unk_id, self.bos_id, self.eos_id = range(len(frequent) + 1, len(frequent) + 4)
        self.is_stop = torch.tensor([w in STOP_WORDS or w == BLANK for w in self.names])
        self.is_content = ~self.is_stop
        self.is_content[len(frequent) :] = False

    def ids(self, pages: Iterable[Sequence[str]], change: Callable[[str], str]) -> np.ndarray:
        """Return the changed pages as one stream (N,), each ``<bos> … <eos>``."""
        stream: list[int] = []
        for page in pages:
            changed = (word for word in map(change, page) if word)
            stream += [self.bos_id, *(self.number.get(w, self.unk_id) for w in changed)]
            stream.append(self.eos_id)
        return np.array(stream)


@dataclass(frozen=True, slots=True)
class WordCosts:
    """What a model paid for each token of the held-out stream; <bos> is not charged."""

    model: Ngram
    targets: Tensor  # (N,) int64
    bits: Tensor  # (N,) -log2 p(token | before)
    fair_bits: Tensor  # (N,) the same, once it is known whether a stop word comes


def word_costs(
    words: Words,
    train: Iterable[Sequence[str]],
    held_out: Iterable[Sequence[str]],
    *,
    change: Callable[[str], str],
    order: int,
) -> WordCosts:
    """Count the changed training pages, and charge for the changed held-out ones.

    The fair costs of a word that is no stop word are those of p(w | no stop word comes) =
    p(w) / (1 - p(a stop word comes)): where stop words are gone, nobody has to say so.

    Args:
        words: the vocabulary.
        train: pages of words to count.
        held_out: pages of words to predict.
        change: what becomes of a word; ``""`` drops it.
        order: of the n-gram model.
    """
    stream, row = words.ids(train, change), words.ids(held_out, change)
    model = Ngram(NgramConfig(vocab_size=len(words.names), order=order))
    model.fit(stream, bos_id=words.bos_id)
    inputs, targets = torch.from_numpy(row[None, :-1]), torch.from_numpy(row[None, 1:])
    bits = -model.log_probs(Batch(inputs=inputs, targets=targets)) / math.log(2)
    p_stop = torch.zeros_like(bits)
    for stop, n_like_it in _stop_ids(words, stream):
        here = torch.full_like(inputs, stop)
        p_stop += n_like_it * model.log_probs(Batch(inputs=inputs, targets=here)).exp()
    fair = torch.where(words.is_stop[targets], bits, bits + torch.log2(1 - p_stop))
    charged = targets != words.bos_id
    return WordCosts(model, targets[charged], bits[charged], fair[charged])


def _stop_ids(words: Words, stream: np.ndarray) -> list[tuple[int, int]]:
    """List (id, number of equals): the stop words that were never counted all cost the same."""
    stops = np.flatnonzero(words.is_stop)
    seen = np.isin(stops, stream)
    unseen = stops[~seen][:1]
    return [(int(stop), 1) for stop in stops[seen]] + [(int(s), int((~seen).sum())) for s in unseen]
