"""What can be trained: the batches of each objective, how it is judged, the classes of models.

Which models fit an objective, and which settings they take, stands in ``config/families.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

import torch

from minillm.attention import AttentionBackend
from minillm.checkpoint import find_checkpoint, load_weights, read_checkpoint
from minillm.config import (
    BidirectionalConfig,
    DecoderConfig,
    EncoderConfig,
    EncoderDecoderConfig,
    NeuralNgramConfig,
    NgramConfig,
    PretrainConfig,
    RecurrentConfig,
    find_family,
)
from minillm.data import PreparedData
from minillm.errors import CheckpointError, ConfigError
from minillm.models.base import CountedModel, Model
from minillm.models.bidirectional import Bidirectional
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.models.neural_ngram import NeuralNgram
from minillm.models.ngram import Ngram
from minillm.models.recurrent import Recurrent
from minillm.objectives.bidirectional import bidirectional_batch
from minillm.objectives.causal import causal_batch
from minillm.objectives.prefix import prefix_batch
from minillm.objectives.sentence_pairs import next_sentence_batch, sentence_order_batch
from minillm.run.batches import (
    BatchAt,
    masked_batches,
    pair_batches,
    reconstruction_batches,
    span_batches,
    window_batches,
)
from minillm.run.floors import Floor, code_length_floor, hidden_words_floor, pairs_ceiling
from minillm.run.judges import (
    Judge,
    judge_by_code_length,
    judge_by_hidden_words,
    judge_by_orders,
    judge_by_pairs,
    judge_by_spans,
)
from minillm.runtime import derive_generator
from minillm.tokenizers import SENTINEL_TOKENS, Tokenizer, load_tokenizer

# What each kind of architecture is built into.
BUILDERS: Mapping[type, Callable[..., Model]] = {
    DecoderConfig: Decoder,
    RecurrentConfig: Recurrent,
    BidirectionalConfig: Bidirectional,
    NeuralNgramConfig: NeuralNgram,
    NgramConfig: Ngram,
    EncoderConfig: Encoder,
    EncoderDecoderConfig: EncoderDecoder,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One way in which text supervises itself."""

    batches: Callable[[PreparedData, PretrainConfig], BatchAt]
    judge: Judge
    floor: Floor | None = None  # the best possible on TinyWorld; None where it is not known
    reads_sentences: bool = False  # documents as lists of sentences, not packed windows
    more_special_tokens: tuple[str, ...] = ()  # than a tokenizer usually has


OBJECTIVES: Mapping[str, Objective] = {
    "causal": Objective(
        batches=partial(window_batches, causal_batch),
        judge=judge_by_code_length,
        floor=code_length_floor,
    ),
    "bidirectional": Objective(  # the mean of two code lengths
        batches=partial(window_batches, bidirectional_batch),
        judge=judge_by_code_length,
        floor=code_length_floor,
    ),
    "masked": Objective(
        batches=masked_batches, judge=judge_by_hidden_words, floor=hidden_words_floor
    ),
    "masked+next-sentence": Objective(
        batches=partial(pair_batches, next_sentence_batch),
        judge=partial(judge_by_pairs, "next-sentence"),
        floor=partial(pairs_ceiling, "next-sentence"),
        reads_sentences=True,
    ),
    "masked+sentence-order": Objective(
        batches=partial(pair_batches, sentence_order_batch),
        judge=partial(judge_by_pairs, "sentence-order"),
        floor=partial(pairs_ceiling, "sentence-order"),
        reads_sentences=True,
    ),
    "sentence-reconstruction": Objective(
        batches=reconstruction_batches, judge=judge_by_orders, reads_sentences=True
    ),
    # What is cut out is no code length, and what could be known of it at best is not computed.
    "span-corruption": Objective(
        batches=span_batches, judge=judge_by_spans, more_special_tokens=SENTINEL_TOKENS
    ),
    "prefix": Objective(  # without a prefix it is a causal model, and judged as one
        batches=partial(window_batches, prefix_batch),
        judge=judge_by_code_length,
        floor=code_length_floor,
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
) -> Model:
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
) -> Model:
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


def make_first_model(config: PretrainConfig, *, vocab_size: int) -> Model:
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


def build_described(description: Mapping[str, Any]) -> Model:
    """Build the model that ``describe_model`` described, its weights fresh.

    Raises:
        LookupError, TypeError, ConfigError: there is no such model.
    """
    family = find_family(description["model"], objective=description["objective"])
    architecture = {  # JSON has no tuples
        key: tuple(value) if isinstance(value, list) else value
        for key, value in description["architecture"].items()
    }
    return build_model(family.config(**architecture))


AnyModel = TypeVar("AnyModel", bound=Model)


class LoadedModel(NamedTuple, Generic[AnyModel]):
    """A model from a checkpoint, ready to use, with its tokenizer."""

    model: AnyModel
    tokenizer: Tokenizer
    description: dict[str, Any]  # as ``describe_model``
    folder: Path


def load_model(path: Path | str, *, device: str = "cpu") -> LoadedModel[Any]:
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
    return open_checkpoint(path, build_described, refuse=_refuse_task, device=device)


def _refuse_task(folder: Path, description: Mapping[str, Any]) -> None:
    if "task" in description:
        raise ConfigError(
            f"{folder} is fine-tuned for a task and no language model any more: minillm predict"
        )


def open_checkpoint(
    path: Path | str,
    build: Callable[[Mapping[str, Any]], AnyModel],
    *,
    refuse: Callable[[Path, Mapping[str, Any]], None],
    device: str,
) -> LoadedModel[AnyModel]:
    """Read a checkpoint and put its weights into the model that it describes.

    Args:
        path: a run's folder (its ``final/`` or newest intact step), or one checkpoint.
        build: makes the model, its weights fresh, of what ``config.json`` says.
        refuse: raises where ``config.json`` is that of another kind of model.
        device: where the model shall be.

    Raises:
        ConfigError: there is no checkpoint at ``path``; and what ``refuse`` raises.
        CheckpointError: it is damaged, or of a model that this version does not know.
    """
    folder = find_checkpoint(path)
    files = read_checkpoint(folder, ["model.safetensors", "config.json", "tokenizer.json"])
    description = files["config.json"]
    refuse(folder, description)
    try:
        model = build(description)
    except (LookupError, TypeError, ConfigError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} describes no model that this minillm knows: {error}"
        ) from error
    load_weights(model, files["model.safetensors"])
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    return LoadedModel(model.to(device).eval(), tokenizer, description, folder)
