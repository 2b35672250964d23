"""How well a language model predicts text that it has not seen, and what it must beat.

Bits per byte compares models with different tokenizers: the total code length of the held-out
text, divided by its size in UTF-8, so that a tokenizer cannot win by making fewer tokens.

Dimension key: B windows, T positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch, TokenIds
from minillm.errors import ConfigError, DataError, NumericalError
from minillm.evaluation.scores import Scores
from minillm.models.base import LanguageModel, evaluating
from minillm.models.decoder import Decoder


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation(Scores):
    """One model on one set of whole documents, every end of document charged."""

    loss: float  # nats per scored token
    bits_per_byte: float
    perplexity: float  # exp(loss): comparable only under one tokenizer
    n_bytes: int  # of the documents' text in UTF-8
    n_tokens: int  # scored
    loss_sum: float  # nats

    @classmethod
    def from_sums(cls, *, loss_sum: float, n_tokens: int, n_bytes: int) -> Evaluation:
        """Derive the means from the sums.

        Example:
            >>> evaluation = Evaluation.from_sums(loss_sum=8 * math.log(2), n_tokens=2, n_bytes=4)
            >>> round(evaluation.bits_per_byte, 6), round(evaluation.perplexity, 6)
            (2.0, 16.0)
        """
        loss = loss_sum / n_tokens
        return cls(
            loss=loss,
            bits_per_byte=loss_sum / math.log(2) / n_bytes,
            perplexity=math.exp(loss) if loss < 700 else math.inf,  # e^710 is beyond float64
            n_bytes=n_bytes,
            n_tokens=n_tokens,
            loss_sum=loss_sum,
        )

    def summary(self) -> str:
        """Say it in a line."""
        return f"{self.loss:.3f} nats a token, {self.bits_per_byte:.3f} bits a byte"


def evaluate_documents(
    model: LanguageModel,
    documents: Sequence[TokenIds],
    *,
    n_bytes: int,
    context_length: int | None = None,
    batch_size: int = 16,
    progress: Callable[[Sequence[Batch]], Iterable[Batch]] | None = None,
) -> Evaluation:
    """Score every token of every document once, in the context of its own document.

    A document that is longer than the window is read in overlapping windows, so that every
    scored token sees at least ``context_length // 2`` tokens before it (or all there are).
    Chopping text into windows without overlap charges the model for cold starts; Press et al.
    2021 (arXiv:2012.15832, §2.1) measure by how much. The sums are kept in float64; the
    grouping into batches changes nothing but rounding.

    Args:
        model: put into evaluation mode, and back afterwards.
        documents: token ids, each beginning with bos (not scored) and ending with eos (scored).
        n_bytes: UTF-8 bytes of the documents' text.
        context_length: window in tokens; ``None`` takes the model's limit.
        batch_size: windows predicted at once.
        progress: wraps the list of batches, such as ``tqdm``.

    Returns:
        The means over all documents together.

    Raises:
        ConfigError: if ``n_bytes``, ``batch_size`` or ``context_length`` does not fit.
        DataError: if no document has a token to score.
        NumericalError: if the model predicts NaN.

    Example:
        ``evaluate_documents(model, [tokenizer.encode_document(text)], n_bytes=len(text.encode()))``
    """
    limit = _window_limit(model, context_length)
    require_positive(n_bytes=n_bytes, batch_size=batch_size)
    batches = _batches(documents, limit, batch_size)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    loss_sum, n_tokens = 0.0, 0
    with evaluating(model):
        for batch in batches if progress is None else progress(batches):
            loss_sum -= model.log_probs(batch.to(device)).cpu().double().sum().item()
            n_tokens += batch.n_scored()["tokens"]
    if math.isnan(loss_sum):
        raise NumericalError("the model predicts NaN for the documents: it is damaged")
    return Evaluation.from_sums(loss_sum=loss_sum, n_tokens=n_tokens, n_bytes=n_bytes)


def input_influence(model: Decoder, token_ids: Tensor) -> Tensor:
    """Measure how strongly each output reacts to each input, by gradients.

    A causal model gives exact zeros above the diagonal: no path leads from a later token to an
    earlier prediction, whatever the weights are.

    Args:
        model: any decoder.
        token_ids: (1, T) int64.

    Returns:
        (T, T): norm of the gradient of the logits at t (row) for the embedding at s (column).
    """
    kept: list[Tensor] = []
    hook = model.token_embedding.register_forward_hook(lambda *call: kept.append(call[2]))
    try:
        logits = model(token_ids)[0]
    finally:
        hook.remove()
    gradients = [torch.autograd.grad(x.square().sum(), kept, retain_graph=True)[0] for x in logits]
    return torch.cat(gradients).norm(dim=-1)


class _Window(NamedTuple):
    """Tokens ``[start, start + T]`` of a document; the targets before ``n_ignored`` were scored."""

    token_ids: TokenIds  # T + 1
    n_ignored: int


def _windows(document: TokenIds, limit: int | None) -> Iterator[_Window]:
    """Cut a document into windows of at most ``limit`` inputs that score each target once."""
    n_targets = len(document) - 1
    if n_targets < 1:
        return
    size = n_targets if limit is None else min(limit, n_targets)
    yield _Window(document[: size + 1], 0)
    n_done = size
    while n_done < n_targets:
        # The last window ends with the document: more context, and all windows equally long.
        start = min(n_done - size // 2, n_targets - size)
        yield _Window(document[start : start + size + 1], n_done - start)
        n_done = start + size


def _batches(documents: Sequence[TokenIds], limit: int | None, batch_size: int) -> list[Batch]:
    """Group windows of similar length, the longest first: too little memory shows at once."""
    windows = [window for document in documents for window in _windows(document, limit)]
    if not windows:
        raise DataError("there is nothing to score: no document has a token after its first")
    windows.sort(key=lambda window: len(window.token_ids), reverse=True)
    starts = range(0, len(windows), batch_size)
    return [_padded_batch(windows[start : start + batch_size]) for start in starts]


def _padded_batch(windows: list[_Window]) -> Batch:
    """Stack windows, the shorter ones padded on the right where nothing earlier can see it."""
    n_positions = max(len(window.token_ids) for window in windows) - 1
    inputs = torch.zeros(len(windows), n_positions, dtype=torch.int64)  # 0: any valid id will do
    targets = torch.full_like(inputs, IGNORE_INDEX)
    is_padding = torch.ones_like(inputs, dtype=torch.bool)
    for row, (token_ids, n_ignored) in enumerate(windows):
        tokens = owned(token_ids)
        n_inputs = len(tokens) - 1
        inputs[row, :n_inputs] = tokens[:-1]
        targets[row, n_ignored:n_inputs] = tokens[1 + n_ignored :]
        is_padding[row, :n_inputs] = False
    return Batch(inputs=inputs, targets=targets, is_padding=is_padding)


def owned(token_ids: TokenIds | Tensor) -> Tensor:
    """Copy into int64: torch warns when it must share the memory of a read-only memory map."""
    if isinstance(token_ids, Tensor):
        return token_ids.long()
    return torch.from_numpy(np.array(token_ids, dtype=np.int64))


def _window_limit(model: LanguageModel, context_length: int | None) -> int | None:
    """Return the asked window, refused beyond what the model can read."""
    if context_length is None:
        return model.context_length
    require_positive(context_length=context_length)
    if model.context_length is not None and context_length > model.context_length:
        raise ConfigError(
            f"context_length={context_length} is more than the model's {model.context_length}"
        )
    return context_length


def require_positive(**counts: int) -> None:
    """Refuse a count below one."""
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"{name} must be positive, got {count}")
