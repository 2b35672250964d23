"""Weights and optimizers come back exactly, or not at all; rows 6 and 7 of FAULTS."""

import copy
import json

import pytest
import torch
from torch import nn

from minillm.checkpoint import (
    load_optimizer,
    load_weights,
    model_tensors,
    optimizer_tensors,
    read_checkpoint,
    write_checkpoint,
)
from minillm.errors import CheckpointError
from minillm.optim import make_optimizer

V, C = 7, 3


class Tied(nn.Module):
    """Reads and predicts with one matrix; ``spare`` gets no gradient, the buffer none either."""

    def __init__(self, *, tie=True, width=C, dtype=torch.float32, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.read = nn.Embedding(V, width, dtype=dtype)
        self.predict = nn.Linear(width, V, dtype=dtype)
        self.spare = nn.Parameter(torch.zeros(5, dtype=dtype))
        self.register_buffer("offset", torch.zeros(V, dtype=dtype))
        with torch.no_grad():
            for tensor in self.state_dict().values():
                tensor.normal_(generator=generator)
        if tie:
            self.predict.weight = self.read.weight

    def descend(self, optimizer, steps):
        for step in steps:
            optimizer.zero_grad()
            token_ids = torch.arange(V) * (step + 2) % V
            logits = self.predict(self.read(token_ids)) + self.offset
            nn.functional.cross_entropy(logits, token_ids.roll(1)).backward()
            optimizer.step()
        return snapshot(self)


def snapshot(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize("tie", [True, False])
def test_weights_come_back_through_the_disk(tmp_path, tie):
    model, other = Tied(tie=tie, seed=1), Tied(tie=tie, seed=2)
    write_checkpoint(tmp_path / "final", {"model.safetensors": model_tensors(model)})
    load_weights(other, read_checkpoint(tmp_path / "final")["model.safetensors"])
    assert_equal(snapshot(other), snapshot(model))


def test_loaded_weights_do_not_depend_on_the_file(tmp_path):
    model = Tied(seed=1)
    write_checkpoint(tmp_path / "final", {"model.safetensors": model_tensors(model)})
    other = Tied(seed=2)
    load_weights(other, read_checkpoint(tmp_path / "final")["model.safetensors"])
    path = tmp_path / "final" / "model.safetensors"
    path.write_bytes(bytes(path.stat().st_size))
    assert_equal(snapshot(other), snapshot(model))


def test_tied_weights_are_saved_once_and_stay_tied_row7(tmp_path):
    model, other = Tied(seed=1), Tied(seed=2)
    tensors = model_tensors(model)
    assert list(tensors) == ["spare", "offset", "read.weight", "predict.bias"]
    write_checkpoint(tmp_path / "final", {"model.safetensors": tensors})
    n_values = V * C + V + 5 + V
    size = (tmp_path / "final" / "model.safetensors").stat().st_size
    assert 4 * n_values <= size < 4 * (n_values + V * C) + 400  # a header, no second copy
    load_weights(other, read_checkpoint(tmp_path / "final")["model.safetensors"])
    assert other.read.weight is other.predict.weight
    assert other.read.weight.data_ptr() == other.predict.weight.data_ptr()
    assert torch.equal(other.predict.weight, model.read.weight)


def test_equal_weights_that_are_not_tied_are_both_saved():
    model = Tied(tie=False)
    with torch.no_grad():
        model.predict.weight.copy_(model.read.weight)
    assert {"read.weight", "predict.weight"} <= model_tensors(model).keys()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Tied(tie=False), "of another model: unexpected: predict.weight$"),
        (Tied(width=5), r"shape: read\.weight \(want 7 × 3, got 7 × 5\)$"),
        (
            Tied(dtype=torch.float64),
            r"dtype: spare \(want torch\.float32, got torch\.float64\), offset",
        ),
        (
            nn.Linear(C, V),
            "missing: spare, offset, read.weight, predict.bias; unexpected: weight, ",
        ),
        (nn.ReLU(), "missing: spare, offset, read.weight, predict.bias$"),
    ],
    ids=["untied", "shape", "dtype", "architecture", "empty"],
)
def test_weights_of_another_model_are_refused_row6(other, message):
    model = Tied(seed=1)
    before = snapshot(model)
    with pytest.raises(CheckpointError, match=message):
        load_weights(model, model_tensors(other))
    assert_equal(snapshot(model), before)


def test_all_differences_are_listed_at_once_row6():
    model, tensors = Tied(), model_tensors(Tied(seed=1))
    before = snapshot(model)
    del tensors["spare"]
    tensors |= {"extra": torch.zeros(2), "offset": torch.zeros(())}
    tensors["predict.bias"] = tensors["predict.bias"].half()
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, tensors)
    assert str(caught.value) == (
        "the weights are of another model: missing: spare; unexpected: extra; "
        "shape: offset (want 7, got scalar); "
        "dtype: predict.bias (want torch.float32, got torch.float16)"
    )
    assert_equal(snapshot(model), before)  # read.weight, which fits, neither


def resume(tmp_path, model, optimizer):
    """Send the model's and the optimizer's state through the disk."""
    tensors, description = optimizer_tensors(optimizer)
    files = {
        "model.safetensors": model_tensors(model),
        "optimizer.safetensors": tensors,
        "optimizer.json": description,
    }
    return read_checkpoint(write_checkpoint(tmp_path / "step-00000006", files))


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("n_before", [0, 6])
def test_resumed_equals_uninterrupted(tmp_path, name, fused, n_before):
    settings = {"name": name, "learning_rate": 0.05, "fused": fused}
    whole, first, second = Tied(seed=1), Tied(seed=1), Tied(seed=2)
    expected = whole.descend(make_optimizer(whole, **settings), range(13))
    optimizer = make_optimizer(first, **settings)
    first.descend(optimizer, range(n_before))
    files = resume(tmp_path, first, optimizer)
    other = make_optimizer(second, **(settings | {"learning_rate": 0.7}))
    load_weights(second, files["model.safetensors"])
    load_optimizer(other, files["optimizer.safetensors"], files["optimizer.json"])
    assert optimizer_tensors(other)[1] == optimizer_tensors(optimizer)[1]  # tuples are tuples
    assert_equal(second.descend(other, range(n_before, 13)), expected)


@pytest.mark.parametrize("name", ["momentum", "adamw"])
@pytest.mark.parametrize("first_fused", [True, False])
def test_the_other_implementation_continues(tmp_path, name, first_fused):
    settings = {"name": name, "learning_rate": 0.05, "eps": 1e-2}
    whole, model = (Tied(seed=1, dtype=torch.float64) for _ in range(2))
    expected = whole.descend(make_optimizer(whole, fused=True, **settings), range(13))
    first = make_optimizer(model, fused=first_fused, **settings)
    model.descend(first, range(6))
    files = resume(tmp_path, model, first)
    second = make_optimizer(model, fused=not first_fused, **settings)
    load_optimizer(second, files["optimizer.safetensors"], files["optimizer.json"])
    assert second.param_groups[0].get("fused") == (None if first_fused else True)
    found = model.descend(second, range(6, 13))
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-12, rtol=1e-12)


def test_torchs_default_optimizers_resume_exactly(tmp_path):
    """Built by hand without names, with torch's own defaults."""
    whole, model = Tied(seed=1), Tied(seed=1)
    expected = whole.descend(torch.optim.AdamW(whole.parameters()), range(13))
    first = torch.optim.AdamW(model.parameters())
    model.descend(first, range(6))
    files = resume(tmp_path, model, first)
    assert "0.exp_avg" not in files["optimizer.safetensors"]  # spare has had no gradient
    assert "1.exp_avg" in files["optimizer.safetensors"]
    second = torch.optim.AdamW(model.parameters())
    load_optimizer(second, files["optimizer.safetensors"], files["optimizer.json"])
    assert_equal(model.descend(second, range(6, 13)), expected)


def test_how_a_step_is_computed_stays_the_receivers_choice():
    model = Tied()
    first = torch.optim.AdamW(model.parameters(), lr=0.05, fused=True)
    model.descend(first, range(3))
    second = torch.optim.AdamW(model.parameters(), lr=0.7, foreach=False)
    load_optimizer(second, *optimizer_tensors(first))
    group = second.param_groups[0]
    assert (group["lr"], group["fused"], group["foreach"]) == (0.05, None, False)


def test_optimizer_tensors_are_named_after_parameters():
    model = Tied()
    optimizer = make_optimizer(model, name="adamw", learning_rate=0.05)
    model.descend(optimizer, range(3))
    tensors, description = optimizer_tensors(optimizer)
    keys = ("exp_avg", "exp_avg_sq", "step")
    trained = ("read.weight", "predict.bias")  # tied once; no state for what had no gradient
    assert sorted(tensors) == sorted(f"{name}.{key}" for name in trained for key in keys)
    assert tensors["read.weight.step"] == 3
    assert [group["parameters"] for group in description["groups"]] == [
        ["read.weight"],
        ["spare", "predict.bias"],
    ]
    assert [group["weight_decay"] for group in description["groups"]] == [0.1, 0.0]
    json.dumps(description, allow_nan=False)


def adamw(model, **changes):
    return make_optimizer(model, **({"name": "adamw", "learning_rate": 0.05} | changes))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: adamw(Tied(), name="momentum"), "is of AdamW, not of SGD"),
        (
            lambda: adamw(nn.Linear(C, V)),
            r"of other parameters: missing: weight, bias; unexpected: ",
        ),
        (lambda: adamw(Tied(width=5)), r"shape: read\.weight\.exp_avg \(want 7 × 5, got 7 × 3\)"),
        (lambda: adamw(Tied(dtype=torch.float64)), r"dtype: read\.weight\.exp_avg \(want"),
        (lambda: torch.optim.AdamW(Tied().named_parameters()), "same parameters in other groups"),
    ],
    ids=["rule", "names", "shape", "dtype", "groups"],
)
def test_a_state_of_another_optimizer_is_refused_row6(other, message):
    model = Tied()
    optimizer = adamw(model)
    model.descend(optimizer, range(3))
    receiver = other()
    before = copy.deepcopy(receiver.state_dict())
    with pytest.raises(CheckpointError, match=message):
        load_optimizer(receiver, *optimizer_tensors(optimizer))
    assert receiver.state_dict() == before


@pytest.mark.parametrize("lost", ["exp_avg", "exp_avg_sq", "step"])
def test_an_incomplete_state_is_refused_row6(lost):
    model = Tied()
    optimizer = adamw(model)
    model.descend(optimizer, range(3))
    tensors, description = optimizer_tensors(optimizer)
    del tensors[f"predict.bias.{lost}"]
    with pytest.raises(CheckpointError, match=f"missing: predict.bias.{lost}"):
        load_optimizer(adamw(Tied()), tensors, description)


@pytest.mark.parametrize(
    "description", [{}, {"rule": "AdamW"}, {"rule": "AdamW", "groups": [{}]}, []]
)
def test_a_strange_description_is_refused(description):
    with pytest.raises(CheckpointError, match="optimizer"):
        load_optimizer(adamw(Tied()), {}, description)


def test_state_that_is_no_tensor_is_refused():
    model = Tied()
    optimizer = adamw(model)
    optimizer.state[model.spare]["history"] = [1, 2]
    with pytest.raises(ValueError, match=r"spare\.history is a list, not a tensor"):
        optimizer_tensors(optimizer)
