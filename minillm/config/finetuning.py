"""Settings of fine-tuning."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from minillm.config.checking import require_fraction, require_positive
from minillm.errors import ConfigError


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
    freeze: Literal["none", "embeddings", "body"] = "none"  # adapters freeze the body anyway
    lora_rank: int | None = None  # of adapters, which alone learn beside the head; None: none
    lora_alpha: float = 16.0  # the adapters' change is scaled by alpha / rank
    dropout: float = 0.1  # before the head
    pooling: Literal["auto", "first", "last", "mean"] = "auto"  # what a class is read off
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
class FinetuneConfig(TuningConfig):
    """Teach a pretrained model a task from labeled examples (docs/finetuning.md: their form)."""

    out: Path  # the run's folder; the same command again continues there
    checkpoint: Path  # the pretrained model: a run's folder, its final/ or one of its checkpoints
    # classes of texts, entities in them, answers from them, or conversations
    task: Literal["classify", "tag", "qa", "dialogue"]
    data: str  # a file of examples, .jsonl or .jsonl.gz, or world or stdlib
    validation_data: str | None = None  # None: a tenth of the texts of data
    world_label: Literal["topic", "ending"] = "topic"  # what world is classified by
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        TuningConfig.__post_init__(self)
        if self.task == "dialogue":
            refuse_head_settings(self)


def refuse_head_settings(settings: TuningConfig) -> None:
    """Refuse settings of heads and adapters, which dialogue does not have: everything learns.

    Raises:
        ConfigError: naming the first one that is not the default.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in _HEAD_SETTINGS and value != field.default:
            raise ConfigError(
                f"{field.name} means nothing to --task dialogue, which has no head and trains all "
                f"weights, got {value}: leave it out"
            )


_HEAD_SETTINGS = ("freeze", "lora_rank", "lora_alpha", "dropout", "pooling", "world_label")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatConfig:
    """Talk to a model that was fine-tuned for dialogue."""

    checkpoint: Path  # a run's folder of finetune --task dialogue, its final/ or a checkpoint
    system: str | None = None  # what the conversation is about; @FILE reads it from a file
    max_new_tokens: int = 200  # of an answer
    temperature: float = 0.8  # 0: always the likeliest token; 1: the model as it is
    top_k: int | None = None  # draw among the k likeliest tokens only
    top_p: float | None = None  # draw among the likeliest tokens that hold this much probability
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictConfig:
    """Let a fine-tuned model answer: one text, or every example of a file."""

    checkpoint: Path  # a run's folder of finetune, its final/ or one of its checkpoints
    text: str | None = None  # "-" reads it from stdin; for qa the context
    question: str | None = None  # about the text, for qa only
    data: str | None = None  # instead of a text: a file of examples, or world; labels are scored
    world_label: Literal["topic", "ending"] = "topic"  # what world is classified by
    device: Literal["auto", "cpu", "cuda"] = "auto"
    json: bool = False  # one line of JSON on stdout for each example

    def __post_init__(self) -> None:
        if (self.text is None) == (self.data is None):
            raise ConfigError("give --text (or --text - for stdin) or --data, one of them")
        if self.data is not None and self.question is not None:
            raise ConfigError("the questions of --data stand in its lines: leave out --question")
