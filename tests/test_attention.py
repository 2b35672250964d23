import importlib.util
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minillm.attention import attention, attention_weights
from minillm.masking import causal_mask, combine_masks, padding_mask

HAS_TRITON = importlib.util.find_spec("triton") is not None
NO_TRITON = "triton is not installed (the extra [kernels], for Linux): its kernel is not tested"
TRITON = pytest.param("triton", marks=pytest.mark.skipif(not HAS_TRITON, reason=NO_TRITON))
BACKENDS = ["reference", "sdpa", TRITON]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 2e-2}
B, H, T, S, D = 2, 3, 7, 11, 5


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def qkv(generator):
    return torch.randn(3, B, H, T, D, generator=generator, dtype=torch.float64).unbind(0)


@pytest.fixture
def cross(generator):
    """Queries of T positions over keys of S: no axis can be taken for another."""
    query = torch.randn(B, H, T, D, generator=generator, dtype=torch.float64)
    key, value = torch.randn(2, B, H, S, D, generator=generator, dtype=torch.float64)
    return query, key, value


def random_mask(generator, *shape):
    mask = torch.rand(*shape, generator=generator) < 0.6
    mask[..., 0] = True  # every row reads something
    return mask


def loop_attention(query, key, value, *, mask=None, bias=None, scale=None):
    """Attend head by head, query by query, key by key, with Python's floats."""
    shape = (*query.shape[:3], key.shape[2])
    mask = torch.ones(shape, dtype=torch.bool) if mask is None else mask.expand(shape)
    bias = torch.zeros(shape) if bias is None else bias.expand(shape)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    group = query.shape[1] // key.shape[1]
    out = torch.zeros(*query.shape[:3], value.shape[-1], dtype=torch.float64)
    for b, h, t in torch.cartesian_prod(*map(torch.arange, query.shape[:3])).tolist():
        visible = [s for s in range(key.shape[2]) if mask[b, h, t, s]]
        scores = [
            float(query[b, h, t].double() @ key[b, h // group, s].double()) * scale
            + float(bias[b, h, t, s])
            for s in visible
        ]
        total = sum(math.exp(score) for score in scores)
        for s, score in zip(visible, scores, strict=True):
            out[b, h, t] += math.exp(score) / total * value[b, h // group, s].double()
    return out


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", ["full", "random", "per head", "bias", "bias and mask", "scale"])
def test_attention_equals_a_slow_loop(cross, generator, backend, dtype, kind):
    options = {}
    if "mask" in kind or kind == "random":
        options["mask"] = random_mask(generator, T, S)
    if kind == "per head":
        options["mask"] = random_mask(generator, B, H, T, S)
    if "bias" in kind:
        options["bias"] = torch.randn(1, H, T, S, generator=generator, dtype=torch.float64)
    if kind == "scale":
        options["scale"] = 0.3
    out = attention(*(x.to(dtype) for x in cross), backend=backend, **options)
    assert out.dtype == dtype
    expected = loop_attention(*cross, **options)
    torch.testing.assert_close(out.double(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "shape", [(S,), (1,), (T, 1), (1, S), (H, 1, S), (B, 1, 1, S), (B, 1, T, 1)]
)
def test_masks_broadcast(cross, generator, backend, shape):
    mask = random_mask(generator, *shape)
    expected = attention(*cross, mask=mask.expand(B, H, T, S).clone(), backend=backend)
    torch.testing.assert_close(attention(*cross, mask=mask, backend=backend), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_causal_attention_equals_a_slow_loop(qkv, backend):
    expected = loop_attention(*qkv, mask=torch.arange(T)[:, None] >= torch.arange(T))
    torch.testing.assert_close(attention(*qkv, mask=causal_mask(T), backend=backend), expected)
    torch.testing.assert_close(attention(*qkv, is_causal=True, backend=backend), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_heads_equal_torch_multihead_attention(generator, backend):
    peer = nn.MultiheadAttention(H * D, H, batch_first=True, dtype=torch.float64)
    nn.init.normal_(peer.in_proj_weight, generator=generator)
    nn.init.normal_(peer.out_proj.weight, generator=generator)
    x = torch.randn(B, T, H * D, generator=generator, dtype=torch.float64)
    projected = F.linear(x, peer.in_proj_weight, peer.in_proj_bias)
    heads = (part.view(B, T, H, D).transpose(1, 2) for part in projected.chunk(3, dim=-1))
    query, key, value = heads
    mixed = attention(query, key, value, is_causal=True, backend=backend)
    out = peer.out_proj(mixed.transpose(1, 2).reshape(B, T, H * D))
    expected, weights = peer(x, x, x, attn_mask=~causal_mask(T), average_attn_weights=False)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(attention_weights(query, key, is_causal=True), weights)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_those_of_the_function(cross, generator, backend):
    inputs = [x[:1, :1].clone().requires_grad_() for x in cross]
    mask = random_mask(generator, T, S)
    mask[2] = False
    bias = torch.randn(T, S, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda q, k, v, b: attention(q, k, v, mask=mask, bias=b, backend=backend), [*inputs, bias]
    )


def test_weights_are_a_distribution_over_the_visible_keys(cross, generator):
    query, key, value = cross
    mask = random_mask(generator, B, 1, T, S)
    weights = attention_weights(query, key, mask=mask)
    assert weights.shape == (B, H, T, S)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(B, H, T, dtype=torch.float64))
    assert torch.equal(weights > 0, mask.expand_as(weights))
    torch.testing.assert_close(attention(query, key, value, mask=mask), weights @ value)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("t", range(T))
def test_future_cannot_change_the_past(qkv, backend, t):
    query, key, value = (x.clone() for x in qkv)
    before = attention(query, key, value, is_causal=True, backend=backend)
    key[:, :, t + 1 :], value[:, :, t + 1 :] = 99.0, -99.0
    after = attention(query, key, value, is_causal=True, backend=backend)
    torch.testing.assert_close(after[:, :, : t + 1], before[:, :, : t + 1])
    if t < T - 1:  # negative control: the change must be visible from position t + 1 on
        assert not torch.isclose(after[:, :, t + 1], before[:, :, t + 1]).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_hidden_keys_have_no_weight_however_well_they_match_row38(qkv, backend):
    query, key, value = (x.clone() for x in qkv)
    mask = torch.ones(T, dtype=torch.bool)
    mask[4] = False
    expected = attention(query, key, value, mask=mask, backend=backend)
    key[:, :, 4] = query[:, :, 2] * 1e6  # a score far above 1e4: a finite fill would lose
    value[:, :, 4] = 1e10
    torch.testing.assert_close(attention(query, key, value, mask=mask, backend=backend), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n_kv_heads", [1, H])
@pytest.mark.parametrize("kind", ["padding", "padding and causal", "row of a matrix"])
def test_nan_at_padding_reaches_nobody_row38(qkv, backend, n_kv_heads, kind):
    query, key, value = (x.clone() for x in qkv)
    key, value = key[:, :n_kv_heads], value[:, :n_kv_heads]
    is_padding = torch.zeros(B, T, dtype=torch.bool)
    is_padding[1, 5:] = True
    if kind == "row of a matrix":  # (T, S), the same for every sequence
        is_padding = is_padding[1:].expand(B, T)
        mask = ~is_padding[:1].expand(T, T)
    else:
        mask = padding_mask(is_padding)
        mask = combine_masks(mask, causal_mask(T)) if "causal" in kind else mask
    expected = attention(query, key, value, mask=mask, backend=backend)
    hidden = is_padding[:, None, :, None].expand_as(key)
    key, value = (x.masked_fill(hidden, float("nan")).requires_grad_() for x in (key, value))
    mixed = attention(query.requires_grad_(), key, value, mask=mask, backend=backend)
    torch.testing.assert_close(mixed, expected)
    for gradient in torch.autograd.grad(mixed.square().sum(), (query, key, value)):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_that_someone_may_read_is_not_hidden_row38(qkv, backend):
    query, key, value = (x.clone() for x in qkv)
    value[0, 0, 3, 0] = float("nan")
    mask = causal_mask(T)
    mask[:, 0] = False  # nobody reads position 0, later ones read position 3
    mixed = attention(query, key, value, mask=mask, backend=backend)
    assert mixed[0, 0, 3:, 0].isnan().all()
    assert mixed[1:].isfinite().all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("hidden_by", ["mask", "mask and bias", "causal"])
def test_hidden_keys_lose_against_the_worst_visible_ones(qkv, backend, hidden_by):
    """A finite fill (-1e4, -1e9) is the best score left when every visible one is lower."""
    query, key, value = (x.clone() for x in qkv)
    key[:, :, :3] = -1e12 * query[:, :, 2:3]  # what position 2 may read scores below -1e9
    value[:, :, 3:] = 1e10
    options = {"is_causal": True} if hidden_by == "causal" else {"mask": causal_mask(T)}
    if hidden_by == "mask and bias":
        options["bias"] = torch.zeros(T, T, dtype=torch.float64)
    out = attention(query, key, value, backend=backend, **options)[:, :, 2]
    torch.testing.assert_close(out, value[:, :, :3].mean(dim=2))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("with_bias", [False, True])
def test_a_query_that_reads_nothing_gets_zeros_row37(qkv, generator, backend, dtype, with_bias):
    inputs = [x.to(dtype).requires_grad_() for x in qkv]
    mask = causal_mask(T)
    mask[3] = False
    bias = (
        torch.randn(H, T, T, generator=generator).to(dtype).requires_grad_() if with_bias else None
    )
    out = attention(*inputs, mask=mask, bias=bias, backend=backend)
    assert out[:, :, 3].abs().max() == 0
    assert (out[:, :, 4].abs().amax(dim=-1) > 0).all()  # the others are untouched
    out.sum().backward()
    for x in (*inputs, *([bias] if with_bias else [])):
        assert x.grad.isfinite().all()
    assert inputs[0].grad[:, :, 3].abs().max() == 0
    if not with_bias:
        weights = attention_weights(*inputs[:2], mask=mask)
        assert weights[:, :, 3].abs().max() == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_everything_hidden_is_zero_row37(qkv, backend):
    inputs = [x.clone().requires_grad_() for x in qkv]
    out = attention(*inputs, mask=torch.zeros(T, T, dtype=torch.bool), backend=backend)
    out.sum().backward()
    assert torch.equal(out, torch.zeros_like(out))
    assert all(torch.equal(x.grad, torch.zeros_like(x)) for x in inputs)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(B, H, 1, D), (0, H, T, D), (B, H, 0, D), (0, H, 0, D)])
@pytest.mark.parametrize("kind", ["full", "causal", "mask"])
def test_boundary_shapes_row40(backend, shape, kind):
    x = torch.ones(shape, requires_grad=True)
    options = {"full": {}, "causal": {"is_causal": True}, "mask": {"mask": causal_mask(shape[2])}}
    out = attention(x, x, x, backend=backend, **options[kind])
    assert out.shape == shape
    torch.testing.assert_close(out, torch.ones(shape))  # a mean of ones
    out.sum().backward()
    assert attention_weights(x, x, **options[kind]).shape == (*shape[:3], shape[2])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n_kv_heads", [1, 2])
def test_grouped_heads_serve_neighbors(generator, backend, n_kv_heads):
    query = torch.randn(B, 6, T, D, generator=generator, dtype=torch.float64)
    key, value = torch.randn(2, B, n_kv_heads, T, D, generator=generator, dtype=torch.float64)
    out = attention(query, key, value, is_causal=True, backend=backend)
    torch.testing.assert_close(out, loop_attention(query, key, value, mask=causal_mask(T)))
    copies = [x.repeat_interleave(6 // n_kv_heads, dim=1) for x in (key, value)]
    torch.testing.assert_close(attention_weights(query, key), attention_weights(query, copies[0]))
    if n_kv_heads > 1:  # Llama's order, not the tiled one
        tiled = [x.repeat(1, 3, 1, 1) for x in (key, value)]
        wrong = attention(query, *tiled, is_causal=True, backend=backend)
        assert not torch.allclose(out, wrong)


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_dropout_zeroes_weights_and_scales_the_rest(backend):
    query, key = torch.zeros(1, 1, 400, 5), torch.zeros(1, 1, 500, 5)  # every weight is 1/500
    identity = torch.eye(500)[None, None]  # makes the weights themselves the output
    with torch.random.fork_rng(devices=[]):  # torch's dropout takes no generator
        torch.manual_seed(0)
        kept = attention(query, key, identity, dropout=0.25, backend=backend) * 500
    torch.testing.assert_close(kept[kept > 0], torch.full_like(kept[kept > 0], 1 / 0.75))
    sigma = (0.25 * 0.75 / kept.numel()) ** 0.5
    assert abs((kept == 0).double().mean().item() - 0.25) < 5 * sigma


@pytest.mark.parametrize("backend", BACKENDS)
def test_additive_and_integer_masks_are_refused_row37(qkv, backend):
    for wrong in (torch.zeros(T, T), torch.ones(T, T, dtype=torch.long)):
        with pytest.raises(ValueError, match=rf"mask must be boolean .* got {wrong.dtype}"):
            attention(*qkv, mask=wrong, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(T, T), (S, T), (B + 1, 1, T, S), (1, B, H, T, S), (H, 1, T, S)])
def test_a_mask_that_does_not_fit_is_refused_row39(cross, backend, shape):
    with pytest.raises(ValueError, match=r"mask .* does not broadcast .* \(2, 3, 7, 11\)"):
        attention(*cross, mask=torch.ones(shape, dtype=torch.bool), backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_heads_that_do_not_divide_are_refused_row39(generator, backend):
    query, key = torch.ones(B, 5, T, D), torch.ones(B, 2, T, D)
    with pytest.raises(ValueError, match="n_kv_heads=2 must divide n_heads=5"):
        attention(query, key, key, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_misfits_are_refused(cross, qkv, backend):
    query, key, value = cross
    with pytest.raises(ValueError, match="stands alone"):
        attention(*qkv, mask=causal_mask(T), is_causal=True, backend=backend)
    with pytest.raises(ValueError, match="stands alone"):
        attention(*qkv, bias=torch.zeros(T, T), is_causal=True, backend=backend)
    with pytest.raises(ValueError, match="needs T == S, got 7 and 11"):
        attention(query, key, value, is_causal=True, backend=backend)
    with pytest.raises(ValueError, match="does not fit value"):
        attention(query, key, value[:, :, 1:], backend=backend)
    with pytest.raises(ValueError, match="differ in batch or head_dim"):
        attention(query[:1], key, value, backend=backend)
    with pytest.raises(ValueError, match=r"must be \(B, H, T, D\)"):
        attention(query[0], key[0], value[0], backend=backend)
    with pytest.raises(ValueError, match=r"bias \(7, 7\) does not broadcast"):
        attention(query, key, value, bias=torch.zeros(T, T), backend=backend)


def test_unknown_backend_is_refused(qkv):
    with pytest.raises(ValueError, match="'sdpa' or 'flex' or 'triton', got 'magic'"):
        attention(*qkv, backend="magic")
