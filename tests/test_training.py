"""The loop against a hand-written one, and what it must never do."""

import copy
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minillm.batch import IGNORE_INDEX, Batch
from minillm.checkpoint import optimizer_tensors
from minillm.config import DecoderConfig
from minillm.errors import NumericalError
from minillm.models.base import Model
from minillm.models.decoder import Decoder
from minillm.objectives.causal import causal_batch
from minillm.optim import make_optimizer, warmup_cosine
from minillm.training import StepResult, autocast, train

B, T, V = 5, 7, 31
SIZES = {"vocab_size": V, "context_length": T, "d_model": 12, "n_layers": 2, "n_heads": 3}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def model():
    return Decoder(DecoderConfig.gpt(**SIZES)).double()


def batches(generator, n, *, n_rows=B):
    """Causal batches; every other target is not scored in half of the rows."""
    for _ in range(n):
        batch = causal_batch(torch.randint(V, (n_rows, T + 1), generator=generator))
        batch.targets[: n_rows // 2, ::2] = IGNORE_INDEX
        yield batch


def parameters_of(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def assert_same(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, **({"rtol": 0, "atol": 0} | tolerance))


def sgd(model, learning_rate=1.0):
    """The update is then the gradient itself."""
    return torch.optim.SGD(model.parameters(), lr=learning_rate)


class TwoHeads(Model):
    """Two losses, of the tokens and of the labels, from one table; weights are easy to spoil."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.linspace(-1, 1, 11 * 3, dtype=torch.float64).view(11, 3))
        self.modes = []

    def loss_sums(self, batch):
        self.modes.append(self.training)
        logits = self.table[batch.inputs]
        sums = {}
        if batch.targets is not None:
            sums["tokens"] = F.cross_entropy(
                logits.flatten(0, 1), batch.targets.flatten(), reduction="sum"
            )
        if batch.labels is not None:
            sums["labels"] = F.cross_entropy(-logits[:, 0], batch.labels, reduction="sum")
        return sums

    def log_probs(self, batch):
        raise NotImplementedError


def two_headed_batch(n_rows, *, seed, scored=()):
    """Labels are scored in the rows given only."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.full((n_rows,), IGNORE_INDEX)
    labels[list(scored)] = 1
    inputs = torch.randint(11, (n_rows, 2), generator=generator)
    return Batch(inputs=inputs, targets=inputs % 3, labels=labels)


# Equivalence.


@pytest.mark.parametrize("fused", [True, False])
def test_the_trajectory_is_that_of_a_loop_written_by_hand(model, generator, fused):
    n_steps, max_norm = 20, 0.8
    steps = [list(batches(generator, 1)) for _ in range(n_steps)]
    peer = copy.deepcopy(model)
    matrices = [p for p in peer.parameters() if p.ndim >= 2]
    vectors = [p for p in peer.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.3}, {"params": vectors, "weight_decay": 0.0}]
    oracle = torch.optim.AdamW(groups, lr=1.0, betas=(0.8, 0.9), eps=1e-6)
    expected = []
    for step, (batch,) in enumerate(steps):
        rate = 0.02 * (step + 1) / 5 if step < 5 else 0.02 * 0.9 ** (step - 4)
        for group in oracle.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(peer(batch.inputs).flatten(0, 1), batch.targets.flatten())
        oracle.zero_grad()
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in peer.parameters()]).norm()
        for parameter in peer.parameters():
            parameter.grad *= min(1.0, max_norm / norm)
        oracle.step()
        expected.append((step + 1, loss.item(), norm.item(), rate))

    optimizer = make_optimizer(
        model, name="adamw", learning_rate=1.0, weight_decay=0.3, betas=(0.8, 0.9), eps=1e-6,
        fused=fused,
    )  # fmt: skip
    schedule = {s: 0.02 * s / 5 if s <= 5 else 0.02 * 0.9 ** (s - 5) for s in range(1, 21)}
    results = train(
        model, optimizer, steps, max_grad_norm=max_norm, learning_rate=schedule.__getitem__
    )
    found = [(r.step, r.loss, r.grad_norm, r.learning_rate) for r in results]
    norms = [norm for _, _, norm, _ in expected]
    assert min(norms) < max_norm < max(norms)  # both kinds of steps occur
    assert found == [pytest.approx(row, rel=1e-9) for row in expected]
    assert_same(parameters_of(model), parameters_of(peer), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sizes", [[5], [1, 4], [2, 1, 2], [1] * 5])
def test_unequal_micro_batches_are_one_big_batch_row44(model, generator, sizes):
    (whole,) = batches(generator, 1)
    pieces = [
        Batch(inputs=inputs, targets=targets)
        for inputs, targets in zip(
            whole.inputs.split(sizes), whole.targets.split(sizes), strict=True
        )
    ]
    counts = [piece.n_scored()["tokens"] for piece in pieces]
    assert len(sizes) in (1, 5) or len(set(counts)) > 1
    peer = copy.deepcopy(model)
    loss = F.cross_entropy(peer(whole.inputs).flatten(0, 1), whole.targets.flatten())
    loss.backward()
    (result,) = train(model, sgd(model), [pieces], max_grad_norm=math.inf)
    assert result.loss == pytest.approx(loss.item(), rel=1e-6)
    assert result.n_tokens == B * T
    for name, parameter in peer.named_parameters():
        gradient = model.get_parameter(name).grad
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-6, atol=1e-12)


def test_every_head_is_divided_by_its_own_count_of_the_step_row44():
    """Labels are scored in two rows of eight, in one micro-batch only."""
    micro_batches = [two_headed_batch(3, seed=1, scored=[0, 2]), two_headed_batch(5, seed=2)]
    model, peer = TwoHeads(), TwoHeads()
    sums = [peer.loss_sums(batch) for batch in micro_batches]
    tokens = (sums[0]["tokens"] + sums[1]["tokens"]) / 16
    labels = sums[0]["labels"] / 2
    (tokens + labels).backward()
    (result,) = train(model, sgd(model), [micro_batches], max_grad_norm=math.inf)
    assert result.losses == pytest.approx({"tokens": tokens.item(), "labels": labels.item()})
    assert result.loss == pytest.approx((tokens + labels).item())
    torch.testing.assert_close(model.table.grad, peer.table.grad, rtol=1e-12, atol=1e-15)


def test_a_head_without_a_target_contributes_zero_row41():
    model, alone = TwoHeads(), TwoHeads()
    batch = two_headed_batch(3, seed=1)
    (result,) = train(model, sgd(model), [[batch]])
    (expected,) = train(alone, sgd(alone), [[Batch(inputs=batch.inputs, targets=batch.targets)]])
    assert result.losses == expected.losses | {"labels": 0.0}
    assert_same(parameters_of(model), parameters_of(alone))


def test_a_step_without_any_target_changes_no_weight_row41(model):
    inputs = torch.zeros(B, T, dtype=torch.int64)
    before = parameters_of(model)
    batch = Batch(inputs=inputs, targets=torch.full_like(inputs, IGNORE_INDEX))
    (result,) = train(model, sgd(model), [[batch]])
    assert (result.loss, result.grad_norm) == (0.0, 0.0)
    assert_same(parameters_of(model), before)


# Steps.


def test_steps_are_numbered_and_take_their_own_rate(model, generator):
    """With SGD and no clipping the change of the weights shows the rate that was used."""
    asked, moved = [], []

    def learning_rate(step):
        asked.append(step)
        return 0.5**step

    results = train(
        model, sgd(model, 77.0), ([batch] for batch in batches(generator, 4)),
        learning_rate=learning_rate, first_step=3, max_grad_norm=math.inf,
    )  # fmt: skip
    before = parameters_of(model)
    for result, step in zip(results, (3, 4, 5, 6), strict=True):
        assert (result.step, result.learning_rate) == (step, 0.5**step)
        after = parameters_of(model)
        moved.append(sum((after[n] - before[n]).square().sum() for n in after).sqrt().item())
        assert moved[-1] == pytest.approx(0.5**step * result.grad_norm, rel=1e-9)
        before = after
    assert sorted(set(asked)) == [3, 4, 5, 6]


def test_every_group_gets_the_rate_and_without_a_schedule_keeps_its_own(model, generator):
    def optimizer():
        first, *rest = model.parameters()
        return torch.optim.SGD([{"params": [first], "lr": 0.25}, {"params": rest, "lr": 0.5}])

    kept = optimizer()
    (result,) = train(model, kept, [list(batches(generator, 1))])
    assert [group["lr"] for group in kept.param_groups] == [0.25, 0.5]
    assert result.learning_rate == 0.25
    set_by_schedule = optimizer()
    list(
        train(model, set_by_schedule, [list(batches(generator, 1))], learning_rate=lambda _: 0.125)
    )
    assert [group["lr"] for group in set_by_schedule.param_groups] == [0.125, 0.125]


def test_our_schedule_starts_above_zero_and_ends_where_it_should(model, generator):
    def rate(step):
        return 0.5 * warmup_cosine(step, n_steps=4, n_warmup=2)

    results = list(
        train(model, sgd(model), [[b] for b in batches(generator, 4)], learning_rate=rate)
    )
    assert [result.learning_rate for result in results] == [0.25, 0.5, rate(3), pytest.approx(0.05)]


@pytest.mark.parametrize("max_norm", [1e-3, 0.1, 1e6])
def test_the_joint_gradient_is_clipped_and_its_own_norm_reported(model, generator, max_norm):
    (batch,) = batches(generator, 1)
    peer = copy.deepcopy(model)
    F.cross_entropy(peer(batch.inputs).flatten(0, 1), batch.targets.flatten()).backward()
    norm = torch.cat([p.grad.flatten() for p in peer.parameters()]).norm().item()
    before = parameters_of(model)
    (result,) = train(model, sgd(model), [[batch]], max_grad_norm=max_norm)
    assert result.grad_norm == pytest.approx(norm, rel=1e-9)
    expected = {
        name: before[name] - parameter.grad * min(1.0, max_norm / norm)
        for name, parameter in peer.named_parameters()
    }
    assert_same(parameters_of(model), expected, rtol=1e-9, atol=1e-15)


def test_the_loop_reads_one_step_at_a_time(model, generator):
    """A run can stop anywhere: nothing is read, or updated, ahead of what was asked for."""
    n_read = 0

    def endless():
        nonlocal n_read
        while True:
            n_read += 1
            yield list(batches(generator, 1))

    results = train(model, sgd(model), endless())
    assert n_read == 0
    assert [result.step for result in itertools.islice(results, 3)] == [1, 2, 3]
    assert n_read == 3


def test_the_model_is_in_training_mode_in_each_step():
    model = TwoHeads()
    steps = [[two_headed_batch(3, seed=seed)] for seed in range(3)]
    for _ in train(model, sgd(model), steps):
        model.eval()  # as an evaluation between two steps leaves it
    assert model.modes == [True, True, True]


def test_gradients_of_the_last_step_are_forgotten(model, generator):
    first, second = batches(generator, 2)
    list(train(model, sgd(model, 0.0), [[first], [second]], max_grad_norm=math.inf))
    peer = copy.deepcopy(model)
    list(train(peer, sgd(peer, 0.0), [[second]], max_grad_norm=math.inf))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.grad, peer.get_parameter(name).grad), name


def test_result_adds_up_its_losses():
    result = StepResult(3, {"tokens": 1.5, "labels": 0.25}, 1.0, 0.1, 70)
    assert result.loss == 1.75


# What is not finite stops before the update.


class Spoiled(TwoHeads):
    """A loss or a gradient that breaks at a given call; the forward pass is fine otherwise."""

    def __init__(self, kind, at_call):
        super().__init__()
        self.kind, self.at_call = kind, at_call

    def loss_sums(self, batch):
        sums = super().loss_sums(batch)
        if len(self.modes) != self.at_call:
            return sums
        if self.kind == "gradient":  # sqrt has an infinite slope at 0, and 0 · inf is NaN
            return sums | {"tokens": sums["tokens"] + (self.table[0, 0] * 0).sqrt()}
        return sums | {"tokens": sums["tokens"] + float(self.kind)}


@pytest.mark.parametrize("kind", ["nan", "inf", "-inf", "gradient"])
@pytest.mark.parametrize("at_call", [1, 2, 5, 6])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_what_is_not_finite_stops_before_the_update_row50(kind, at_call, name):
    """Two micro-batches a step: calls 1 and 2 are step 1, calls 5 and 6 step 3."""
    model = Spoiled(kind, at_call)
    optimizer = make_optimizer(model, name=name, learning_rate=0.1)
    steps = [[two_headed_batch(3, seed=s), two_headed_batch(2, seed=s + 50)] for s in range(9)]
    n_good = (at_call - 1) // 2
    results = train(model, optimizer, steps)
    assert [next(results).step for _ in range(n_good)] == [*range(1, n_good + 1)]
    weights, state = parameters_of(model), copy.deepcopy(optimizer_tensors(optimizer)[0])
    with pytest.raises(NumericalError, match=rf"step {n_good + 1}: .* those of step {n_good}\."):
        next(results)
    assert_same(parameters_of(model), weights)
    assert_same(optimizer_tensors(optimizer)[0], state)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_a_damaged_weight_stops_a_decoder_row50(model, generator):
    with torch.no_grad():
        model.final_norm.weight[0] = math.nan
    with pytest.raises(NumericalError, match=r"step 1: losses \{'tokens': nan\}"):
        list(train(model, sgd(model), [list(batches(generator, 1))]))


# Refusals.


def test_a_step_without_a_micro_batch_is_refused(model):
    with pytest.raises(ValueError, match="step 5 has no micro-batch"):
        list(train(model, sgd(model), [[]], first_step=5))


def test_losses_that_the_model_does_not_compute_are_refused(model, generator):
    (batch,) = batches(generator, 1)
    labeled = Batch(inputs=batch.inputs, targets=batch.targets, labels=torch.ones(B, 1).long())
    with pytest.raises(
        ValueError, match=r"sums losses of \['tokens'\], the batch counts \['tokens', 'l"
    ):
        list(train(model, sgd(model), [[labeled]]))


# Number formats.


def test_autocast_reaches_the_matrices_and_leaves_the_weights(generator):
    (batch,) = batches(generator, 1)
    results = {}
    for dtype in (None, torch.float32, torch.bfloat16):
        model = Decoder(DecoderConfig.gpt(**SIZES))
        seen = set()
        model.blocks[0].attention.query.register_forward_hook(
            lambda *args, seen=seen: seen.add(args[2].dtype)
        )
        (result,) = train(model, sgd(model), [[batch]], autocast_dtype=dtype)
        assert seen == {torch.bfloat16 if dtype == torch.bfloat16 else torch.float32}
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
        results[dtype] = result.loss
    assert results[None] == results[torch.float32]
    assert results[torch.bfloat16] == pytest.approx(results[None], rel=1e-2)
    assert results[torch.bfloat16] != results[None]


def test_autocast_is_off_by_default():
    for dtype in (None, torch.float32):
        with autocast("cpu", dtype):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with autocast("cpu", torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


# Learning.


@pytest.mark.parametrize("family", [DecoderConfig.gpt, DecoderConfig.llama])
def test_one_batch_is_memorized_from_a_loss_of_ln_v(family, generator):
    model = Decoder(family(**SIZES), generator=generator)
    batch = causal_batch(torch.randint(V, (2, T + 1), generator=generator))
    optimizer = make_optimizer(model, name="adamw", learning_rate=0.01, weight_decay=0.0)
    losses = [result.loss for result in train(model, optimizer, [[batch]] * 150)]
    assert losses[0] == pytest.approx(math.log(V), abs=0.05)
    assert losses[-1] < 0.05
    predicted = model.eval()(batch.inputs).argmax(dim=-1)
    assert torch.equal(predicted, batch.targets)
