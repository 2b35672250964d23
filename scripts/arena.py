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
import sys
from pathlib import Path

import torch

from minillm.arena.benches import BENCHES, OBJECTIVES
from minillm.arena.cells import Table
from minillm.arena.table import document, table_json
from minillm.errors import DataError, MinillmError

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "arena"
ASSET = ROOT / "assets" / "arena.json"


def main() -> None:
    """Compute what is missing, seed by seed, and write the asset after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benches", nargs="+", default=list(BENCHES), choices=list(BENCHES))
    parser.add_argument("--objectives", nargs="+", default=list(OBJECTIVES))
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds, from 0")
    parser.add_argument("--only-summarize", action="store_true", help="compute nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        for seed in range(options.seeds):
            for name in options.benches:
                table = _table(name, options.objectives, seed + 1)
                if not options.only_summarize:
                    table.run()
            _write(options.objectives, options.seeds)
    except MinillmError as error:
        sys.exit(str(error))


def _table(name: str, objectives: list[str], n_seeds: int) -> Table:
    return Table(BENCHES[name], RUNS / name, objectives, range(n_seeds), say=_say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _write(objectives: list[str], n_seeds: int) -> None:
    """Write what is finished of every bench, all or nothing."""
    found = {}
    for name in BENCHES:
        table = _table(name, objectives, n_seeds)
        try:
            found[name] = table_json(table, table.ledger.outcomes)
        except DataError as error:
            _say(f"{name}: {error}")
    content = document(found, command="python scripts/arena.py")
    work = ASSET.with_suffix(".tmp")
    work.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    work.replace(ASSET)


if __name__ == "__main__":
    main()
