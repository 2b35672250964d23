"""A counted model has the same run folder, judgement and doors as a trained one."""

import json
import shutil

import pytest
import torch

from minillm.config import PretrainConfig
from minillm.errors import ConfigError
from minillm.generation import generate
from minillm.run import (
    RunFolder,
    evaluate_checkpoint,
    floor_bits,
    judge_checkpoint,
    load_model,
)
from minillm.text.world import TinyWorld


@pytest.fixture
def settings(settings):
    """Settings of a run that counts: what only a Transformer takes is left out."""
    kept = {"out", "corpus", "vocab_size", "threads", "eval_tokens"}
    return {key: settings[key] for key in kept} | {"model": "ngram", "order": 3}


def test_the_final_model_is_the_one_that_was_judged(run, settings):
    result, said = run()
    assert result.is_finished
    loaded = load_model(settings["out"])
    judged, stored = evaluate_checkpoint(loaded), loaded.description["run"]["validation"]
    assert judged.loss == pytest.approx(stored["loss"], rel=1e-6)
    assert result.best_validation_loss == stored["loss"]
    metrics = RunFolder(settings["out"]).read_metrics()
    assert [line["step"] for line in metrics] == [1]
    assert metrics[0]["validation_loss"] == stored["loss"]
    assert f"{judged.bits_per_byte:.3f} bits a byte" in said[-1]
    assert loaded.description["architecture"]["order"] == 3


def test_it_has_learned_and_writes(run, settings):
    run()
    model, tokenizer, _, _ = load_model(settings["out"])
    held_out = evaluate_checkpoint(load_model(settings["out"]))
    assert held_out.loss < 0.5 * torch.tensor(tokenizer.vocab_size).log().item()
    ids = generate(model, [[tokenizer.bos_id]], max_new_tokens=40, seed=0)[0]
    assert "the" in tokenizer.decode(ids, skip_special=True)


def test_the_same_command_finds_it_finished_and_a_damaged_model_is_made_again(run, settings):
    first, _ = run()
    again, said = run()
    assert again == first
    assert "is finished" in said[-1]
    weights = settings["out"] / "final" / "model.safetensors"
    honest = weights.read_bytes()
    weights.write_bytes(honest[:-1])
    mended, said = run()
    assert mended == first
    assert any("made again" in line for line in said)
    assert weights.read_bytes() == honest


def test_a_run_that_died_while_counting_begins_again(run, settings):
    run()
    shutil.rmtree(settings["out"] / "final")
    result, _ = run()
    assert result.is_finished


def test_another_order_is_another_run(run, settings):
    run()
    with pytest.raises(ConfigError, match="order"):
        run(order=2)
    stored = json.loads((settings["out"] / "config.json").read_text("utf-8"))["resolved"]
    assert (stored["steps"], stored["device"], stored["dtype"]) == (1, "cpu", "float32")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"order": 0}, "order must be from 1 to 16, got 0"),
        ({"steps": 100}, "ngram counts the text once: leave out steps and seconds"),
        ({"seconds": 9.0}, "leave out steps and seconds"),
        ({"n_layers": 2}, "n_layers means nothing to ngram, got 2"),
        ({"model": "gpt"}, "order means nothing to gpt, got 3"),
        ({"model": "lsmt"}, "--model lsmt is unknown: choose from gpt"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings, setting, message):
    with pytest.raises(ConfigError, match=message):
        PretrainConfig(**(settings | setting))


def test_on_tinyworld_the_exact_floor_is_told_and_no_model_is_below_it(run, settings):
    settings |= {"corpus": ("world:documents=300",), "vocab_size": 700}
    run()
    judgement = judge_checkpoint(load_model(settings["out"]))
    floor = judgement.floor_bits_per_byte
    assert 0.1 < floor < judgement.evaluation.bits_per_byte
    other = judge_checkpoint(
        load_model(settings["out"]), corpus=["world:documents=40,split=test,seed=1"]
    )
    texts = [d.text for d in TinyWorld(seed=1).documents(40, split="test")]
    bits = sum(TinyWorld().bits(text) for text in texts)
    n_bytes = sum(len(text.encode()) for text in texts)
    assert other.floor_bits_per_byte == pytest.approx(bits / n_bytes, rel=1e-12)
    assert other.evaluation.n_bytes == n_bytes
    assert other.to_json()["floor_bits_per_byte"] == other.floor_bits_per_byte


def test_no_floor_is_told_where_none_is_known(run, settings):
    run()
    judgement = judge_checkpoint(load_model(settings["out"]))
    assert judgement.floor_bits_per_byte is None
    assert "floor_bits_per_byte" not in judgement.to_json()
    assert floor_bits(["world", "stdlib"], []) is None
    assert floor_bits(["world", "world:zh"], []) is None
    assert floor_bits(["world"], ["Alice was a sailor."]) is None
