"""A stack of Transformer blocks: the encoder or the decoder of an encoder–decoder.

Dimension key: B sequences, S source positions, T target positions, C d_model, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minillm.attention import AttentionBackend
from minillm.blocks import TransformerBlock
from minillm.config import EncoderDecoderConfig
from minillm.kv_cache import KVCache
from minillm.masking import causal_mask
from minillm.norms import make_norm
from minillm.positions import RelativeBias


@dataclass(slots=True)
class DecoderState:
    """What writing remembers: the encoded source, and the keys and values of both attentions."""

    source: Tensor  # (B, S, C)
    source_mask: Tensor | None  # (B, 1, 1, S) bool
    caches: list[KVCache]  # of the target, one for each layer
    source_caches: list[KVCache]  # of the source, filled by the first step


class Stack(nn.Module):
    """The blocks of the encoder or of the decoder, with the bias that all of them share."""

    def __init__(
        self, config: EncoderDecoderConfig, *, is_decoder: bool, backend: AttentionBackend
    ) -> None:
        super().__init__()
        self.is_decoder = is_decoder
        self.blocks = nn.ModuleList(
            TransformerBlock(
                config,
                reads_source=is_decoder,
                attention_scale=config.attention_scale,
                backend=backend,
            )
            for _ in range(config.decoder_layers if is_decoder else config.n_layers)
        )
        self.relative_bias = None
        if config.positions == "relative":
            self.relative_bias = RelativeBias(
                config.n_heads,
                n_buckets=config.n_buckets,
                max_distance=config.max_distance,
                is_bidirectional=not is_decoder,
            )
        self.final_norm = (
            make_norm(config.norm, config.d_model, eps=config.norm_eps)
            if config.norm_position == "pre"
            else nn.Identity()  # the last block has normalized
        )

    def forward(
        self,
        x: Tensor,
        *,
        source: Tensor | None = None,
        source_mask: Tensor | None = None,
        state: DecoderState | None = None,
    ) -> Tensor:
        """Pass ``x`` (B, T, C) through all blocks.

        Args:
            x: embedded tokens; with a state those after the ones it has read.
            source: (B, S, C), read by a decoder.
            source_mask: (B, 1, 1, S) bool, True at text: of the source for a decoder, of ``x``
                itself for an encoder.
            state: to which a decoder adds keys and values.
        """
        n_past = 0 if state is None else state.caches[0].length
        mask, bias = self._mask_and_bias(x, n_past)
        for layer, block in enumerate(self.blocks):
            if not self.is_decoder:
                x = block(x, mask=source_mask, bias=bias)
                continue
            x = block(
                x,
                mask=mask,
                is_causal=bias is None and n_past == 0,
                bias=bias,
                cache=None if state is None else state.caches[layer],
                source=source,
                source_mask=source_mask,
                source_cache=None if state is None else state.source_caches[layer],
            )
        return self.final_norm(x)

    def _mask_and_bias(self, x: Tensor, n_past: int) -> tuple[Tensor | None, Tensor | None]:
        """Return what hides the future, ``None`` where ``is_causal`` says it, and the bias."""
        n_new, device, bias = x.shape[1], x.device, None
        if self.relative_bias is not None:
            positions = torch.arange(n_past + n_new, device=device)
            bias = self.relative_bias(positions[n_past:], positions)
        needs_mask = self.is_decoder and n_new > 1 and (n_past > 0 or bias is not None)
        return causal_mask(n_new, n_past=n_past, device=device) if needs_mask else None, bias
