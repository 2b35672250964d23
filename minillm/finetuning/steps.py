"""The steps of a fine-tuning, whatever it teaches: batches in, the best weights out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor
from tqdm.auto import tqdm

from minillm.batch import Batch
from minillm.checkpoint import load_weights, model_tensors
from minillm.config import TuningConfig
from minillm.models.base import Model
from minillm.optim import make_optimizer, warmup_cosine
from minillm.runtime import derive_generator
from minillm.tokenizers import Tokenizer
from minillm.training import StepResult, train

_SHOWN = {"loss", "validation_loss", "validation_accuracy", "validation_f1"}  # beside the bar


class _Row(Protocol):
    """What a model reads at once."""

    @property
    def n_cut(self) -> int:
        """Tokens that found no room."""
        ...


AnyRow = TypeVar("AnyRow", bound=_Row)
AnyModel = TypeVar("AnyModel", bound=Model)


@dataclass(slots=True)
class Position:
    """Where a fine-tuning is, beside its weights."""

    step: int = 0
    best_step: int | None = None
    scores: dict[str, float] = field(default_factory=dict)  # at best_step
    n_without_better: int = 0  # validations since then


class Tuning(ABC, Generic[AnyModel, AnyRow]):
    """A fine-tuning while it runs: its model, optimizer, rows and position.

    A task says how rows become a batch, how the model is judged, and what of it is stored.

    Args:
        model: as it is before the first step.
        tokenizer: its own.
        rows: to learn from, one or more.
        settings: how.

    Attributes:
        main_score: the name of the score that training is to improve.
    """

    main_score: str

    def __init__(
        self, model: AnyModel, tokenizer: Tokenizer, rows: Sequence[AnyRow], settings: TuningConfig
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.rows, self.position = rows, Position()
        self.optimizer = make_optimizer(
            model,
            name="adamw",
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=(0.9, 0.999),  # BERT's
        )

    @abstractmethod
    def stack(self, rows: Sequence[AnyRow]) -> Batch:
        """Make a batch of rows."""

    @abstractmethod
    def judge(self) -> dict[str, float]:
        """Score the model on the validation examples; nothing where there are none."""

    @abstractmethod
    def quality(self, scores: Mapping[str, float]) -> tuple[float, ...]:
        """Return what is larger for a better model."""

    @abstractmethod
    def files(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the files of a checkpoint; ``body`` describes the pretrained model."""

    @property
    def n_cut_tokens(self) -> int:
        """Number of tokens of the training examples that are in no row."""
        return sum(row.n_cut for row in self.rows)

    @property
    def is_over(self) -> bool:
        """Whether all steps are taken, or patience has ended."""
        patience = self.settings.patience
        has_patience = patience is None or self.position.n_without_better < patience
        return self.position.step >= self.settings.steps or not has_patience

    def lines(self) -> Iterator[dict[str, float]]:
        """Take the steps that are left; yield a line of numbers after each."""
        settings, first = self.settings, self.position.step + 1
        rate = partial(
            warmup_cosine,
            n_steps=settings.steps,
            n_warmup=round(settings.warmup_fraction * settings.steps),
            final_fraction=0.0,
        )
        results = train(
            self.model,
            self.optimizer,
            ([self.batch_at(step)] for step in range(first, settings.steps + 1)),
            max_grad_norm=settings.max_grad_norm,
            learning_rate=lambda step: settings.learning_rate * rate(step),
            first_step=first,
        )
        while not self.is_over:
            yield self._line(next(results))

    def batch_at(self, step: int) -> Batch:
        """Return the batch of a step: all rows in a new order, again and again."""
        size = min(self.settings.batch_size, len(self.rows))
        places = range((step - 1) * size, step * size)
        orders = {place // len(self.rows): [] for place in places}  # of one epoch or of two
        for epoch in orders:
            generator = derive_generator(self.settings.seed, "order", epoch)
            orders[epoch] = torch.randperm(len(self.rows), generator=generator).tolist()
        numbers = [orders[place // len(self.rows)][place % len(self.rows)] for place in places]
        batch = self.stack([self.rows[n] for n in numbers])
        return batch.to(next(self.model.parameters()).device)

    def _line(self, result: StepResult) -> dict[str, float]:
        """Note a step, and judge the validation examples where that is due."""
        self.position.step = result.step
        line: dict[str, float] = {
            "step": result.step,
            "loss": result.loss,
            "learning_rate": result.learning_rate,
            "grad_norm": result.grad_norm,
        }
        is_due = result.step % self.settings.eval_every == 0 or result.step == self.settings.steps
        if is_due and (scores := self.judge()):
            self._note(scores)
            line |= {f"validation_{name}": score for name, score in scores.items()}
        return line

    def _note(self, scores: dict[str, float]) -> None:
        """Remember whether these scores are the best so far."""
        at = self.position
        if at.best_step is None or self.quality(scores) > self.quality(at.scores):
            at.best_step, at.scores, at.n_without_better = at.step, scores, 0
        else:
            at.n_without_better += 1


def take_all(tuning: Tuning[Any, Any], *, show_bar: bool) -> tuple[dict[str, float], ...]:
    """Take all steps, go back to the best one, and return the numbers of each step."""
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] | None = None
    at, model = tuning.position, tuning.model
    n_steps = tuning.settings.steps
    with tqdm(total=n_steps, desc="finetune", unit=" steps", disable=not show_bar) as bar:
        for line in tuning.lines():
            history.append(line)
            show_line(bar, line)
            if at.best_step == at.step:
                best = {name: tensor.clone() for name, tensor in model_tensors(model).items()}
    if best is not None:
        load_weights(model, best)
    model.eval()
    return tuple(history)


def show_line(bar: tqdm, line: Mapping[str, float]) -> None:
    """Move a bar on by one step and write the numbers beside it."""
    shown = {name: f"{line[name]:.3f}" for name in line if name in _SHOWN}
    bar.set_postfix(shown, refresh=False)
    bar.update()
