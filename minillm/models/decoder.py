"""The decoder-only Transformer: one class that a configuration makes GPT-2 or Llama.

Dimension key: B sequences, T positions, C d_model, V vocabulary, L layers, H heads.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from minillm.attention import AttentionBackend
from minillm.batch import Batch
from minillm.blocks import TransformerBlock, recorded_weights
from minillm.config import DecoderConfig
from minillm.kv_cache import KVCache
from minillm.linear import Linear
from minillm.masking import (
    MaskRule,
    causal_mask,
    combine_masks,
    document_mask,
    padding_mask,
    prefix_mask,
)
from minillm.models.base import LanguageModel
from minillm.models.scoring import HiddenLanguageModel
from minillm.norms import make_norm
from minillm.positions import LearnedPositions, SinusoidalPositions, make_rotation

INIT_STD = 0.02  # GPT-2's; small enough that the first logits are near 0 and the loss near ln V


class Decoder(HiddenLanguageModel):
    """Predict each token from the ones before it.

    Embed the tokens, let ``n_layers`` blocks exchange and compute, normalize, and score
    every token of the vocabulary. ``DecoderConfig.gpt`` gives GPT-2 (Radford et al. 2019),
    ``DecoderConfig.llama`` Llama (Touvron et al. 2023, arXiv:2302.13971).

    Args:
        config: the architecture.
        generator: draws the weights; ``None`` means torch's fixed default seed, so that two
            decoders made without a generator are equal.
        backend: how attention is computed (see ``minillm.attention``).

    Example:
        >>> model = Decoder(DecoderConfig.gpt(vocab_size=11, d_model=8, n_heads=2, n_layers=1))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    has_attention = True

    def __init__(
        self,
        config: DecoderConfig,
        *,
        generator: torch.Generator | None = None,
        backend: AttentionBackend = "sdpa",
    ) -> None:
        super().__init__()
        self.config = config
        self.context_length = config.context_length
        with torch.random.fork_rng(devices=[]):  # torch's own initial weights are overwritten
            self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
            self.position_embedding = _position_embedding(config)
            self.blocks = nn.ModuleList(
                TransformerBlock(config, backend=backend) for _ in range(config.n_layers)
            )
            self.final_norm = (
                make_norm(config.norm, config.d_model, eps=config.norm_eps)
                if config.norm_position == "pre"
                else nn.Identity()  # the last block has normalized
            )
            self.unembedding = Linear(config.d_model, config.vocab_size, bias=False)
        # Next to waves of size 1, embeddings of size 0.02 would be drowned (Vaswani et al., §3.4).
        is_sinusoidal = config.positions == "sinusoidal"
        self.embedding_scale = math.sqrt(config.d_model) if is_sinusoidal else 1.0
        self.dropout = nn.Dropout(config.dropout)
        if config.tie_embeddings:
            self.unembedding.weight = self.token_embedding.weight
        self._initialize(torch.Generator() if generator is None else generator)

    @torch.no_grad()
    def _initialize(self, generator: torch.Generator) -> None:
        """Draw matrices from N(0, 0.02²); biases are 0 and the norms' weights 1.

        With pre-norm a layer that ends a residual branch gets ``0.02 / sqrt(2 L)``: 2 L branches
        are added, and the sum should not grow with the depth (GPT-2, §2.3). Post-norm rescales
        each sum and needs no such help (BERT draws all from 0.02).
        """
        n_summed = 2 * self.config.n_layers if self.config.norm_position == "pre" else 1
        residual_std = INIT_STD / math.sqrt(n_summed)
        for name, parameter in self.named_parameters():  # a tied matrix comes once
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" not in name:
                ends_branch = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
                std = residual_std if ends_branch else INIT_STD
                nn.init.normal_(parameter, std=std, generator=generator)

    def hidden(
        self,
        token_ids: Tensor,
        document_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
        state: list[KVCache] | None = None,
        prefix_lengths: Tensor | None = None,
    ) -> Tensor:
        """Return the (B, T, C) vectors that the unembedding reads.

        Args:
            token_ids: (B, T) int64.
            document_ids: (B, T) int64: packed documents do not read each other.
            is_padding: (B, T) bool: padding is read by nobody and does not count as a position.
            state: keys and values of the tokens before these; they are appended.
            prefix_lengths: (B,) int64: so many first tokens are read in both directions; only
                where nothing was read before.

        Raises:
            ValueError: if T exceeds ``context_length`` or the shapes do not fit.
        """
        n_past = 0 if state is None else state[0].length
        self._check_tokens(token_ids, n_past)
        positions = _positions(token_ids, n_past, is_padding)
        mask = self._mask(token_ids, n_past, document_ids, is_padding, prefix_lengths)
        rotation = None

        x = self.token_embedding(token_ids)
        if self.position_embedding is None:
            rotation = make_rotation(
                positions, head_dim=self.config.head_dim, base=self.config.rotary_base
            )
        else:
            x = x * self.embedding_scale + self.position_embedding(positions).to(x.dtype)
        x = self.dropout(x)
        is_causal = mask is None and n_past == 0  # else a single new token, which reads all
        for layer, block in enumerate(self.blocks):
            cache = None if state is None else state[layer]
            x = block(x, mask=mask, is_causal=is_causal, rotation=rotation, cache=cache)
        return self.final_norm(x)

    @torch.no_grad()
    def next_log_probs(
        self,
        token_ids: Tensor,
        state: list[KVCache] | None = None,
        *,
        prefix_lengths: Tensor | None = None,
    ) -> tuple[Tensor, list[KVCache]]:
        """Return the distribution of the token that follows ``token_ids``.

        Only the last position is scored, and with a state only the new tokens are computed:
        the keys and values of earlier ones are kept. A long prompt may come in chunks.

        Args:
            token_ids: (B, T) int64, T >= 1: all tokens, or the new ones after ``state``.
            state: what the last call returned. It is updated in place: do not use it twice.
            prefix_lengths: as in ``hidden``, for the first call.

        Returns:
            (B, V) log probabilities in nats, float32, and the state for the next call.

        Raises:
            ValueError: if there is no token, or all tokens together exceed ``context_length``.
        """
        if token_ids.ndim == 2 and token_ids.shape[1] == 0:
            raise ValueError("next_log_probs needs at least one token, got none")
        if state is None:
            state = [KVCache(self.config.context_length) for _ in self.blocks]
        last = self.hidden(token_ids, state=state, prefix_lengths=prefix_lengths)[:, -1]
        return self.unembedding(last).float().log_softmax(dim=-1), state

    @torch.no_grad()
    def attention_weights(
        self,
        token_ids: Tensor,
        *,
        document_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
        prefix_lengths: Tensor | None = None,
    ) -> Tensor:
        """Return how much each position reads of each other, in every layer and head.

        Args:
            token_ids: (B, T) int64.
            document_ids: as in ``forward``.
            is_padding: as in ``forward``.
            prefix_lengths: as in ``hidden``.

        Returns:
            (L, B, H, T, T): rows (queries) sum to 1.
        """
        return recorded_weights(
            self.blocks,
            lambda: self.hidden(token_ids, document_ids, is_padding, prefix_lengths=prefix_lengths),
        )

    def given_prefix(self, prefix: Tensor) -> GivenPrefix:
        """Return the language model of what follows a prefix (B, P): what ``generate`` takes.

        Example:
            ``generate(model.given_prefix(prefix), prefix.tolist(), max_new_tokens=50)``
        """
        return GivenPrefix(self, prefix)

    def _hidden(self, batch: Batch) -> Tensor:
        return self.hidden(
            batch.inputs,
            batch.document_ids,
            batch.is_padding,
            prefix_lengths=batch.prefix_lengths,
        )

    def _check_tokens(self, token_ids: Tensor, n_past: int) -> None:
        if token_ids.ndim != 2:
            raise ValueError(f"token_ids must be (B, T), got shape {tuple(token_ids.shape)}")
        n_tokens = n_past + token_ids.shape[1]
        if n_tokens > self.config.context_length:
            raise ValueError(
                f"{n_tokens} tokens are more than context_length={self.config.context_length}: "
                "shorten the text or make a model with a longer context"
            )

    def _mask(
        self,
        token_ids: Tensor,
        n_past: int,
        document_ids: Tensor | None,
        is_padding: Tensor | None,
        prefix_lengths: Tensor | None,
    ) -> Tensor | MaskRule | None:
        """Return who may read whom, or ``None`` for the plain causal triangle."""
        if prefix_lengths is not None and n_past:
            raise ValueError("a prefix is read at once, as the first tokens of a text")
        for name, x in (("document_ids", document_ids), ("is_padding", is_padding)):
            if x is not None and x.shape != token_ids.shape:
                raise ValueError(
                    f"{name} {tuple(x.shape)} must have the shape of token_ids "
                    f"{tuple(token_ids.shape)}"
                )
        if document_ids is not None and bool((document_ids == document_ids[:, :1]).all()):
            document_ids = None  # one document a row: the fused causal kernel can do it
        is_rule = n_past == 0 and is_padding is None and prefix_lengths is None
        if document_ids is not None and is_rule and self._is_flex():
            return MaskRule(is_causal=True, document_ids=document_ids)  # compiled, not looked up
        restrictions = combine_masks(
            None if document_ids is None else document_mask(document_ids),
            None if is_padding is None else padding_mask(is_padding),
        )
        n_new = token_ids.shape[1]
        if prefix_lengths is not None:
            return combine_masks(prefix_mask(prefix_lengths, n_new), restrictions)
        if restrictions is None and (n_past == 0 or n_new == 1):
            return None  # no past: is_causal says it; one new token reads everything
        return combine_masks(
            causal_mask(n_new, n_past=n_past, device=token_ids.device), restrictions
        )

    def _is_flex(self) -> bool:
        """Tell whether all attention is FlexAttention; a part may have been put in its place."""
        attentions = [cast(TransformerBlock, block).attention for block in self.blocks]
        return {getattr(attention, "backend", None) for attention in attentions} == {"flex"}


class GivenPrefix(LanguageModel):
    """A decoder with the prefixes that it reads in both directions: what prefix training makes.

    What follows the prefix is read and written causally. The prefix must stay in the window:
    when ``generate`` has to slide it, the text is too long for this model.
    """

    def __init__(self, model: Decoder, prefix: Tensor) -> None:
        super().__init__()
        self.config, self.context_length = model.config, model.context_length
        self.model, self.prefix = model, prefix

    def next_log_probs(
        self, token_ids: Tensor, state: list[KVCache] | None = None
    ) -> tuple[Tensor, list[KVCache]]:
        """Return the distribution of the token that follows; see the base class.

        Raises:
            ValueError: if the first tokens are not the prefix.
        """
        if state is not None:
            return self.model.next_log_probs(token_ids, state)
        n_rows, n_prefix = self.prefix.shape
        if not torch.equal(token_ids[:, :n_prefix], self.prefix):
            raise ValueError(
                "the text must begin with the whole prefix: prefixes of one length, and text that "
                f"fits into context_length={self.context_length}"
            )
        lengths = torch.full((n_rows,), n_prefix, device=token_ids.device)
        return self.model.next_log_probs(token_ids, prefix_lengths=lengths)

    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of a batch that says its own prefixes."""
        return self.model.loss_sums(batch)

    def log_probs(self, batch: Batch) -> Tensor:
        """Return log p of each target of a batch that says its own prefixes."""
        return self.model.log_probs(batch)


def _position_embedding(config: DecoderConfig) -> nn.Module | None:
    """Build what is added to the token embeddings; rotary positions add nothing."""
    if config.positions == "learned":
        return LearnedPositions(config.context_length, config.d_model)
    return SinusoidalPositions(config.d_model) if config.positions == "sinusoidal" else None


def _positions(token_ids: Tensor, n_past: int, is_padding: Tensor | None) -> Tensor:
    """Count the positions from ``n_past`` on: (T,), or (B, T) where padding is skipped."""
    if is_padding is None:
        return torch.arange(n_past, n_past + token_ids.shape[1], device=token_ids.device)
    return ((~is_padding).cumsum(dim=1) - 1).clamp(min=0)  # left padding shifts nothing
