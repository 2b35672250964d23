"""Few rows through a large matrix: the same numbers as ``F.linear``, by another routine."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minillm.kernels import few_rows_linear as kernel
from minillm.kernels.few_rows_linear import few_rows_linear
from minillm.linear import Linear

C, LARGE = 29, 5003 * 3  # a product of primes; with C columns above the least size that pays


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def make(n_rows, n_outputs=LARGE, dtype=torch.float64, **shape):
    generator = torch.Generator().manual_seed(n_rows)
    draw = {"generator": generator, "dtype": dtype}
    x = torch.randn(*shape.get("leading", (n_rows,)), C, **draw)
    return x, torch.randn(n_outputs, C, **draw), torch.randn(n_outputs, **draw)


def products(monkeypatch):
    """Count the sliced products: without them the kernel would only be F.linear again."""
    calls = []
    for name in ("bmm", "baddbmm"):
        real = getattr(torch, name)

        def counted(*arguments, real=real, name=name):
            calls.append((name, arguments[-2].shape[0]))
            return real(*arguments)

        monkeypatch.setattr(torch, name, counted)
    return calls


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("n_rows", [1, 2, 3, 4])
def test_few_rows_equal_the_plain_product(n_rows, has_bias, monkeypatch):
    calls = products(monkeypatch)
    x, weight, bias = make(n_rows)
    bias = bias if has_bias else None
    expected = torch.einsum("nc,fc->nf", x, weight) + (0 if bias is None else bias)
    torch.testing.assert_close(few_rows_linear(x, weight, bias), expected, rtol=1e-12, atol=1e-12)
    assert calls == [("baddbmm" if has_bias else "bmm", 3)]  # 15009 = 3 × 5003: three slices


@pytest.mark.parametrize("leading", [(), (1, 1), (2, 1), (1, 3), (2, 2, 1)])
def test_leading_axes_are_kept(leading, monkeypatch):
    calls = products(monkeypatch)
    x, weight, bias = make(0, leading=leading)
    got = few_rows_linear(x, weight, bias)
    assert got.shape == (*leading, LARGE)
    torch.testing.assert_close(got, F.linear(x, weight, bias))
    assert len(calls) == 1


def test_a_view_of_a_row_and_a_transposed_matrix_are_read_right():
    x, weight, bias = make(7)
    torch.testing.assert_close(
        few_rows_linear(x.T.contiguous().T[2:4], weight.T.contiguous().T, bias),
        F.linear(x[2:4], weight, bias),
    )


@pytest.mark.parametrize(
    ("n_rows", "n_outputs", "why"),
    [(0, LARGE, "nothing"), (5, LARGE, "many rows"), (2, 31, "small"), (2, 15013, "a prime")],
)
def test_otherwise_it_is_f_linear(n_rows, n_outputs, why, monkeypatch):
    calls = products(monkeypatch)
    x, weight, bias = make(n_rows, n_outputs)
    assert torch.equal(few_rows_linear(x, weight, bias), F.linear(x, weight, bias)), why
    assert calls == []


def test_training_takes_the_usual_way(monkeypatch):
    calls = products(monkeypatch)
    x, weight, bias = make(2)
    with torch.enable_grad():
        few_rows_linear(x, weight.requires_grad_(), bias).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(dim=0).expand_as(weight))
    assert calls == []


def test_autocast_decides_the_dtype():
    x, weight, bias = make(1, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got, expected = few_rows_linear(x, weight, bias), F.linear(x, weight, bias)
    assert got.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(got, expected)


def test_slices_are_equal():
    for n_outputs in (2, 9, 35, 50_257, 8192):
        n_slices = kernel._n_slices(n_outputs)
        assert n_slices > 1
        assert n_outputs % n_slices == 0
    assert kernel._n_slices(127) == kernel._n_slices(67 * 71) == 1


def test_the_layer_has_the_weights_of_nn_linear():
    for has_bias in (True, False):
        ours, theirs = Linear(3, 5, bias=has_bias), nn.Linear(3, 5, bias=has_bias)
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(2, 7, 3)
        assert torch.equal(ours(x), theirs(x))


def test_other_devices_have_their_own_fast_routines(monkeypatch):
    calls = products(monkeypatch)
    x, weight, bias = (tensor.to("meta") for tensor in make(1))
    assert few_rows_linear(x, weight, bias).shape == (1, LARGE)
    assert calls == []
