"""Train in float16: multiply the loss so that small gradients do not round to zero.

float16 has 10 bits after the leading one, as its smallest number 2⁻²⁴ and as its largest 65504.
Gradients of a language model are often smaller than the one and never as large as the other, so
half of the format is empty while the other half runs over (Micikevicius et al. 2017,
arXiv:1710.03740, figure 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from minillm.errors import ConfigError, NumericalError

LEAST_SCALE = 1e-4  # as fairseq's: from 2¹⁶ it takes 30 skipped steps in a row to fall below


class LossScaler:
    """Multiply the loss by a factor that is as large as the gradients allow.

    By the chain rule every gradient then carries the same factor, from the first float16 tensor
    of the backward pass on; it is divided out in float32, before clipping and before the update.
    The factor finds itself (§3.2 of the paper; here with the numbers of ``torch.amp.GradScaler``,
    whose decisions this class takes): an infinite or undefined gradient means that it was too
    large, so this update is skipped and the factor halved; after ``growth_interval`` good updates
    in a row it is doubled.

    Unlike torch's it does not go on for ever: below ``least_scale`` the factor is not what
    is wrong, and an error says so.

    Args:
        scale: the first factor.
        growth: multiplies it after ``growth_interval`` good updates, above 1.
        backoff: multiplies it after a bad one, between 0 and 1.
        growth_interval: good updates in a row.
        least_scale: where to give up.

    Attributes:
        scale: the factor, a number that float32 can hold.
        n_good: good updates since the factor changed or an update was skipped.
        n_skipped: all updates that were skipped.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> weight = nn.Parameter(torch.tensor(2.0))
        >>> scaler = LossScaler(scale=1024.0)
        >>> (3 * weight * scaler.scale).backward()
        >>> weight.grad
        tensor(3072.)
        >>> scaler.unscale([weight]), weight.grad
        (True, tensor(3.))
    """

    def __init__(
        self,
        *,
        scale: float = 2.0**16,
        growth: float = 2.0,
        backoff: float = 0.5,
        growth_interval: int = 2000,
        least_scale: float = LEAST_SCALE,
    ) -> None:
        if not (growth > 1 and 0 < backoff < 1 and growth_interval >= 1):
            raise ConfigError(
                "a loss scaler needs growth > 1, 0 < backoff < 1 and growth_interval >= 1, "
                f"got {growth}, {backoff} and {growth_interval}"
            )
        if not 0 < least_scale <= scale < math.inf:
            raise ConfigError(f"scale {scale} must be finite and at least {least_scale} > 0")
        self.growth, self.backoff, self.growth_interval = growth, backoff, growth_interval
        self.least_scale = least_scale
        self.scale, self.n_good, self.n_skipped = _float32(scale), 0, 0

    def unscale(self, parameters: Iterable[nn.Parameter]) -> bool:
        """Divide the gradients by the factor, in place, and say whether all are finite.

        Args:
            parameters: those without a gradient are passed over. Gradients are float32, as those
                of float32 weights are, even where the matrix products ran in float16.

        Returns:
            True if the update may be made.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        # 1 / scale is rounded to float32, as torch does; for a power of two nothing is rounded.
        inverse = _float32(1.0 / self.scale)
        for gradient in gradients:
            gradient.mul_(inverse)
        # One question for all tensors: each would make the CPU wait for an accelerator.
        is_finite = [gradient.isfinite().all() for gradient in gradients]
        return not is_finite or bool(
            torch.stack([x.to(is_finite[0].device) for x in is_finite]).all()
        )

    def update(self, *, is_finite: bool) -> None:
        """Choose the next factor.

        Args:
            is_finite: what ``unscale`` said of this step; if not, its update is skipped.

        Raises:
            NumericalError: the factor fell below ``least_scale``.
        """
        if not is_finite:
            self.n_skipped, self.n_good = self.n_skipped + 1, 0
            self.scale = _float32(self.scale * self.backoff)
            if self.scale < self.least_scale:
                raise NumericalError(
                    f"the gradient is not finite however small the loss is made: its factor fell "
                    f"to {self.scale:.2g} (least {self.least_scale:.2g}), after {self.n_skipped} "
                    "skipped updates. A smaller learning rate, or dtype float32 or bfloat16, helps."
                )
            return
        self.n_good += 1
        if self.n_good == self.growth_interval:
            larger = _float32(self.scale * self.growth)
            self.scale = larger if math.isfinite(larger) else self.scale
            self.n_good = 0

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, as JSON can say it."""
        return {"scale": self.scale, "n_good": self.n_good, "n_skipped": self.n_skipped}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Stand where ``state`` was taken."""
        self.scale, self.n_good = float(state["scale"]), int(state["n_good"])
        self.n_skipped = int(state["n_skipped"])


def _float32(number: float) -> float:
    """Round as float32 does; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return float(np.float32(number))
