"""A table so small that a test takes a second."""

from dataclasses import replace

import pytest

from minillm.arena.benches import WORLD
from minillm.arena.cells import Bench, Table
from minillm.arena.recipes import Phase, Recipe
from minillm.config import TuningConfig
from minillm.text.corpora import load_corpus

TUNING = TuningConfig(steps=2, batch_size=3, patience=None, pooling="mean")
STEPS = {"causal": [3], "masked": [2, 3], "span-corruption": [2], "prefix": [2]}


@pytest.fixture
def recipes(monkeypatch):
    """Give the objectives recipes that fit into a test; ``prefix`` keeps none of its own."""
    short = Phase(share=0.25, context_length=7, batch_size=3)
    long = Phase(share=0.75, context_length=13, batch_size=2)
    whole = Phase(share=1.0, context_length=13, batch_size=2)
    monkeypatch.setattr(
        "minillm.arena.recipes.RECIPES",
        {
            "causal": Recipe(phases=(whole,), settings={"model": "llama"}),
            "masked": Recipe(phases=(short, long), settings={"mask_rate": 0.3}),
            "span-corruption": Recipe(phases=(whole,)),
        },
    )


@pytest.fixture(scope="session")
def bench():
    """Two of TinyWorld's tasks with two numbers of labels and seven test examples."""
    tasks = tuple(
        replace(task, numbers=(2, 5), tuning=TUNING, test=_few(task.test))
        for task in WORLD.tasks[:2]
    )
    return Bench(
        name="tiny",
        documents=lambda: iter(load_corpus(["world:documents=20"])),
        tasks=tasks,
        seconds=0.02,
        vocab_size=230,
        sizes={"d_model": 6, "n_layers": 1, "n_heads": 3},
    )


def _few(test):
    return lambda: test()[:7]


@pytest.fixture
def make_table(tmp_path, bench, recipes, monkeypatch):
    """Make a table whose numbers of steps are given instead of measured."""
    monkeypatch.setattr(
        "minillm.arena.cells.steps_within",
        lambda names, data, **_: {name: STEPS[name] for name in names},
    )

    def make(objectives=("masked",), seeds=(0,), name="table"):
        return Table(bench, tmp_path / name, objectives, seeds)

    return make
