"""The encoder: a Transformer that reads in both directions, as BERT.

Dimension key: B sequences, T positions, C d_model, V vocabulary, L layers, H heads, K sentences.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.attention import AttentionBackend
from minillm.batch import IGNORE_INDEX, Batch
from minillm.blocks import TransformerBlock, recorded_weights
from minillm.config import EncoderConfig
from minillm.feed_forward import ACTIVATIONS
from minillm.linear import Linear
from minillm.loss import token_log_probs, token_loss_sum
from minillm.masking import padding_mask
from minillm.models.base import Model
from minillm.norms import make_norm
from minillm.positions import LearnedPositions, SinusoidalPositions

INIT_STD, INIT_WIDTH = 0.02, 768  # BERT's, and the width that it belongs to


class Encoder(Model):
    """Represent each token by all the others, and predict the hidden ones.

    BERT (Devlin et al. 2019, arXiv:1810.04805): the sum of token, position and segment
    embeddings, normalized; post-norm blocks without a causal mask; a head that predicts the
    tokens that were hidden, computed at those positions only; and, where the configuration asks
    for them, a head that judges a pair of sentences by its first token, and a head that puts
    sentences in order.

    Args:
        config: the architecture.
        generator: draws the weights; ``None`` means torch's fixed default seed.
        backend: how attention is computed (see ``minillm.attention``).

    Example:
        >>> model = Encoder(EncoderConfig.bert(vocab_size=11, d_model=8, n_heads=2, n_layers=1))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    has_attention = True

    def __init__(
        self,
        config: EncoderConfig,
        *,
        generator: torch.Generator | None = None,
        backend: AttentionBackend = "sdpa",
    ) -> None:
        super().__init__()
        self.config = config
        self.context_length = config.context_length
        d_model = config.d_model
        with torch.random.fork_rng(devices=[]):  # torch's own initial weights are overwritten
            self.token_embedding = nn.Embedding(config.vocab_size, d_model)
            self.position_embedding = LearnedPositions(config.context_length, d_model)
            self.segment_embedding = nn.Embedding(config.n_segments, d_model)
            self.embedding_norm = make_norm("layer_norm", d_model, eps=config.norm_eps)
            self.dropout = nn.Dropout(config.dropout)
            self.blocks = nn.ModuleList(
                TransformerBlock(config, backend=backend) for _ in range(config.n_layers)
            )
            self.masked_head = MaskedTokenHead(config)
            self.pair_head = PairHead(d_model) if config.has_next_sentence_head else None
            self.pointer_head = (
                PointerHead(d_model, config.max_sentences) if config.max_sentences else None
            )
        self._initialize(torch.Generator() if generator is None else generator)

    @torch.no_grad()
    def _initialize(self, generator: torch.Generator) -> None:
        """Draw matrices from N(0, ``initial_std``²); biases are 0 and the norms' weights 1."""
        std = initial_std(self.config.d_model)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" not in name:
                nn.init.normal_(parameter, std=std, generator=generator)
        if self.config.position_start == "sinusoids":
            places = torch.arange(self.context_length)
            waves = SinusoidalPositions(self.config.d_model)(places)
            self.position_embedding.weight.copy_(waves * std * math.sqrt(2))  # a wave's rms: 1/√2

    def forward(
        self,
        token_ids: Tensor,
        *,
        segment_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
    ) -> Tensor:
        """Score every token of the vocabulary at every position.

        Args:
            token_ids: (B, T) int64.
            segment_ids: (B, T) int64, sentence A (0) or B (1); ``None`` means all 0.
            is_padding: (B, T) bool: padding is read by nobody.

        Returns:
            (B, T, V) logits of the token that stands at each position.

        Raises:
            ValueError: if T exceeds ``context_length`` or the shapes do not fit.
        """
        hidden = self.hidden(token_ids, segment_ids, is_padding)
        return self.masked_head(hidden, self.token_embedding.weight)

    def hidden(
        self,
        token_ids: Tensor,
        segment_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
    ) -> Tensor:
        """Return the (B, T, C) representation of each token; arguments as ``forward``."""
        self._check(token_ids, segment_ids=segment_ids, is_padding=is_padding)
        positions = torch.arange(token_ids.shape[1], device=token_ids.device)
        segments = torch.zeros_like(token_ids) if segment_ids is None else segment_ids
        x = self.token_embedding(token_ids) + self.segment_embedding(segments)
        x = self.dropout(self.embedding_norm(x + self.position_embedding(positions)))
        mask = None if is_padding is None else padding_mask(is_padding)
        for block in self.blocks:
            x = block(x, mask=mask)
        return x

    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the summed loss of each head that the batch has targets for, in nats.

        ``"tokens"``: the hidden tokens. Only the positions that are scored pass through the head,
        one in seven under BERT's masking: of all that a step computes, the scores of the
        vocabulary would be the largest part. ``"labels"``: (B,) sentence pairs, or (B, K) the
        places of shuffled sentences.
        """
        hidden = self.hidden(batch.inputs, batch.segment_ids, batch.is_padding)
        sums = {}
        if batch.targets is not None:
            scored = batch.targets != IGNORE_INDEX
            logits = self.masked_head(hidden[scored], self.token_embedding.weight)
            sums["tokens"] = token_loss_sum(logits[None], batch.targets[scored][None])
        if batch.labels is not None:
            scores = self._label_scores(hidden, batch)
            sums["labels"] = token_loss_sum(scores, batch.labels)
        return sums

    def log_probs(self, batch: Batch) -> Tensor:
        """Return log p of each hidden token given the visible ones, (B, T); 0 where not scored."""
        logits, targets = self.hidden_logits(batch)
        assert batch.targets is not None
        result = torch.zeros(batch.targets.shape, dtype=torch.float32, device=logits.device)
        scored = batch.targets != IGNORE_INDEX
        result[scored] = token_log_probs(logits[None], targets[None])[0]
        return result

    def hidden_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Score the vocabulary at the hidden places only.

        Returns:
            (N, V) logits of the N hidden tokens, row by row of the batch, and (N,) the true ids.

        Raises:
            ValueError: if the batch has no targets.
        """
        if batch.targets is None:
            raise ValueError("masked language modeling needs batch.targets, got None")
        hidden = self.hidden(batch.inputs, batch.segment_ids, batch.is_padding)
        scored = batch.targets != IGNORE_INDEX
        logits = self.masked_head(hidden[scored], self.token_embedding.weight)
        return logits, batch.targets[scored]

    def label_logits(self, batch: Batch) -> Tensor:
        """Score the labels of a batch: (B, 2) for sentence pairs, (B, K, K) for an order."""
        return self._label_scores(
            self.hidden(batch.inputs, batch.segment_ids, batch.is_padding), batch
        )

    @torch.no_grad()
    def attention_weights(
        self,
        token_ids: Tensor,
        *,
        segment_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
    ) -> Tensor:
        """Return how much each position reads of each other, (L, B, H, T, T); rows sum to 1."""
        return recorded_weights(
            self.blocks, lambda: self.hidden(token_ids, segment_ids, is_padding)
        )

    def _label_scores(self, hidden: Tensor, batch: Batch) -> Tensor:
        if self.pair_head is not None and (batch.labels is None or batch.labels.ndim == 1):
            return self.pair_head(hidden)
        if self.pointer_head is not None and batch.segment_ids is not None:
            return self.pointer_head(hidden, batch.segment_ids, batch.is_padding)
        raise ValueError(
            "the model has no head for the batch's labels: build it with "
            "has_next_sentence_head=True (pairs) or max_sentences=K and segment_ids (order)"
        )

    def _check(self, token_ids: Tensor, **others: Tensor | None) -> None:
        if token_ids.ndim != 2:
            raise ValueError(f"token_ids must be (B, T), got shape {tuple(token_ids.shape)}")
        if token_ids.shape[1] > self.config.context_length:
            raise ValueError(
                f"{token_ids.shape[1]} tokens are more than "
                f"context_length={self.config.context_length}: shorten the text or make a model "
                "with a longer context"
            )
        for name, x in others.items():
            if x is not None and x.shape != token_ids.shape:
                raise ValueError(
                    f"{name} {tuple(x.shape)} must have the shape of token_ids "
                    f"{tuple(token_ids.shape)}"
                )


def initial_std(d_model: int) -> float:
    """Return the standard deviation of an encoder's first weights.

    BERT draws from N(0, 0.02²) for 768 columns (Devlin et al. 2019; the code's
    ``initializer_range``). A sum over fewer columns is as large if they are wider, by the root of
    the ratio; drawn from 0.02, an encoder of width 64 stays at the frequencies of tokens for many
    hundred steps.

    Example:
        >>> initial_std(768), initial_std(192)
        (0.02, 0.04)
    """
    return INIT_STD * math.sqrt(INIT_WIDTH / d_model)


class MaskedTokenHead(nn.Module):
    """Score the vocabulary: dense, the blocks' activation, norm, tied matrix, bias."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = Linear(config.d_model, config.d_model)
        self.norm = make_norm("layer_norm", config.d_model, eps=config.norm_eps)
        self.output_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.activation = ACTIVATIONS[config.feed_forward]

    def forward(self, hidden: Tensor, embeddings: Tensor) -> Tensor:
        """Return (..., V) logits of ``hidden`` (..., C) under the tied matrix (V, C)."""
        return F.linear(
            self.norm(self.activation(self.dense(hidden))), embeddings, self.output_bias
        )


class PairHead(nn.Module):
    """Judge a sequence by its first token: BERT's pooler (dense, tanh) and two classes.

    Class 0: the second sentence follows the first. Class 1: it does not.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.pooler = Linear(d_model, d_model)
        self.classifier = Linear(d_model, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (B, 2) logits of ``hidden`` (B, T, C)."""
        return self.classifier(self.pooler(hidden[:, 0]).tanh())


class PointerHead(nn.Module):
    """For each place of the original text point at the sentence that stood there.

    A pointer network's attention as output (Vinyals et al. 2015, arXiv:1506.03134): place p
    asks with a learned query, each shuffled sentence answers with the mean of its tokens.
    """

    def __init__(self, d_model: int, max_sentences: int) -> None:
        super().__init__()
        self.place_query = nn.Embedding(max_sentences, d_model)
        self.key = Linear(d_model, d_model)

    def forward(self, hidden: Tensor, segment_ids: Tensor, is_padding: Tensor | None) -> Tensor:
        """Score every sentence for every place.

        Args:
            hidden: (B, T, C).
            segment_ids: (B, T) int64: the number of each token's sentence, as shuffled.
            is_padding: (B, T) bool.

        Returns:
            (B, K, K): row p scores the shuffled sentences for place p; −inf for a sentence that
            the row of the batch does not have.
        """
        n_places = self.place_query.num_embeddings
        belongs = F.one_hot(segment_ids, n_places).to(hidden.dtype)  # (B, T, K)
        if is_padding is not None:
            belongs = belongs * ~is_padding[..., None]
        counts = belongs.sum(dim=1)  # (B, K)
        means = torch.einsum("btk,btc->bkc", belongs, hidden) / counts.clamp(min=1)[..., None]
        scores = torch.einsum("pc,bkc->bpk", self.place_query.weight, self.key(means))
        scores = scores / math.sqrt(hidden.shape[-1])
        return scores.masked_fill((counts == 0)[:, None], -math.inf)
