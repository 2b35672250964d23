"""How well a model finds what was cut out of a text: the same spans for every model.

Dimension key: B texts, S input positions, T target positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from minillm.batch import IGNORE_INDEX, Batch
from minillm.errors import DataError, NumericalError
from minillm.evaluation.hidden_words import Bar
from minillm.evaluation.scores import Scores
from minillm.models.base import evaluating
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.objectives.span_corruption import SpanCorruption, span_corruption_batch
from minillm.runtime import derive_generator

BATCH_SIZE = 32  # texts read at once
_SHORTEST = 8  # tokens of a text from which something is cut out; what is left of a document


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanScores(Scores):
    """One encoder–decoder on texts with spans cut out."""

    loss: float  # nats per target token, sentinels and the end included: what training minimizes
    cut_loss: float  # nats per token that was cut out
    n_tokens: int  # of the targets
    n_cut: int  # of them that were cut out
    n_bytes: int  # of the documents' text

    def summary(self) -> str:
        """Say it in a line."""
        return f"{self.loss:.3f} nats a target token, {self.cut_loss:.3f} nats a token cut out"


def evaluate_spans(
    model: EncoderDecoder,
    documents: Sequence[np.ndarray],
    *,
    corruption: SpanCorruption,
    n_bytes: int,
    progress: Bar | None = None,
) -> SpanScores:
    """Cut spans out of documents and score what the model writes for them.

    Args:
        model: put into evaluation mode, and back afterwards.
        documents: token ids, bos … eos, read in pieces that fit the context.
        corruption: what is cut out; always the same of the same documents.
        n_bytes: of the documents' text.
        progress: wraps the list of batches.

    Raises:
        DataError: no document is long enough.
        NumericalError: the model predicts NaN.
    """
    longest = corruption.longest_text(model.config.context_length)
    tokens = [torch.from_numpy(np.array(document, dtype=np.int64)) for document in documents]
    pieces = [piece for text in tokens for piece in text.split(longest) if len(piece) >= _SHORTEST]
    if not pieces:
        raise DataError(f"no document has {_SHORTEST} tokens to cut something out of")
    pieces.sort(key=len, reverse=True)
    generator = derive_generator(0, "spans to judge by")
    batches = [
        span_corruption_batch(
            [piece.tolist() for piece in pieces[i : i + BATCH_SIZE]],
            generator,
            corruption=corruption,
        )
        for i in range(0, len(pieces), BATCH_SIZE)
    ]
    losses = _losses(model, batches, progress)
    targets = torch.cat([_scored(batch) for batch in batches])
    is_cut = ~torch.isin(targets, torch.tensor([*corruption.sentinel_ids, corruption.eos_id]))
    return SpanScores(
        loss=losses.mean().item(),
        cut_loss=losses[is_cut].mean().item(),
        n_tokens=len(losses),
        n_cut=int(is_cut.sum()),
        n_bytes=n_bytes,
    )


def _losses(model: EncoderDecoder, batches: Sequence[Batch], progress: Bar | None) -> torch.Tensor:
    """Return the nats of every target, in the order of the batches."""
    device, found = next(model.parameters()).device, []
    with evaluating(model):
        for batch in batches if progress is None else progress(batches):
            assert batch.targets is not None
            log_probs = model.log_probs(batch.to(device)).cpu().double()
            found.append(-log_probs[batch.targets != IGNORE_INDEX])
    losses = torch.cat(found)
    if math.isnan(losses.sum().item()):
        raise NumericalError("the model predicts NaN for what was cut out: it is damaged")
    return losses


def _scored(batch: Batch) -> torch.Tensor:
    assert batch.targets is not None
    return batch.targets[batch.targets != IGNORE_INDEX]
