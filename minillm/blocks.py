"""The Transformer block: positions exchange information, then each computes alone.

Dimension key: B sequences, T positions, S keys, C d_model, H heads, D head_dim.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from minillm.attention import AttentionBackend, attention, attention_weights, check_backend
from minillm.config import DecoderConfig, EncoderConfig, EncoderDecoderConfig
from minillm.errors import ConfigError
from minillm.feed_forward import make_feed_forward
from minillm.kv_cache import KVCache
from minillm.linear import Linear
from minillm.masking import MaskRule
from minillm.norms import make_norm
from minillm.positions import Rotation, rotate


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself.

    Vaswani et al. 2017 (§3.2.2, arXiv:1706.03762): each head has its own projections to
    queries, keys and values, and ``output`` mixes the heads' answers. With fewer key/value
    heads than query heads, neighbors share one (grouped queries, arXiv:2305.13245).

    Example:
        >>> import torch
        >>> SelfAttention(8, n_heads=2)(torch.zeros(1, 3, 8), is_causal=True).shape
        torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        *,
        n_heads: int,
        n_kv_heads: int | None = None,
        head_dim: int | None = None,
        use_bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
        backend: AttentionBackend = "sdpa",
    ) -> None:
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if head_dim is None and d_model % n_heads:
            raise ConfigError(f"n_heads={n_heads} must divide d_model={d_model}")
        if n_heads % n_kv_heads:
            raise ConfigError(f"n_kv_heads={n_kv_heads} must divide n_heads={n_heads}")
        check_backend(backend)
        self.head_dim = d_model // n_heads if head_dim is None else head_dim
        self.scale = scale  # of the scores; None: 1 / sqrt(head_dim)
        self.dropout = dropout
        self.backend: AttentionBackend = backend
        self.query = Linear(d_model, n_heads * self.head_dim, bias=use_bias)
        self.key = Linear(d_model, n_kv_heads * self.head_dim, bias=use_bias)
        self.value = Linear(d_model, n_kv_heads * self.head_dim, bias=use_bias)
        self.output = Linear(n_heads * self.head_dim, d_model, bias=use_bias)

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | MaskRule | None = None,
        is_causal: bool = False,
        bias: Tensor | None = None,
        rotation: Rotation | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Let every position read the positions that it may see.

        Args:
            x: (B, T, C) float.
            mask: bool, broadcastable to (B, H, T, S). True means "may attend".
            is_causal: position t reads positions <= t only; excludes ``mask``.
            bias: float, broadcastable to (B, H, T, S), added to the scores.
            rotation: rotary angles of the T positions, if the model uses them.
            cache: earlier keys and values; the new ones are appended, and S counts both.

        Returns:
            (B, T, C).
        """
        query, key = self._query_and_key(x, rotation)
        value = self._split_heads(self.value(x))
        if cache is not None:
            key, value = cache.append(key, value)
        return self._mixed(query, key, value, mask=mask, is_causal=is_causal, bias=bias)

    def weights(
        self,
        x: Tensor,
        *,
        mask: Tensor | MaskRule | None = None,
        is_causal: bool = False,
        bias: Tensor | None = None,
        rotation: Rotation | None = None,
        cache: None = None,
    ) -> Tensor:
        """Return the (B, H, T, T) weights that ``forward`` uses on the same arguments."""
        if cache is not None:
            raise ValueError("weights are shown for a whole sequence, without a cache")
        query, key = self._query_and_key(x, rotation)
        return attention_weights(
            query, key, mask=mask, is_causal=is_causal, bias=bias, scale=self.scale
        )

    def _mixed(self, query: Tensor, key: Tensor, value: Tensor, **options) -> Tensor:
        """Attend with the layer's settings and mix the heads' answers: (B, T, C)."""
        mixed = attention(
            query,
            key,
            value,
            scale=self.scale,
            dropout=self.dropout if self.training else 0.0,
            backend=self.backend,
            **options,
        )
        return self.output(rearrange(mixed, "b h t d -> b t (h d)"))

    def _query_and_key(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor]:
        """Project ``x`` to queries and keys (B, H, T, D), turned by their positions."""
        query, key = self._split_heads(self.query(x)), self._split_heads(self.key(x))
        if rotation is None:
            return query, key
        return rotate(query, rotation), rotate(key, rotation)

    def _split_heads(self, x: Tensor) -> Tensor:
        # Not einops: three times a layer and token, its 4 µs are 3 % of generating.
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)


class CrossAttention(SelfAttention):
    """Multi-head attention of a target to a source: queries from the one, keys from the other.

    Vaswani et al. 2017 (§3.2.3, arXiv:1706.03762): every position of the decoder may read every
    position of the encoder's output; nothing is causal, and positions play no part.

    Example:
        >>> import torch
        >>> CrossAttention(8, n_heads=2)(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8)).shape
        torch.Size([1, 3, 8])
    """

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Tensor,
        source: Tensor,
        *,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Let every position of ``x`` read the source.

        Args:
            x: (B, T, C) float, of the target.
            source: (B, S, C) float, the encoder's output.
            mask: bool, broadcastable to (B, H, T, S). True means "may attend".
            cache: keeps the keys and values of the source, which are computed only once.

        Returns:
            (B, T, C).
        """
        query = self._split_heads(self.query(x))
        if cache is not None and cache.length:
            key, value = cache.stored()
        else:
            key, value = self._split_heads(self.key(source)), self._split_heads(self.value(source))
            if cache is not None:
                key, value = cache.append(key, value)
        return self._mixed(query, key, value, mask=mask)

    def weights(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, source: Tensor, *, mask: Tensor | None = None, cache: KVCache | None = None
    ) -> Tensor:
        """Return the (B, H, T, S) weights that ``forward`` uses on the same arguments."""
        query, key = self._split_heads(self.query(x)), self._split_heads(self.key(source))
        return attention_weights(query, key, mask=mask, scale=self.scale)


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward layer, each added to the residual stream.

    A block that ``reads_source`` (of an encoder–decoder's decoder) has cross-attention between
    the two, added in the same way.

    Pre-norm: ``x += attention(norm(x))``, then ``x += feed_forward(norm(x))`` (GPT-2; Xiong et
    al. 2020, arXiv:2002.04745). It leaves a path of pure additions from the embeddings to the
    loss, which trains without a careful warmup; the sum grows, so a final norm must follow the
    last block. Post-norm: ``x = norm(x + attention(x))`` and likewise, as Vaswani et al. 2017
    and BERT; each norm shortens the gradient on its way down, and no final norm follows.

    Example:
        >>> import torch
        >>> block = TransformerBlock(DecoderConfig.llama(vocab_size=5, d_model=8, n_heads=2))
        >>> block(torch.zeros(1, 3, 8), is_causal=True).shape
        torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        config: DecoderConfig | EncoderConfig | EncoderDecoderConfig,
        *,
        reads_source: bool = False,
        attention_scale: float | None = None,
        backend: AttentionBackend = "sdpa",
    ) -> None:
        super().__init__()

        def norm() -> nn.Module:
            return make_norm(config.norm, config.d_model, eps=config.norm_eps)

        settings: dict[str, Any] = {
            "n_heads": config.n_heads,
            "n_kv_heads": config.kv_heads,
            "head_dim": config.head_dim,
            "use_bias": config.use_bias,
            "scale": attention_scale,
            "dropout": config.dropout,
            "backend": backend,
        }
        self.is_pre_norm = config.norm_position == "pre"
        self.attention_norm = norm()
        self.attention = SelfAttention(config.d_model, **settings)
        if reads_source:  # the blocks of an encoder–decoder's decoder
            self.cross_attention_norm = norm()
            self.cross_attention = CrossAttention(config.d_model, **settings)
        self.reads_source = reads_source
        self.feed_forward_norm = norm()
        self.feed_forward = make_feed_forward(
            config.feed_forward, config.d_model, config.hidden_width, use_bias=config.use_bias
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(  # noqa: PLR0913 (all that its three branches need)
        self,
        x: Tensor,
        *,
        mask: Tensor | MaskRule | None = None,
        is_causal: bool = False,
        bias: Tensor | None = None,
        rotation: Rotation | None = None,
        cache: KVCache | None = None,
        source: Tensor | None = None,
        source_mask: Tensor | None = None,
        source_cache: KVCache | None = None,
    ) -> Tensor:
        """Return ``x`` (B, T, C) after all branches.

        Args:
            x: (B, T, C) float.
            mask: of the self-attention, as all arguments up to ``cache``; see ``SelfAttention``.
            is_causal: see there.
            bias: see there.
            rotation: see there.
            cache: see there.
            source: (B, S, C) float, for a block that reads one; see ``CrossAttention``.
            source_mask: bool, broadcastable to (B, H, T, S), True where the source may be read.
            source_cache: keys and values of the source.
        """
        options = {
            "mask": mask, "is_causal": is_causal, "bias": bias, "rotation": rotation, "cache": cache
        }  # fmt: skip
        reading = {"source": source, "mask": source_mask, "cache": source_cache}
        if self.is_pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), **options))
            if self.reads_source:
                x = x + self.dropout(self.cross_attention(self.cross_attention_norm(x), **reading))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attention(x, **options)))
        if self.reads_source:
            x = self.cross_attention_norm(x + self.dropout(self.cross_attention(x, **reading)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


def recorded_weights(
    blocks: Iterable[nn.Module], run: Callable[[], object], *, layer: str = "attention"
) -> Tensor:
    """Return the attention weights of every block while ``run`` calls the model.

    A hook shows each attention layer its own arguments again, so that the picture cannot differ
    from what the forward pass does.

    Args:
        blocks: a model's Transformer blocks, L of them.
        run: calls the model once.
        layer: of each block: ``"attention"`` or ``"cross_attention"``.

    Returns:
        (L, B, H, T, S): rows (queries) sum to 1.
    """
    weights: list[Tensor] = []

    def record(module, arguments, options) -> None:
        weights.append(module.weights(*arguments, **options))

    handles = [
        getattr(block, layer).register_forward_pre_hook(record, with_kwargs=True)
        for block in blocks
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(weights)
