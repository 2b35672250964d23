import math

import pytest
import torch
from torch import nn

from exercises.descents_05 import (
    START,
    decay_in_noise,
    descend,
    next_token_loss,
    ravine,
    train_network,
)
from minillm.optim import SGD, AdamW

V, N = 7, 3


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(V, 2), nn.Flatten(), nn.Linear(N * 2, V))


def batches(n_steps):
    return torch.randint(V, (n_steps, 5, N + 1), generator=torch.Generator().manual_seed(0))


def test_the_path_follows_the_gradient_of_the_ravine():
    path = descend(lambda p: SGD(p, learning_rate=0.01), n_steps=4)
    assert path[0].tolist() == START.tolist()
    shrink = torch.tensor([0.99, 0.75], dtype=torch.float64)
    torch.testing.assert_close(path[4], START * shrink**4)
    assert ravine(path).diff().lt(0).all()


def test_weights_in_noise_decay_by_the_formula():
    means = decay_in_noise(AdamW, 3.0, n_steps=400)
    # A mean of 500 random walks of 400 steps, each of about 0.01: 5 σ are 0.05 at most.
    assert means[-1] == pytest.approx(0.999**400, abs=0.05)


def test_training_is_torchs_loop():
    ours, oracle, rows = network(), network(), batches(6)
    found = train_network(ours, rows, rule="sgd", rate=0.5, schedule=lambda t: 1 / t, max_norm=0.2)
    losses, norms = [], []
    for step, batch in enumerate(rows, start=1):
        optimizer = torch.optim.SGD(oracle.parameters(), lr=0.5 / step)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(oracle(batch[:, :N]), batch[:, N])
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(oracle.parameters(), 0.2).item())
        optimizer.step()
        losses.append(loss.item())
    assert found.losses == pytest.approx(losses, rel=1e-5)
    assert found.norms == pytest.approx(norms, rel=1e-5)
    assert next_token_loss(ours, rows[0]).item() == pytest.approx(
        next_token_loss(oracle, rows[0]).item(), rel=1e-5
    )


def test_moves_are_relative_and_an_accident_is_as_large_as_its_factor():
    before = network()
    first = {factor: train_network(network(), batches(1), rule="sgd", rate=0.5, factors={1: factor})
             for factor in (1.0, 10.0)}  # fmt: skip
    assert first[10.0].norms[0] == pytest.approx(10 * first[1.0].norms[0], rel=1e-4)
    assert first[10.0].moves[0] == pytest.approx([10 * x for x in first[1.0].moves[0]], rel=1e-4)
    next_token_loss(before, batches(1)[0]).backward()
    weight = before[0].weight
    assert first[1.0].moves[0][0] == pytest.approx(
        (0.5 * weight.grad.norm() / weight.norm()).item(), rel=1e-4
    )
    assert len(first[1.0].moves[0]) == 2
    assert math.isfinite(first[1.0].losses[0])
