import copy
import math

import pytest
import torch
from torch import nn

from minillm.errors import ConfigError
from minillm.optim import (
    SGD,
    Adam,
    AdamW,
    clip_gradients,
    decay_groups,
    make_optimizer,
    warmup_cosine,
    warmup_stable_decay,
)

N_STEPS = 200
ADAM = {"betas": (0.8, 0.95), "eps": 1e-2, "weight_decay": 0.1}  # eps large: its place matters
RULES = {
    "sgd": (SGD, torch.optim.SGD, {"weight_decay": 0.1}),
    "momentum": (SGD, torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    "nesterov": (SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (Adam, torch.optim.Adam, ADAM),
    "adamw": (AdamW, torch.optim.AdamW, ADAM),
}


class Curved(nn.Module):
    """A matrix, a vector and one parameter that no loss reaches, all in float64."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(torch.randn(3, 5, generator=generator, dtype=torch.float64))
        self.vector = nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64))
        self.unused = nn.Parameter(torch.ones(7, dtype=torch.float64))

    def descend(self, optimizer, steps):
        """Take the given steps; the loss is another one each time, so gradients keep changing."""
        for step in steps:
            optimizer.zero_grad()
            inputs = torch.sin(torch.arange(3, dtype=torch.float64) * (step + 1))
            (torch.tanh(inputs @ self.matrix + self.vector).sum() ** 2 / 2).backward()
            optimizer.step()
        return torch.cat([parameter.detach().flatten() for parameter in self.parameters()])


@pytest.mark.parametrize("n_steps", [1, 5, N_STEPS])
@pytest.mark.parametrize("rule", RULES)
def test_trajectory_is_torchs(rule, n_steps):
    ours, torchs, settings = RULES[rule]
    model, oracle = Curved(), Curved()
    found = model.descend(ours(model.parameters(), learning_rate=0.05, **settings), range(n_steps))
    plain = torchs(oracle.parameters(), lr=0.05, foreach=False, fused=False, **settings)
    expected = oracle.descend(plain, range(n_steps))
    assert not torch.equal(expected[:15], Curved().matrix.detach().flatten())
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
def test_fused_and_readable_versions_agree(name):
    results = []
    for fused in (True, False):
        model = Curved()
        optimizer = make_optimizer(model, name=name, learning_rate=0.05, eps=1e-2, fused=fused)
        assert type(optimizer).__module__.startswith("torch" if fused else "minillm")
        results.append(model.descend(optimizer, range(N_STEPS)))
    torch.testing.assert_close(*results, atol=1e-12, rtol=1e-12)


def test_adamw_by_hand():
    """Two steps with numbers that can be followed on paper."""
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = AdamW([weight], learning_rate=0.1, betas=(0.5, 0.75), eps=1.0, weight_decay=0.5)
    weight.grad = torch.tensor([2.0], dtype=torch.float64)
    optimizer.step()  # m̂ = 1 / 0.5 = 2, v̂ = 1 / 0.25 = 4: 1·(1 − 0.05) − 0.1 · 2 / (2 + 1)
    assert weight.item() == pytest.approx(0.95 - 0.2 / 3, abs=1e-15)
    before = weight.item()
    weight.grad = torch.tensor([-4.0], dtype=torch.float64)
    optimizer.step()  # m = 0.5 − 2 = −1.5, m̂ = −2; v = 0.75 + 4 = 4.75, v̂ = 4.75 / 0.4375
    expected = before * 0.95 + 0.1 * 2 / (math.sqrt(4.75 / 0.4375) + 1)
    assert weight.item() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("rule", RULES)
def test_a_parameter_without_gradient_is_left_alone(rule):
    ours, _, settings = RULES[rule]
    model = Curved()
    optimizer = ours(model.parameters(), learning_rate=0.05, **settings)
    model.descend(optimizer, range(3))
    assert torch.equal(model.unused, torch.ones_like(model.unused))  # weight decay neither
    assert model.unused not in optimizer.state
    before = model.vector.detach().clone()
    model.vector.grad = None  # had gradients until now: momentum does not push it on
    optimizer.step()
    assert torch.equal(model.vector, before)


@pytest.mark.parametrize("rule", RULES)
def test_resumed_equals_uninterrupted(rule):
    ours, _, settings = RULES[rule]
    whole, first = Curved(), Curved()
    expected = whole.descend(ours(whole.parameters(), learning_rate=0.05, **settings), range(13))
    optimizer = ours(first.parameters(), learning_rate=0.05, **settings)
    first.descend(optimizer, range(6))
    second = copy.deepcopy(first)
    other = ours(second.parameters(), learning_rate=0.7)  # the settings come with the state
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert torch.equal(second.descend(other, range(6, 13)), expected)


@pytest.mark.parametrize("name", ["momentum", "adam", "adamw"])
@pytest.mark.parametrize("first_fused", [True, False])
def test_one_version_continues_the_others_state(name, first_fused):
    whole, model = Curved(), Curved()
    settings = {"name": name, "learning_rate": 0.05, "eps": 1e-2}
    expected = whole.descend(make_optimizer(whole, fused=True, **settings), range(13))
    first = make_optimizer(model, fused=first_fused, **settings)
    model.descend(first, range(6))
    second = make_optimizer(model, fused=not first_fused, **settings)
    content = second.state_dict()
    content["state"] = first.state_dict()["state"]
    second.load_state_dict(content)
    found = model.descend(second, range(6, 13))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


def test_closure_is_called_with_gradients_on():
    weight = nn.Parameter(torch.tensor([3.0]))
    optimizer = SGD([weight], learning_rate=0.5)

    def closure():
        loss = (weight**2).sum() / 2
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 4.5
    assert weight.item() == 1.5


def test_matrices_decay_and_vectors_do_not():
    model = nn.ModuleDict(
        {"read": nn.Embedding(7, 3), "norm": nn.LayerNorm(3), "predict": nn.Linear(3, 7)}
    )
    model["predict"].weight = model["read"].weight  # tied: must be moved once
    model["norm"].bias.requires_grad_(False)  # frozen: must not be moved
    decaying, others = decay_groups(model, 0.3)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert [name for name, _ in decaying["params"]] == ["read.weight"]
    assert [name for name, _ in others["params"]] == ["norm.weight", "predict.bias"]
    for fused in (True, False):
        optimizer = make_optimizer(
            model, name="adamw", learning_rate=1e-3, weight_decay=0.3, fused=fused
        )
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
        assert optimizer.param_groups[1]["param_names"] == ["norm.weight", "predict.bias"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "lion"}, "unknown optimizer 'lion'.*adamw"),
        ({"learning_rate": -1.0}, "learning_rate must be at least 0"),
        ({"learning_rate": math.nan}, "learning_rate .* got nan"),
        ({"learning_rate": math.inf}, "learning_rate .* got inf"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\] must be at least 0 and below 1, got 1.0"),
        ({"betas": (-0.1, 0.9)}, r"betas\[0\]"),
        ({"eps": -1e-8}, "eps"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"name": "momentum", "momentum": 1.0}, "momentum"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    settings = {"name": "adamw", "learning_rate": 0.1}
    with pytest.raises(ConfigError, match=message):
        make_optimizer(nn.Linear(3, 2), **(settings | changes))


def test_nesterov_needs_momentum():
    with pytest.raises(ConfigError, match="needs momentum"):
        SGD(nn.Linear(3, 2).parameters(), learning_rate=0.1, nesterov=True)


def test_a_model_without_trainable_parameters_is_refused():
    with pytest.raises(ConfigError, match="nothing to train"):
        make_optimizer(nn.ReLU(), name="adamw", learning_rate=0.1)


def with_gradients(*values, dtype=torch.float32):
    parameters = [nn.Parameter(torch.zeros(len(value), dtype=dtype)) for value in values]
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = torch.tensor(value, dtype=dtype)
    return parameters


@pytest.mark.parametrize("max_norm", [0.1, 6.0, 100.0, math.inf])
def test_clipping_is_torchs_up_to_its_epsilon(max_norm):
    ours = [*with_gradients([1.0, -2.0, 3.0], [6.0, 5.0]), nn.Parameter(torch.zeros(2))]
    oracle = with_gradients([1.0, -2.0, 3.0], [6.0, 5.0])
    norm = clip_gradients(ours, max_norm)
    assert norm.item() == pytest.approx(math.sqrt(75))
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(oracle, max_norm))
    for ours_one, oracle_one in zip(ours[:2], oracle, strict=True):
        torch.testing.assert_close(ours_one.grad, oracle_one.grad, atol=0, rtol=1e-5)
    assert ours[2].grad is None
    if max_norm > norm:
        assert ours[0].grad.tolist() == [1.0, -2.0, 3.0]  # to the last bit


def test_clipping_keeps_the_direction_of_all_gradients_together():
    parameters = with_gradients([3.0], [4.0])
    clip_gradients(parameters, 1.0)
    assert [p.grad.item() for p in parameters] == pytest.approx([0.6, 0.8])  # not [1, 1]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_norm_that_is_not_finite_changes_no_gradient(value):
    parameters = with_gradients([1.0, value], [50.0])
    norm = clip_gradients(parameters, 1.0)
    assert not norm.isfinite()
    assert parameters[0].grad[0].item() == 1.0
    assert parameters[0].grad[1].item() == pytest.approx(value, nan_ok=True)
    assert parameters[1].grad.item() == 50.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_norm_is_measured_in_float32(dtype):
    parameters = with_gradients([57344.0, 57344.0], dtype=dtype)  # the norm is above 65504
    norm = clip_gradients(parameters, 1.0)
    assert norm.item() == pytest.approx(57344 * math.sqrt(2), rel=1e-6)
    assert parameters[0].grad.dtype == dtype
    assert parameters[0].grad.tolist() == pytest.approx([math.sqrt(0.5)] * 2, rel=1e-2)


def test_nothing_to_clip():
    parameters = with_gradients([0.0, 0.0])
    assert clip_gradients(parameters, 1.0) == 0
    assert parameters[0].grad.tolist() == [0.0, 0.0]  # not 0 · inf
    assert clip_gradients([nn.Parameter(torch.zeros(2))], 1.0) == 0
    assert clip_gradients(iter(parameters), 1.0) == 0  # model.parameters() is an iterator


@pytest.mark.parametrize("max_norm", [0.0, -1.0, math.nan])
def test_max_norm_must_be_positive(max_norm):
    with pytest.raises(ConfigError, match="max_norm must be above 0"):
        clip_gradients(with_gradients([1.0]), max_norm)


SCHEDULES = [warmup_cosine, warmup_stable_decay]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("n_warmup", [1, 7, 40])
def test_warmup_is_exact(schedule, n_warmup):
    found = [schedule(step, n_steps=101, n_warmup=n_warmup) for step in range(1, n_warmup + 1)]
    assert found == [step / n_warmup for step in range(1, n_warmup + 1)]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("n_warmup", [0, 1, 7])
@pytest.mark.parametrize("final_fraction", [0.0, 0.1, 1.0])
def test_last_step_has_the_final_fraction(schedule, n_warmup, final_fraction):
    settings = {"n_steps": 101, "n_warmup": n_warmup, "final_fraction": final_fraction}
    assert schedule(101, **settings) == pytest.approx(final_fraction, abs=1e-15)
    assert schedule(max(n_warmup, 1), **settings) == 1.0
    falling = [schedule(step, **settings) for step in range(max(n_warmup, 1), 102)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_warmup_starts_at_the_peak(schedule):
    assert schedule(1, n_steps=10, n_warmup=0) == 1.0
    assert schedule(1, n_steps=1, n_warmup=0) == 1.0
    assert schedule(5, n_steps=5, n_warmup=5) == 1.0  # a run that is warmup only


def test_cosine_by_hand():
    settings = {"n_steps": 9, "n_warmup": 1, "final_fraction": 0.2}
    found = [warmup_cosine(step, **settings) for step in (1, 3, 5, 7, 9)]
    half = math.sqrt(0.5)
    expected = [1.0, 0.2 + 0.4 * (1 + half), 0.6, 0.2 + 0.4 * (1 - half), 0.2]
    assert found == pytest.approx(expected, abs=1e-15)


def test_cosine_is_torchs_between_peak_and_end():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=60 - 7, eta_min=0.1)
    for step in range(7, 61):
        found = warmup_cosine(step, n_steps=60, n_warmup=7)
        assert found == pytest.approx(oracle.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        oracle.step()


def test_stable_phase_ends_where_the_decay_begins():
    settings = {"n_steps": 20, "n_warmup": 3, "decay_fraction": 0.25, "final_fraction": 0.5}
    found = [warmup_stable_decay(step, **settings) for step in range(1, 21)]
    assert found[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert found[3:15] == [1.0] * 12  # up to step 15
    assert found[15:] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])


def test_stable_phase_does_not_depend_on_the_length():
    short = [warmup_stable_decay(step, n_steps=100, n_warmup=5) for step in range(1, 81)]
    long = [warmup_stable_decay(step, n_steps=999, n_warmup=5) for step in range(1, 81)]
    assert short == long


def test_decay_never_begins_before_the_peak():
    found = [
        warmup_stable_decay(step, n_steps=5, n_warmup=3, decay_fraction=1.0) for step in range(1, 6)
    ]
    assert found == pytest.approx([1 / 3, 2 / 3, 1.0, 0.5, 0.0])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("step", "changes", "message"),
    [
        (0, {}, "step must be in 1..n_steps=10, got 0"),
        (11, {}, "got 11"),
        (1, {"n_warmup": 11}, "n_warmup must be in 0..n_steps=10, got 11"),
        (1, {"n_warmup": -1}, "n_warmup"),
        (1, {"final_fraction": 1.5}, "final_fraction"),
    ],
)
def test_schedule_refusals(schedule, step, changes, message):
    with pytest.raises(ConfigError, match=message):
        schedule(step, **({"n_steps": 10, "n_warmup": 2} | changes))
