"""A pretrained model with the head of a task.

Dimension key: B sequences, T positions, C d_model, K labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from minillm.batch import Batch
from minillm.config.checking import require_choice, require_fraction, require_positive
from minillm.errors import ConfigError
from minillm.finetuning.bodies import find_body
from minillm.finetuning.examples import TaskName, check_task
from minillm.finetuning.heads import (
    POOLINGS,
    ClassHead,
    Pooling,
    SpanHead,
    TagHead,
    answer_positions,
    valid_edges,
)
from minillm.finetuning.lora import adapter_parameters, add_adapters
from minillm.loss import token_log_probs, token_loss_sum
from minillm.models.base import Model

Frozen = Literal["none", "embeddings", "body"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskConfig:
    """A task and its head; with the body's own configuration it describes the whole model."""

    task: TaskName
    labels: tuple[str, ...] = ()  # classes or tags, in the order of their scores; qa: none
    max_tokens: int = 512  # of a row, marks included; longer texts are cut or read in windows
    pooling: Literal["auto", "first", "last", "mean"] = "auto"  # auto: as the body was trained
    dropout: float = 0.0  # before the head, in training only
    max_question_tokens: int = 64  # longer questions are cut
    max_answer_tokens: int = 30
    lora_rank: int | None = None  # None: no adapters
    lora_alpha: float = 16.0  # the change is scaled by alpha / rank

    def __post_init__(self) -> None:
        check_task(self.task)
        object.__setattr__(self, "labels", tuple(self.labels))  # JSON knows only lists
        require_positive(self, "max_question_tokens", "max_answer_tokens", "lora_rank")
        require_fraction(self, "dropout")
        require_choice(self, "pooling", ("auto", *POOLINGS))
        if self.max_tokens < 5:
            raise ConfigError(
                f"max_tokens must be at least 5 (three marks, a question and a context), "
                f"got {self.max_tokens}"
            )
        if (self.task == "qa") == bool(self.labels) or len({*self.labels}) != len(self.labels):
            raise ConfigError(
                f"{self.task} needs {'no labels' if self.task == 'qa' else 'labels that differ'}, "
                f"got {list(self.labels)}"
            )


class FineTuned(Model):
    """A pretrained body and a new head; what it learns and says are a batch's ``labels``.

    The body is used, not copied. The heads of its pretraining stand idle and are frozen.

    Args:
        body: a model of a kind that ``BODIES`` names.
        config: the task.
        generator: draws the head's weights and the adapters'; ``None``: torch's default seed.

    Raises:
        ConfigError: a body that cannot be fine-tuned, or rows longer than it can read.

    Example:
        >>> from minillm.config import EncoderConfig
        >>> from minillm.models.encoder import Encoder
        >>> body = Encoder(EncoderConfig.bert(vocab_size=11, d_model=8, n_heads=2, n_layers=1))
        >>> model = FineTuned(body, TaskConfig(task="classify", labels=("no", "yes")))
        >>> model(Batch(inputs=torch.tensor([[1, 2, 3]]))).shape
        torch.Size([1, 2])
    """

    has_attention = True

    def __init__(
        self, body: Model, config: TaskConfig, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self._reading = find_body(body)
        limit = getattr(body, "context_length", None)
        if limit is not None and config.max_tokens > limit:
            raise ConfigError(
                f"max_tokens={config.max_tokens} is more than the body's context_length={limit}"
            )
        self.config, self.body = config, body
        generator = torch.Generator() if generator is None else generator
        width = body.config.d_model * self._reading.n_directions
        self.head = self._make_head(width, generator)
        if config.lora_rank is not None:
            add_adapters(
                body,
                rank=config.lora_rank,
                alpha=config.lora_alpha,
                leave_out=self._reading.unused,
                generator=generator,
            )
        self.freeze("none" if config.lora_rank is None else "body")

    @property
    def summary(self) -> Literal["first", "last"]:
        """The position that speaks for the text: of "no answer", and of a class by default."""
        return self._reading.summary

    def freeze(self, what: Frozen) -> None:
        """Choose what of the body learns; the head always does.

        Args:
            what: ``"none"`` of it is frozen; its ``"embeddings"`` are, which few labels would move
                only for the words that occur in them; or the whole ``"body"``. Adapters learn in
                any case, and all else of a body that has them is frozen.

        Raises:
            ConfigError: another word, or the body has adapters and would not be frozen.
        """
        if what not in get_args(Frozen):
            raise ConfigError(f"freeze must be none, embeddings or body, got {what!r}")
        if self.config.lora_rank is not None and what != "body":
            raise ConfigError("adapters freeze the body: leave freeze out, or lora_rank")
        adapters = {id(p) for p in adapter_parameters(self.body)}
        for name, parameter in self.body.named_parameters():
            parts = name.split(".")
            is_embedding = any("embedding" in part for part in parts)
            is_frozen = what == "body" or (what == "embeddings" and is_embedding)
            is_frozen |= not {*parts}.isdisjoint(self._reading.unused)
            parameter.requires_grad_(not is_frozen or id(parameter) in adapters)

    def forward(self, batch: Batch) -> Tensor:
        """Score the labels of a batch.

        Args:
            batch: ``inputs`` (B, T), and ``is_padding`` and ``segment_ids`` where there are any; a
                batch of questions needs the latter.

        Returns:
            classify: (B, K) logits. tag: (B, T, K). qa: (B, 2, T), starts and ends, −∞ where
            neither an answer nor "no answer" stands.
        """
        hidden = self._reading.hidden(self.body, batch)
        if isinstance(self.head, ClassHead):
            return self.head(hidden, batch.is_padding)
        if isinstance(self.head, TagHead):
            return self.head(hidden)
        if batch.segment_ids is None:
            raise ValueError("a batch of questions needs segment_ids: 1 where the context is")
        allowed = answer_positions(batch.segment_ids, batch.is_padding)
        rows = torch.arange(len(hidden), device=hidden.device)
        allowed[rows, self.no_answer_positions(batch)] = True
        return self.head(hidden, allowed)

    def no_answer_positions(self, batch: Batch) -> Tensor:
        """Return the position of each row that means "no answer", (B,)."""
        first, last = valid_edges(batch.is_padding, like=batch.inputs)
        return first if self.summary == "first" else last

    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the summed cross-entropy of the labels in nats, under the name ``"labels"``."""
        return {"labels": token_loss_sum(*self._scored(batch))}

    def log_probs(self, batch: Batch) -> Tensor:
        """Return log p of each label in nats, in the shape of the labels; 0 where not scored."""
        return token_log_probs(*self._scored(batch))

    def n_trainable(self) -> int:
        """Count the numbers that learn."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def _scored(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if batch.labels is None:
            raise ValueError("fine-tuning needs batch.labels, got None")
        return self(batch), batch.labels

    def _make_head(self, d_model: int, generator: torch.Generator) -> nn.Module:
        config = self.config
        n_labels, dropout = len(config.labels), config.dropout
        if config.task == "classify":
            pooling: Pooling = self.summary if config.pooling == "auto" else config.pooling
            return ClassHead(
                d_model, n_labels, pooling=pooling, dropout=dropout, generator=generator
            )
        if config.task == "tag":
            return TagHead(d_model, n_labels, dropout=dropout, generator=generator)
        return SpanHead(d_model, dropout=dropout, generator=generator)
