"""What a table of five seeds lets us say: each sentence of notebook 14 about it is made here.

A sentence is computed from the table that it speaks of. When the table is made again, the sentence
changes with it, and can claim no more than the intervals allow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from minillm.arena.intervals import Interval, t_interval

Finding = Literal["better", "worse", "open"]
Task = Mapping[str, Any]  # an entry of ``tasks`` of ``assets/arena.json``


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two readers of the table on one task with one number of labels, seed by seed."""

    task: str
    reader: str
    other: str
    n_labels: int
    difference: Interval

    @property
    def finding(self) -> Finding:
        """What the interval of the mean difference says: it holds zero, or it does not."""
        if not self.difference.excludes_zero:
            return "open"
        return "better" if self.difference.mean > 0 else "worse"


def compare(
    tasks: Mapping[str, Task],
    task: str,
    reader: str,
    other: str,
    *,
    confidence: float = 0.95,
) -> list[Comparison]:
    """Compare two readers on a task, for each number of labels.

    Both learned the same labels in each seed and were judged on the same test, so the differences
    are paired.

    Args:
        tasks: of a bench of the table.
        task: its name.
        reader: the first one.
        other: what is taken away.
        confidence: of the intervals.

    Example:
        >>> results = {"a": {"10": [0.5, 0.6, 0.7]}, "b": {"10": [0.3, 0.4, 0.4]}}
        >>> [one.finding for one in compare({"t": {"results": results}}, "t", "a", "b")]
        ['better']
    """
    results = tasks[task]["results"]
    comparisons = []
    for column in sorted(results[reader], key=int):
        pairs = zip(results[reader][column], results[other][column], strict=True)
        interval = _interval([a - b for a, b in pairs], confidence)
        comparisons.append(
            Comparison(
                task=task, reader=reader, other=other, n_labels=int(column), difference=interval
            )
        )
    return comparisons


def sentence(comparisons: Sequence[Comparison]) -> str:
    """Say in one sentence what a row of comparisons shows, and no more.

    Args:
        comparisons: of one task and two readers, for each number of labels.

    Raises:
        ValueError: there is none, or they are of different pairs.

    Example:
        >>> one = Comparison(task="topic", reader="causal", other="scratch decoder", n_labels=10,
        ...                  difference=Interval(0.2, 0.1, 0.3))
        >>> sentence([one])
        '**topic**: *causal* is better than *scratch decoder* with 10 labels (by 0.20).'
    """
    about = {(one.task, one.reader, one.other) for one in comparisons}
    if len(about) != 1:
        raise ValueError(f"a sentence is about one task and two readers, got {sorted(about)}")
    ((task, reader, other),) = about
    parts = []
    for finding in ("better", "worse"):
        found = [one for one in comparisons if one.finding == finding]
        if found:
            by = _range([abs(one.difference.mean) for one in found])
            parts.append(f"is {finding} than *{other}* with {_numbers(found)} labels (by {by})")
    left = [one for one in comparisons if one.finding == "open"]
    if left and not parts:
        numbers = _numbers(left)
        parts.append(f"and *{other}* cannot be told apart, with {numbers} labels")
    elif left:
        parts.append(f"with {_numbers(left)} it stays open")
    return f"**{task}**: *{reader}* {'; '.join(parts)}."


def pretraining_pairs(bench: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield task, pretrained reader and its twin from scratch, for all of a bench."""
    for task in bench["tasks"]:
        for name, about in bench["readers"].items():
            if about["kind"] == "pretrained":
                yield task, name, about["scratch"]


def baseline_pairs(bench: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield task, pretrained reader and the baseline without a network, for all of a bench."""
    for task, about in bench["tasks"].items():
        for name, reader in bench["readers"].items():
            if reader["kind"] == "pretrained":
                yield from ((task, name, baseline) for baseline in about["baselines"])


def compare_all(
    bench: Mapping[str, Any],
    pairs: Iterator[tuple[str, str, str]],
    *,
    confidence: float = 0.95,
) -> list[list[Comparison]]:
    """Compare many pairs; one list each."""
    return [compare(bench["tasks"], *pair, confidence=confidence) for pair in pairs]


def tally(comparisons: Sequence[Sequence[Comparison]]) -> dict[Finding, int]:
    """Count the findings of many comparisons.

    Example:
        >>> tally([])
        {'better': 0, 'worse': 0, 'open': 0}
    """
    found: dict[Finding, int] = {"better": 0, "worse": 0, "open": 0}
    for one in (one for row in comparisons for one in row):
        found[one.finding] += 1
    return found


def _interval(differences: Sequence[float], confidence: float) -> Interval:
    """Return the interval of a mean; that of a single seed has no ends."""
    if len(differences) == 1:
        return Interval(differences[0], -math.inf, math.inf)
    return t_interval(differences, confidence=confidence)


def _numbers(comparisons: Sequence[Comparison]) -> str:
    *most, last = [str(one.n_labels) for one in comparisons]
    return f"{', '.join(most)} and {last}" if most else last


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"
