import pytest
import torch
from torch import nn

from minillm.errors import ConfigError
from minillm.norms import LayerNorm, RMSNorm, layer_norm, make_norm, rms_norm

B, T, C = 2, 5, 7
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 3e-2}


@pytest.fixture
def x():
    return torch.randn(B, T, C, generator=torch.Generator().manual_seed(0)) * 3 + 2


def randomized(module):
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=1.0, generator=generator)
    return module


def by_hand(row, *, shift, eps):
    """Normalize one vector with Python's floats."""
    mean = sum(row) / len(row) if shift else 0.0
    power = sum((value - mean) ** 2 for value in row) / len(row)
    return [(value - mean) / (power + eps) ** 0.5 for value in row]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_fast_layer_norm_is_the_equation(x, dtype, eps):
    module, peer = randomized(LayerNorm(C, eps=eps)), nn.LayerNorm(C, eps=eps)
    peer.load_state_dict(module.state_dict())
    expected = layer_norm(x.double(), module.weight.double(), module.bias.double(), eps=eps)
    for fast in (module, peer):
        out = fast.to(dtype)(x.to(dtype))
        torch.testing.assert_close(
            out.double(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype]
        )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_fast_rms_norm_is_the_equation(x, dtype, eps):
    module, peer = randomized(RMSNorm(C, eps=eps)), nn.RMSNorm(C, eps=eps)
    peer.load_state_dict(module.state_dict())
    expected = rms_norm(x.double(), module.weight.double(), eps=eps)
    for fast in (module, peer):
        out = fast.to(dtype)(x.to(dtype))
        torch.testing.assert_close(
            out.double(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype]
        )


@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_norm_equals_hand_computation(x, kind):
    out = make_norm(kind, C, eps=0.25).double()(x.double())  # fresh: weight 1, bias 0
    for b in range(B):
        for t in range(T):
            expected = by_hand(x[b, t].double().tolist(), shift=kind == "layer_norm", eps=0.25)
            torch.testing.assert_close(out[b, t], torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_constant_and_zero_vectors_do_not_divide_by_zero(kind):
    for value in (0.0, 5.0):
        x = torch.full((1, C), value, requires_grad=True)
        out = make_norm(kind, C)(x)
        out.sum().backward()
        assert out.isfinite().all()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_each_position_is_normalized_alone(x, kind):
    norm = make_norm(kind, C)
    changed = x.clone()
    changed[:, 1:] = 100.0
    assert torch.equal(norm(changed)[:, 0], norm(x)[:, 0])


def test_unknown_norm_is_refused():
    with pytest.raises(ConfigError, match="layer_norm, rms_norm, got 'batch_norm'"):
        make_norm("batch_norm", C)
