"""Finished cells → the table that is stored, compared and drawn."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minillm.arena.cells import Table
from minillm.arena.intervals import Interval, t_interval
from minillm.arena.ledger import Cell, Outcome
from minillm.arena.recipes import stated
from minillm.errors import DataError
from minillm.run import load_model
from minillm.runtime import machine_signature

_WIDTH = 110  # columns of the stored JSON
Values = dict[str, list[float]]  # number of labels → one value of each seed


def table_json(table: Table, outcomes: Mapping[Cell, Outcome]) -> dict[str, Any]:
    """Arrange a table for ``assets/arena.json``.

    Args:
        table: whose cells they are.
        outcomes: finished cells; of seeds that are not finished nothing is told.

    Returns:
        ``settings``, ``seeds`` (the finished ones), ``readers`` (kind, architecture, the reader
        from scratch, and for pretrained ones the recipe, the steps and the CPU seconds of each
        seed), ``tasks`` (title, score, numbers of labels, n_test, and ``results``: for each reader
        and number of labels the main score of each seed in the order of ``seeds``), and ``cpu_s``.

    Raises:
        DataError: no seed is finished.
    """
    seeds = finished_seeds(table, outcomes)
    if not seeds:
        raise DataError("no seed of the table is finished yet: run the command again")
    return {
        "settings": table.bench.settings(),
        "seeds": seeds,
        "readers": {name: _about(table, name, seeds) for name in table.readers},
        "tasks": {
            task.name: _task(table, task.name, outcomes, seeds) for task in table.bench.tasks
        },
        "cpu_s": {
            "cells": round(sum(one.cpu_s for one in outcomes.values()), 1),
            "pretraining": round(
                sum(sum(about.get("cpu_s", [])) for about in _abouts(table, seeds)), 1
            ),
        },
    }


def finished_seeds(table: Table, outcomes: Mapping[Cell, Outcome]) -> list[int]:
    """Return the seeds of which every cell is there."""
    missing = {cell.seed for cell in table.cells() if cell not in outcomes}
    return [seed for seed in table.seeds if seed not in missing]


def _abouts(table: Table, seeds: Sequence[int]) -> Iterable[dict[str, Any]]:
    return (_about(table, name, seeds) for name in table.readers)


def _about(table: Table, name: str, seeds: Sequence[int]) -> dict[str, Any]:
    reader = table.readers[name]
    about: dict[str, Any] = {"kind": reader.kind, "architecture": reader.architecture}
    if reader.kind != "pretrained" or reader.objective is None:
        return about
    bodies = [load_model(table.body_folder(name, seed)) for seed in seeds]
    told = [body.description["pretraining"] for body in bodies]
    return about | {
        "scratch": reader.scratch,
        "recipe": stated(reader.objective),
        "n_steps": told[0]["n_steps"],
        "cpu_s": [one["cpu_s"] for one in told],
        "n_parameters": sum(p.numel() for p in bodies[0].model.parameters()),
        "last_loss": [one["loss"][-1][1] for one in told],
    }


def _task(
    table: Table, name: str, outcomes: Mapping[Cell, Outcome], seeds: Sequence[int]
) -> dict[str, Any]:
    task = table.tasks[name]
    results: dict[str, Values] = {}
    for reader in [*table.readers, *task.baselines]:
        results[reader] = {
            str(number): [
                outcomes[Cell(seed=seed, reader=reader, task=name, n_labels=number)].scores[
                    task.score
                ]
                for seed in seeds
            ]
            for number in task.numbers
        }
    return {
        "title": task.title,
        "kind": task.kind,
        "score": task.score,
        "n_labels": [*task.numbers],
        "counted": task.counted,
        "n_test": len(task.test()),
        "baselines": [*task.baselines],
        "results": results,
    }


def document(benches: Mapping[str, Mapping[str, Any]], *, command: str) -> dict[str, Any]:
    """Return all of ``assets/arena.json``: the tables, the command and the machine.

    Args:
        benches: ``table_json`` of each.
        command: that makes the file again.
    """
    machine = machine_signature() | {"python": platform.python_version(), "threads": 1}
    return {"command": command, "machine": machine, "benches": dict(benches)}


def as_text(content: Mapping[str, Any]) -> str:
    """Write JSON with a line for each short list and object, so that a change shows in a diff.

    Example:
        >>> print(as_text({"a": {"b": [1, 2]}}), end="")
        {"a": {"b": [1, 2]}}
    """
    return _lines(content, "") + "\n"


def _lines(content: Any, indent: str) -> str:
    text = json.dumps(content, ensure_ascii=False)
    if not isinstance(content, dict) or len(indent) + len(text) <= _WIDTH:
        return text
    inner = indent + " "
    parts = (f"{inner}{json.dumps(key)}: {_lines(x, inner)}" for key, x in content.items())
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


def compared(task: Mapping[str, Any], reader: str, other: str, n_labels: int) -> Interval:
    """Return by how much a reader is better than another, seed by seed, with its 95 % interval.

    Both learned the same labels and were judged on the same test examples; the differences are
    therefore paired.

    Args:
        task: an entry of ``tasks`` of ``table_json``.
        reader: the first one.
        other: what is taken away.
        n_labels: of the column.

    Raises:
        DataError: there is no such reader or column, or fewer than two seeds.

    Example:
        >>> results = {"a": {"10": [0.5, 0.6, 0.7]}, "b": {"10": [0.3, 0.4, 0.4]}}
        >>> interval = compared({"results": results}, "a", "b", 10)
        >>> round(interval.mean, 3), interval.excludes_zero
        (0.233, True)
    """
    results, column = task["results"], str(n_labels)
    for name in (reader, other):
        if name not in results or column not in results[name]:
            raise DataError(f"the table has no {name} with {n_labels} labels, only {[*results]}")
    pairs = zip(results[reader][column], results[other][column], strict=True)
    return t_interval([one - two for one, two in pairs])
