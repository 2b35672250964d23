"""Every objective of the table can compete: its recipe trains a body that every task can read."""

import pytest

from minillm.arena.pretraining import pretrain_body
from minillm.arena.recipes import CONTEXT_LENGTH, RECIPES, recipe_of, settings_of
from minillm.arena.tasks import WORLD_TASKS
from minillm.config import TuningConfig
from minillm.data import prepare_data
from minillm.finetuning.tuning import finetune
from minillm.run import OBJECTIVES, load_model
from minillm.text.corpora import load_corpus
from minillm.tokenizers import BERT_SPECIAL_TOKENS, SENTINEL_TOKENS, train_tokenizer

SIZES = {"d_model": 6, "n_layers": 1, "n_heads": 3}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    special_tokens = (*BERT_SPECIAL_TOKENS, *SENTINEL_TOKENS)
    return prepare_data(
        tmp_path_factory.mktemp("text") / "data",
        load_corpus(["world:documents=200"]),
        tokenizer=lambda texts: train_tokenizer(
            "wordpiece", texts, 230, special_tokens=special_tokens
        ),
        sentences=True,
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_recipe_trains_a_body_for_every_task(objective, data, tmp_path):
    n_steps = [1] * len(recipe_of(objective).phases)
    folder = pretrain_body(tmp_path / "body", objective, data, n_steps, sizes=SIZES, seed=0)
    model, tokenizer, *_ = load_model(folder)
    assert model.config.d_model == 6
    settings = TuningConfig(steps=1, batch_size=2, pooling="mean", max_tokens=CONTEXT_LENGTH)
    for task in WORLD_TASKS:
        result = finetune(
            model, tokenizer, task.training(0, 2), settings=settings, labels=task.labels,
            show_bar=False,
        )  # fmt: skip
        assert 0 <= result.evaluate(task.test()[:2])[task.score] <= 1


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_nobody_reads_the_rows_of_another(objective, tmp_path):
    """What all share is taken from the sizes, where the family knows it; the rest is the recipe."""
    config = settings_of(objective, sizes=SIZES, seed=3, out=tmp_path)
    assert (config.seed, config.threads, config.dtype) == (3, 1, "float32")
    assert (config.d_model, config.context_length) == (6, CONTEXT_LENGTH)
    for phase in recipe_of(objective).phases:
        of_phase = settings_of(objective, sizes=SIZES, seed=3, out=tmp_path, phase=phase)
        assert of_phase.context_length == phase.context_length <= CONTEXT_LENGTH
        assert of_phase.batch_size == phase.batch_size
    assert {*RECIPES} == {*OBJECTIVES}
