"""The Transformer block: positions exchange information, then each computes alone.

Dimension key: B sequences, T positions, S keys, C d_model, H heads, D head_dim.
"""

from collections.abc import Callable, Iterable
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn

from minillm.attention import AttentionBackend, attention, attention_weights, check_backend
from minillm.config import DecoderConfig, EncoderConfig
from minillm.errors import ConfigError
from minillm.feed_forward import make_feed_forward
from minillm.linear import Linear
from minillm.norms import make_norm
from minillm.positions import Rotation, rotate


class KVCache:
    """Keys and values of the positions that one layer has already read.

    Preallocated: a step writes its own rows and copies nothing else. Keys are stored after
    their rotation, so that positions never have to be applied again.

    Example:
        >>> import torch
        >>> cache = KVCache(capacity=8)
        >>> keys, values = cache.append(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4))
        >>> cache.length, keys.shape
        (3, torch.Size([1, 2, 3, 4]))
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._keys: Tensor | None = None  # made by the first append, in its dtype and device
        self._values: Tensor | None = None

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new positions and return all of them.

        Args:
            key: (B, H, T, D).
            value: (B, H, T, D).

        Returns:
            The (B, H, S, D) keys and values of all S positions so far, views of the store.

        Raises:
            ValueError: if the capacity is exceeded or the batch differs from the stored one.
        """
        start, stop = self.length, self.length + key.shape[2]
        if stop > self.capacity:
            raise ValueError(f"the cache holds {self.capacity} positions, {stop} were asked for")
        if self._keys is None or self._values is None:
            shape = (*key.shape[:2], self.capacity, key.shape[3])
            self._keys, self._values = key.new_empty(shape), value.new_empty(shape)
        if self._keys.shape[0] != key.shape[0]:
            raise ValueError(
                f"the cache holds {self._keys.shape[0]} sequences, the new keys {key.shape[0]}"
            )
        self._keys[:, :, start:stop] = key
        self._values[:, :, start:stop] = value
        self.length = stop
        return self._keys[:, :, :stop], self._values[:, :, :stop]


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
        use_bias: bool = True,
        dropout: float = 0.0,
        backend: AttentionBackend = "sdpa",
    ) -> None:
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if d_model % n_heads:
            raise ConfigError(f"n_heads={n_heads} must divide d_model={d_model}")
        if n_heads % n_kv_heads:
            raise ConfigError(f"n_kv_heads={n_kv_heads} must divide n_heads={n_heads}")
        check_backend(backend)
        self.head_dim = d_model // n_heads
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
        mask: Tensor | None = None,
        is_causal: bool = False,
        rotation: Rotation | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Let every position read the positions that it may see.

        Args:
            x: (B, T, C) float.
            mask: bool, broadcastable to (B, H, T, S). True means "may attend".
            is_causal: position t reads positions <= t only; excludes ``mask``.
            rotation: rotary angles of the T positions, if the model uses them.
            cache: earlier keys and values; the new ones are appended, and S counts both.

        Returns:
            (B, T, C).
        """
        query, key = self._query_and_key(x, rotation)
        value = self._split_heads(self.value(x))
        if cache is not None:
            key, value = cache.append(key, value)
        mixed = attention(
            query,
            key,
            value,
            mask=mask,
            is_causal=is_causal,
            dropout=self.dropout if self.training else 0.0,
            backend=self.backend,
        )
        return self.output(rearrange(mixed, "b h t d -> b t (h d)"))

    def weights(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        is_causal: bool = False,
        rotation: Rotation | None = None,
        cache: None = None,
    ) -> Tensor:
        """Return the (B, H, T, T) weights that ``forward`` uses on the same arguments."""
        if cache is not None:
            raise ValueError("weights are shown for a whole sequence, without a cache")
        query, key = self._query_and_key(x, rotation)
        return attention_weights(query, key, mask=mask, is_causal=is_causal)

    def _query_and_key(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor]:
        """Project ``x`` to queries and keys (B, H, T, D), turned by their positions."""
        query, key = self._split_heads(self.query(x)), self._split_heads(self.key(x))
        if rotation is None:
            return query, key
        return rotate(query, rotation), rotate(key, rotation)

    def _split_heads(self, x: Tensor) -> Tensor:
        # Not einops: three times a layer and token, its 4 µs are 3 % of generating.
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward layer, each added to the residual stream.

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
        self, config: DecoderConfig | EncoderConfig, *, backend: AttentionBackend = "sdpa"
    ) -> None:
        super().__init__()
        self.is_pre_norm = config.norm_position == "pre"
        self.attention_norm = make_norm(config.norm, config.d_model, eps=config.norm_eps)
        self.attention = SelfAttention(
            config.d_model,
            n_heads=config.n_heads,
            n_kv_heads=config.kv_heads,
            use_bias=config.use_bias,
            dropout=config.dropout,
            backend=backend,
        )
        self.feed_forward_norm = make_norm(config.norm, config.d_model, eps=config.norm_eps)
        self.feed_forward = make_feed_forward(
            config.feed_forward, config.d_model, config.hidden_width, use_bias=config.use_bias
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        is_causal: bool = False,
        rotation: Rotation | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Return ``x`` (B, T, C) after both branches; arguments as in ``SelfAttention``."""
        options = {"mask": mask, "is_causal": is_causal, "rotation": rotation, "cache": cache}
        if self.is_pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), **options))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attention(x, **options)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


def recorded_weights(blocks: Iterable[nn.Module], run: Callable[[], object]) -> Tensor:
    """Return the attention weights of every block while ``run`` calls the model.

    A hook shows each attention layer its own arguments again, so that the picture cannot differ
    from what the forward pass does.

    Args:
        blocks: a model's Transformer blocks, L of them.
        run: calls the model once.

    Returns:
        (L, B, H, T, T): rows (queries) sum to 1.
    """
    weights: list[Tensor] = []

    def record(layer, arguments, options) -> None:
        weights.append(layer.weights(*arguments, **options))

    handles = [
        cast(TransformerBlock, block).attention.register_forward_pre_hook(record, with_kwargs=True)
        for block in blocks
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(weights)
