"""Computing the table: the text prepared once, each body pretrained once, each cell once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from minillm.arena.ledger import Cell, Ledger, Outcome
from minillm.arena.pretraining import first_model, pretrain_body, steps_within
from minillm.arena.readers import Reader, readers_of
from minillm.arena.recipes import is_of_recipe, stated
from minillm.arena.tasks import Task
from minillm.data import PreparedData, load_prepared, prepare_data
from minillm.errors import ConfigError, DataError
from minillm.finetuning.tuning import finetune
from minillm.models.base import Model
from minillm.run import load_model
from minillm.text.cleaning import DEFAULT_STEPS
from minillm.text.documents import Document
from minillm.tokenizers import (
    BERT_SPECIAL_TOKENS,
    SENTINEL_TOKENS,
    Tokenizer,
    train_tokenizer,
)

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """A text to pretrain on and the tasks that are asked about it."""

    name: str
    documents: Callable[[], Iterator[Document]]  # to pretrain on, and none of the tests
    tasks: tuple[Task, ...]
    seconds: float  # of CPU, for each pretraining
    vocab_size: int
    sizes: Mapping[str, Any]  # of every body

    def settings(self) -> dict[str, Any]:
        """Return what every cell depends on and none says."""
        return {
            "seconds": self.seconds,
            "vocab_size": self.vocab_size,
            "sizes": dict(self.sizes),
            "tasks": {task.name: {"title": task.title} | _given(task) for task in self.tasks},
        }


def _given(task: Task) -> dict[str, Any]:
    kept = ("steps", "batch_size", "learning_rate", "pooling", "freeze", "dropout", "max_tokens")
    return {name: getattr(task.tuning, name) for name in kept}


def learn_cell(body: Model, tokenizer: Tokenizer, task: Task, cell: Cell) -> Outcome:
    """Fine-tune a body as a cell says and judge it on the task's test examples.

    Args:
        body: pretrained or not; it is not changed.
        tokenizer: its own.
        task: of the cell.
        cell: the seed draws the labels, the head and the order; no other setting depends on it.

    Example:
        ``learn_cell(*load_model("assets/arena/masked-0")[:2], task, cell).scores["accuracy"]``
    """
    training, test = task.training(cell.seed, cell.n_labels), task.test()
    start = time.process_time()
    result = finetune(
        body,
        tokenizer,
        training,
        settings=replace(task.tuning, seed=cell.seed),
        labels=task.labels,
        show_bar=False,
    )
    scores = result.evaluate(test)
    return Outcome(cell=cell, scores=_rounded(scores), cpu_s=_seconds_since(start))


def rerun(body: Path | str, bench: Bench, cell: Cell) -> Outcome:
    """Compute one cell of a stored table again, from the stored body: seconds, and no pretraining.

    Args:
        body: the folder of a pretrained body, such as ``assets/arena/causal-0``.
        bench: of the table.
        cell: whose seed is that of the body.

    Raises:
        ConfigError: the bench has no such task, or the cell is of another reader or seed.

    Example:
        ``rerun("assets/arena/causal-0", WORLD, cell).scores == stored``
    """
    loaded = load_model(body)
    tasks = {task.name: task for task in bench.tasks}
    if cell.task not in tasks:
        raise ConfigError(f"task must be one of {', '.join(tasks)}, got {cell.task!r}")
    told = loaded.description["pretraining"]
    if (loaded.description["objective"], told["seed"]) != (cell.reader, cell.seed):
        raise ConfigError(
            f"{body} is a {loaded.description['objective']} body of seed {told['seed']}, the cell "
            f"is of {cell.reader}, seed {cell.seed}"
        )
    return learn_cell(loaded.model, loaded.tokenizer, tasks[cell.task], cell)


class Table:
    """The cells of a bench: which there are, which are done, and how a missing one is computed.

    Args:
        bench: the text and the tasks.
        folder: where prepared text, bodies and finished cells lie.
        objectives: of ``run/table.py``; a row each.
        seeds: of everything that is drawn; the cells of one come before those of the next.
        say: gets a line for each thing that takes time.

    Example:
        ``Table(WORLD, Path("runs/arena/world"), ["causal", "masked"], range(3)).run()``
    """

    def __init__(
        self,
        bench: Bench,
        folder: Path,
        objectives: Sequence[str],
        seeds: Sequence[int],
        *,
        say: Say = lambda text: None,
    ) -> None:
        self.bench, self.folder, self.seeds, self.say = bench, folder, seeds, say
        self.objectives = list(objectives)
        self.readers = {reader.name: reader for reader in readers_of(objectives)}
        self.tasks = {task.name: task for task in bench.tasks}
        self.ledger = Ledger(folder / "cells.jsonl", settings=bench.settings())

    def cells(self) -> Iterator[Cell]:
        """Yield all cells, seed by seed: after each seed the table is complete for it."""
        for seed in self.seeds:
            for reader in self.readers:
                for task in self.bench.tasks:
                    for number in task.numbers:
                        yield Cell(seed=seed, reader=reader, task=task.name, n_labels=number)
            for task in self.bench.tasks:
                for name in task.baselines:
                    for number in task.numbers:
                        yield Cell(seed=seed, reader=name, task=task.name, n_labels=number)

    def run(self) -> dict[Cell, Outcome]:
        """Compute the cells that are missing; return all."""
        torch.set_num_threads(1)
        todo = list(self.ledger.missing(self.cells()))
        for number, cell in enumerate(todo, start=1):
            self.ledger.reread()  # another process may have been quicker
            if cell in self.ledger.outcomes:
                continue
            outcome = self.compute(cell)
            self.ledger.add(outcome)
            score = outcome.scores[self.tasks[cell.task].score]
            self.say(
                f"{number}/{len(todo)} seed {cell.seed} {cell.reader}, {cell.task}, "
                f"{cell.n_labels} labels: {score:.3f} ({outcome.cpu_s:.1f} s)"
            )
        wanted = set(self.cells())
        return {cell: one for cell, one in self.ledger.outcomes.items() if cell in wanted}

    def compute(self, cell: Cell) -> Outcome:
        """Compute one cell."""
        task = self.tasks[cell.task]
        if cell.reader in task.baselines:
            training, test = task.training(cell.seed, cell.n_labels), task.test()
            start = time.process_time()
            scores = task.baselines[cell.reader](training, test)
            return Outcome(cell=cell, scores=_rounded(scores), cpu_s=_seconds_since(start))
        return learn_cell(self.body(cell.reader, cell.seed), self.data.tokenizer, task, cell)

    def body(self, reader: str, seed: int) -> Model:
        """Return the body that a reader begins with; pretrain it the first time.

        Raises:
            DataError: a body of another recipe lies there.
        """
        one: Reader = self.readers[reader]
        assert one.objective is not None, "only baselines have no body"
        if one.kind == "scratch":
            return first_model(one.objective, self.data, sizes=self.bench.sizes, seed=seed)
        folder = self.body_folder(reader, seed)
        if not folder.is_dir():
            self.say(f"pretraining {one.objective}, seed {seed}: {self.bench.seconds:.0f} CPU s")
            pretrain_body(
                folder,
                one.objective,
                self.data,
                self.steps()[one.objective],
                sizes=self.bench.sizes,
                seed=seed,
            )
        loaded = load_model(folder)
        if not is_of_recipe(loaded.description["pretraining"]["recipe"], one.objective):
            raise DataError(f"{folder} was pretrained by another recipe: delete it")
        return loaded.model

    def body_folder(self, objective: str, seed: int) -> Path:
        """Return where a body lies."""
        return self.folder / "bodies" / f"{objective}-{seed}"

    @cached_property
    def data(self) -> PreparedData:
        """The prepared text, the same for all objectives."""
        folder = self.folder / "data"
        if folder.is_dir():
            return load_prepared(folder)
        self.say(f"preparing the text of {self.bench.name}")
        special_tokens = (*BERT_SPECIAL_TOKENS, *SENTINEL_TOKENS)
        return prepare_data(
            folder,
            self.bench.documents(),
            tokenizer=partial(
                train_tokenizer,
                "wordpiece",
                vocab_size=self.bench.vocab_size,
                special_tokens=special_tokens,
            ),
            clean_steps=DEFAULT_STEPS,
            sentences=True,
        )

    def steps(self) -> dict[str, list[int]]:
        """Return how many steps each phase of each objective has; measure those not known yet."""
        path = self.folder / "steps.json"
        known = json.loads(path.read_text("utf-8")) if path.exists() else {}
        found = {
            name: entry["n_steps"]
            for name, entry in known.items()
            if is_of_recipe(entry["recipe"], name) and entry["seconds"] == self.bench.seconds
        }
        missing = [name for name in self.objectives if name not in found]
        if missing:
            self.say(f"measuring how many steps fit: {', '.join(missing)}")
            found |= steps_within(
                missing, self.data, seconds=self.bench.seconds, sizes=self.bench.sizes
            )
            entries = {
                name: {
                    "recipe": stated(name),
                    "seconds": self.bench.seconds,
                    "n_steps": found[name],
                }
                for name in missing
            }
            path.write_text(json.dumps(known | entries, indent=1) + "\n", "utf-8")
        return found


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: round(score, 4) for name, score in scores.items()}


def _seconds_since(start: float) -> float:
    return round(time.process_time() - start, 2)
