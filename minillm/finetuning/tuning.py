"""Fine-tuning as one call: a few labels in, the best model on the validation examples out."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from tqdm.auto import tqdm

from minillm.batch import Batch
from minillm.checkpoint import load_weights, model_tensors
from minillm.config.checking import require_fraction, require_positive
from minillm.errors import ConfigError, DataError
from minillm.finetuning.encoding import Row, RowEncoder, make_batch
from minillm.finetuning.examples import ClassExample, Example, QuestionExample, TagExample, TaskName
from minillm.finetuning.metrics import OUTSIDE
from minillm.finetuning.model import FineTuned, Frozen, TaskConfig
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
class TuningConfig:
    """How to fine-tune: what learns, how long, and when to stop."""

    steps: int = 200  # optimizer updates at most
    batch_size: int = 16  # rows in a step; fewer where there are fewer
    learning_rate: float = 1e-3  # at its peak; small models take more than BERT's 2e-5 to 5e-5
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    warmup_fraction: float = 0.1  # of the steps; then the rate falls along a cosine to 0
    eval_every: int = 20  # steps between validations
    patience: int | None = 5  # validations without a better one before stopping; None: never
    freeze: Frozen = "none"  # of the body; adapters freeze it in any case
    lora_rank: int | None = None  # None: no adapters
    lora_alpha: float = 16.0
    dropout: float = 0.1  # before the head
    pooling: Literal["auto", "first", "last", "mean"] = "auto"
    max_tokens: int | None = None  # of a row; None: what the body can read, at most 512
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "eval_every", "patience", "max_tokens")
        require_fraction(self, "dropout", "warmup_fraction")
        for name in ("learning_rate", "max_grad_norm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be a positive finite number, got {value}")
        if self.freeze != "none" and self.lora_rank is not None:
            raise ConfigError("adapters freeze the body: leave freeze out, or lora_rank")


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
        body: an encoder, a decoder or a recurrent language model; it is not changed.
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
        tuning = _Tuning(model.to(device), tokenizer, training, validation, settings)
        return tuning.run(show_bar=show_bar)


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


class _Tuning:
    """A fine-tuning while it runs."""

    def __init__(
        self,
        model: FineTuned,
        tokenizer: Tokenizer,
        training: Sequence[Example],
        validation: Sequence[Example],
        settings: TuningConfig,
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.validation = validation
        self.rows = RowEncoder(tokenizer, model.config, summary=model.summary).rows(training)
        self.history: list[dict[str, float]] = []
        self.best_step, self.scores = settings.steps, {}
        self.best_weights: dict[str, Tensor] | None = None

    def run(self, *, show_bar: bool) -> TuningResult:
        """Train, and go back to the best step."""
        bar = tqdm(self._steps(), total=self.settings.steps, desc="finetune", unit=" steps",
                   disable=not show_bar)  # fmt: skip
        for line in bar:
            self.history.append(line)
            bar.set_postfix({name: f"{line[name]:.3f}" for name in line if name in _SHOWN})
            if self._is_judged(line) and self._has_no_patience_left():
                bar.close()
                break
        if self.best_weights is not None:
            load_weights(self.model, self.best_weights)
        return TuningResult(
            model=self.model.eval(),
            tokenizer=self.tokenizer,
            history=tuple(self.history),
            best_step=self.best_step,
            scores=self.scores,
            n_cut_tokens=sum(row.n_cut for row in self.rows),
        )

    def _steps(self) -> Iterator[dict[str, float]]:
        """Yield a line of numbers a step."""
        settings = self.settings
        optimizer = make_optimizer(
            self.model,
            name="adamw",
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=(0.9, 0.999),  # BERT's
        )
        rate = partial(
            warmup_cosine,
            n_steps=settings.steps,
            n_warmup=round(settings.warmup_fraction * settings.steps),
            final_fraction=0.0,
        )
        results = train(
            self.model,
            optimizer,
            ([batch] for batch in self._batches()),
            max_grad_norm=settings.max_grad_norm,
            learning_rate=lambda step: settings.learning_rate * rate(step),
        )
        for result in results:
            yield self._line(result)

    def _batches(self) -> Iterator[Batch]:
        """Yield a batch a step: all rows in a new order, again and again."""
        device = next(self.model.parameters()).device
        size = min(self.settings.batch_size, len(self.rows))
        waiting: list[Row] = []
        epoch = 0
        for _ in range(self.settings.steps):
            while len(waiting) < size:
                generator = derive_generator(self.settings.seed, "order", epoch)
                order = torch.randperm(len(self.rows), generator=generator).tolist()
                waiting += [self.rows[number] for number in order]
                epoch += 1
            batch = make_batch(waiting[:size], pad_id=self.tokenizer.pad_id)
            waiting = waiting[size:]
            yield batch.to(device)

    def _line(self, result: StepResult) -> dict[str, float]:
        line: dict[str, float] = {
            "step": result.step,
            "loss": result.loss,
            "learning_rate": result.learning_rate,
            "grad_norm": result.grad_norm,
        }
        is_due = result.step % self.settings.eval_every == 0 or result.step == self.settings.steps
        if self.validation and is_due:
            scores = evaluate(self.model, self.tokenizer, self.validation)
            self._note(result.step, scores)
            line |= {f"validation_{name}": score for name, score in scores.items()}
        return line

    def _note(self, step: int, scores: dict[str, float]) -> None:
        """Keep the weights of the best validation so far."""
        if self.best_weights is None or self._quality(scores) > self._quality(self.scores):
            self.best_step, self.scores = step, scores
            weights = model_tensors(self.model).items()
            self.best_weights = {name: tensor.clone() for name, tensor in weights}

    def _is_judged(self, line: Mapping[str, float]) -> bool:
        return f"validation_{MAIN_SCORE[self.model.config.task]}" in line

    def _quality(self, scores: Mapping[str, float]) -> tuple[float, float]:
        return scores[MAIN_SCORE[self.model.config.task]], -scores.get("loss", math.inf)

    def _has_no_patience_left(self) -> bool:
        if self.settings.patience is None:
            return False
        judged = [line["step"] for line in self.history if self._is_judged(line)]
        n_since = sum(step > self.best_step for step in judged)
        return n_since >= self.settings.patience
