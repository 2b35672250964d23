"""Measure how much a notebook's results vary with the seed, and store the band that it asserts.

Run as ``python scripts/notebook_bands.py notebooks/10_causal_language_model.ipynb``: the code
cells are executed once per seed (``MINILLM_SEED``, one thread), all but those tagged ``band``,
and the dictionary ``measured`` that the notebook leaves behind is read. The band is a JSON file
in ``assets/bands``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2, 3, 4)
# The least width on each side, as a share of the value: with one seed, the same training ended
# at 0.0602 on one CPU and at 0.0610 on another, which is 1.3 %.
LEAST_SHARE = 0.015
RULE = (
    "least and greatest of the seeds, widened on each side by the distance between them, or by "
    f"{LEAST_SHARE:.1%} of the greatest if that is more: other seeds and other CPUs must fit in"
)
REPORT = """
import json, torch
print(json.dumps({"measured": measured, "corpus_sha256": data.manifest["corpus_sha256"],
                  "torch": torch.__version__}))
"""


def run(path: Path, seed: int, *, timeout_s: int) -> dict[str, Any]:
    """Execute a notebook's code under ``seed`` in a kernel of its own; return what it reports."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and "band" not in cell.metadata.get("tags", ())
    ]
    notebook.cells.append(nbformat.v4.new_code_cell(REPORT))
    environment = os.environ | {"MINILLM_SEED": str(seed), "OMP_NUM_THREADS": "1"}
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=timeout_s, resources=resources).execute(env=environment)
    return json.loads(notebook.cells[-1].outputs[0].text)


def band(values: list[float]) -> list[float]:
    """Return the lowest and the highest value that a notebook accepts.

    Example:
        >>> band([2.0, 3.0])
        [1.0, 4.0]
    """
    low, high = min(values), max(values)
    margin = max(high - low, LEAST_SHARE * abs(high))
    return [round(low - margin, 4), round(high + margin, 4)]


def measure(path: Path, *, timeout_s: int, workers: int = 1) -> dict[str, Any]:
    """Run the notebook under every seed and describe the outcome."""
    reports = []
    with ProcessPoolExecutor(workers) as pool:
        for report in pool.map(partial(run, path, timeout_s=timeout_s), SEEDS):
            reports.append(report)
            print(f"seed {len(reports) - 1}: {report['measured']}", file=sys.stderr)
    names = list(reports[0]["measured"])
    values = {name: [report["measured"][name] for report in reports] for name in names}
    return {
        "notebook": path.name,
        "command": f"python scripts/notebook_bands.py notebooks/{path.name}",
        "rule": RULE,
        "seeds": list(SEEDS),
        "values": {name: [round(value, 5) for value in values[name]] for name in names},
        "bands": {name: band(values[name]) for name in names},
        "corpus_sha256": reports[0]["corpus_sha256"],
        "versions": {"python": platform.python_version(), "torch": reports[0]["torch"]},
    }


def main() -> None:
    """Measure each notebook named on the command line and write its band."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "bands")
    parser.add_argument("--timeout-s", type=int, default=600, help="for one cell")
    parser.add_argument("--workers", type=int, default=1, help="seeds at once")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for path in options.notebooks:
        stored = measure(path, timeout_s=options.timeout_s, workers=options.workers)
        file = options.out / f"{path.stem}.json"
        file.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        print(f"{file}: {stored['bands']}")


if __name__ == "__main__":
    main()
