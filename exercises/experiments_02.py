"""The experiments of notebook 02 that take more lines than a cell should have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from exercises.panels import Panel, plot_panels
from minillm.batch import Batch
from minillm.models.base import LanguageModel
from minillm.plots.style import Figure

Documents = Sequence[np.ndarray]  # each (T,) token ids, bos … eos


def token_probs(model: LanguageModel, documents: Documents) -> Tensor:
    """Return the probability of every token of the documents but bos, (N,) float64."""
    rows = [torch.from_numpy(document)[None] for document in documents]
    batches = [Batch(inputs=row[:, :-1], targets=row[:, 1:]) for row in rows]
    return torch.cat([model.log_probs(batch)[0] for batch in batches]).double().exp()


def shares_seen(
    known: np.ndarray, unknown: np.ndarray, *, vocab_size: int, longest: int
) -> list[float]:
    """Measure which share of the runs of 1, 2, … tokens of one text occurs in another.

    Args:
        known: (N,) token ids.
        unknown: (M,) token ids, more than ``longest``.
        vocab_size: V.
        longest: the last length.

    Example:
        >>> known, unknown = np.array([1, 2, 3, 1]), np.array([2, 3, 3, 1])
        >>> shares_seen(known, unknown, vocab_size=4, longest=2)  # 2 3 and 3 1, but not 3 3
        [1.0, 0.6666666666666666]
    """
    stream = np.concatenate([known, unknown]).astype(np.int64)
    runs, shares = stream, []  # runs[i]: the number of the run that begins at token i
    for n in range(1, longest + 1):
        of_known, of_unknown = runs[: len(known) - n + 1], runs[len(known) :]
        shares.append(float(np.isin(of_unknown, of_known).mean()))
        longer = runs[:-1] * vocab_size + stream[n:]
        runs = np.unique(longer, return_inverse=True)[1]  # numbered anew: they stay small
    return shares


def counted_again(
    rows: Sequence[Sequence[int]], *, highest: int, generator: torch.Generator
) -> list[float]:
    """Count triples of tokens in one half of the rows, and then those triples in the other half.

    Args:
        rows: token ids; which half a row belongs to is drawn.
        highest: the last count.
        generator: draws the halves.

    Returns:
        For r = 1, 2, …: how often, on average, a triple that came r times in the first half came in
        the second, scaled to halves of equal size; NaN where no triple came r times.
    """
    order = torch.randperm(len(rows), generator=generator).tolist()
    here, there = (_triples([rows[i] for i in order[part::2]]) for part in (0, 1))
    scale = here.total() / there.total()
    found = ([there[t] for t, count in here.items() if count == r] for r in range(1, highest + 1))
    return [scale * sum(counts) / len(counts) if counts else math.nan for counts in found]


def _triples(rows: Sequence[Sequence[int]]) -> Counter[tuple[int, ...]]:
    return Counter(triple for row in rows for triple in zip(row, row[1:], row[2:], strict=False))


def longest_copy(text: str, source: str) -> int:
    """Return the length of the longest passage of ``text`` that stands in ``source``.

    Example:
        >>> longest_copy("a cat sat", "the cat ran")
        5
    """
    longest = 0
    for start in range(len(text)):
        while (stop := start + longest + 1) <= len(text) and text[start:stop] in source:
            longest += 1
    return longest


def kinds_of_words(
    stories: Sequence[Sequence[str]], small_words: Collection[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Say of each word whether it is a small one, and whether its story has said it before.

    Args:
        stories: their words.
        small_words: frequent words without a meaning of their own.

    Returns:
        (N,) names of the kinds and (N,) places in the stories, from 0.
    """
    kinds, places = [], []
    for words in stories:
        for place, word in enumerate(words):
            kind = "small word" if word in small_words else "name, thing, …"
            again = "said before" if word in words[:place] else "new"
            kinds.append(f"{kind}, {again}")
            places.append(place)
    return np.array(kinds), np.array(places)


def plot_cross_entropy(share: float, losses: Sequence[float], entropy: float) -> Figure:
    """Draw the loss of one number that a model may say, and the descent to a whole row of them.

    Args:
        share: the counted share, in (0, 1).
        losses: of each step of gradient descent, nats.
        entropy: of what it descends to, nats.
    """
    said = np.linspace(0.01, 0.99, 197)
    cross = -(share * np.log(said) + (1 - share) * np.log(1 - said))
    least = -(share * math.log(share) + (1 - share) * math.log(1 - share))
    left = Panel(
        title="Does an h follow?",
        x=said.tolist(),
        lines={"loss": cross.tolist()},
        levels={"entropy": least},
        x_label=f"what the model says, q (counted: {share:.2f})",
        y_label="cross-entropy (nats)",
    )
    right = Panel(
        title="All that follows t",
        x=range(1, len(losses) + 1),
        lines={"loss": losses},
        levels={"entropy": entropy},
        x_label="step of gradient descent (logarithmic)",
        y_label="cross-entropy (nats)",
        log="x",
    )
    return plot_panels(left, right)
