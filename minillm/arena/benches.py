"""The tables that are made: TinyWorld's three tasks, and real text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from minillm.arena.cells import Bench
from minillm.arena.tasks import WORLD_TASKS, package_task
from minillm.text.corpora import load_corpus

OBJECTIVES = ("causal", "masked", "span-corruption")  # the rows, of run/table.py
SIZES = {"d_model": 64, "n_layers": 2, "n_heads": 4}
WORLD = Bench(
    name="world",
    documents=lambda: load_corpus(["world"]),
    tasks=WORLD_TASKS,
    seconds=60.0,
    vocab_size=1200,
    sizes=SIZES,
)


def stdlib_bench() -> Bench:
    """Return the table of real text; the docstrings of the running Python are read for it."""
    return Bench(
        name="stdlib",
        documents=lambda: load_corpus(["stdlib"]),
        tasks=(package_task(),),
        seconds=45.0,
        vocab_size=2048,
        sizes=SIZES,
    )


BENCHES: Mapping[str, Callable[[], Bench]] = {"world": lambda: WORLD, "stdlib": stdlib_bench}
