"""A run of the bidirectional objective: two directions, one folder, the same floor."""

import pytest

from minillm.config import PretrainConfig
from minillm.errors import ConfigError
from minillm.generation import generate
from minillm.run import evaluate_checkpoint, judge_checkpoint, load_model


@pytest.fixture
def settings(settings):
    kept = {key: value for key, value in settings.items() if key not in ("n_heads", "n_layers")}
    return kept | {"objective": "bidirectional", "learning_rate": 0.02, "dropout": 0.0}


@pytest.mark.parametrize("model", ["auto", "rnn"])
def test_it_learns_is_judged_and_writes(run, settings, model):
    run(model=model, steps=120)
    loaded = load_model(settings["out"])
    judged, stored = evaluate_checkpoint(loaded), loaded.description["run"]["validation"]
    assert judged.loss == pytest.approx(stored["loss"], rel=1e-6)
    assert judged.loss < 4.0  # of ln 277 = 5.6
    assert loaded.description["objective"] == "bidirectional"
    assert loaded.description["model"] == ("lstm" if model == "auto" else model)
    ids = generate(loaded.model, [[loaded.tokenizer.bos_id]], max_new_tokens=5, seed=0)[0]
    assert len(ids) <= 6


def test_both_directions_have_the_same_floor(run, settings):
    run(corpus=("world:documents=60",), vocab_size=500, steps=3)
    judgement = judge_checkpoint(load_model(settings["out"]))
    assert judgement.floor_bits_per_byte is not None
    assert judgement.evaluation.bits_per_byte > judgement.floor_bits_per_byte


def test_a_model_of_another_objective_is_refused(settings):
    with pytest.raises(ConfigError, match="--model gpt does not fit --objective bidirectional"):
        PretrainConfig(**(settings | {"model": "gpt"}))
