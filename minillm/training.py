"""The optimization loop: batches in, a stream of results out. It knows no model by name."""

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch

from minillm.batch import Batch
from minillm.errors import NumericalError
from minillm.models.base import Model
from minillm.optim import LossScaler, clip_gradients


class StepResult(NamedTuple):
    """What one optimizer update measured."""

    step: int
    losses: dict[str, float]  # nats per scored target, one entry per head
    grad_norm: float  # before clipping; not finite only where the update was skipped
    learning_rate: float
    n_tokens: int  # read in this step, padding included
    weights: Mapping[str, float] = MappingProxyType({})  # of the heads, 1 where none is given
    loss_scale: float | None = None  # of this step's gradients, where the loss is scaled
    is_skipped: bool = False  # a scaled gradient was not finite: the weights stayed

    @property
    def loss(self) -> float:
        """Weighted sum of the heads' losses: what the gradient belongs to."""
        return sum(self.weights.get(name, 1.0) * loss for name, loss in self.losses.items())


def train(  # noqa: PLR0913 - what a step may need; all but three have a usual value
    model: Model,
    optimizer: torch.optim.Optimizer,
    steps: Iterable[Sequence[Batch]],
    *,
    max_grad_norm: float = 1.0,
    learning_rate: Callable[[int], float] | None = None,
    first_step: int = 1,
    autocast_dtype: torch.dtype | None = None,
    weights: Mapping[str, float] | None = None,
    scaler: LossScaler | None = None,
) -> Iterator[StepResult]:
    """Yield one result per optimizer update; each step is a list of micro-batches.

    Every head's loss is the exact mean over its targets in the whole step, however
    unequal the micro-batches; a head without a target contributes zero.

    Args:
        model: any model that can sum its losses.
        optimizer: updates the model's parameters.
        steps: for each update, the micro-batches whose gradients are added up.
        max_grad_norm: gradients whose joint norm is larger are scaled down to it.
        learning_rate: maps the step number to the rate of every parameter group; ``None``
            keeps the optimizer's own.
        first_step: number of the first step, larger than 1 when a run continues.
        autocast_dtype: number format of the matrix products (weights stay float32), or ``None``.
        weights: how much each head's loss counts in the gradient; 1 where none is given.
        scaler: scales the loss, which float16 needs, and skips the update of a step whose
            gradient is not finite: the step counts, the weights stay.

    Raises:
        NumericalError: before the update, if a loss or the gradient is not finite. With a scaler
            a gradient that stays so is an error after some 30 skipped updates.
        ValueError: if a step has no micro-batch, or the model does not compute the losses that
            the batch counts.

    Example:
        >>> from minillm.config import DecoderConfig
        >>> from minillm.models.decoder import Decoder
        >>> from minillm.objectives.causal import causal_batch
        >>> from minillm.optim import make_optimizer
        >>> model = Decoder(DecoderConfig.gpt(vocab_size=11, d_model=8, n_heads=2, n_layers=1))
        >>> batch = causal_batch(torch.arange(11)[None])
        >>> optimizer = make_optimizer(model, name="adamw", learning_rate=0.01)
        >>> results = list(train(model, optimizer, [[batch]] * 20))
        >>> results[-1].loss < results[0].loss
        True
    """
    weights = weights or {}
    for step, micro_batches in enumerate(steps, start=first_step):
        if not micro_batches:
            raise ValueError(f"step {step} has no micro-batch")
        if learning_rate is not None:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step)
        scale = None if scaler is None else scaler.scale
        losses = _accumulate_gradients(
            model, optimizer, micro_batches, autocast_dtype, weights, loss_scale=scale or 1.0
        )
        is_skipped = scaler is not None and not scaler.unscale(model.parameters())
        grad_norm = math.inf if is_skipped else _clip(model, max_grad_norm)
        checked = [*losses.values()] if is_skipped else [grad_norm, *losses.values()]
        if not all(map(math.isfinite, checked)):
            raise NumericalError(
                f"step {step}: losses {losses}, gradient norm {grad_norm}; the weights are those "
                f"of step {step - 1}. A smaller learning rate or a longer warmup usually helps."
            )
        if scaler is not None:
            scaler.update(is_finite=not is_skipped)
        if not is_skipped:
            optimizer.step()
        rate = optimizer.param_groups[0]["lr"]
        n_tokens = sum(batch.inputs.numel() for batch in micro_batches)
        yield StepResult(step, losses, grad_norm, rate, n_tokens, weights, scale, is_skipped)


def _clip(model: Model, max_grad_norm: float) -> float:
    """Clip the gradients and return their norm before."""
    return clip_gradients(model.parameters(), max_grad_norm).item()


def _accumulate_gradients(
    model: Model,
    optimizer: torch.optim.Optimizer,
    micro_batches: Sequence[Batch],
    autocast_dtype: torch.dtype | None,
    weights: Mapping[str, float],
    *,
    loss_scale: float,
) -> dict[str, float]:
    """Leave the gradient of the step's exact mean losses in the parameters; return the losses.

    The gradient is ``loss_scale`` times as large; the losses are as they are.
    """
    model.train()
    optimizer.zero_grad(set_to_none=True)
    counts = [batch.n_scored() for batch in micro_batches]
    totals = Counter()
    for count in counts:
        totals.update(count)
    losses = dict.fromkeys(totals, 0.0)
    for batch, count in zip(
        micro_batches, counts, strict=True
    ):  # one backward each: memory is that of one micro-batch
        with autocast(batch.inputs.device.type, autocast_dtype):
            sums = model.loss_sums(batch)
        if sums.keys() != count.keys():
            raise ValueError(f"the model sums losses of {[*sums]}, the batch counts {[*count]}")
        means = {name: loss_sum / max(totals[name], 1) for name, loss_sum in sums.items()}
        weighted = [weights.get(name, 1.0) * mean for name, mean in means.items()]
        (torch.stack(weighted).sum() * loss_scale).backward()
        for name, mean in means.items():
            losses[name] += mean.item()
    return losses


def autocast(device_type: str, dtype: torch.dtype | None) -> contextlib.AbstractContextManager:
    """Run matrix products in ``dtype``; ``None`` and float32 change nothing."""
    if dtype is None or dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device_type, dtype=dtype)
