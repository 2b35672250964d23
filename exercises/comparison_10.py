"""What notebook 10 shows of the stored comparisons: kinds of models at equal cost, and copying."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from exercises.panels import Panel, plot_panels
from minillm.plots.comparison import plot_cost
from minillm.plots.style import Figure

_N_FIRST = 8  # stretches of the curves, of 200, in which the frequencies of tokens are learned


def plot_kinds(corpus: Mapping[str, Any], *, title: str) -> Figure:
    """Draw bits per byte against the cost of training, for every kind of model on one text.

    Args:
        corpus: an entry of ``corpora`` in ``assets/comparison.json``.
        title: above the figure.
    """
    results = {
        model: {float(seconds): bits for seconds, bits in by_cost.items()}
        for model, by_cost in corpus["models"].items()
    }
    floor = corpus.get("floor_bits_per_byte")
    lines = {} if floor is not None else {"xz": corpus["xz_bits_per_byte"]}
    return plot_cost(results, title=title, floor=floor, lines=lines)


def mean_bits(corpus: Mapping[str, Any], model: str, seconds: str) -> float:
    """Return the mean over the seeds of a model's bits per byte after ``seconds`` of training."""
    return float(np.mean(corpus["models"][model][seconds]))


def describe_gap(run: Mapping[str, Any]) -> str:
    """Say how far a run of ``assets/gap.json`` is from the floor, and what copying costs it.

    Args:
        run: an entry of ``runs``.
    """
    again = run["said_before"]
    return (
        f"{run['model']:<11} {run['minutes']:2} min: {run['gap_bits_per_word']:.2f} ± "
        f"{run['standard_error']:.2f} bits a word above the floor; a word said before costs "
        f"{again['bits_per_word']:.2f}, at best {again['floor_bits_per_word']:.2f}"
    )


def plot_copying(gap: Mapping[str, Any], *, minutes: int = 5) -> Figure:
    """Draw the losses of an LSTM and a Transformer over the same minutes of TinyWorld.

    Args:
        gap: the content of ``assets/gap.json``.
        minutes: which of the runs.
    """
    runs = {run["model"]: run for run in gap["runs"] if run["minutes"] == minutes}
    lines = {model: [loss for _, loss, _ in run["curve"]] for model, run in runs.items()}
    n = min(map(len, lines.values()))
    nats = math.log(2) / gap["tokens_per_word"]
    panel = Panel(
        title="Learning to copy",
        x=(np.arange(1, n + 1) * minutes / n)[_N_FIRST:].tolist(),
        lines={model: losses[_N_FIRST:n] for model, losses in lines.items()},
        levels={"entropy": runs["Transformer"]["floor_bits_per_word"] * nats},
        x_label="training, CPU minutes of one core",
        y_label="loss (nats per token)",
    )
    return plot_panels(panel)
