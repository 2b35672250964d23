"""What a decoder costs, predicted from its configuration alone: parameters, FLOPs, memory.

Every number is exact and tested against the model itself.
Dimension key: B sequences, T positions, N = B T, C d_model, F d_ff, V vocabulary, H heads, D
head_dim, L layers.
"""

from typing import Literal, NamedTuple

from minillm.attention import AttentionBackend
from minillm.config import DecoderConfig

_FLOAT_BYTES, _ID_BYTES = 4, 8  # float32 and int64
_N_MOMENTS = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}  # kept for each parameter
# (N, F) tensors that the feed-forward layer keeps for its gradient: a ReLU only its result, a GELU
# its input too, the squared ReLU its root, SwiGLU the gate before and after, what it gates, and the
# product.
_N_INNER = {"relu": 1, "gelu": 2, "gelu_tanh": 2, "relu_squared": 2, "swiglu": 4}


class Flops(NamedTuple):
    """Floating-point operations of the matrix products, two for each multiply-add."""

    forward: int
    training_step: int  # forward and backward


class MemoryBytes(NamedTuple):
    """The parts of what a training step in float32 holds, in bytes."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """Sum of the four."""
        return sum(self)


def count_parameters(config: DecoderConfig) -> int:
    """Count the trained numbers of a decoder; a tied matrix counts once.

    Args:
        config: the architecture.

    Example:
        >>> count_parameters(DecoderConfig.gpt(     # GPT-2 small
        ...     vocab_size=50257, context_length=1024, d_model=768, n_layers=12, n_heads=12))
        124439808
    """
    c, f, v = config.d_model, config.hidden_width, config.vocab_size
    bias = int(config.use_bias)
    kv_width = config.kv_heads * config.head_dim
    attention = 2 * c * (c + bias) + 2 * kv_width * (c + bias)
    n_up = 2 if config.feed_forward == "swiglu" else 1
    feed_forward = n_up * f * (c + bias) + c * (f + bias)
    norm = c * (2 if config.norm == "layer_norm" else 1)
    n_norms = 2 * config.n_layers + (config.norm_position == "pre")
    embeddings = v * c * (1 if config.tie_embeddings else 2)
    positions = config.context_length * c if config.positions == "learned" else 0
    blocks = config.n_layers * (attention + feed_forward)
    return embeddings + positions + blocks + n_norms * norm


def count_flops(config: DecoderConfig, *, batch_size: int, n_tokens: int) -> Flops:
    """Count the FLOPs of a forward pass and of a training step.

    Matrix products only, two for each multiply-add; norms, activations and the softmax, a few
    percent in models of useful size, are left out. Attention is counted as the whole T × T
    matrix, as the reference backend computes it; a causal kernel may skip half. The backward
    pass of a product is two products of the same size, hence training = 3 × forward. The
    usual 6 · parameters · tokens (Kaplan et al. 2020, §2.1, arXiv:2001.08361) leaves out the
    attention and the embeddings.

    Args:
        config: the architecture.
        batch_size: B.
        n_tokens: T, all of them scored in training.

    Raises:
        ValueError: if T exceeds ``context_length``.

    Example:
        >>> config = DecoderConfig.gpt(vocab_size=11, d_model=8, n_layers=1, n_heads=2)
        >>> count_flops(config, batch_size=1, n_tokens=3)
        Flops(forward=5424, training_step=16272)
    """
    _check_length(config, n_tokens)
    c, n = config.d_model, batch_size * n_tokens
    kv_width = config.kv_heads * config.head_dim
    n_matrices = 3 if config.feed_forward == "swiglu" else 2
    weights = 2 * c * c + 2 * c * kv_width + n_matrices * c * config.hidden_width
    attention = 2 * n_tokens * c  # scores and mixing, for each query
    per_token = config.n_layers * (weights + attention) + c * config.vocab_size
    return Flops(2 * n * per_token, 3 * 2 * n * per_token)


def count_memory(
    config: DecoderConfig,
    *,
    batch_size: int,
    n_tokens: int,
    optimizer: Literal["sgd", "momentum", "adam", "adamw"] = "adamw",
    backend: AttentionBackend = "sdpa",
) -> MemoryBytes:
    """Count the bytes of weights, gradients, optimizer and activations, in float32.

    Activations are what autograd saves between forward and backward, for B rows of T tokens,
    all scored, without padding, documents or dropout. Beside them the fused loss holds its
    chunk of logits and the (N, C) gradient that it took already; its (V, C) gradient is
    among the gradients. An optimizer's step counters, a few bytes each, are left out.

    Args:
        config: the architecture.
        batch_size: B.
        n_tokens: T.
        optimizer: as in ``minillm.optim.make_optimizer``.
        backend: ``"reference"`` keeps the (B, H, T, T) weights, ``"sdpa"`` one number a row.

    Raises:
        ValueError: if T exceeds ``context_length``.

    Example:
        >>> config = DecoderConfig.gpt(vocab_size=11, d_model=8, n_layers=1, n_heads=2)
        >>> count_memory(config, batch_size=1, n_tokens=3)
        MemoryBytes(weights=12096, gradients=12096, optimizer=24192, activations=1896)
    """
    _check_length(config, n_tokens)
    weights = _FLOAT_BYTES * count_parameters(config)
    activations = _activation_bytes(config, batch_size, n_tokens, backend)
    return MemoryBytes(weights, weights, _N_MOMENTS[optimizer] * weights, activations)


def _activation_bytes(config: DecoderConfig, batch_size: int, n_tokens: int, backend: str) -> int:
    """Add up what every layer saves; (N, C) is ``stream``, the size of the residual stream."""
    n = batch_size * n_tokens
    stream = n * config.d_model
    # Input (RMSNorm also keeps it scaled), statistics, and the output, which a linear layer reads.
    norm = 2 * stream + 2 * n if config.norm == "layer_norm" else 3 * stream + n
    if backend == "reference":  # query, key and value of each head, and all weights
        attention = 3 * stream + n * config.n_heads * n_tokens
    else:  # query, keys and values, the softmax's denominators
        attention = stream + 2 * n * config.kv_heads * config.head_dim + n * config.n_heads
        if config.positions == "rotary":  # keeps the order of its rotated query: one more copy
            attention += stream
    attention += stream  # the mixed values, which the output layer reads
    inner = _N_INNER[config.feed_forward] * n * config.hidden_width
    floats = config.n_layers * (2 * norm + attention + inner)
    floats += (
        norm if config.norm_position == "pre" else stream
    )  # the final norm, or the first input
    other = _ID_BYTES * 2 * n  # token ids and targets
    if config.positions == "learned":
        other += _ID_BYTES * n_tokens
    elif config.positions == "rotary":
        floats += n_tokens * config.head_dim  # cosines and sines, shared by all layers
    if backend == "reference":
        other += config.n_layers * n_tokens**2  # each layer's causal mask, a byte a cell
    return _FLOAT_BYTES * floats + other


def _check_length(config: DecoderConfig, n_tokens: int) -> None:
    """Refuse a text that the model could not read."""
    if n_tokens > config.context_length:
        raise ValueError(f"n_tokens={n_tokens} is more than context_length={config.context_length}")
