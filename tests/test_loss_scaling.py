"""The loss scaler against torch's, and in the loop against a loop that does not need it."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minillm.batch import Batch
from minillm.checkpoint import optimizer_tensors
from minillm.errors import ConfigError, NumericalError
from minillm.models.base import Model
from minillm.optim import LossScaler, make_optimizer
from minillm.training import train

NAN, INF = math.nan, math.inf
FACTORS = st.lists(
    st.sampled_from([1.0, -3.0, 0.1, 1e-30, INF, -INF, NAN]), min_size=1, max_size=40
)


def follow_torch(factors, *, scale, growth, backoff, growth_interval):
    """Take the same steps with torch's scaler and ours; compare after each."""
    theirs = torch.amp.GradScaler(
        "cpu",
        init_scale=scale,
        growth_factor=growth,
        backoff_factor=backoff,
        growth_interval=growth_interval,
    )
    ours = LossScaler(
        scale=scale,
        growth=growth,
        backoff=backoff,
        growth_interval=growth_interval,
        least_scale=1e-44,  # torch never gives up
    )
    weights = [nn.Parameter(torch.tensor([2.0, -1.0])) for _ in "to"]
    optimizers = [torch.optim.SGD([w], lr=0.25) for w in weights]
    n_skipped = 0
    for factor in factors:
        for optimizer in optimizers:
            optimizer.zero_grad()
        theirs.scale((weights[0] * torch.tensor([1.0, factor])).sum()).backward()
        theirs.unscale_(optimizers[0])
        theirs.step(optimizers[0])
        theirs.update()
        ((weights[1] * torch.tensor([1.0, factor])).sum() * ours.scale).backward()
        is_finite = ours.unscale([weights[1]])
        if is_finite:
            optimizers[1].step()
        n_skipped += not is_finite
        ours.update(is_finite=is_finite)
        assert ours.scale == theirs.get_scale()
        assert ours.n_good == theirs.state_dict()["_growth_tracker"]
        assert ours.n_skipped == n_skipped
        torch.testing.assert_close(weights[1].grad, weights[0].grad, rtol=0, atol=0, equal_nan=True)
        assert torch.equal(*(w.detach() for w in weights))


@settings(max_examples=60, deadline=None)
@given(
    factors=FACTORS,
    scale=st.sampled_from([1.0, 2.0**16, 1000.0, 0.3, 2.0**120]),
    growth=st.sampled_from([2.0, 1.7, 16.0]),
    backoff=st.sampled_from([0.5, 0.9, 0.1]),
    growth_interval=st.integers(1, 4),
)
def test_every_decision_is_that_of_torch(factors, scale, growth, backoff, growth_interval):
    follow_torch(
        factors, scale=scale, growth=growth, backoff=backoff, growth_interval=growth_interval
    )


def test_the_largest_scale_stays_finite():
    follow_torch([1e-30] * 6, scale=2.0**126, growth=2.0, backoff=0.5, growth_interval=2)


def test_defaults_are_those_of_torch():
    ours, theirs = LossScaler(), torch.amp.GradScaler("cpu")
    assert ours.scale == theirs.get_scale()
    assert ours.growth == theirs.get_growth_factor()
    assert ours.backoff == theirs.get_backoff_factor()
    assert ours.growth_interval == theirs.get_growth_interval()


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("place", [0, 2])
def test_one_bad_number_anywhere_is_enough(bad, place):
    weights = [nn.Parameter(torch.zeros(3)) for _ in range(3)]
    weights.append(nn.Parameter(torch.zeros(5)))  # without a gradient
    for weight in weights[:3]:
        weight.grad = torch.full((3,), 8.0)
    scaler = LossScaler(scale=4.0)
    assert scaler.unscale(weights)
    assert [w.grad.tolist() for w in weights[:3]] == [[2.0] * 3] * 3
    weights[place].grad[1] = bad
    assert not scaler.unscale(weights)
    assert LossScaler().unscale([]), "nothing is finite"


def test_it_gives_up_where_scaling_does_not_help():
    scaler = LossScaler()
    for _ in range(29):
        scaler.update(is_finite=False)
    assert scaler.scale == 2.0**-13 > scaler.least_scale
    with pytest.raises(NumericalError, match="after 30 skipped updates"):
        scaler.update(is_finite=False)


def test_a_state_continues_where_it_was_taken():
    decisions = [True, True, False, True, True, True, False, True] * 3
    whole, first = (LossScaler(growth_interval=3) for _ in range(2))
    for is_finite in decisions[:11]:
        first.update(is_finite=is_finite)
    second = LossScaler(growth_interval=3)
    second.load_state(first.state())
    for is_finite in decisions[11:]:
        second.update(is_finite=is_finite)
    for is_finite in decisions:
        whole.update(is_finite=is_finite)
    assert second.state() == whole.state()
    assert whole.n_skipped == 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"growth": 1.0},
        {"backoff": 1.0},
        {"backoff": 0.0},
        {"growth_interval": 0},
        {"scale": INF},
        {"scale": 1e-5},
        {"least_scale": 0.0},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=str(next(iter(wrong.values())))):
        LossScaler(**wrong)


# In the loop.


class Line(Model):
    """Fits one number a position; the gradient of one call can be made infinite."""

    def __init__(self, *, bad_calls=(), factor=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.5, -0.5, 0.25]]))
        self.bad_calls, self.factor, self.n_calls = bad_calls, factor, 0

    def loss_sums(self, batch):
        self.n_calls += 1
        error = batch.inputs.float() @ self.weight.T - batch.targets[:, :1].float()
        loss = error.square().sum() * self.factor
        if self.n_calls in self.bad_calls:  # sqrt has an infinite slope at 0
            loss = loss + (self.weight[0, 0] * 0).sqrt()
        return {"tokens": loss}

    def log_probs(self, batch):
        raise NotImplementedError


def steps_of(n, seed=0):
    """Two unequal micro-batches a step."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(torch.randint, 5, generator=generator)
    return [[Batch(inputs=draw((k, 3)), targets=draw((k, 3))) for k in (4, 3)] for _ in range(n)]


def run(model, steps, *, name="adamw", **options):
    optimizer = make_optimizer(model, name=name, learning_rate=0.1)
    results = list(train(model, optimizer, steps, **options))
    return results, model.weight.detach().clone(), optimizer_tensors(optimizer)[0]


def assert_same_state(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("max_grad_norm", [0.01, 1e9])
def test_a_scaled_step_is_the_step(name, max_grad_norm):
    """A power of two rounds nothing, so that all is equal to the bit: clipping comes after."""
    steps, scaler = steps_of(7), LossScaler(scale=2.0**10, growth_interval=3)
    options = {"name": name, "max_grad_norm": max_grad_norm}
    plain, weight, state = run(Line(), steps, **options)
    scaled, found, found_state = run(Line(), steps, scaler=scaler, **options)
    assert torch.equal(found, weight)
    assert_same_state(found_state, state)
    assert [r.loss for r in scaled] == [r.loss for r in plain]
    assert [r.grad_norm for r in scaled] == [r.grad_norm for r in plain]
    assert [r.loss_scale for r in scaled] == [2.0**10] * 3 + [2.0**11] * 3 + [2.0**12]
    assert [r.loss_scale for r in plain] == [None] * 7


@pytest.mark.parametrize("name", ["momentum", "adamw"])
@pytest.mark.parametrize("bad_call", [5, 6])  # either micro-batch of step 3
def test_a_step_that_overflows_is_as_if_it_had_not_been_row50(name, bad_call):
    steps, scaler = steps_of(6), LossScaler()
    results, weight, state = run(Line(bad_calls={bad_call}), steps, name=name, scaler=scaler)
    _, expected, expected_state = run(Line(), steps[:2] + steps[3:], name=name)
    assert torch.equal(weight, expected)
    assert_same_state(state, expected_state)
    assert [r.is_skipped for r in results] == [False, False, True, False, False, False]
    assert [r.loss_scale for r in results] == [2.0**16] * 3 + [2.0**15] * 3
    assert results[2].grad_norm == INF
    assert scaler.n_skipped == 1


def test_a_gradient_that_is_never_finite_ends_the_run_row50():
    model = Line(bad_calls=range(1000))
    before = model.weight.detach().clone()
    optimizer = make_optimizer(model, name="sgd", learning_rate=0.1)
    results = train(model, optimizer, steps_of(50), scaler=LossScaler())
    assert sum(1 for _ in zip(range(29), results, strict=False)) == 29
    with pytest.raises(NumericalError, match="not finite however small the loss"):
        next(results)
    assert torch.equal(model.weight, before)


def test_a_loss_that_is_not_finite_is_no_matter_of_scale_row50():
    optimizer = make_optimizer(model := Line(factor=NAN), name="sgd", learning_rate=0.1)
    with pytest.raises(NumericalError, match="step 1: losses"):
        next(train(model, optimizer, steps_of(1), scaler=(scaler := LossScaler())))
    assert scaler.n_skipped == 0


class Deep(Line):
    """Matrix products that autocast rounds, and a loss so small that its gradients vanish."""

    def loss_sums(self, batch):
        hidden = nn.functional.linear(batch.inputs.float(), self.weight.expand(5, 3))
        return {"tokens": nn.functional.linear(hidden, torch.ones(1, 5)).float().sum() * 2.0**-27}


def test_float16_loses_small_gradients_and_scaling_keeps_them():
    # One backward in float16, whose smallest number is 2^-24.
    steps = steps_of(1)
    norms = {}
    for label, dtype, scaler in (
        ("exact", None, None),
        ("float16", torch.float16, None),
        ("scaled", torch.float16, LossScaler()),
    ):
        (result,), _, _ = run(Deep(), steps, autocast_dtype=dtype, scaler=scaler)
        norms[label] = result.grad_norm
    assert norms["float16"] == 0
    assert norms["scaled"] == pytest.approx(norms["exact"], rel=2**-9)
    assert norms["exact"] > 0
