"""Fine-tuning as one call: a few labels in, the best model on the validation examples out."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from tqdm.auto import tqdm

from minillm.batch import Batch
from minillm.checkpoint import load_weights, model_tensors
from minillm.config import TuningConfig
from minillm.errors import ConfigError, DataError
from minillm.finetuning.encoding import RowEncoder, make_batch
from minillm.finetuning.examples import ClassExample, Example, QuestionExample, TagExample, TaskName
from minillm.finetuning.metrics import OUTSIDE
from minillm.finetuning.model import FineTuned, TaskConfig
from minillm.finetuning.predicting import MAIN_SCORE, evaluate, is_labeled
from minillm.models.base import Model
from minillm.optim import make_optimizer, warmup_cosine
from minillm.runtime import (
    derive_generator,
    preserved_process_state,
    seeded_random_state,
    set_random_state,
)
from minillm.tokenizers import Tokenizer
from minillm.training import StepResult, train

_TASK_OF: Mapping[type[Example], TaskName] = {
    ClassExample: "classify",
    TagExample: "tag",
    QuestionExample: "qa",
}
_SHOWN = {"loss", "validation_loss", "validation_accuracy", "validation_f1"}  # beside the bar
_DEFAULT_MAX_TOKENS = 512  # of a body that could read any number


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningResult:
    """The best model of a fine-tuning, and how it came about."""

    model: FineTuned  # with the weights of best_step, in evaluation mode
    tokenizer: Tokenizer
    history: tuple[dict[str, float], ...]  # a line a step: step, loss, …, and its validation
    best_step: int  # the last one, if there were no validation examples
    scores: dict[str, float]  # of the validation examples at best_step, as ``evaluate``
    n_cut_tokens: int  # of the training examples, too long for a row

    def evaluate(self, examples: Sequence[Example]) -> dict[str, float]:
        """Judge the model on other examples, see ``predicting.evaluate``."""
        return evaluate(self.model, self.tokenizer, examples)


def finetune(
    body: Model,
    tokenizer: Tokenizer,
    training: Sequence[Example],
    validation: Sequence[Example] = (),
    *,
    settings: TuningConfig | None = None,
    labels: Sequence[str] | None = None,
    show_bar: bool = True,
) -> TuningResult:
    """Teach a copy of a pretrained model a task.

    Trains with AdamW on the mean loss of the labels, judges the validation examples every few
    steps, stops when the task's main score (``MAIN_SCORE``; among equals the loss) has not become
    better for a while, and gives the best weights back. The same seed gives the same model, on the
    same machine and torch, whatever was drawn before.

    Args:
        body: a pretrained model of a kind that ``BODIES`` names; it is not changed.
        tokenizer: the one it was trained with.
        training: labeled examples of one task.
        validation: labeled examples of the same task; none: train all steps.
        settings: how; ``None`` takes the defaults.
        labels: the classes or tags; ``None``: those of the training and validation examples.
        show_bar: show the progress, in a notebook as a widget.

    Raises:
        ConfigError: nothing to train on, an example without a label, or settings that do not fit.
        DataError: examples that the labels or the tokenizer do not fit.
        NumericalError: a loss that is not finite.

    Example:
        ``finetune(model, tokenizer, *hold_out(load_examples("reviews.jsonl", "classify")))``
    """
    settings = TuningConfig() if settings is None else settings
    if not training:
        raise ConfigError("there is no example to train on")
    task = task_of([*training, *validation])
    labels = find_labels([*training, *validation]) if labels is None else tuple(labels)
    with preserved_process_state():
        set_random_state(seeded_random_state(settings.seed))  # of dropout
        model = make_model(body, task, labels, settings)
        device = next(body.parameters()).device
        tuning = Tuning(model.to(device), tokenizer, training, validation, settings)
        return _run(tuning, show_bar=show_bar)


def _run(tuning: Tuning, *, show_bar: bool) -> TuningResult:
    """Take all steps, and go back to the best one."""
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
    return TuningResult(
        model=model.eval(),
        tokenizer=tuning.tokenizer,
        history=tuple(history),
        best_step=at.best_step or at.step,
        scores=at.scores,
        n_cut_tokens=tuning.n_cut_tokens,
    )


def task_of(examples: Sequence[Example]) -> TaskName:
    """Return the task that all examples are of.

    Raises:
        ConfigError: there is no example, one has no label, or they are of different tasks.
    """
    kinds = {type(example) for example in examples}
    if len(kinds) != 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds)) or "none"
        raise ConfigError(f"examples must be of one task, at least one of them, got {names}")
    for example in examples:
        if not is_labeled(example):
            raise ConfigError(f"{example.source or 'an example'} has no label to learn")
    return _TASK_OF[kinds.pop()]


def find_labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """Collect the classes or tags of examples: O first, the others in alphabetical order.

    Every kind of entity gets both its tags, also where no example needs the second.

    Raises:
        DataError: all examples of a classification are of one class.

    Example:
        >>> find_labels([TagExample(text="Ann", word_spans=((0, 3),), tags=("B-PER",))])
        ('O', 'B-PER', 'I-PER')
    """
    if isinstance(examples[0], TagExample):
        tags = {tag for one in examples if isinstance(one, TagExample) for tag in one.tags or ()}
        kinds = sorted({tag[2:] for tag in tags} - {""})
        return (OUTSIDE, *(f"{part}-{kind}" for kind in kinds for part in "BI"))
    classes = {one.label for one in examples if isinstance(one, ClassExample) and one.label}
    if len(classes) == 1:
        raise DataError(f"every example is of the class {classes.pop()!r}: give another one too")
    return tuple(sorted(classes))


def make_model(
    body: Model, task: TaskName, labels: Sequence[str], settings: TuningConfig
) -> FineTuned:
    """Give a copy of a body the head of a task, as it is before the first step.

    Args:
        body: copied.
        task: what the head is for.
        labels: classes or tags; none for qa.
        settings: of them, what is about the model.
    """
    limit = getattr(body, "context_length", None) or _DEFAULT_MAX_TOKENS
    config = TaskConfig(
        task=task,
        labels=tuple(labels),
        max_tokens=settings.max_tokens or min(limit, _DEFAULT_MAX_TOKENS),
        pooling=settings.pooling,
        dropout=settings.dropout,
        lora_rank=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
    )
    model = FineTuned(
        copy.deepcopy(body), config, generator=derive_generator(settings.seed, "head")
    )
    if settings.lora_rank is None:
        model.freeze(settings.freeze)
    return model


@dataclass(slots=True)
class Position:
    """Where a fine-tuning is, beside its weights."""

    step: int = 0
    best_step: int | None = None
    scores: dict[str, float] = field(default_factory=dict)  # at best_step
    n_without_better: int = 0  # validations since then


class Tuning:
    """A fine-tuning while it runs: its model, optimizer, rows and position.

    Args:
        model: ``make_model``'s.
        tokenizer: of its body.
        training: labeled examples, one or more.
        validation: labeled examples, or none.
        settings: how.
    """

    def __init__(
        self,
        model: FineTuned,
        tokenizer: Tokenizer,
        training: Sequence[Example],
        validation: Sequence[Example],
        settings: TuningConfig,
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.validation, self.position = validation, Position()
        self.rows = RowEncoder(tokenizer, model.config, summary=model.summary).rows(training)
        self.optimizer = make_optimizer(
            model,
            name="adamw",
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=(0.9, 0.999),  # BERT's
        )

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
        batch = make_batch([self.rows[n] for n in numbers], pad_id=self.tokenizer.pad_id)
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
        if self.validation and is_due:
            scores = evaluate(self.model, self.tokenizer, self.validation)
            self._note(scores)
            line |= {f"validation_{name}": score for name, score in scores.items()}
        return line

    def _note(self, scores: dict[str, float]) -> None:
        """Remember whether these scores are the best so far."""
        at = self.position
        if at.best_step is None or self._quality(scores) > self._quality(at.scores):
            at.best_step, at.scores, at.n_without_better = at.step, scores, 0
        else:
            at.n_without_better += 1

    def _quality(self, scores: Mapping[str, float]) -> tuple[float, float]:
        return scores[MAIN_SCORE[self.model.config.task]], -scores.get("loss", math.inf)


def show_line(bar: tqdm, line: Mapping[str, float]) -> None:
    """Move a bar on by one step and write the numbers beside it."""
    shown = {name: f"{line[name]:.3f}" for name in line if name in _SHOWN}
    bar.set_postfix(shown, refresh=False)
    bar.update()
