"""Every mask through every backend: nothing leaks, and values and gradients agree."""

import importlib.util

import pytest
import torch

from minillm.attention import attention
from minillm.masking import (
    causal_mask,
    combine_masks,
    document_mask,
    padding_mask,
    prefix_mask,
    sliding_window_mask,
)

BACKENDS = ["reference", "sdpa"]
HAS_TRITON = importlib.util.find_spec("triton") is not None
NO_TRITON = "triton is not installed (the extra [kernels], for Linux): its kernel is not tested"
# Of the largest entry; bf16 rounds scores, weights and products to 8 bits each.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 3e-2}
B, H, T, S, D = 2, 6, 7, 11, 5


def masks():
    is_padding = torch.zeros(B, T, dtype=torch.bool)
    is_padding[0, 5:] = is_padding[1, :2] = True
    all_padding = is_padding.clone()
    all_padding[1] = True
    source_padding = torch.zeros(B, S, dtype=torch.bool)
    source_padding[0, 7:] = source_padding[1, 0] = True
    causal, padding = causal_mask(T), padding_mask(is_padding)
    document = document_mask(torch.tensor([[0, 0, 0, 1, 1, 1, 1], [5, 5, 8, 8, 8, 8, 9]]))
    prefix, window = prefix_mask(torch.tensor([3, 0]), T), sliding_window_mask(T, 3)
    empty = causal.clone()
    empty[3] = False
    return {
        "causal": causal,
        "padding": padding,
        "document": document,
        "prefix": prefix,
        "window": window,
        "causal padding": combine_masks(causal, padding),  # left padding reads nothing
        "causal document": combine_masks(causal, document),
        "causal window": combine_masks(causal, window),
        "prefix padding": combine_masks(prefix, padding),
        "prefix document": combine_masks(prefix, document),
        "causal document window padding": combine_masks(causal, document, window, padding),
        "an empty row": empty,
        "an empty sequence": padding_mask(all_padding),
        "cached steps": causal_mask(T, n_past=S - T),
        "cached window": combine_masks(
            causal_mask(T, n_past=S - T), sliding_window_mask(T, 4, n_past=S - T)
        ),
        "cross padding": padding_mask(source_padding),
    }


MASKS = masks()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def make_inputs(generator, mask, *, n_kv_heads=H):
    """Draw query, key and value in float64, as many keys as the mask has."""
    query = torch.randn(B, H, T, D, generator=generator, dtype=torch.float64)
    n_keys = mask.shape[-1]
    key, value = torch.randn(2, B, n_kv_heads, n_keys, D, generator=generator, dtype=torch.float64)
    return query, key, value


@pytest.mark.parametrize(
    "backend",
    [
        *BACKENDS,
        pytest.param("triton", marks=pytest.mark.skipif(not HAS_TRITON, reason=NO_TRITON)),
    ],
)
@pytest.mark.parametrize("name", MASKS)
def test_nothing_leaks_through_the_mask(generator, backend, name):
    """∂ out[t] / ∂ value[s] and / ∂ key[s]: exactly zero where hidden, not zero where visible."""
    mask = MASKS[name]
    inputs = [x.requires_grad_() for x in make_inputs(generator, mask)]
    query, key, value = inputs
    out = attention(query, key, value, mask=mask, backend=backend)
    visible = mask.expand(B, H, T, mask.shape[-1])
    assert visible.any()
    assert not visible.all()
    for t in range(T):
        direction = torch.randn(D, generator=generator, dtype=torch.float64)
        to_query, to_key, to_value = torch.autograd.grad(
            (out[:, :, t] @ direction).sum(), inputs, retain_graph=True
        )
        assert torch.equal(to_value.abs().amax(dim=-1) > 0, visible[:, :, t])
        has_choice = visible[:, :, t].sum(dim=-1, keepdim=True) > 1  # one weight alone is always 1
        assert torch.equal(to_key.abs().amax(dim=-1) > 1e-12, visible[:, :, t] & has_choice)
        others = torch.arange(T) != t
        assert to_query[:, :, others].abs().max() == 0


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("n_kv_heads", [1, 2, H])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", MASKS)
def test_backends_agree_in_values_and_gradients(generator, name, dtype, n_kv_heads, with_bias):
    mask = MASKS[name]
    inputs = list(make_inputs(generator, mask, n_kv_heads=n_kv_heads))
    if with_bias:
        inputs.append(
            torch.randn(1, H, T, mask.shape[-1], generator=generator, dtype=torch.float64)
        )
    direction = torch.randn(B, H, T, D, generator=generator, dtype=torch.float64)

    def results(backend, dtype):
        leaves = [x.detach().clone().to(dtype).requires_grad_() for x in inputs]
        bias = leaves[3] if with_bias else None
        out = attention(*leaves[:3], mask=mask, bias=bias, backend=backend)
        (out * direction.to(dtype)).sum().backward()
        return [out.detach(), *(x.grad for x in leaves)]

    exact = results("reference", torch.float64)
    # The interpreter takes 30 ms a call: one combination of settings for each mask.
    is_chosen = (dtype, n_kv_heads, with_bias) == (torch.float32, 2, True)
    for backend in [*BACKENDS, "triton"] if HAS_TRITON and is_chosen else BACKENDS:
        for found, expected in zip(results(backend, dtype), exact, strict=True):
            assert found.dtype == dtype
            atol = TOLERANCE[dtype] * expected.abs().max().item()
            torch.testing.assert_close(found.double(), expected, rtol=0, atol=atol)
