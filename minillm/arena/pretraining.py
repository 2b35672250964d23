"""Bodies pretrained at equal CPU seconds, stored once and opened again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from minillm.arena.recipes import recipe_of, settings_of, stated
from minillm.batch import Batch
from minillm.checkpoint import model_tensors, write_checkpoint
from minillm.config import PretrainConfig
from minillm.data import PreparedData
from minillm.models.base import Model
from minillm.optim import make_optimizer
from minillm.run import OBJECTIVES, make_first_model
from minillm.run.settings import learning_rate_at
from minillm.run.table import describe_model
from minillm.runtime import preserved_process_state, seeded_random_state, set_random_state
from minillm.training import StepResult, train

N_TIMED = 8  # steps of a phase that are timed at a time
N_LOGGED = 60  # lines of a body's stored log


def steps_within(
    objectives: Sequence[str],
    data: PreparedData,
    *,
    seconds: float,
    sizes: Mapping[str, Any],
    n_rounds: int = 3,
) -> dict[str, list[int]]:
    """Measure how many steps of each phase fit into the CPU seconds.

    The objectives are timed in turns, so that a slow minute of the machine slows all of them; of
    the rounds the quickest counts. Whoever stores the answer can repeat every body bit for bit.

    Args:
        objectives: of ``run/table.py``.
        data: the prepared text.
        seconds: of one core, for each objective.
        sizes: what all bodies share.
        n_rounds: times that each phase is measured.

    Returns:
        For each objective the steps of its phases, at least 1 each.
    """
    clocks = {}
    for name in objectives:
        model = first_model(name, data, sizes=sizes, seed=0)
        for number, phase in enumerate(recipe_of(name).phases):
            config = settings_of(name, sizes=sizes, seed=0, out=data.folder, phase=phase)
            batch_at = OBJECTIVES[phase.objective or name].batches(data, config)
            clocks[name, number] = partial(_seconds_of_steps, model, batch_at)
    times = {key: [clock()] for key, clock in clocks.items()}
    for _ in range(n_rounds - 1):
        for key, clock in clocks.items():
            times[key].append(clock())
    return {
        name: [
            max(1, round(phase.share * seconds / min(times[name, number])))
            for number, phase in enumerate(recipe_of(name).phases)
        ]
        for name in objectives
    }


def _seconds_of_steps(model: Model, batch_at: Callable[[int], Batch]) -> float:
    """Return the CPU seconds of a step, the making of its batch included."""
    optimizer = make_optimizer(model, name="adamw", learning_rate=1e-5)
    start = time.process_time()
    for _ in train(model, optimizer, ([batch_at(number)] for number in range(N_TIMED))):
        pass
    return (time.process_time() - start) / N_TIMED


def first_model(
    objective: str, data: PreparedData, *, sizes: Mapping[str, Any], seed: int
) -> Model:
    """Build the body of a seed as it is before pretraining: what "from scratch" begins with."""
    config = settings_of(objective, sizes=sizes, seed=seed, out=data.folder)
    return make_first_model(config, vocab_size=data.tokenizer.vocab_size)


def pretrain_body(
    folder: Path,
    objective: str,
    data: PreparedData,
    n_steps: Sequence[int],
    *,
    sizes: Mapping[str, Any],
    seed: int,
) -> Path:
    """Pretrain a body and store it as a checkpoint that ``load_model`` opens.

    Args:
        folder: where it shall lie, whole or not at all.
        objective: of ``run/table.py``.
        data: the prepared text.
        n_steps: of each phase, as ``steps_within`` found them.
        sizes: what all bodies share.
        seed: of everything that is drawn.

    Returns:
        ``folder``. Its ``config.json`` says under ``pretraining`` what it took, and how the loss
        fell.
    """
    config = settings_of(objective, sizes=sizes, seed=seed, out=folder)
    with preserved_process_state():
        set_random_state(seeded_random_state(seed))
        torch.set_num_threads(1)
        model = first_model(objective, data, sizes=sizes, seed=seed)
        start = time.process_time()
        log = [
            [result.step, round(result.loss, 4)] for result in _steps(model, config, data, n_steps)
        ]
        cpu_s = time.process_time() - start
    about = describe_model(model, name=config.model, objective=objective)
    about["pretraining"] = {
        "cpu_s": round(cpu_s, 2),
        "n_steps": [*n_steps],
        "recipe": stated(objective),
        "seed": seed,
        "loss": log[:: max(1, len(log) // N_LOGGED)],
    }
    files = {
        "model.safetensors": model_tensors(model),
        "config.json": about,
        "tokenizer.json": data.tokenizer.to_json(),
    }
    return write_checkpoint(folder, files, step=sum(n_steps))


def _steps(
    model: Model, config: PretrainConfig, data: PreparedData, n_steps: Sequence[int]
) -> Iterator[StepResult]:
    total = sum(n_steps)
    whole = replace(config, steps=total, warmup_steps=min(100, max(1, total // 10)))
    optimizer = make_optimizer(
        model,
        name=config.optimizer,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    return train(
        model,
        optimizer,
        ([batch] for batch in _batches(config, data, n_steps)),
        max_grad_norm=config.max_grad_norm,
        learning_rate=learning_rate_at(whole),
        weights={"labels": config.sentence_weight},
    )


def _batches(config: PretrainConfig, data: PreparedData, n_steps: Sequence[int]) -> Iterator[Batch]:
    """Yield the batches of one phase after the other; each phase has its own order of the text."""
    for number, (phase, n) in enumerate(
        zip(recipe_of(config.objective).phases, n_steps, strict=True)
    ):
        rows = {"context_length": phase.context_length, "batch_size": phase.batch_size}
        objective = OBJECTIVES[phase.objective or config.objective]
        batch_at = objective.batches(
            data, replace(config, seed=config.seed + 1000 * number, **rows)
        )
        yield from map(batch_at, range(n))
