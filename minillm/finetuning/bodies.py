"""The pretrained models that can be fine-tuned, and how each of them reads a batch.

Dimension key: B sequences, T positions, C d_model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from minillm.batch import Batch
from minillm.errors import ConfigError
from minillm.models.base import Model
from minillm.models.bidirectional import Bidirectional
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.models.recurrent import Recurrent

Summary = Literal["first", "last"]  # valid position


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """What fine-tuning must know of a kind of model."""

    hidden: Callable[[Any, Batch], Tensor]  # the model and a batch → (B, T, C)
    summary: Summary  # which position has read all others, and can speak for the text
    unused: tuple[str, ...]  # the heads of pretraining, and halves that do not read
    n_directions: int = 1  # that read the text on their own; C is d_model times it


def _encoder_hidden(model: Encoder, batch: Batch) -> Tensor:
    has_segments = model.config.n_segments > 1
    segment_ids = batch.segment_ids if has_segments else None
    return model.hidden(batch.inputs, segment_ids, batch.is_padding)


def _causal_hidden(model: Decoder | Recurrent, batch: Batch) -> Tensor:
    return model.hidden(batch.inputs, is_padding=batch.is_padding)


def _source_hidden(model: EncoderDecoder, batch: Batch) -> Tensor:
    return model.encode(batch.inputs, batch.is_padding)[0]


def _both_hidden(model: Bidirectional, batch: Batch) -> Tensor:
    """Read the last layer; a task with many labels could mix all (``ScalarMix``), as ELMo does."""
    return model.representations(batch.inputs, batch.is_padding)[-1]


# A model of another kind needs one line here.
BODIES: Mapping[type[Model], Body] = {
    Encoder: Body(
        hidden=_encoder_hidden,
        summary="first",  # BERT's [CLS]
        unused=("masked_head", "pair_head", "pointer_head"),
    ),
    Decoder: Body(hidden=_causal_hidden, summary="last", unused=("unembedding",)),
    Recurrent: Body(hidden=_causal_hidden, summary="last", unused=("unembedding",)),
    EncoderDecoder: Body(  # its encoder alone: to write an answer it would need another head
        hidden=_source_hidden, summary="first", unused=("decoder", "unembedding")
    ),
    Bidirectional: Body(
        hidden=_both_hidden, summary="last", unused=("unembedding",), n_directions=2
    ),
}


def find_body(model: Model) -> Body:
    """Return how a pretrained model is read.

    Raises:
        ConfigError: it is of a kind that cannot be fine-tuned.
    """
    for kind, body in BODIES.items():
        if isinstance(model, kind):
            return body
    known = ", ".join(kind.__name__ for kind in BODIES)
    raise ConfigError(
        f"models of the class {type(model).__name__} cannot be fine-tuned, only: {known}"
    )
