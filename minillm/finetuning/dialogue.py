"""Teaching dialogue: a decoder gets a chat template and learns the assistant's words.

Dimension key: V vocabulary, C d_model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minillm.batch import Batch
from minillm.checkpoint import load_weights, model_tensors
from minillm.config import TuningConfig
from minillm.config.finetuning import refuse_head_settings
from minillm.errors import ConfigError
from minillm.finetuning.chat_template import CHAT_TOKENS, ChatRow, ChatTemplate, chat_batch
from minillm.finetuning.conversations import DialogueExample
from minillm.finetuning.steps import Tuning, take_all
from minillm.models.base import Model, evaluating
from minillm.models.decoder import Decoder
from minillm.run import LoadedModel
from minillm.run.table import build_described, build_model, open_checkpoint
from minillm.runtime import preserved_process_state, seeded_random_state, set_random_state
from minillm.tokenizers import Tokenizer, add_special_tokens

ROWS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class DialogueResult:
    """The best model of a fine-tuning for dialogue, and how it came about."""

    model: Decoder  # with the weights of best_step, in evaluation mode
    tokenizer: Tokenizer  # knows the roles
    history: tuple[dict[str, float], ...]  # a line a step: step, loss, …, and its validation
    best_step: int  # the last one, if there were no validation examples
    scores: dict[str, float]  # "loss" of the validation examples, nats per assistant token
    n_cut_tokens: int  # of the oldest turns of the training examples, which had no room


def finetune_dialogue(
    body: Model,
    tokenizer: Tokenizer,
    training: Sequence[DialogueExample],
    validation: Sequence[DialogueExample] = (),
    *,
    settings: TuningConfig | None = None,
    show_bar: bool = True,
) -> DialogueResult:
    """Teach a copy of a pretrained decoder to answer.

    Only the assistant's words and their ends are scored. All weights learn; the settings of heads
    and adapters have no meaning here.

    Args:
        body: a decoder; it is not changed.
        tokenizer: the one it was trained with.
        training: conversations, one or more.
        validation: conversations; none: train all steps.
        settings: how; ``None`` takes the defaults.
        show_bar: show the progress, in a notebook as a widget.

    Raises:
        ConfigError: another kind of model, nothing to train on, or settings that do not fit.
        DataError: a conversation of which not even the last turn has room.
        NumericalError: a loss that is not finite.

    Example:
        ``finetune_dialogue(model, tokenizer, *hold_out(load_conversations("chats.jsonl")))``
    """
    settings = TuningConfig() if settings is None else settings
    refuse_head_settings(settings)
    if not training:
        raise ConfigError("there is no conversation to train on")
    with preserved_process_state():
        set_random_state(seeded_random_state(settings.seed))
        model, tokenizer = add_chat_template(body, tokenizer)
        tuning = DialogueTuning(model, tokenizer, training, validation, settings)
        history = take_all(tuning, show_bar=show_bar)
    return DialogueResult(
        model=model,
        tokenizer=tokenizer,
        history=history,
        best_step=tuning.position.best_step or tuning.position.step,
        scores=tuning.position.scores,
        n_cut_tokens=tuning.n_cut_tokens,
    )


def add_chat_template(body: Model, tokenizer: Tokenizer) -> tuple[Decoder, Tokenizer]:
    """Copy a decoder and its tokenizer, with special tokens for the roles.

    A new token begins as the mean of all others (Hewitt 2021, "Initializing new word embeddings for
    pretrained language models"): near to what the model has seen, and as a next token no likelier
    than an average one. What the model says of any text without roles stays the same, up to the
    share of probability that the new tokens take.

    Args:
        body: a decoder; it is not changed.
        tokenizer: the one it was trained with.

    Raises:
        ConfigError: another kind of model, or a tokenizer that cannot take special tokens.
    """
    if not isinstance(body, Decoder):
        raise ConfigError(
            "dialogue needs a decoder, which predicts each next token (minillm pretrain --model "
            f"gpt or llama), got a model of the class {type(body).__name__}"
        )
    extended, old_ids = add_special_tokens(tokenizer, CHAT_TOKENS)
    model = build_model(replace(body.config, vocab_size=extended.vocab_size))
    assert isinstance(model, Decoder)
    tensors = dict(model_tensors(body))
    for name, tensor in tensors.items():
        if name in ("token_embedding.weight", "unembedding.weight"):
            tensors[name] = _moved_rows(tensor, old_ids)
    load_weights(model, tensors)
    return model.to(next(body.parameters()).device), extended


def _moved_rows(weight: Tensor, old_ids: Sequence[int | None]) -> Tensor:
    """Put rows (V, C) where their tokens are now; new ones are the mean of all."""
    mean = weight.float().mean(dim=0).to(weight.dtype)
    return torch.stack([mean if old is None else weight[old] for old in old_ids])


class DialogueTuning(Tuning[Decoder, ChatRow]):
    """Teaches the assistant's words.

    Args:
        model: ``add_chat_template``'s, as is the tokenizer.
        tokenizer: has the roles.
        training: conversations, one or more.
        validation: conversations, or none.
        settings: how.
    """

    main_score = "loss"

    def __init__(
        self,
        model: Decoder,
        tokenizer: Tokenizer,
        training: Sequence[DialogueExample],
        validation: Sequence[DialogueExample],
        settings: TuningConfig,
    ) -> None:
        limit = model.config.context_length
        self.max_tokens = min(settings.max_tokens or limit, limit)
        template = ChatTemplate(tokenizer)
        rows, self.validation_rows = (
            [template.training_row(one, max_tokens=self.max_tokens) for one in side]
            for side in (training, validation)
        )
        super().__init__(model, tokenizer, rows, settings)

    def stack(self, rows: Sequence[ChatRow]) -> Batch:
        """Make a batch of rows."""
        return chat_batch(rows, pad_id=self.tokenizer.pad_id)

    def judge(self) -> dict[str, float]:
        """Return the mean loss of the validation rows, in nats per assistant token."""
        rows = self.validation_rows
        return {"loss": assistant_loss(self.model, self.tokenizer, rows)} if rows else {}

    def quality(self, scores: Mapping[str, float]) -> tuple[float, ...]:
        """Rank by the loss."""
        return (-scores["loss"],)

    def files(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the decoder, its tokenizer, and that it can chat."""
        kept = {key: body[key] for key in ("model", "objective")}
        about = {"architecture": asdict(self.model.config), "chat": {"tokens": [*CHAT_TOKENS]}}
        return {
            "model.safetensors": model_tensors(self.model),
            "config.json": kept | about,
            "tokenizer.json": self.tokenizer.to_json(),
        }


def assistant_loss(model: Decoder, tokenizer: Tokenizer, rows: Sequence[ChatRow]) -> float:
    """Return the mean loss of what the assistant says, in nats per token, ends included.

    Args:
        model: knows the roles; it is left as it is, in training mode or not.
        tokenizer: its own.
        rows: one or more with something to score.
    """
    total, n_scored = 0.0, 0
    device = next(model.parameters()).device
    with evaluating(model):
        for start in range(0, len(rows), ROWS_AT_ONCE):
            batch = chat_batch(rows[start : start + ROWS_AT_ONCE], pad_id=tokenizer.pad_id)
            total += model.loss_sums(batch.to(device))["tokens"].item()
            n_scored += batch.n_scored()["tokens"]
    return total / n_scored


def load_chat(path: Path | str, *, device: str = "cpu") -> LoadedModel[Decoder]:
    """Open a model that was fine-tuned for dialogue.

    Args:
        path: a run's folder of ``minillm finetune --task dialogue``, or one checkpoint.
        device: where the model shall be.

    Raises:
        ConfigError: there is no checkpoint at ``path``, or one that knows no chat template.
        CheckpointError: it is damaged, or of a model that this version does not know.

    Example:
        ``model, tokenizer, *_ = load_chat("runs/chat")``
    """
    return open_checkpoint(path, build_described, refuse=_refuse_speechless, device=device)  # pyright: ignore[reportReturnType]


def _refuse_speechless(folder: Path, description: Mapping[str, Any]) -> None:
    if "chat" not in description:
        raise ConfigError(
            f"{folder} knows no chat template: run minillm finetune --task dialogue first, then "
            "minillm chat with the folder that it wrote"
        )
