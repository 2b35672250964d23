"""Fail when a notebook breaks the house limits (the reasons stand in docs/style.md).

Run as ``python scripts/check_notebooks.py notebooks/*.ipynb``; one line a violation.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIN_CELLS, MAX_CELLS = 20, 60
MIN_PROSE = 0.40  # share of the cells
MAX_CODE_LINES, MAX_MEDIAN_LINES, MAX_SETUP_LINES, MAX_CLASS_LINES = 20, 6, 10, 20
MAX_CODE_RUN = 3  # code cells in a row
MAX_CELLS_A_CHECK = 6  # on average
MIN_EXERCISES = 2
MAX_NOTEBOOK_BYTES, MAX_PNG_BYTES = 500_000, 100_000
SECTIONS = ("## Goals", "## Exercises", "## Summary", "## References")  # in this order
STEPS = ("Predict", "Look", "Break it")  # each at least once in the prose
INSTALLS = re.compile(r"^\s*[!%]+\s*(pip|conda|uv|apt)\b", re.MULTILINE)
MAGIC = re.compile(r"^(\s*)[!%].*$", re.MULTILINE)
VERDICT = re.compile(r"\bassert\b|\bcheck_\w+")
EXERCISE = re.compile(r"^### (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cell:
    """What the rules look at in one cell."""

    kind: str
    source: str
    outputs: list[dict[str, Any]]
    execution_count: int | None
    tags: tuple[str, ...]

    @property
    def is_code(self) -> bool:
        """Whether the cell runs."""
        return self.kind == "code"

    @property
    def n_lines(self) -> int:
        """Lines that are not blank."""
        return sum(bool(line.strip()) for line in self.source.splitlines())


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook as the rules see it."""

    path: Path
    cells: list[Cell]
    kernel: str

    @property
    def code(self) -> list[Cell]:
        """The cells that run."""
        return [cell for cell in self.cells if cell.is_code]

    @property
    def prose(self) -> str:
        """The text of all prose cells."""
        return "\n".join(cell.source for cell in self.cells if not cell.is_code)


def _joined(text: str | list[str]) -> str:
    """Join what nbformat stores as one string or as a list of lines."""
    return text if isinstance(text, str) else "".join(text)


def read_notebook(path: Path) -> Notebook:
    """Read the notebook at ``path``."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    cells = [
        Cell(
            kind=cell["cell_type"],
            source=_joined(cell["source"]),
            outputs=cell.get("outputs", []),
            execution_count=cell.get("execution_count"),
            tags=tuple(cell.get("metadata", {}).get("tags", ())),
        )
        for cell in stored["cells"]
    ]
    kernel = stored.get("metadata", {}).get("kernelspec", {}).get("name", "")
    return Notebook(path, cells, kernel)


def title(notebook: Notebook) -> Iterator[str]:
    """Ask for ``# 08 · Attention`` first, with the number of the file's name."""
    first = notebook.cells[0] if notebook.cells else None
    line = first.source.partition("\n")[0] if first and not first.is_code else ""
    match = re.fullmatch(r"# (\d\d) · \S.*", line)
    if match is None:
        yield f"the first line is {line!r}, expected a title like '# 08 · Attention'"
    elif not notebook.path.name.startswith(f"{match[1]}_"):
        yield f"the title's number is {match[1]}, the file's name is {notebook.path.name}"


def sections(notebook: Notebook) -> Iterator[str]:
    """Ask for the sections in their order and for each step of the loop of ideas."""
    headings = [line.strip() for line in notebook.prose.splitlines() if line.startswith("## ")]
    missing = [name for name in SECTIONS if name not in headings]
    yield from (f"section {name!r} is missing" for name in missing)
    found = [name for name in headings if name in SECTIONS]
    if not missing and found != list(SECTIONS):
        yield f"sections come as {found}, expected {list(SECTIONS)} once each"
    for step in STEPS:
        if not re.search(rf"\b{step}\b", notebook.prose):
            yield f"no {step!r} in the prose"


def balance(notebook: Notebook) -> Iterator[str]:
    """Bound the number of cells, the share of prose and the runs of code."""
    n_cells, n_code = len(notebook.cells), len(notebook.code)
    if not MIN_CELLS <= n_cells <= MAX_CELLS:
        yield f"{n_cells} cells, expected {MIN_CELLS} to {MAX_CELLS}"
    if n_cells - n_code < MIN_PROSE * n_cells:
        yield f"{n_cells - n_code} of {n_cells} cells are prose, at least {MIN_PROSE:.0%} must be"
    kinds = "".join("c" if cell.is_code else "m" for cell in notebook.cells)
    longest = max(map(len, kinds.split("m")), default=0)
    if longest > MAX_CODE_RUN:
        yield f"{longest} code cells in a row, at most {MAX_CODE_RUN}"


def code_lines(notebook: Notebook) -> Iterator[str]:
    """Bound the lines of each code cell, of the setup cell and of the usual cell."""
    for index, cell in enumerate(notebook.cells):
        if cell.is_code and cell.n_lines > MAX_CODE_LINES:
            yield f"cell {index} has {cell.n_lines} lines, at most {MAX_CODE_LINES}"
    lengths = [cell.n_lines for cell in notebook.code]
    if not lengths:
        return
    if lengths[0] > MAX_SETUP_LINES:
        yield f"the setup cell has {lengths[0]} lines, at most {MAX_SETUP_LINES}"
    if (median := statistics.median(lengths)) > MAX_MEDIAN_LINES:
        yield f"the median code cell has {median:g} lines, at most {MAX_MEDIAN_LINES}"


def classes(notebook: Notebook) -> Iterator[str]:
    """Refuse long classes and cells that do not parse."""
    for index, cell in enumerate(notebook.cells):
        if not cell.is_code or cell.source.lstrip().startswith("%%"):
            continue
        try:
            tree = ast.parse(MAGIC.sub(r"\1pass", cell.source))
        except SyntaxError as error:
            yield f"cell {index} does not parse: {error.msg}"
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if n_lines > MAX_CLASS_LINES:
                    yield f"class {node.name} has {n_lines} lines, at most {MAX_CLASS_LINES}"


def installs(notebook: Notebook) -> Iterator[str]:
    """Refuse cells that install something: a notebook runs offline."""
    for index, cell in enumerate(notebook.cells):
        if cell.is_code and (match := INSTALLS.search(cell.source)):
            yield f"cell {index} runs {match[0].strip()!r}: set-up belongs to the Makefile"


def kernel(notebook: Notebook) -> Iterator[str]:
    """Ask for the kernel that nbval and every reader have."""
    if notebook.kernel != "python3":
        yield f"the kernel is {notebook.kernel!r}, expected 'python3'"


def outputs(notebook: Notebook) -> Iterator[str]:
    """Ask for stored outputs of one clean run from top to bottom, without an error."""
    run = [cell for cell in notebook.code if cell.source.strip()]
    if not any(cell.outputs for cell in run):
        yield "no output is stored"
    if [cell.execution_count for cell in run] != list(range(1, len(run) + 1)):
        yield "the stored outputs are not of one run from top to bottom"
    for index, cell in enumerate(notebook.cells):
        failed = any(output["output_type"] == "error" for output in cell.outputs)
        if failed and "raises-exception" not in cell.tags:
            yield f"cell {index} stores an error"


def sizes(notebook: Notebook) -> Iterator[str]:
    """Bound the file and each picture in it."""
    n_bytes = notebook.path.stat().st_size
    if n_bytes > MAX_NOTEBOOK_BYTES:
        yield f"the file has {n_bytes} bytes, at most {MAX_NOTEBOOK_BYTES}"
    for index, cell in enumerate(notebook.cells):
        for output in cell.outputs:
            png = base64.b64decode(_joined(output.get("data", {}).get("image/png", "")))
            if len(png) > MAX_PNG_BYTES:
                yield f"a PNG of cell {index} has {len(png)} bytes, at most {MAX_PNG_BYTES}"


def checks(notebook: Notebook) -> Iterator[str]:
    """Ask for a verdict every few cells."""
    n_checks = sum(bool(VERDICT.search(cell.source)) for cell in notebook.code)
    if n_checks * MAX_CELLS_A_CHECK < len(notebook.cells) - MAX_CELLS_A_CHECK:
        yield f"{n_checks} cells check something, expected one in {MAX_CELLS_A_CHECK}"


def exercise_texts(notebook: Notebook) -> Iterator[tuple[str, str, str]]:
    """Yield heading, prose and code of each exercise (a ``###`` in ``## Exercises``)."""
    inside, heading, prose, code = False, "", "", ""
    for cell in notebook.cells:
        if cell.is_code:
            code += cell.source + "\n"
            continue
        for line in cell.source.splitlines():
            starts = EXERCISE.match(line)
            if (starts or line.startswith("## ")) and heading:
                yield heading, prose, code
                heading = ""
            if line.startswith("## "):
                inside = line.strip() == "## Exercises"
            if starts and inside:
                heading, prose, code = starts[1], "", ""
            prose += line + "\n"
    if heading:
        yield heading, prose, code


def exercises(notebook: Notebook) -> Iterator[str]:
    """Ask of each exercise for stars, minutes, a folded hint and a check."""
    found = list(exercise_texts(notebook))
    if len(found) < MIN_EXERCISES:
        yield f"{len(found)} exercises, at least {MIN_EXERCISES}"
    for heading, prose, code in found:
        wanted = {
            "★ in its heading": "★" in heading,
            "minutes": "min" in prose,
            "folded hint (<details>)": "<details>" in prose,
            "check_ call": re.search(r"\bcheck_\w+\(", code),
        }
        yield from (
            f"exercise {heading!r} has no {name}" for name, has in wanted.items() if not has
        )


RULES: tuple[Callable[[Notebook], Iterator[str]], ...] = (
    title, sections, balance, code_lines, classes, installs, kernel, outputs, sizes, checks,
    exercises,
)  # fmt: skip


def violations(path: Path) -> list[str]:
    """Return one message per broken rule in the notebook at ``path``."""
    notebook = read_notebook(path)
    return [f"{path.name}: {message}" for rule in RULES for message in rule(notebook)]


def main(names: list[str]) -> int:
    """Print every violation; return 1 if there is one."""
    messages = [message for name in names for message in violations(Path(name))]
    for message in messages:
        print(message)
    return int(bool(messages))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
