"""The cells of the table and the file that remembers those that are done.

A cell is one reader, one task, one number of labels and one seed; what came of it is one line of a
JSONL file. A line is written at once and to the disk, so that whoever is killed loses at most the
cell that was being computed, and a line that was torn off is left out and computed again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from minillm.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Cell:
    """What one number of the table is about."""

    seed: int
    reader: str  # an objective, "scratch …" or the name of a baseline
    task: str
    n_labels: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A finished cell."""

    cell: Cell
    scores: dict[str, float]  # of the test examples
    cpu_s: float  # of learning and being judged, without pretraining


class Ledger:
    """The finished cells of a table, in a file.

    Args:
        path: the JSONL file; it need not be there yet.
        settings: what every line depends on and no cell says; a ledger of others is refused.

    Raises:
        DataError: the file belongs to other settings, or holds a line that is none of ours.

    Example:
        ``done = Ledger(Path("runs/arena/world/cells.jsonl"), settings={"seconds": 60}).outcomes``
    """

    def __init__(self, path: Path, *, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, json.loads(json.dumps(settings))
        self._done: dict[Cell, Outcome] = {}
        self.reread()

    def reread(self) -> None:
        """Look for lines that another process has written since.

        Raises:
            DataError: as above.
        """
        for number, line in enumerate(self._lines(), start=1):
            if number == 1:
                self._check(line)
            else:
                outcome = self._parsed(line, number)
                self._done[outcome.cell] = outcome

    @property
    def outcomes(self) -> dict[Cell, Outcome]:
        """The finished cells, in the order of their lines."""
        return dict(self._done)

    def missing(self, cells: Iterable[Cell]) -> Iterator[Cell]:
        """Yield the cells that are not done yet."""
        yield from (cell for cell in cells if cell not in self._done)

    def add(self, outcome: Outcome) -> None:
        """Write a finished cell; it survives the end of this process as soon as this returns."""
        self._append({**asdict(outcome.cell), "scores": outcome.scores, "cpu_s": outcome.cpu_s})
        self._done[outcome.cell] = outcome

    def _append(self, content: dict[str, Any]) -> None:
        """Write one line at once: appended lines of two processes do not mix."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists() or self.path.stat().st_size == 0
        text = json.dumps(content) + "\n"
        if is_new and "settings" not in content:
            text = json.dumps({"settings": self.settings}) + "\n" + text
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":  # a killed writer's last line
                text = "\n" + text
            os.write(file, text.encode())
            os.fsync(file)
        finally:
            os.close(file)

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        lines = self.path.read_text("utf-8").split("\n")
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                content = json.loads(line)
            except ValueError:
                if number > 1:
                    continue  # torn off: its cell is computed again
                content = None
            if not isinstance(content, dict):
                raise DataError(f"{self.path}:{number}: not a line of a table: delete the file")
            yield content

    def _check(self, line: dict[str, Any]) -> None:
        found = line.get("settings")
        if found != self.settings:
            kept = found if isinstance(found, dict) else {}
            names = sorted(
                name
                for name in {*kept, *self.settings}
                if kept.get(name) != self.settings.get(name)
            )
            raise DataError(
                f"{self.path} holds cells of other settings ({', '.join(names)}): move it away "
                "to begin a new table, or go back to its settings"
            )

    def _parsed(self, line: dict[str, Any], number: int) -> Outcome:
        names = [field.name for field in fields(Cell)]
        try:
            cell = Cell(**{name: line[name] for name in names})
            return Outcome(cell=cell, scores=dict(line["scores"]), cpu_s=float(line["cpu_s"]))
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(f"{self.path}:{number}: not a cell: {error!r}") from error
