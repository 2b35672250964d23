import pytest
import torch
from torch import nn

from minillm.blocks import SelfAttention, TransformerBlock
from minillm.config import DecoderConfig
from minillm.errors import ConfigError
from minillm.feed_forward import SwiGLU
from minillm.kv_cache import KVCache
from minillm.masking import causal_mask
from minillm.norms import RMSNorm
from minillm.positions import make_rotation

B, T, H, D = 2, 7, 3, 4
C = H * D


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def x(generator):
    return torch.randn(B, T, C, generator=generator, dtype=torch.float64)


def randomized(module, generator):
    """Draw every weight, biases and norms included, so that none can be left out unseen."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=0.1, std=0.5, generator=generator)
    return module.double().eval()


def make_block(generator, **changes):
    config = DecoderConfig(vocab_size=5, d_model=C, n_heads=H, d_ff=17, **changes)
    return randomized(TransformerBlock(config), generator)


def copy_attention(ours, peer):
    """Put the weights of a SelfAttention into nn.MultiheadAttention."""
    with torch.no_grad():
        peer.in_proj_weight.copy_(
            torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        )
        peer.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
    peer.out_proj.load_state_dict(ours.output.state_dict())


def loop_self_attention(layer, x, *, rotated_positions=None):
    """Causal attention of one sequence, one head and one query at a time, for (T, C)."""
    query, key, value = layer.query(x), layer.key(x), layer.value(x)
    n_heads, n_kv_heads = query.shape[-1] // D, key.shape[-1] // D
    out = torch.zeros_like(query)
    for h in range(n_heads):
        g = h * n_kv_heads // n_heads
        q, k, v = (part[:, i * D : (i + 1) * D] for part, i in ((query, h), (key, g), (value, g)))
        if rotated_positions is not None:
            q, k = (turn(part, rotated_positions) for part in (q, k))
        for t in range(len(x)):
            weights = torch.softmax(k[: t + 1] @ q[t] / D**0.5, dim=0)
            out[t, h * D : (h + 1) * D] = weights @ v[: t + 1]
    return layer.output(out)


def turn(x, positions):
    """Rotate (T, D) as complex numbers: first half real, second half imaginary."""
    half = x.shape[-1] // 2
    speeds = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    turned = torch.complex(x[:, :half], x[:, half:]) * torch.exp(1j * positions[:, None] * speeds)
    return torch.cat([turned.real, turned.imag], dim=-1)


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_self_attention_equals_torch(x, generator, backend):
    ours = randomized(SelfAttention(C, n_heads=H, backend=backend), generator)
    peer = nn.MultiheadAttention(C, H, batch_first=True, dtype=torch.float64)
    copy_attention(ours, peer)
    expected, weights = peer(x, x, x, attn_mask=~causal_mask(T), average_attn_weights=False)
    torch.testing.assert_close(ours(x, is_causal=True), expected)
    torch.testing.assert_close(ours(x, mask=causal_mask(T)), expected)
    torch.testing.assert_close(ours.weights(x, is_causal=True), weights)


@pytest.mark.parametrize("n_kv_heads", [1, 2, 6])
@pytest.mark.parametrize("rotary", [False, True])
def test_self_attention_equals_a_slow_loop(generator, n_kv_heads, rotary):
    layer = randomized(SelfAttention(6 * D, n_heads=6, n_kv_heads=n_kv_heads), generator)
    x = torch.randn(B, T, 6 * D, generator=generator, dtype=torch.float64)
    positions = torch.arange(3, 3 + T)
    rotation = make_rotation(positions, head_dim=D) if rotary else None
    out = layer(x, is_causal=True, rotation=rotation)
    for b in range(B):
        expected = loop_self_attention(layer, x[b], rotated_positions=positions if rotary else None)
        torch.testing.assert_close(out[b], expected, atol=1e-5, rtol=1e-5)  # float32 angles


@pytest.mark.parametrize("norm_position", ["pre", "post"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_block_equals_torch_encoder_layer(x, generator, norm_position, activation):
    block = make_block(generator, norm_position=norm_position, feed_forward=activation)
    peer = nn.TransformerEncoderLayer(
        C,
        H,
        17,
        dropout=0.0,
        activation=activation,
        batch_first=True,
        norm_first=norm_position == "pre",
        dtype=torch.float64,
    )
    copy_attention(block.attention, peer.self_attn)
    for ours, theirs in (
        (block.attention_norm, peer.norm1),
        (block.feed_forward_norm, peer.norm2),
        (block.feed_forward.up, peer.linear1),
        (block.feed_forward.down, peer.linear2),
    ):
        theirs.load_state_dict(ours.state_dict())
    expected = peer(x, src_mask=~causal_mask(T))
    torch.testing.assert_close(block(x, is_causal=True), expected)


def test_llama_block_equals_its_parts_by_hand(x, generator):
    block = make_block(
        generator, norm="rms_norm", feed_forward="swiglu", use_bias=False, norm_eps=0.1
    )
    assert isinstance(block.feed_forward, SwiGLU)
    assert isinstance(block.attention_norm, RMSNorm)
    assert not any(name.endswith("bias") for name, _ in block.named_parameters())
    out = block(x, is_causal=True, rotation=make_rotation(torch.arange(T), head_dim=D))

    def norm(v, weight):
        return v * (v.square().sum(dim=-1, keepdim=True) / C + 0.1).rsqrt() * weight

    for b in range(B):
        inside = norm(x[b], block.attention_norm.weight)
        mixed = loop_self_attention(block.attention, inside, rotated_positions=torch.arange(T))
        middle = x[b] + mixed
        inside = norm(middle, block.feed_forward_norm.weight)
        gate, up, down = (
            getattr(block.feed_forward, name).weight for name in ("gate", "up", "down")
        )
        gated = (inside @ gate.T) * torch.sigmoid(inside @ gate.T) * (inside @ up.T)
        torch.testing.assert_close(out[b], middle + gated @ down.T, atol=1e-4, rtol=1e-4)


def with_zeroed_branches(block):
    for layer in (block.attention.output, block.feed_forward.down):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return block


def test_a_pre_norm_block_whose_branches_are_zero_is_the_identity(x, generator):
    block = with_zeroed_branches(make_block(generator))
    assert torch.equal(block(x, is_causal=True), x)


def test_a_post_norm_block_whose_branches_are_zero_normalizes_twice(x, generator):
    block = with_zeroed_branches(make_block(generator, norm_position="post"))
    first, second = block.attention_norm, block.feed_forward_norm
    expected = nn.functional.layer_norm(x, (C,), first.weight, first.bias)
    expected = nn.functional.layer_norm(expected, (C,), second.weight, second.bias)
    torch.testing.assert_close(block(x, is_causal=True), expected)


def test_block_parameter_count_is_the_formula():
    def count(**changes):
        config = DecoderConfig(vocab_size=5, d_model=C, n_heads=H, d_ff=17, **changes)
        return sum(p.numel() for p in TransformerBlock(config).parameters())

    assert count() == 4 * (C * C + C) + (C * 17 + 17) + (17 * C + C) + 2 * 2 * C
    assert (
        count(n_kv_heads=1, norm="rms_norm", feed_forward="swiglu", use_bias=False)
        == 2 * C * C + 2 * C * D + 3 * C * 17 + 2 * C
    )


@pytest.mark.parametrize("norm_position", ["pre", "post"])
@pytest.mark.parametrize("place", ["weights", "attention", "feed_forward"])
def test_dropout_acts_in_training_only(x, generator, place, norm_position):
    block = make_block(generator, dropout=0.5, norm_position=norm_position)
    if place == "weights":
        block.dropout.p = 0.0
    else:  # the other branch adds nothing
        block.attention.dropout = 0.0
        other = block.feed_forward.down if place == "attention" else block.attention.output
        nn.init.zeros_(other.weight)
        nn.init.zeros_(other.bias)
    still = block(x, is_causal=True)
    assert torch.equal(block(x, is_causal=True), still)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert not torch.allclose(block.train()(x, is_causal=True), still)


def test_cache_returns_what_was_appended(generator):
    cache = KVCache(capacity=11)
    key, value = torch.randn(2, B, H, 11, D, generator=generator)
    for start, stop in ((0, 3), (3, 4), (4, 4), (4, 11)):
        keys, values = cache.append(key[:, :, start:stop], value[:, :, start:stop])
        assert cache.length == stop
        assert torch.equal(keys, key[:, :, :stop])
        assert torch.equal(values, value[:, :, :stop])


def test_cache_copies_nothing_when_it_grows(generator):
    cache = KVCache(capacity=5)
    first = cache.append(*torch.randn(2, B, H, 2, D, generator=generator))
    second = cache.append(*torch.randn(2, B, H, 2, D, generator=generator))
    assert [x.data_ptr() for x in first] == [x.data_ptr() for x in second]


def test_cache_refuses_and_stays_as_it_was(generator):
    cache = KVCache(capacity=5)
    key = torch.randn(B, H, 4, D, generator=generator)
    keys, _ = cache.append(key, key)
    with pytest.raises(ValueError, match="holds 5 positions, 6 were asked for"):
        cache.append(key[:, :, :2], key[:, :, :2])
    with pytest.raises(ValueError, match="holds 2 sequences, the new keys 1"):
        cache.append(key[:1, :, :1], key[:1, :, :1])
    assert cache.length == 4
    assert torch.equal(keys, key)


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({"n_heads": 5}, "n_heads=5 must divide d_model=12"),
        ({"n_heads": 6, "n_kv_heads": 4}, "n_kv_heads=4 must divide n_heads=6"),
    ],
)
def test_heads_must_divide_row39(heads, message):
    with pytest.raises(ConfigError, match=message):
        SelfAttention(C, **heads)
    with pytest.raises(ConfigError, match=message):
        DecoderConfig(vocab_size=5, d_model=C, **heads)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm_position": "middle"}, "norm_position must be pre or post, got 'middle'"),
        ({"positions": "magic"}, "positions must be learned or sinusoidal or rotary, got 'magic'"),
        ({"positions": "sinusoidal", "d_model": 9}, "need an even d_model, got 9"),
    ],
)
def test_unknown_parts_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        DecoderConfig(**{"vocab_size": 5, "d_model": C, "n_heads": H, **changes})


def test_wrong_masks_are_refused_row39(x, generator):
    block = make_block(generator)
    with pytest.raises(ValueError, match=r"mask \(6, 6\) does not broadcast"):
        block(x, mask=causal_mask(6))
    with pytest.raises(ValueError, match="must be boolean"):
        block(x, mask=causal_mask(T).double())
    with pytest.raises(ValueError, match="got 'flash'"):
        SelfAttention(C, n_heads=H, backend="flash")
