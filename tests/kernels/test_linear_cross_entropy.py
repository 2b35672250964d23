import math

import pytest
import torch
import torch.nn.functional as F

from minillm.kernels import linear_cross_entropy
from minillm.kernels.linear_cross_entropy import linear_cross_entropy_sum

N, C, V = 13, 5, 37
# Of the largest entry: sums of a few terms in another order; bf16 has 8 bits, rounded at each step.
TOLERANCE = {torch.float64: 1e-13, torch.float32: 1e-6, torch.bfloat16: 1e-2}
CHUNKS = [1, 4, 13, 99, None]  # 4 leaves a rest of 1


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def data(generator):
    hidden = torch.randn(N, C, generator=generator, dtype=torch.float64)
    weight = torch.randn(V, C, generator=generator, dtype=torch.float64)
    targets = torch.randint(V, (N,), generator=generator)
    targets[3] = targets[2]  # a repeated target adds up
    return hidden, weight, targets


def plain(hidden, weight, targets):
    logits = F.linear(hidden, weight)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(logits, targets, reduction="sum")


def value_and_gradients(loss_of, hidden, weight, targets, *, scale=1.0):
    leaves = [x.clone().requires_grad_() for x in (hidden, weight)]
    loss = loss_of(*leaves, targets)
    (loss * scale).backward()
    return [loss.detach(), *(x.grad for x in leaves)]


def assert_equal(found, expected, tolerance):
    for ours, theirs in zip(found, expected, strict=True):
        atol = tolerance * theirs.abs().max().item()
        torch.testing.assert_close(ours, theirs.to(ours.dtype), rtol=tolerance, atol=atol)


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("scale", [1.0, -0.3])
def test_value_and_gradients_are_those_of_the_plain_loss(data, chunk_size, dtype, scale):
    hidden, weight, targets = data
    inputs = (hidden.to(dtype), weight.to(dtype), targets)
    found = value_and_gradients(
        lambda h, w, t: linear_cross_entropy_sum(h, w, t, chunk_size=chunk_size),
        *inputs,
        scale=scale,
    )
    assert found[0].dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert {x.dtype for x in found[1:]} == {dtype}
    exact = value_and_gradients(plain, *(x.double() for x in inputs[:2]), targets, scale=scale)
    assert_equal(found, exact, TOLERANCE[dtype])


@pytest.mark.parametrize("chunk_size", CHUNKS)
def test_autocast_multiplies_in_bfloat16_and_sums_in_float32(data, chunk_size):
    hidden, weight, targets = data[0].float(), data[1].float(), data[2]

    def fused(h, w, t):
        return linear_cross_entropy_sum(h, w, t, chunk_size=chunk_size)

    exact = value_and_gradients(plain, hidden, weight, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = value_and_gradients(plain, hidden, weight, targets)
        found = value_and_gradients(fused, hidden, weight, targets)
        again = value_and_gradients(fused, hidden.double(), weight.double(), targets)
    assert [x.dtype for x in found] == [torch.float32] * 3
    assert_equal(found[:1], expected[:1], 1e-6)  # the very same rounded logits
    assert_equal(found, exact, TOLERANCE[torch.bfloat16])
    assert not torch.equal(found[0], exact[0])  # it did round
    assert [x.dtype for x in again] == [torch.float64] * 3
    assert_equal(again, [x.double() for x in exact], 1e-6)


def test_the_gradient_of_the_weight_is_not_summed_in_bfloat16(generator):
    """A thousand chunks that each add 1: bfloat16 would stop at 256."""
    hidden = torch.ones(1024, 1)
    weight = torch.zeros(2, 1, requires_grad=True)  # probabilities 1/2: each token adds ±1/2
    targets = torch.zeros(1024, dtype=torch.long)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        linear_cross_entropy_sum(hidden, weight, targets, chunk_size=1).backward()
    assert weight.grad.flatten().tolist() == [-512.0, 512.0]


def test_gradcheck_in_float64(data):
    leaves = [x.clone().requires_grad_() for x in data[:2]]
    for chunk_size in (4, None):
        assert torch.autograd.gradcheck(
            lambda h, w, n=chunk_size: linear_cross_entropy_sum(h, w, data[2], chunk_size=n).sin(),
            leaves,
        )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_retained_graph_gives_the_same_gradients_twice(data, dtype):
    """The first backward gives its gradients away and scales them in place."""
    hidden, weight = (x.to(dtype).requires_grad_() for x in data[:2])
    loss = linear_cross_entropy_sum(hidden, weight, data[2], chunk_size=4)
    first = torch.autograd.grad(loss * 3.0, [hidden, weight], retain_graph=True)
    kept = [x.clone() for x in first]
    second = torch.autograd.grad(loss, [hidden, weight], retain_graph=True)
    assert_equal([3.0 * x for x in second], kept, 1e-6)
    third = torch.autograd.grad(loss, [hidden, weight])
    assert_equal(third, second, 1e-6)
    assert all(torch.equal(x, y) for x, y in zip(first, kept, strict=True))
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_used_twice_in_one_loss_it_adds_up(data):
    hidden, weight = (x.clone().requires_grad_() for x in data[:2])
    first = linear_cross_entropy_sum(hidden[:6], weight, data[2][:6])
    (first + linear_cross_entropy_sum(hidden[6:], weight, data[2][6:])).backward()
    assert_equal(
        [hidden.grad, weight.grad], value_and_gradients(plain, *data)[1:], TOLERANCE[torch.float64]
    )


def test_second_derivatives_are_refused(data):
    hidden = data[0].clone().requires_grad_()
    loss = linear_cross_entropy_sum(hidden, data[1], data[2])
    with pytest.raises(RuntimeError, match="differentiated once"):
        torch.autograd.grad(loss, hidden, create_graph=True)


@pytest.mark.parametrize("frozen", ["hidden", "weight", "both", "no_grad"])
def test_only_the_gradients_that_are_needed_are_taken(data, frozen, monkeypatch):
    taken = []

    def spy(*args):
        result = linear_cross_entropy_original(*args)
        taken.append([x is not None for x in result[1:]])
        return result

    linear_cross_entropy_original = linear_cross_entropy._loss_and_gradients
    monkeypatch.setattr(linear_cross_entropy, "_loss_and_gradients", spy)
    hidden = data[0].clone().requires_grad_(frozen not in ("hidden", "both"))
    weight = data[1].clone().requires_grad_(frozen not in ("weight", "both"))
    with torch.set_grad_enabled(frozen != "no_grad"):
        loss = linear_cross_entropy_sum(hidden, weight, data[2], chunk_size=4)
    torch.testing.assert_close(loss.detach(), plain(*data))
    assert loss.requires_grad == (frozen in ("hidden", "weight"))
    assert taken == [[frozen == "weight", frozen == "hidden"]]
    if loss.requires_grad:
        loss.backward()
        _, *expected = value_and_gradients(plain, *data)
        leaf, gradient = (hidden, expected[0]) if frozen == "weight" else (weight, expected[1])
        assert_equal([leaf.grad], [gradient], TOLERANCE[torch.float64])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_token_is_zero_with_zero_gradients_row41(data, dtype):
    hidden, weight = data[0][:0].to(dtype), data[1].to(dtype)
    loss, *gradients = value_and_gradients(linear_cross_entropy_sum, hidden, weight, data[2][:0])
    assert loss.item() == 0.0
    assert [x.shape for x in gradients] == [(0, C), (V, C)]
    assert gradients[1].abs().max() == 0


@pytest.mark.parametrize("size", [1e4, 1e38])
def test_extreme_logits_stay_exact_row42(size):
    hidden = torch.tensor([[1.0]] * 3)
    weight = torch.tensor([[1.0], [-1.0], [0.999], [0.5]]) * size
    targets = torch.tensor([0, 1, 2])
    loss, *gradients = value_and_gradients(linear_cross_entropy_sum, hidden, weight, targets)
    logits = weight.double().flatten().tolist()
    total = math.fsum(math.exp(z - logits[0]) for z in logits)
    expected = math.fsum(logits[0] + math.log(total) - logits[i] for i in range(3))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert all(x.isfinite().all() for x in gradients)
    probs = [math.exp(z - logits[0]) / total for z in logits]
    wanted = [3 * p - (i < 3) for i, p in enumerate(probs)]
    assert gradients[1].flatten().tolist() == pytest.approx(wanted, abs=1e-6)


def test_no_tensor_holds_all_logits(data):
    """The largest result of any operation is the weight's gradient, not the logits."""
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.numel())
            return out

    with Watch():
        value_and_gradients(lambda h, w, t: linear_cross_entropy_sum(h, w, t, chunk_size=2), *data)
    assert largest == V * C
    with Watch():  # the watch sees what it should: the plain loss does hold them
        value_and_gradients(plain, *data)
    assert largest == N * V
