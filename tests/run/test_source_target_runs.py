"""Runs of span corruption and of a prefix model, from the command's settings to what they write."""

import json

import pytest
import torch

from minillm.cli import main
from minillm.config import PretrainConfig
from minillm.data import load_prepared
from minillm.errors import ConfigError
from minillm.generation import generate
from minillm.objectives.span_corruption import rebuild
from minillm.run import OBJECTIVES, judge_checkpoint, load_model, make_writer
from minillm.run.batches import make_corruption

OBJECTIVES_HERE = ["span-corruption", "prefix"]


@pytest.fixture
def settings(settings):
    return settings | {"vocab_size": 380, "context_length": 19, "n_layers": 1, "dropout": 0.0}


@pytest.mark.parametrize("objective", OBJECTIVES_HERE)
def test_it_learns_and_is_judged_alike_when_it_is_opened(run, settings, objective):
    run(objective=objective, steps=40, learning_rate=0.02, d_model=12)
    log = (settings["out"] / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in log]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    loaded = load_model(settings["out"])
    judgement = judge_checkpoint(loaded)
    assert judgement.floors == {}  # of text that we did not generate
    stored = loaded.description["run"]["validation"]["loss"]
    assert judgement.evaluation.loss == pytest.approx(stored, rel=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES_HERE)
def test_a_killed_run_draws_the_same_spans_and_prefixes(check_killed_is_whole, objective):
    check_killed_is_whole(objective=objective)


def test_batches_are_as_long_as_the_context_and_rebuild_the_text(run, settings):
    run(objective="span-corruption", steps=1)
    data = load_prepared(settings["out"] / "data")
    config = PretrainConfig(**(settings | {"objective": "span-corruption"}))
    batch_at = OBJECTIVES["span-corruption"].batches(data, config)
    corruption = make_corruption(data.tokenizer)
    n_tokens = corruption.longest_text(19)
    stream = data.train.tolist()
    for number in range(5):
        batch = batch_at(number)
        assert max(batch.inputs.shape[1], batch.targets.shape[1]) <= 19
        for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
            text = rebuild(inputs, targets, corruption=corruption)
            assert len(text) == n_tokens
            assert any(stream[i : i + n_tokens] == text for i in range(len(stream)))
    assert torch.equal(batch_at(3).inputs, batch_at(3).inputs)
    assert not torch.equal(batch_at(3).inputs, batch_at(4).inputs)


def test_a_prefix_model_has_the_floor_of_a_causal_one(run, settings):
    run(objective="prefix", steps=2, corpus=("world:documents=60",), vocab_size=500)
    judgement = judge_checkpoint(load_model(settings["out"]))
    assert judgement.floor_bits_per_byte < judgement.evaluation.bits_per_byte


def test_span_corruption_of_the_world_shows_no_line(run, settings):
    run(objective="span-corruption", steps=1, corpus=("world:documents=60",), vocab_size=500)
    assert judge_checkpoint(load_model(settings["out"])).floors == {}


def test_prompts_are_filled_in_or_continued(run, settings, capsys):
    run(objective="span-corruption", steps=3)
    arguments = ["generate", "--checkpoint", str(settings["out"]), "--max-new-tokens", "5"]
    assert main([*arguments, "--prompt", "the <extra_id_0> cat", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    loaded = load_model(settings["out"])
    assert written["token_ids"][0] == loaded.tokenizer.pad_id
    source = loaded.tokenizer.encode("the <extra_id_0> cat", allowed_special={"<extra_id_0>"})
    model = loaded.model.given(torch.tensor([[*source, loaded.tokenizer.eos_id]]))
    writer = make_writer(loaded, "the <extra_id_0> cat")
    options = {"max_new_tokens": 5, "temperature": 0.0, "seed": 0}
    assert generate(writer.model, [writer.token_ids], **options) == generate(
        model, [[loaded.tokenizer.pad_id]], **options
    )
    assert main([*arguments, "--prompt", "the cat"]) == 0
    assert not capsys.readouterr().out.startswith("the cat")


def test_a_prefix_is_read_in_both_directions_when_it_writes(run, settings, capsys):
    run(objective="prefix", steps=3, n_layers=2)
    loaded = load_model(settings["out"])
    writer = make_writer(loaded, "the cat sees")
    ids = torch.tensor([writer.token_ids])
    both, _ = writer.model.next_log_probs(ids)
    causal, _ = loaded.model.next_log_probs(ids)
    assert not torch.allclose(both, causal, atol=1e-6)
    arguments = ["generate", "--checkpoint", str(settings["out"]), "--prompt", "the cat sees"]
    assert main([*arguments, "--max-new-tokens", "4"]) == 0
    assert capsys.readouterr().out.startswith("the cat sees")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "span-corruption", "noise_density": 1.0}, "noise_density must be between"),
        ({"objective": "span-corruption", "mean_span_length": 0.5}, "mean_span_length must be 1"),
        ({"objective": "causal", "noise_density": 0.3}, "means nothing to --objective causal"),
        ({"objective": "prefix", "model": "lstm"}, "--model lstm does not fit --objective prefix"),
        ({"objective": "causal", "model": "t5"}, "--model t5 does not fit --objective causal"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, changes, message):
    with pytest.raises(ConfigError, match=message):
        PretrainConfig(**(settings | changes))
