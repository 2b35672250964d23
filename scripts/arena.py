"""Compare objectives after fine-tuning: ``python scripts/arena.py`` (or ``make arena``).

Each objective pretrains a body for the same CPU seconds of one core, on the same text, with the
same tokenizer, width and depth. Each body is fine-tuned on few labels and judged on one fixed test
set, beside the same body untrained and beside baselines without a network.
What is finished is kept in ``runs/arena``:
the same command continues after any kill and gives the same table. At the end the numbers are in
``assets/arena.json``. What is compared, and why so, stands in docs/arena.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from minillm.arena.benches import BENCHES, OBJECTIVES
from minillm.arena.cells import Bench, Table
from minillm.arena.table import as_text, document, table_json
from minillm.errors import DataError, MinillmError

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "arena"
SEEDS = (0, 1, 2, 3, 4)
KEPT = ("causal-0", "masked-0")  # bodies that notebook 14 goes on from
ASSET = ROOT / "assets" / "arena.json"


def main() -> None:
    """Compute what is missing, seed by seed, and write the asset after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benches", nargs="+", default=list(BENCHES), choices=list(BENCHES))
    parser.add_argument("--objectives", nargs="+", default=list(OBJECTIVES))
    parser.add_argument(
        "--seeds", nargs="*", type=int, default=list(SEEDS), help="none: only write the asset"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        benches = {name: BENCHES[name]() for name in options.benches}
        for seed in options.seeds:
            for bench in benches.values():
                _table(bench, options.objectives, [seed]).run()
            _write(benches, options.objectives)
        _write(benches, options.objectives)
    except MinillmError as error:
        sys.exit(str(error))


def _table(bench: Bench, objectives: list[str], seeds: Sequence[int]) -> Table:
    return Table(bench, RUNS / bench.name, objectives, seeds, say=_say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _write(benches: Mapping[str, Bench], objectives: list[str]) -> None:
    """Write the seeds that are finished, all or nothing; other tables stay as they were.

    With fewer objectives than usual nothing is written: such a run only helps another one.
    """
    if not {*objectives} >= {*OBJECTIVES}:
        return
    kept = json.loads(ASSET.read_text("utf-8"))["benches"] if ASSET.exists() else {}
    for name, bench in benches.items():
        table = _table(bench, objectives, SEEDS)
        try:
            kept[name] = table_json(table, table.ledger.outcomes)
        except DataError as error:
            _say(f"{name}: {error}")
    content = document(kept, command="python scripts/arena.py")
    work = ASSET.with_suffix(f".{os.getpid()}.tmp")
    work.write_text(as_text(content), "utf-8")
    work.replace(ASSET)
    _keep_bodies(benches.get("world"))


def _keep_bodies(bench: Bench | None) -> None:
    """Store the bodies from which a reader can compute a cell again without pretraining."""
    for name in KEPT if bench is not None else ():
        body = RUNS / "world" / "bodies" / name
        if body.is_dir():
            shutil.copytree(body, ASSET.with_suffix("") / name, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
