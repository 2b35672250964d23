import math

import pytest
import torch

from minillm.batch import IGNORE_INDEX
from minillm.loss import linear_token_loss_sum, token_log_probs, token_loss_sum

B, T, V = 2, 5, 11


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def logits(generator):
    return torch.randn(B, T, V, generator=generator)


@pytest.fixture
def targets(generator):
    targets = torch.randint(V, (B, T), generator=generator)
    targets[0, 1] = targets[1, 4] = IGNORE_INDEX
    return targets


def loop_log_probs(logits, targets):
    """-ln Σ exp(z_j - z_target), one target at a time, in Python's float64."""
    log_probs = [[0.0] * targets.shape[1] for _ in targets]
    for b, row in enumerate(targets.tolist()):
        for t, target in enumerate(row):
            if target != IGNORE_INDEX:
                z = logits[b, t].double().tolist()
                largest = max(z)
                total = math.fsum(math.exp(x - largest) for x in z)
                log_probs[b][t] = z[target] - largest - math.log(total)
    return torch.tensor(log_probs, dtype=torch.float64)


def test_loss_equals_a_slow_loop(logits, targets):
    expected = loop_log_probs(logits, targets)
    torch.testing.assert_close(
        token_log_probs(logits, targets).double(), expected, rtol=1e-6, atol=1e-6
    )
    assert token_loss_sum(logits, targets).item() == pytest.approx(-expected.sum().item(), rel=1e-6)


def test_gradient_is_probs_minus_one_hot(logits, targets):
    logits = logits.double().requires_grad_()
    token_loss_sum(logits, targets).backward()
    scored = targets != IGNORE_INDEX
    expected = logits.detach().softmax(dim=-1)
    expected[scored, targets[scored]] -= 1.0
    torch.testing.assert_close(logits.grad, expected * scored[..., None])


def test_gradcheck_in_float64(logits, targets):
    assert torch.autograd.gradcheck(
        lambda z: token_loss_sum(z, targets), logits.double().requires_grad_()
    )


@pytest.mark.parametrize("shape", [(B, T), (1, 1), (0, T), (B, 0)])
def test_nothing_scored_is_zero_with_zero_gradient_row41(shape):
    logits = torch.randn(*shape, V, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.full(shape, IGNORE_INDEX)
    loss = token_loss_sum(logits, targets)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))
    assert torch.equal(token_log_probs(logits, targets), torch.zeros(shape))


@pytest.mark.parametrize(
    ("dtype", "size"),
    [(torch.float32, 1e4), (torch.float32, 1e38), (torch.float16, 6e4), (torch.bfloat16, 1e4)],
)
def test_extreme_logits_stay_exact_row42(dtype, size, generator):
    logits = (torch.rand(1, 1, V, generator=generator) * 2 - 1).mul(size).to(dtype)
    logits[0, 0, :2] = torch.tensor([size, -size])
    logits.requires_grad_()
    for target in (0, 1, 5):
        targets = torch.tensor([[target]])
        loss = token_loss_sum(logits, targets)
        expected = -loop_log_probs(logits.detach(), targets).sum().item()
        assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("wrong", [V, V + 100, -1, -99, -101])
@pytest.mark.parametrize("function", [token_loss_sum, token_log_probs])
def test_a_target_outside_the_vocabulary_is_named_row43(logits, targets, wrong, function):
    targets[1, 2] = wrong
    with pytest.raises(ValueError, match=rf"target id {wrong} .* vocabulary of {V} ids"):
        function(logits, targets)


def test_loss_is_float32_whatever_the_model_ran_in(logits, targets):
    halved = logits.bfloat16()
    loss = token_loss_sum(halved, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, token_loss_sum(halved.float(), targets))  # not rounded to bf16


def test_shapes_must_fit(logits, targets):
    with pytest.raises(ValueError, match=r"\(2, 5, 11\) do not fit targets \(2, 4\)"):
        token_loss_sum(logits, targets[:, :-1])


# --- the linear layer and the loss in one


@pytest.fixture
def linear(generator):
    hidden = torch.randn(B, T, 7, generator=generator, dtype=torch.float64)
    weight = torch.randn(V, 7, generator=generator, dtype=torch.float64)
    return hidden.requires_grad_(), weight.requires_grad_()


def test_linear_loss_equals_the_loss_of_the_logits(linear, targets):
    hidden, weight = linear
    found = linear_token_loss_sum(hidden, weight, targets)
    expected = token_loss_sum(hidden @ weight.T, targets)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)
    ours, theirs = (torch.autograd.grad(loss / 3, linear) for loss in (found, expected))
    for x, y in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-13)


def test_rows_that_are_not_scored_are_not_computed(linear, targets):
    hidden, weight = linear
    poisoned = hidden.detach().masked_fill((targets == IGNORE_INDEX)[..., None], torch.nan)
    poisoned.requires_grad_()
    loss = linear_token_loss_sum(poisoned, weight, targets)
    loss.backward()
    torch.testing.assert_close(loss, token_loss_sum(hidden @ weight.T, targets))
    assert poisoned.grad.isfinite().all()
    assert weight.grad.isfinite().all()
    assert poisoned.grad[targets == IGNORE_INDEX].abs().max() == 0


@pytest.mark.parametrize("shape", [(B, T), (1, 1), (0, T), (B, 0)])
def test_linear_loss_of_nothing_scored_is_zero_row41(linear, shape):
    weight = linear[1]
    hidden = torch.ones(*shape, 7, dtype=torch.float64, requires_grad=True)
    loss = linear_token_loss_sum(hidden, weight, torch.full(shape, IGNORE_INDEX))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(hidden.grad, torch.zeros_like(hidden))
    assert torch.equal(weight.grad, torch.zeros_like(weight))


@pytest.mark.parametrize("wrong", [V, -1, -99, -101])
def test_linear_loss_names_a_target_outside_the_vocabulary_row43(linear, targets, wrong):
    targets[1, 2] = wrong
    with pytest.raises(ValueError, match=rf"target id {wrong} .* vocabulary of {V} ids"):
        linear_token_loss_sum(*linear, targets)


def test_linear_loss_refuses_shapes_that_do_not_fit(linear, targets):
    hidden, weight = linear
    with pytest.raises(ValueError, match=r"hidden \(2, 5, 7\) does not fit targets \(2, 4\)"):
        linear_token_loss_sum(hidden, weight, targets[:, :-1])
    with pytest.raises(ValueError, match=r"or weight \(7, 11\)"):
        linear_token_loss_sum(hidden, weight.T, targets)
