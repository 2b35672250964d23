"""The tables that are made: TinyWorld's three tasks, and real text."""

from __future__ import annotations

from collections.abc import Mapping

from minillm.arena.cells import Bench
from minillm.arena.tasks import WORLD_TASKS
from minillm.text.corpora import load_corpus

SIZES = {"d_model": 64, "n_layers": 2, "n_heads": 4}
WORLD = Bench(
    name="world",
    documents=lambda: load_corpus(["world"]),
    tasks=WORLD_TASKS,
    seconds=60.0,
    vocab_size=1200,
    sizes=SIZES,
)
OBJECTIVES = ("causal", "masked", "span-corruption")  # the rows, of run/table.py
BENCHES: Mapping[str, Bench] = {"world": WORLD}
