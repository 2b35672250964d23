"""A run's folder: one owner at a time, a configuration that holds, and a log without gaps."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from minillm.errors import CheckpointError, ConfigError

LOCK, CONFIG, METRICS, DATA, FINAL = ".lock", "config.json", "metrics.jsonl", "data", "final"
# What a start that was killed before it wrote its configuration may have left.
_FIRST_TRACES = {LOCK, DATA, f".{DATA}.tmp", f"{CONFIG}.tmp"}


class RunFolder:
    """Where one run lives; see docs/architecture.md for what lies in it.

    Args:
        path: made by ``locked`` if it is absent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Own the folder; the operating system frees it when the process ends, however it ends.

        Raises:
            ConfigError: it is a file, holds something else than a run, or another process owns it.
        """
        self._check_is_run()
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(self.path / LOCK, timeout=0):
                yield
        except filelock.Timeout:
            raise ConfigError(
                f"{self.path} is in use: another minillm is writing there; wait for it, or choose "
                "another --out"
            ) from None
        finally:
            self.close_log()

    def _check_is_run(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path} is a file; --out must be a run's folder or a new one")
        if not self.path.exists() or (self.path / CONFIG).exists():
            return
        foreign = sorted(p.name for p in self.path.iterdir() if p.name not in _FIRST_TRACES)
        if foreign:
            raise ConfigError(
                f"{self.path} is no run: it holds {', '.join(foreign[:5])} but no {CONFIG}; choose "
                "a new folder for --out"
            )

    def read_config(self) -> dict[str, Any] | None:
        """Return what the run was begun with; None where it was not begun."""
        path = self.path / CONFIG
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}") from error

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the configuration whole or not at all."""
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        _write_at_once(self.path / CONFIG, text)

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the log, one mapping per step; a torn last line is left out."""
        path = self.path / METRICS
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]  # the last one did not end

    def rewind_metrics(self, step: int) -> None:
        """Forget what was logged after ``step``: those steps will be taken, and logged, again."""
        kept = [line for line in self.read_metrics() if line["step"] <= step]
        if [line["step"] for line in kept] != list(range(1, step + 1)):
            raise CheckpointError(
                f"{self.path / METRICS} does not hold steps 1 to {step}, each once; it was changed "
                "by something else than this run"
            )
        _write_at_once(self.path / METRICS, "".join(map(_line, kept)))

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Append one step; it survives the end of this process as soon as this returns."""
        line = _line(metrics)
        if self._log is None:
            self._log = (self.path / METRICS).open("a", encoding="utf-8")
        self._log.write(line)
        self._log.flush()

    def sync_log(self) -> None:
        """Wait until the log is on the disk: a checkpoint must not be ahead of it."""
        if self._log is not None:
            os.fsync(self._log.fileno())

    def close_log(self) -> None:
        """Close the log; the next line opens it again."""
        if self._log is not None:
            self._log.close()
            self._log = None


def _line(metrics: Mapping[str, Any]) -> str:
    return json.dumps(metrics, allow_nan=False) + "\n"


def _write_at_once(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
