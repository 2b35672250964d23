"""Runs in float16: what they learn, what they skip, where they end, and how they continue."""

import importlib
import json
from functools import partial

import pytest
import torch

from minillm.errors import NumericalError
from minillm.optim import LossScaler
from minillm.run import RunFolder, load_model

pretrain_module = importlib.import_module("minillm.run.pretrain")


def test_float16_learns_and_says_what_it_skipped(run, settings):
    plain, _ = run(out=settings["out"].with_name("plain"), dropout=0.0)
    half, said = run(dtype="float16", dropout=0.0)
    losses = [[line["loss"] for line in RunFolder(x.out).read_metrics()] for x in (plain, half)]
    assert losses[1] != losses[0]  # it was rounded
    assert losses[1] == pytest.approx(losses[0], abs=0.01)
    assert any("float16 (its numbers, not its speed)" in line for line in said)
    assert any("0 updates were skipped" in line for line in said)
    assert {p.dtype for p in load_model(half.out).model.parameters()} == {torch.float32}
    first = RunFolder(settings["out"]).read_metrics()[0]
    assert (first["loss_scale"], first["skipped"]) == (2.0**16, False)


def test_a_scale_that_never_fits_ends_the_run_row50(run, settings, monkeypatch):
    scaler = partial(LossScaler, scale=2.0**100, least_scale=2.0**94)
    monkeypatch.setattr(pretrain_module, "LossScaler", scaler)
    with pytest.raises(NumericalError, match="after 7 skipped updates") as raised:
        run(dtype="float16")
    assert raised.value.exit_status == 3
    assert [line["skipped"] for line in RunFolder(settings["out"]).read_metrics()] == [True] * 6


def test_a_killed_float16_run_continues_with_its_loss_scale_row13(
    check_killed_is_whole, settings, monkeypatch
):
    """The first scales are too large, and growth begins again in the middle of a count."""
    scaler = partial(LossScaler, scale=2.0**20, growth_interval=3)
    monkeypatch.setattr(pretrain_module, "LossScaler", scaler)
    check_killed_is_whole(dtype="float16", backend="reference")
    lines = RunFolder(settings["out"]).read_metrics()
    assert {line["skipped"] for line in lines} == {True, False}
    assert [line["grad_norm"] is None for line in lines] == [line["skipped"] for line in lines]
    final = json.loads((settings["out"] / "final/config.json").read_text("utf-8"))
    state = final["run"]["position"]["scaler"]
    assert state["n_skipped"] == sum(line["skipped"] for line in lines)
