"""What notebook 11 does with hidden tokens: encoders, stories, fates, costs, counts.

Dimension key: B rows, T positions, V token ids.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from exercises.bidirectional_07 import Stories, descend
from minillm.batch import IGNORE_INDEX, Batch
from minillm.checkpoint import load_weights
from minillm.config import DecoderConfig, EncoderConfig
from minillm.data import PackedWindows
from minillm.models.base import Model, evaluating
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder, initial_std
from minillm.objectives.causal import causal_batch
from minillm.objectives.masked import Masker, Masking, masked_batch
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
                parameter.mul_(std / initial_std(config.d_model))
        places = torch.arange(config.context_length)[:, None]
        shares = torch.arange(0, config.d_model, 2) / config.d_model
        angles = places * LONGEST_PERIOD**-shares
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        model.position_embedding.weight.copy_(waves * EMBEDDING_STD * math.sqrt(2))
    return model


def load_encoder(file: Path, vocab_size: int) -> Encoder:
    """Open an encoder of ``scripts/masked_models.py``; its sizes stand in a JSON file beside it."""
    about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    model = make_encoder(vocab_size, seed=0, **about["sizes"])
    load_weights(model, safetensors.torch.load_file(file))
    return model.eval()


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

    def train_stream(self) -> list[int]:
        """Return all stories to learn from, one after the other."""
        return [token for text in self.stories.train for token in text]

    def ids(self, words: Sequence[str]) -> Tensor:
        """Return a whole story as (1, T) ids."""
        numbers = {word: number for number, word in enumerate(self.stories.vocabulary, start=1)}
        return torch.tensor([[0, *(numbers[word] for word in words)]])

    @torch.no_grad()
    def log_odds(
        self, model: Encoder, words: Sequence[str], place: int, options: tuple[str, str]
    ) -> tuple[float, float]:
        """Return log p(first option) − log p(second) at a hidden place: exactly, and by a model."""
        (known,) = TinyWorld(seed=0).exact.hidden_words(words, [place])
        row = self.ids(words)
        row[0, place + 1] = self.mask_id
        a, b = self.ids(options)[0, 1:].tolist()
        scores = model(row)[0, place + 1]
        exactly = math.log(known[options[0]] / known[options[1]])
        return exactly, (scores[a] - scores[b]).item()

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


def fate_names(token_ids: Tensor, batch: Batch, mask_id: int) -> list[str]:
    """Name the fate of each token of one row, ``""`` where it was not chosen."""
    names = [""] * token_ids.shape[1]
    for name, where in fates(token_ids, batch, mask_id).items():
        for place in where[0].nonzero()[:, 0].tolist():
            names[place] = name
    return names


def mean_loss(model: Model, batch: Batch) -> float:
    """Return the mean nats of a scored token, dropout off."""
    with evaluating(model):
        return -model.log_probs(batch).sum().item() / batch.n_scored()["tokens"]


def fate_losses(model: Encoder, token_ids: Tensor, batch: Batch, mask_id: int) -> dict[str, float]:
    """Return the mean loss at each kind of scored place, nats."""
    with evaluating(model):
        log_probs = model.log_probs(batch)
    places = fates(token_ids, batch, mask_id)
    return {name: -log_probs[where].mean().item() for name, where in places.items()}


def _targets(batch: Batch) -> Tensor:
    assert batch.targets is not None
    return batch.targets


# --- experiments


@torch.no_grad()
def moved_outputs(
    model: Encoder, row: Tensor, place: int, *, is_padding: Tensor | None = None
) -> list[int]:
    """Exchange one token of a row, (1, T), and return the places whose scores change."""
    other = row.clone()
    other[0, place] = (row[0, place] + 1) % model.config.vocab_size
    before, after = (model(x, is_padding=is_padding)[0] for x in (row, other))
    return (before != after).any(-1).nonzero()[:, 0].tolist()


def pretrain(
    model: Encoder,
    token_ids: np.ndarray,
    masker: Masker,
    *,
    n_steps: int,
    seed: int,
    look: Callable[[int], None] | None = None,
) -> list[float]:
    """Train on batches of 32 windows of 32 tokens, hidden anew each time; return the losses."""
    windows = PackedWindows(token_ids, context_length=31, batch_size=32, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    batches = (masker(windows.batch_at(step), generator) for step in range(n_steps))
    return descend(model, batches, n_steps=n_steps, rate=3e-3, look=look)


def answer_costs(encoder: Encoder, rows: Tensor, hidden: Batch) -> dict[str, float]:
    """Measure what a scored token costs, with its gradient: CPU microseconds by kind of step.

    Args:
        encoder: sees ``hidden``, once with its head at every place, once where it is asked.
        rows: (B, T) token ids; a GPT of the same sizes is scored on every one but the first.
        hidden: the same rows with tokens hidden.
    """

    def head_everywhere() -> Tensor:
        scores = encoder(hidden.inputs).transpose(1, 2)  # (B, V, T), nearly all of it for nothing
        return F.cross_entropy(scores, _targets(hidden), reduction="sum")

    shared = ("vocab_size", "context_length", "d_model", "n_layers", "n_heads")
    sizes = {name: getattr(encoder.config, name) for name in shared}
    decoder, shifted = Decoder(DecoderConfig.gpt(**sizes, tie_embeddings=True)), causal_batch(rows)
    steps: dict[str, tuple[Callable[[], Tensor], Batch]] = {
        "causal": (lambda: decoder.loss_sums(shifted)["tokens"], shifted),
        "masked, head everywhere": (head_everywhere, hidden),
        "masked, head where asked": (lambda: encoder.loss_sums(hidden)["tokens"], hidden),
    }
    return {
        name: 1e6 * _step_seconds(step) / batch.n_scored()["tokens"]
        for name, (step, batch) in steps.items()
    }


def _step_seconds(step: Callable[[], Tensor], *, n: int = 7) -> float:
    """Return the least CPU seconds of a loss with its gradient, the first time left out."""
    times = []
    for _ in range(n + 1):
        start = time.process_time()
        step().backward()
        times.append(time.process_time() - start)
    return min(times[1:])


@torch.no_grad()
def belief(model: Encoder, token_ids: Tensor) -> Tensor:
    """Return the probability that a model gives to each token that it reads, (B, T)."""
    return model.eval()(token_ids).softmax(-1).gather(-1, token_ids[..., None])[..., 0]


def is_share(n: int, n_draws: int, share: float) -> bool:
    """Say whether a count is within five standard errors of its share of the draws."""
    return abs(n - share * n_draws) < 5 * math.sqrt(n_draws * share * (1 - share))


Reading = tuple[list[float], list[int], list[list[float]]]  # see read_both_ways


def read_both_ways(
    make_model: Callable[[], Encoder],
    rows: Tensor,
    masker: Masker,
    judged: Sequence[Batch],
    *,
    n_epochs: int,
    seed: int,
) -> dict[str, Reading]:
    """Train on the same rows in every step: hidden always at the same places, and anew.

    Returns:
        For each way the training losses, the steps at which the model was judged, and the losses
        of each ``judged`` batch there.
    """
    return {
        name: _read_again(make_model(), rows, masker, judged, n_epochs, seed, is_static=is_static)
        for name, is_static in (("the same masks", True), ("fresh masks", False))
    }


def _read_again(
    model: Encoder,
    rows: Tensor,
    masker: Masker,
    judged: Sequence[Batch],
    n_epochs: int,
    seed: int,
    *,
    is_static: bool,
) -> Reading:
    generator = torch.Generator().manual_seed(seed)
    static = masker(rows, generator)
    batches = (static if is_static else masker(rows, generator) for _ in range(n_epochs))
    places: list[int] = []
    found: list[list[float]] = [[] for _ in judged]

    def look(step: int) -> None:
        if step == 1 or step % 10 == 0:
            places.append(step)
            for losses, batch in zip(found, judged, strict=True):
                losses.append(mean_loss(model, batch))

    losses = descend(model, batches, n_steps=n_epochs, rate=3e-3, look=look)
    return losses, places, found


def share_in_order(larger: Tensor, smaller: Tensor) -> float:
    """Return the share of pairs in which the first number is the larger one; ½ is guessing.

    Example:
        >>> share_in_order(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 0.0]))
        0.75
    """
    above = len(larger) - torch.searchsorted(larger.sort().values, smaller, right=True)
    return above.double().mean().item() / len(larger)
