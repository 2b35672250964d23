"""The encoder–decoder: one Transformer reads a source, another writes a target from it.

Dimension key: B sequences, S source positions, T target positions, C d_model, V vocabulary,
L layers, H heads.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minillm.attention import AttentionBackend
from minillm.batch import Batch
from minillm.blocks import recorded_weights
from minillm.config import EncoderDecoderConfig
from minillm.kv_cache import KVCache
from minillm.linear import Linear
from minillm.loss import linear_token_loss_sum, token_log_probs
from minillm.masking import padding_mask
from minillm.models.base import LanguageModel, Model
from minillm.models.stack import DecoderState, Stack
from minillm.positions import SinusoidalPositions


class SourceAndTargetWeights(NamedTuple):
    """Who reads whom; every row (query) sums to 1."""

    encoder: Tensor  # (L, B, H, S, S)
    decoder: Tensor  # (L', B, H, T, T)
    cross: Tensor  # (L', B, H, T, S): each target position reads the source


class EncoderDecoder(Model):
    """Predict each token of a target from the ones before it and from all of a source.

    ``EncoderDecoderConfig.original`` gives the Transformer of Vaswani et al. 2017
    (arXiv:1706.03762), ``t5`` and ``t5_1_1`` T5 (Raffel et al. 2020, arXiv:1910.10683). One
    matrix embeds the tokens of both sides. Differs from T5's code in that nothing is dropped
    between the two layers of a feed-forward.

    A batch holds the source in ``inputs`` and ``is_padding``, the target shifted to the right in
    ``decoder_inputs``, and what each of those positions must predict in ``targets``.

    Args:
        config: the architecture.
        generator: draws the weights; ``None`` means torch's fixed default seed.
        backend: how attention is computed (see ``minillm.attention``).

    Example:
        >>> config = EncoderDecoderConfig.t5(vocab_size=11, d_model=8, n_heads=2, n_layers=1)
        >>> model = EncoderDecoder(config)
        >>> model(torch.tensor([[1, 2, 3]]), torch.tensor([[0, 5]])).shape
        torch.Size([1, 2, 11])
    """

    has_attention = True

    def __init__(
        self,
        config: EncoderDecoderConfig,
        *,
        generator: torch.Generator | None = None,
        backend: AttentionBackend = "sdpa",
    ) -> None:
        super().__init__()
        self.config = config
        self.context_length = config.context_length
        is_sinusoidal = config.positions == "sinusoidal"
        with torch.random.fork_rng(devices=[]):  # torch's own initial weights are overwritten
            self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
            self.position_embedding = SinusoidalPositions(config.d_model) if is_sinusoidal else None
            self.encoder = Stack(config, is_decoder=False, backend=backend)
            self.decoder = Stack(config, is_decoder=True, backend=backend)
            self.unembedding = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.unembedding.weight = self.token_embedding.weight
        self.embedding_scale = math.sqrt(config.d_model) if is_sinusoidal else 1.0
        self.output_scale = config.d_model**-0.5 if config.scale_output else 1.0
        self.dropout = nn.Dropout(config.dropout)
        self._initialize(torch.Generator() if generator is None else generator)

    @torch.no_grad()
    def _initialize(self, generator: torch.Generator) -> None:
        """Draw matrices so that vectors keep their size: N(0, 1 / inputs).

        As T5's code and, for square matrices, Glorot's rule of the original. Token vectors enter
        the first block with variance 1, and the first logits have variance 1: the loss starts near
        ln V + ½. Queries whose scores are not divided by √D are made smaller by it (T5).
        """
        for name, parameter in self.named_parameters():  # a tied matrix comes once
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" not in name:
                nn.init.normal_(parameter, std=self._std(name, parameter), generator=generator)

    def _std(self, name: str, parameter: Tensor) -> float:
        if name == "token_embedding.weight":
            return 1 / self.embedding_scale
        if name.endswith("relative_bias.weight"):
            return self.config.d_model**-0.5
        std = parameter.shape[1] ** -0.5
        is_unscaled_query = name.endswith(".query.weight") and self.config.attention_scale == 1.0
        return std * self.config.head_dim**-0.5 if is_unscaled_query else std

    def forward(
        self, inputs: Tensor, decoder_inputs: Tensor, *, is_padding: Tensor | None = None
    ) -> Tensor:
        """Score every token as the one that follows each position of the target.

        Args:
            inputs: (B, S) int64, the source.
            decoder_inputs: (B, T) int64, the target shifted to the right. Padding stands at its
                end, where the causal mask hides it.
            is_padding: (B, S) bool: padding of the source, at its end, is read by nobody.

        Returns:
            (B, T, V) logits.

        Raises:
            ValueError: if the shapes do not fit, or S or T exceeds ``context_length``.
        """
        return self.unembedding(self.hidden(inputs, decoder_inputs, is_padding))

    def hidden(self, inputs: Tensor, decoder_inputs: Tensor, is_padding: Tensor | None) -> Tensor:
        """Return the (B, T, C) vectors that the unembedding reads; arguments as ``forward``."""
        source, mask = self.encode(inputs, is_padding)
        x = self._embed(decoder_inputs, n_past=0)
        return self._output(self.decoder(x, source=source, source_mask=mask))

    def encode(
        self, inputs: Tensor, is_padding: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the encoded source (B, S, C) and the (B, 1, 1, S) mask of its text."""
        if is_padding is not None and is_padding.shape != inputs.shape:
            raise ValueError(
                f"is_padding {tuple(is_padding.shape)} must have the shape of inputs "
                f"{tuple(inputs.shape)}"
            )
        mask = None if is_padding is None else padding_mask(is_padding)
        x = self.encoder(self._embed(inputs, n_past=0), source_mask=mask)
        return self._dropped(x), mask

    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the summed loss of ``batch.targets``, in nats, under the name ``"tokens"``."""
        hidden, targets = self._hidden_and_targets(batch)
        return {"tokens": linear_token_loss_sum(hidden, self.unembedding.weight, targets)}

    def log_probs(self, batch: Batch) -> Tensor:
        """Return log p of each target given the source and its past, (B, T); 0 where not scored."""
        hidden, targets = self._hidden_and_targets(batch)
        return token_log_probs(self.unembedding(hidden), targets)

    @torch.no_grad()
    def first_state(self, inputs: Tensor, is_padding: Tensor | None = None) -> DecoderState:
        """Read the source (B, S): the state before the first token of the target."""
        source, mask = self.encode(inputs, is_padding)
        n_layers, (_, n_source) = len(self.decoder.blocks), inputs.shape
        return DecoderState(
            source=source,
            source_mask=mask,
            caches=[KVCache(self.context_length) for _ in range(n_layers)],
            source_caches=[KVCache(n_source) for _ in range(n_layers)],
        )

    @torch.no_grad()
    def next_log_probs(self, token_ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Return the distribution of the token that follows ``token_ids`` in the target.

        Args:
            token_ids: (B, T) int64, T >= 1: the start token, or what is new after ``state``.
            state: of ``first_state`` or of the last call; it is updated in place.

        Returns:
            (B, V) log probabilities in nats, float32, and the state for the next call.

        Raises:
            ValueError: if the batch is not the source's, or the target exceeds ``context_length``.
        """
        if token_ids.ndim != 2 or token_ids.shape[1] == 0 or len(token_ids) != len(state.source):
            raise ValueError(
                f"token_ids must be (B, T) with the B = {len(state.source)} of the source and "
                f"T >= 1, got {tuple(token_ids.shape)}"
            )
        x = self._embed(token_ids, n_past=state.caches[0].length)
        x = self.decoder(x, source=state.source, source_mask=state.source_mask, state=state)
        logits = self.unembedding(self._output(x[:, -1]))
        return logits.float().log_softmax(dim=-1), state

    def given(self, inputs: Tensor, is_padding: Tensor | None = None) -> GivenSource:
        """Return the language model of the targets of these sources: what ``generate`` takes.

        Example:
            ``generate(model.given(sources), [[start_id]] * len(sources), max_new_tokens=50)``
        """
        return GivenSource(self, inputs, is_padding)

    def attention_weights(
        self, inputs: Tensor, decoder_inputs: Tensor, *, is_padding: Tensor | None = None
    ) -> SourceAndTargetWeights:
        """Return how much each position reads of each other; arguments as ``forward``."""

        def run() -> Tensor:
            return self.hidden(inputs, decoder_inputs, is_padding)

        with torch.no_grad():
            return SourceAndTargetWeights(
                encoder=recorded_weights(self.encoder.blocks, run),
                decoder=recorded_weights(self.decoder.blocks, run),
                cross=recorded_weights(self.decoder.blocks, run, layer="cross_attention"),
            )

    def _embed(self, token_ids: Tensor, *, n_past: int) -> Tensor:
        if token_ids.ndim != 2:
            raise ValueError(f"token ids must be (B, T), got shape {tuple(token_ids.shape)}")
        n_tokens = n_past + token_ids.shape[1]
        if n_tokens > self.context_length:
            raise ValueError(
                f"{n_tokens} tokens are more than context_length={self.context_length}: shorten "
                "the text or make a model with a longer context"
            )
        x = self.token_embedding(token_ids)
        if self.position_embedding is not None:
            positions = torch.arange(n_past, n_tokens, device=token_ids.device)
            x = x * self.embedding_scale + self.position_embedding(positions).to(x.dtype)
        return self.dropout(x)

    def _dropped(self, x: Tensor) -> Tensor:
        """Drop from the output of a stack where a final norm ends it (T5)."""
        return self.dropout(x) if self.config.norm_position == "pre" else x

    def _output(self, x: Tensor) -> Tensor:
        return self._dropped(x) * self.output_scale

    def _hidden_and_targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if batch.targets is None or batch.decoder_inputs is None:
            raise ValueError("an encoder–decoder needs batch.decoder_inputs and batch.targets")
        hidden = self.hidden(batch.inputs, batch.decoder_inputs, batch.is_padding)
        return hidden, batch.targets


class GivenSource(LanguageModel):
    """An encoder–decoder with its sources: a language model of what it writes about them.

    The first call encodes the sources, the state keeps them: to ``generate`` it looks like any
    other language model. Row i of the token ids belongs to source i.
    """

    def __init__(
        self, model: EncoderDecoder, inputs: Tensor, is_padding: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config, self.context_length = model.config, model.context_length
        self.model, self.inputs, self.is_padding = model, inputs, is_padding

    def next_log_probs(self, token_ids: Tensor, state: Any = None) -> tuple[Tensor, DecoderState]:
        """Return the distribution of the next token of each target; see the base class."""
        if state is None:
            state = self.model.first_state(self.inputs, self.is_padding)
        return self.model.next_log_probs(token_ids, state)

    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of a batch that holds its own sources."""
        return self.model.loss_sums(batch)

    def log_probs(self, batch: Batch) -> Tensor:
        """Return log p of each target of a batch that holds its own sources."""
        return self.model.log_probs(batch)
