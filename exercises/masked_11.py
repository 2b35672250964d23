"""What notebook 11 does with hidden tokens: encoders, stories, fates, counts, other people's code.

Dimension key: B rows, T positions, V token ids.
"""

from __future__ import annotations

import contextlib
import math
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from exercises.bidirectional_07 import Stories
from minillm.batch import IGNORE_INDEX, Batch
from minillm.config import EncoderConfig
from minillm.models.encoder import INIT_STD, Encoder
from minillm.objectives.masked import Masking, masked_batch
from minillm.text.world import END_WORD, TinyWorld

# BERT draws N(0, 0.02²) for a width of 768. At a width of 64 that is so small that the first steps
# overwrite the embeddings before attention has learned anything: 0.08 and 0.1 are near 1 / √C.
EMBEDDING_STD, MATRIX_STD = 0.08, 0.1
LONGEST_PERIOD = 1000.0  # tokens after which the slowest sinusoid repeats


def make_encoder(vocab_size: int, *, seed: int, **sizes: Any) -> Encoder:
    """Build an encoder whose first weights suit a small width.

    The learned positions start as sinusoids (Vaswani et al. 2017, §3.5, arXiv:1706.03762): under
    them "one to the left" is the same rotation at every place, so a head that learns it anywhere
    knows it everywhere.

    Args:
        vocab_size: number of token ids.
        seed: of the weights.
        sizes: fields of ``EncoderConfig``.

    Example:
        >>> make_encoder(11, seed=0, context_length=8, d_model=8, n_layers=1, n_heads=2).config.d_ff
    """
    config = EncoderConfig.bert(vocab_size=vocab_size, **sizes)
    model = Encoder(config, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                std = EMBEDDING_STD if "embedding" in name else MATRIX_STD
                parameter.mul_(std / INIT_STD)
        places = torch.arange(config.context_length)[:, None]
        shares = torch.arange(0, config.d_model, 2) / config.d_model
        angles = places * LONGEST_PERIOD**-shares
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        model.position_embedding.weight.copy_(waves * EMBEDDING_STD * math.sqrt(2))
    return model


# --- stories


class HiddenStories:
    """Whole stories of TinyWorld with words hidden; ids as in ``Stories``, then [MASK] and padding.

    The last word, which ends a story, is never hidden.
    """

    def __init__(self, stories: Stories) -> None:
        self.stories = stories
        self.mask_id, self.pad_id = stories.vocab_size, stories.vocab_size + 1
        self.end_id = stories.vocabulary.index(END_WORD) + 1
        self.vocab_size = stories.vocab_size + 2

    def masking(self, **changes: float) -> Masking:
        """Return BERT's masking over the words of the stories, with changes."""
        ids = {"mask_id": self.mask_id, "ordinary_ids": (1, self.mask_id)}
        return Masking(**ids, **changes)  # pyright: ignore[reportArgumentType]

    def batch(
        self, texts: Sequence[Sequence[int]], generator: torch.Generator, masking: Masking
    ) -> Batch:
        """Hide words of stories; short rows are padded on the right."""
        ids = torch.full((len(texts), max(map(len, texts))), self.pad_id)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text)
        maskable = (ids > 0) & (ids < self.mask_id) & (ids != self.end_id)
        batch = masked_batch(ids, generator, masking=masking, maskable=maskable)
        return replace(batch, is_padding=ids == self.pad_id)

    def batches(
        self, n_steps: int, batch_size: int, *, seed: int, masking: Masking
    ) -> Iterator[Batch]:
        """Draw the training batches."""
        generator = torch.Generator().manual_seed(seed)
        texts = self.stories.train
        for _ in range(n_steps):
            picks = torch.randint(len(texts), (batch_size,), generator=generator)
            yield self.batch([texts[i] for i in picks.tolist()], generator, masking)

    def floor_bits(self, batch: Batch) -> list[float]:
        """Return what the hidden words of each held-out story cost who knows the language.

        Args:
            batch: of the first stories that are held out, in their order, all chosen words [MASK].
        """
        exact = TinyWorld(seed=0).exact
        floors = []
        targets = _targets(batch).tolist()
        for document, row in zip(self.stories.held_documents, targets, strict=False):
            hidden = [place - 1 for place, target in enumerate(row) if target != IGNORE_INDEX]
            found = exact.hidden_words(document.words, hidden)
            words = (document.words[i] for i in hidden)
            floors.append(-sum(math.log2(p[w]) for p, w in zip(found, words, strict=True)))
        return floors


# --- what was hidden, and how


def fates(token_ids: Tensor, batch: Batch, mask_id: int) -> dict[str, Tensor]:
    """Say which scored places show [MASK], another token or the token itself; (B, T) bool each.

    Example:
        >>> ids = torch.tensor([[7, 8, 9, 6]])
        >>> batch = Batch(inputs=torch.tensor([[4, 8, 5, 6]]),
        ...               targets=torch.tensor([[7, 8, 9, -100]]))
        >>> {name: place.tolist() for name, place in fates(ids, batch, 4).items()}
        {'[MASK]': [[True, False, False, False]], 'random': [[False, False, True, False]], \
'kept': [[False, True, False, False]]}
    """
    scored = _targets(batch) != IGNORE_INDEX
    is_mask, is_same = batch.inputs == mask_id, batch.inputs == token_ids
    return {
        "[MASK]": scored & is_mask,
        "random": scored & ~is_mask & ~is_same,
        "kept": scored & is_same,
    }


@torch.no_grad()
def fate_losses(model: Encoder, token_ids: Tensor, batch: Batch, mask_id: int) -> dict[str, float]:
    """Return the mean loss at each kind of scored place, nats."""
    was_training = model.training
    log_probs = model.eval().log_probs(batch)
    model.train(was_training)
    places = fates(token_ids, batch, mask_id)
    return {name: -log_probs[where].mean().item() for name, where in places.items()}


def _targets(batch: Batch) -> Tensor:
    assert batch.targets is not None
    return batch.targets


# --- a baseline that could win


class NeighborCounts:
    """Guess a token from the token on its left and the one on its right, by counting.

    p(x | l, r) = (c(l, x, r) + A q(x)) / (c(l, ·, r) + A), where q is proportional to
    p(x | l) p(x | r) / p(x), and p(x | l) = (c(l, x) + B p(x)) / (c(l) + B), likewise from the
    right. A neighbor that is hidden says nothing.

    Args:
        token_ids: (N,) the training text.
        vocab_size: number of token ids.
    """

    A, B = 2.0, 4.0  # weights of what is backed off to, in tokens

    def __init__(self, token_ids: np.ndarray, vocab_size: int) -> None:
        ids = np.asarray(token_ids, dtype=np.int64)
        counts = np.bincount(ids, minlength=vocab_size) + 1.0
        self.frequency = counts / counts.sum()
        pairs = np.bincount(ids[:-1] * vocab_size + ids[1:], minlength=vocab_size**2)
        self._pairs = pairs.reshape(vocab_size, vocab_size).astype(np.float64)
        keys = ids[:-2] * vocab_size + ids[2:]
        order = np.argsort(keys, kind="stable")
        self._keys, self._middles = keys[order], ids[1:-1][order]
        self._vocab_size = vocab_size

    def log_prob(self, token: int, left: int | None, right: int | None) -> float:
        """Return log p(token | its neighbors) in nats; ``None`` is a hidden neighbor."""
        guess = self.frequency
        if left is not None:
            guess = guess * self._smoothed(self._pairs[left]) / self.frequency
        if right is not None:
            guess = guess * self._smoothed(self._pairs[:, right]) / self.frequency
        guess = guess / guess.sum()
        if left is None or right is None:
            return math.log(guess[token])
        first, last = np.searchsorted(self._keys, left * self._vocab_size + right + np.arange(2))
        n_here = int((self._middles[first:last] == token).sum())
        return math.log((n_here + self.A * guess[token]) / (last - first + self.A))

    def _smoothed(self, counts: np.ndarray) -> np.ndarray:
        return (counts + self.B * self.frequency) / (counts.sum() + self.B)

    def losses(self, batch: Batch, where: Tensor, mask_id: int) -> tuple[float, float]:
        """Return the mean nats at the places ``where``: by neighbors, and by frequency alone."""
        neighbors, alone = [], []
        inputs, targets = batch.inputs.tolist(), _targets(batch).tolist()
        for row, place in torch.nonzero(where).tolist():
            known = [
                inputs[row][p] if 0 <= p < len(inputs[row]) else mask_id
                for p in (place - 1, place + 1)
            ]
            left, right = (None if token == mask_id else token for token in known)
            neighbors.append(-self.log_prob(targets[row][place], left, right))
            alone.append(-math.log(self.frequency[targets[row][place]]))
        return float(np.mean(neighbors)), float(np.mean(alone))


# --- other people's code


def run_snippet(code: str, folder: Path, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Run a program that is given as text, inside a folder.

    Args:
        code: the program.
        folder: where it reads and writes.
        names: what it may use without defining it.

    Returns:
        The error that stopped it, with its line, or an empty text; and the names at the end.
    """
    given = dict(names)
    with contextlib.chdir(folder):
        try:
            exec(compile(code, "snippet", "exec"), given)  # the text is the case study
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            number = [frame.lineno for frame in frames if frame.filename == "snippet"][-1] or 1
            line = code.splitlines()[number - 1].strip()
            reason = str(error).partition(" (")[0]  # behind it comes a path of this machine
            return f"{type(error).__name__}: {reason}\n    at: {line}", given
    return "", given
