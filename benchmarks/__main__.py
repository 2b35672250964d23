"""Print a table of ratios and write bench.json; slowness is reported, never an error.

python -m benchmarks [names…] [--quick] [--out bench.json]
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import has_transformers, machine, threads
from benchmarks.table import HEADER, format_row

NAMES = (
    "training_step",
    "masked_step",
    "attention_backends",
    "skipped_blocks",
    "fused_loss",
    "generation",
    "tokenizing",
    "importing",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds, no aims")
    parser.add_argument("--out", type=Path, default=Path("bench.json"))
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):  # argparse's choices would refuse no name at all
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}: {', '.join(NAMES)}")

    described = machine()
    print(*(f"{name}: {value}" for name, value in described.items()), sep="\n")
    if not has_transformers():
        print("transformers is missing, and so are its rows: make bench installs it")
    print(f"\n{HEADER}")
    found = []
    with threads(1):
        for name in options.names or NAMES:
            module = importlib.import_module(f"benchmarks.{name}")
            for row in module.rows(module.QUICK if options.quick else module.FULL):
                print(format_row(row), flush=True)
                found.append(row)
    load = [round(one, 2) for one in os.getloadavg()]
    print(f"\nload average at the end: {load}")
    given = sys.argv[1:] if arguments is None else arguments
    report = {
        "command": " ".join(["python -m benchmarks", *given]),
        "machine": described | {"load_average_at_the_end": load},
        "rows": [row.as_json() for row in found],
    }
    options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    # Libraries read these when they are imported, which happens inside ``main``.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    os.environ["HF_HUB_OFFLINE"] = "1"
    main()
