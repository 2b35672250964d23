"""What a run saves to continue from, and how it stands there again: whatever it trains."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from minillm.checkpoint import (
    load_optimizer,
    load_weights,
    newest_valid,
    optimizer_tensors,
    read_checkpoint,
    step_name,
    write_checkpoint,
)
from minillm.errors import CheckpointError
from minillm.models.base import Model
from minillm.run.folder import FINAL, RunFolder
from minillm.runtime import random_state, seeded_random_state, set_random_state

Say = Callable[[str], None]
N_KEPT = 2  # newest checkpoints: if the last one is damaged, the one before serves


def read_finished(folder: RunFolder, *, say: Say, remedy: str) -> dict[str, Any] | None:
    """Return what an intact ``final/`` says of its run; None where there is none.

    Args:
        folder: of the run.
        say: gets a warning if it is damaged.
        remedy: how the warning ends.
    """
    final = folder.path / FINAL
    if not final.is_dir():
        return None
    try:
        return read_checkpoint(final)["config.json"]["run"]
    except (CheckpointError, LookupError) as error:
        say(f"warning: {error}; {remedy}")
        return None


def write_final(folder: RunFolder, files: Mapping[str, Any], *, step: int) -> Path:
    """Write ``final/``, the model that the run is for."""
    return write_checkpoint(folder.path / FINAL, files, step=step)


def save_step(
    folder: RunFolder,
    files: Mapping[str, Any],
    optimizer: torch.optim.Optimizer,
    *,
    step: int,
    position: Mapping[str, Any],
    kept_steps: Iterable[int | None] = (),
) -> None:
    """Write a checkpoint to continue from, then remove those that nobody needs.

    Args:
        folder: of the run.
        files: of the model, as in ``final/``.
        optimizer: whose state is saved.
        step: that was taken last.
        position: what else the run must know to continue.
        kept_steps: whose checkpoints stay, beside the newest ones; ``None`` is no step.
    """
    tensors, description = optimizer_tensors(optimizer)
    state = {"position": position, "optimizer": description, "random_state": random_state()}
    more = {"optimizer.safetensors": tensors, "state.json": state}
    folder.sync_log()
    path = write_checkpoint(folder.path / step_name(step), {**files, **more}, step=step)
    kept = {folder.path / step_name(s) for s in kept_steps if s}
    for old in sorted(path.parent.glob("step-*"), reverse=True)[N_KEPT:]:
        if old not in kept:
            shutil.rmtree(old)


def restore_newest(
    folder: RunFolder,
    model: Model,
    optimizer: torch.optim.Optimizer,
    *,
    seed: int,
    say: Say,
) -> dict[str, Any] | None:
    """Stand where the newest intact checkpoint was taken, or at the beginning.

    Args:
        folder: of the run; its log is cut off behind that step.
        model: gets the weights.
        optimizer: gets its state.
        seed: of the random state at the beginning.
        say: gets a warning for each checkpoint that is damaged.

    Returns:
        The ``position`` that was saved; None at the beginning.

    Raises:
        CheckpointError: every checkpoint is damaged.
    """
    newest = newest_valid(folder.path)
    if newest is None:
        set_random_state(seeded_random_state(seed))
        folder.rewind_metrics(0)
        return None
    checkpoint, problems = newest
    for problem in problems:
        say(f"warning: {problem}")
    files = read_checkpoint(checkpoint)
    state = files["state.json"]
    load_weights(model, files["model.safetensors"])
    load_optimizer(optimizer, files["optimizer.safetensors"], state["optimizer"])
    set_random_state(state["random_state"])
    folder.rewind_metrics(state["position"]["step"])
    return state["position"]


def take_back_best(folder: RunFolder, model: Model, *, step: int, say: Say) -> None:
    """Give a model the weights of the best step, or say that they are damaged."""
    try:
        best = read_checkpoint(folder.path / step_name(step), ["model.safetensors"])
    except CheckpointError as error:
        say(f"warning: {error}; the last step is taken instead of the best one")
        return
    load_weights(model, best["model.safetensors"])
