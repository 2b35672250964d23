"""Who reads the pairs of notebook 12: bags of words, and how a reader is trained and judged.

Dimension key: B pairs, T positions, V vocabulary, R rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from exercises.pairs_12 import Corpus
from minillm.batch import Batch
from minillm.config import EncoderConfig
from minillm.loss import token_loss_sum
from minillm.models.base import Model
from minillm.models.encoder import Encoder
from minillm.optim import make_optimizer, warmup_cosine
from minillm.training import train


class BagReader(Model):
    """Judge a pair by which words each sentence has, without their order.

    With a and b the counts of words in the first and the second sentence, the score is
    u·a + v·b + c: *linear*, each word votes by itself. *Bilinear* adds Σ_ij a_i M_ij b_j with M
    of rank R: each pair of words, one from each sentence, votes. It starts as a random projection
    of "how many words are in both".

    Args:
        vocab_size: V; ids 0, 1, 2 are special and do not count.
        rank: R of M; 0 means linear.
        generator: draws the weights.
    """

    def __init__(self, vocab_size: int, *, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.config = {"vocab_size": vocab_size, "rank": rank}
        self.votes = nn.Embedding(2 * vocab_size, 1)
        self.meetings = nn.Embedding(2 * vocab_size, rank) if rank else None
        self.bias = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.votes.weight)
        if self.meetings is not None:
            shared = 0.3 / math.sqrt(rank) * torch.randn(vocab_size, rank, generator=generator)
            with torch.no_grad():
                self.meetings.weight.copy_(shared.repeat(2, 1))

    def scores(self, batch: Batch) -> Tensor:
        """Return (B,) log-odds of label 1."""
        assert batch.segment_ids is not None
        n_words = self.votes.num_embeddings // 2
        ids = batch.inputs + n_words * batch.segment_ids
        counts = (batch.inputs > 2).float()[..., None]
        scores = self.bias + (self.votes(ids) * counts).sum((1, 2))
        if self.meetings is None:
            return scores
        met, second = self.meetings(ids) * counts, batch.segment_ids[..., None].float()
        return scores + ((met * (1 - second)).sum(1) * (met * second).sum(1)).sum(1)

    def label_logits(self, batch: Batch) -> Tensor:
        """Return (B, 2) logits: softmax makes the score's sigmoid of them."""
        half = self.scores(batch) / 2
        return torch.stack([-half, half], dim=1)

    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the summed nats of the labels."""
        assert batch.labels is not None
        return {"labels": token_loss_sum(self.label_logits(batch), batch.labels)}

    def log_probs(self, batch: Batch) -> Tensor:
        """Refuse: it predicts no tokens."""
        raise ValueError("a bag of words judges pairs, it predicts no tokens")


def make_encoder(corpus: Corpus, *, seed: int, **changes: Any) -> Encoder:
    """Build a small encoder that judges pairs, or orders sentences with ``max_sentences``.

    Args:
        corpus: whose words it reads.
        seed: of the weights.
        changes: other fields of ``EncoderConfig``.
    """
    sizes = {"d_model": 64, "n_layers": 2, "n_heads": 4, "has_next_sentence_head": True}
    sizes |= {"context_length": corpus.frame.max_tokens} | changes
    config = EncoderConfig.bert(vocab_size=len(corpus.vocabulary), **sizes)
    return Encoder(config, generator=torch.Generator().manual_seed(seed))


Reader = BagReader | Encoder


def train_reader(
    reader: Reader, batches: Iterable[Batch], *, rate: float, n_steps: int, weight_decay: float
) -> list[float]:
    """Train with AdamW, a short warmup and a cosine; return the loss of each step in nats."""
    optimizer = make_optimizer(reader, name="adamw", learning_rate=rate, weight_decay=weight_decay)

    def rate_at(step: int) -> float:
        return rate * warmup_cosine(
            step, n_steps=n_steps, n_warmup=min(50, n_steps), final_fraction=0.05
        )

    steps = ([batch] for batch in batches)
    return [result.loss for result in train(reader, optimizer, steps, learning_rate=rate_at)]


@torch.no_grad()
def label_log_odds(reader: Reader, batch: Batch, *, n_rows: int = 500) -> Tensor:
    """Return (B,) log-odds of label 1, in nats, computed ``n_rows`` rows at a time."""
    reader.eval()
    logits = [reader.label_logits(part) for part in split_rows(batch, n_rows)]
    return torch.cat(logits).diff(dim=1)[:, 0]


def split_rows(batch: Batch, n_rows: int) -> list[Batch]:
    """Cut a batch of pairs into batches of ``n_rows`` pairs, the last one smaller."""
    names = ("inputs", "segment_ids", "is_padding", "labels")
    return [
        replace(batch, **{name: getattr(batch, name)[i : i + n_rows] for name in names})
        for i in range(0, len(batch.inputs), n_rows)
    ]


def accuracy(reader: Reader, batch: Batch) -> float:
    """Return the share of pairs that a reader judges rightly."""
    assert batch.labels is not None
    return ((label_log_odds(reader, batch) > 0) == (batch.labels == 1)).double().mean().item()


def quick_bag_accuracy(train_pairs: Batch, held_pairs: Batch, *, rank: int) -> float:
    """Train a bag of words on some pairs, twice through, and return its accuracy on others."""
    vocab_size = 1 + int(max(train_pairs.inputs.max(), held_pairs.inputs.max()))
    bag = BagReader(vocab_size, rank=rank, generator=torch.Generator())
    batches = 2 * split_rows(train_pairs, 128)
    train_reader(bag, batches, rate=0.03, n_steps=len(batches), weight_decay=0.01)
    return accuracy(bag, held_pairs)
