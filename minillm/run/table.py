"""What can be trained: the batches of each objective, how it is judged, the classes of models.

Which models fit an objective, and which settings they take, stands in ``config/families.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from minillm.attention import AttentionBackend
from minillm.batch import Batch
from minillm.checkpoint import find_checkpoint, load_weights, read_checkpoint
from minillm.config import (
    BidirectionalConfig,
    DecoderConfig,
    NeuralNgramConfig,
    NgramConfig,
    PretrainConfig,
    RecurrentConfig,
    find_family,
)
from minillm.data import PackedWindows, PreparedData
from minillm.errors import CheckpointError, ConfigError
from minillm.evaluation import Evaluation, evaluate_documents
from minillm.models.base import CountedModel, LanguageModel, Model
from minillm.models.bidirectional import Bidirectional
from minillm.models.decoder import Decoder
from minillm.models.neural_ngram import NeuralNgram
from minillm.models.ngram import Ngram
from minillm.models.recurrent import Recurrent
from minillm.objectives.bidirectional import bidirectional_batch
from minillm.objectives.causal import causal_batch
from minillm.runtime import derive_generator
from minillm.tokenizers import Tokenizer, load_tokenizer

BatchAt = Callable[[int], Batch]  # micro-batch number, from 0 → the batch
Judge = Callable[[Any, Sequence[np.ndarray], int], Evaluation]  # model, documents, their bytes

# What each kind of architecture is built into.
BUILDERS: Mapping[type, Callable[..., LanguageModel]] = {
    DecoderConfig: Decoder,
    RecurrentConfig: Recurrent,
    BidirectionalConfig: Bidirectional,
    NeuralNgramConfig: NeuralNgram,
    NgramConfig: Ngram,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One way in which text supervises itself."""

    batches: Callable[[PreparedData, PretrainConfig], BatchAt]
    judge: Judge


def _window_batches(
    make_batch: Callable[..., Batch], data: PreparedData, config: PretrainConfig
) -> BatchAt:
    """Packed windows; a window that crosses documents reads on, as GPT-2's did."""
    windows = PackedWindows(
        data.train,
        context_length=config.context_length,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    bos_id = data.tokenizer.bos_id
    return lambda index: make_batch(windows.batch_at(index), bos_id=bos_id)


def _judge_by_code_length(
    model: LanguageModel, documents: Sequence[np.ndarray], n_bytes: int
) -> Evaluation:
    return evaluate_documents(model, documents, n_bytes=n_bytes)


OBJECTIVES: Mapping[str, Objective] = {
    "causal": Objective(
        batches=partial(_window_batches, causal_batch), judge=_judge_by_code_length
    ),
    "bidirectional": Objective(  # the mean of two code lengths
        batches=partial(_window_batches, bidirectional_batch), judge=_judge_by_code_length
    ),
}


def make_model(
    name: str,
    *,
    vocab_size: int,
    architecture: Mapping[str, Any],
    objective: str = "causal",
    generator: torch.Generator | None = None,
    backend: AttentionBackend = "sdpa",
) -> LanguageModel:
    """Build the model of a family with fresh weights.

    Args:
        name: a key of ``FAMILIES[objective]``.
        vocab_size: V.
        architecture: changes to the family's configuration.
        objective: what the model is to learn.
        generator: draws the weights.
        backend: of attention, where there is any.

    Raises:
        ConfigError: an unknown family, or settings that do not fit each other.

    Example:
        >>> model = make_model("llama", vocab_size=11, architecture={"d_model": 8, "n_heads": 2})
        >>> model.config.norm
        'rms_norm'
    """
    config = find_family(name, objective=objective).make(vocab_size=vocab_size, **architecture)
    return build_model(config, generator=generator, backend=backend)


def build_model(
    config: Any,
    *,
    generator: torch.Generator | None = None,
    backend: AttentionBackend = "sdpa",
) -> LanguageModel:
    """Build the model that an architecture's configuration describes.

    Args:
        config: an instance of one of the types in ``BUILDERS``.
        generator: draws the weights; a model that counts has none to draw.
        backend: of attention, where there is any.
    """
    builder = BUILDERS[type(config)]
    if issubclass(cast(type, builder), CountedModel):
        return builder(config)
    model = builder(config, generator=generator)
    model.set_backend(backend)
    return model


def make_first_model(config: PretrainConfig, *, vocab_size: int) -> LanguageModel:
    """Build the model of a run as it is before the first step.

    Args:
        config: the run's settings, nothing left open.
        vocab_size: V of the run's tokenizer.

    Example:
        ``make_first_model(config, vocab_size=data.tokenizer.vocab_size)``
    """
    return make_model(
        config.model,
        vocab_size=vocab_size,
        architecture=config.architecture,
        objective=config.objective,
        generator=derive_generator(config.seed, "weights"),
        backend="sdpa" if config.backend == "auto" else config.backend,
    )


def describe_model(model: Model, *, name: str, objective: str) -> dict[str, Any]:
    """Return what a checkpoint's ``config.json`` says, enough to build the model again."""
    return {"model": name, "objective": objective, "architecture": asdict(model.config)}


class LoadedModel(NamedTuple):
    """A model from a checkpoint, ready to evaluate and to write, with its tokenizer."""

    model: LanguageModel
    tokenizer: Tokenizer
    description: dict[str, Any]  # as ``describe_model``
    folder: Path


def load_model(path: Path | str, *, device: str = "cpu") -> LoadedModel:
    """Open a trained model.

    Args:
        path: a run's folder (its ``final/`` or newest intact step), or one checkpoint.
        device: where the model shall be.

    Raises:
        ConfigError: there is no checkpoint at ``path``, or one that was fine-tuned.
        CheckpointError: it is damaged, or of a model that this version does not know.

    Example:
        ``model, tokenizer, _, _ = load_model("runs/tour")``
    """
    folder = find_checkpoint(path)
    files = read_checkpoint(folder, ["model.safetensors", "config.json", "tokenizer.json"])
    description = files["config.json"]
    if "task" in description:
        raise ConfigError(
            f"{folder} is fine-tuned for a task and no language model any more: minillm predict"
        )
    try:
        family = find_family(description["model"], objective=description["objective"])
        architecture = {  # JSON has no tuples
            key: tuple(value) if isinstance(value, list) else value
            for key, value in description["architecture"].items()
        }
        model = build_model(family.config(**architecture))
    except (LookupError, TypeError, ConfigError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} describes no model that this minillm knows: {error}"
        ) from error
    load_weights(model, files["model.safetensors"])
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    return LoadedModel(model.to(device).eval(), tokenizer, description, folder)
