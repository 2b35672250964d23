import math

import pytest
import torch
from torch import nn

from minillm.errors import ConfigError
from minillm.feed_forward import make_feed_forward

C, F = 3, 5


def exact_gelu(x):
    return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def relu(x):
    return max(x, 0.0)


def relu_squared(x):
    return max(x, 0.0) ** 2


def silu(x):
    return x / (1 + math.exp(-x))


ACTIVATIONS = {
    "gelu": exact_gelu,
    "gelu_tanh": tanh_gelu,
    "relu": relu,
    "relu_squared": relu_squared,
}


def linear(layer, row):
    """Apply a linear layer to a list of floats, sum by sum."""
    biases = layer.bias.tolist() if layer.bias is not None else [0.0] * layer.out_features
    return [
        sum(w * x for w, x in zip(weights, row, strict=True)) + bias
        for weights, bias in zip(layer.weight.tolist(), biases, strict=True)
    ]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("kind", [*ACTIVATIONS, "swiglu"])
def test_feed_forward_equals_hand_computation(kind, use_bias):
    generator = torch.Generator().manual_seed(0)
    layer = make_feed_forward(kind, C, F, use_bias=use_bias).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=generator)
    x = torch.randn(2, C, generator=generator, dtype=torch.float64)
    for row, out in zip(x.tolist(), layer(x), strict=True):
        up = linear(layer.up, row)
        if kind == "swiglu":
            inner = [silu(g) * u for g, u in zip(linear(layer.gate, row), up, strict=True)]
        else:
            inner = [ACTIVATIONS[kind](u) for u in up]
        expected = torch.tensor(linear(layer.down, inner), dtype=torch.float64)
        torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "use_bias", "expected"),
    [("gelu", True, 2 * C * F + F + C), ("gelu", False, 2 * C * F), ("swiglu", False, 3 * C * F)],
)
def test_parameter_count_is_the_formula(kind, use_bias, expected):
    layer = make_feed_forward(kind, C, F, use_bias=use_bias)
    assert sum(parameter.numel() for parameter in layer.parameters()) == expected


def test_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="relu, relu_squared, swiglu or geglu, got 'mish'"):
        make_feed_forward("mish", C, F)


def test_geglu_equals_the_formula():
    layer = make_feed_forward("geglu", 3, 5, use_bias=False)
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    gate, up, down = (getattr(layer, name).weight for name in ("gate", "up", "down"))
    z = x @ gate.T
    bent = z / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    torch.testing.assert_close(layer(x), (bent * (x @ up.T)) @ down.T)
