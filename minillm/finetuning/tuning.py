"""Fine-tuning as one call: a few labels in, the best model on the validation examples out."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minillm.batch import Batch
from minillm.config import TuningConfig
from minillm.errors import ConfigError, DataError
from minillm.finetuning.encoding import Row, RowEncoder, make_batch
from minillm.finetuning.examples import ClassExample, Example, QuestionExample, TagExample, TaskName
from minillm.finetuning.metrics import OUTSIDE
from minillm.finetuning.model import FineTuned, TaskConfig
from minillm.finetuning.predicting import MAIN_SCORE, evaluate, is_labeled
from minillm.finetuning.steps import Tuning, take_all
from minillm.finetuning.storing import finetuned_files
from minillm.models.base import Model
from minillm.runtime import (
    derive_generator,
    preserved_process_state,
    seeded_random_state,
    set_random_state,
)
from minillm.tokenizers import Tokenizer

_TASK_OF: Mapping[type[Example], TaskName] = {
    ClassExample: "classify",
    TagExample: "tag",
    QuestionExample: "qa",
}
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
        tuning = LabelTuning(model.to(device), tokenizer, training, validation, settings)
        return _run(tuning, show_bar=show_bar)


def _run(tuning: LabelTuning, *, show_bar: bool) -> TuningResult:
    history = take_all(tuning, show_bar=show_bar)
    return TuningResult(
        model=tuning.model,
        tokenizer=tuning.tokenizer,
        history=history,
        best_step=tuning.position.best_step or tuning.position.step,
        scores=tuning.position.scores,
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


class LabelTuning(Tuning[FineTuned, Row]):
    """Teaches the labels of texts, words or answers.

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
        rows = RowEncoder(tokenizer, model.config, summary=model.summary).rows(training)
        super().__init__(model, tokenizer, rows, settings)
        self.validation, self.main_score = validation, MAIN_SCORE[model.config.task]

    def stack(self, rows: Sequence[Row]) -> Batch:
        """Make a batch of rows."""
        return make_batch(rows, pad_id=self.tokenizer.pad_id)

    def judge(self) -> dict[str, float]:
        """Score the validation examples, as ``evaluate``."""
        return evaluate(self.model, self.tokenizer, self.validation) if self.validation else {}

    def quality(self, scores: Mapping[str, float]) -> tuple[float, ...]:
        """Rank by the task's main score, equals by the loss."""
        return scores[self.main_score], -scores.get("loss", math.inf)

    def files(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the model with its head and task."""
        return finetuned_files(self.model, self.tokenizer, body)
