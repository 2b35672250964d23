"""The first check of notebook 17: one training step with a loss scaler."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from exercises.harness import Attempt, Mistakes, exercise

State = tuple[Tensor, float, int]


def _step(  # noqa: PLR0913 - each flag is one usual mistake
    weight: Tensor,
    gradient: Tensor,
    scale: float,
    n_good: int,
    max_norm: float,
    growth_interval: int,
    *,
    clips_first: bool = False,
    notices: str = "inf nan",
    after_skip: str = "halve reset",
    grows: str = "at the interval",
    resets: bool = True,
    divisor: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> State:
    """Take the step, or a wrong one: the flags say what is done otherwise."""
    limit = max_norm * scale if not clips_first else max_norm
    is_bad = ("inf" in notices and bool(gradient.isinf().any())) or (
        "nan" in notices and bool(gradient.isnan().any())
    )
    if is_bad:
        scale = {"halve": scale / 2, "double": scale * 2}.get(after_skip.split()[0], scale)
        return weight, scale, 0 if "reset" in after_skip else n_good + ("count" in after_skip)
    if notices == "zeroed":
        gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
    clipped = gradient * (limit / gradient.norm()).clamp(max=1.0)
    update = clipped / (scale if divisor is None else divisor * scale)
    weight = (weight.to(dtype) - update.to(dtype)).float()
    n_good += 1
    interval = {"always": 1, "late": growth_interval + 1, "never": math.inf}
    if n_good >= interval.get(grows, growth_interval):
        return weight, scale * 2, 0 if resets else n_good
    return weight, scale, n_good


def _with(**flags: Any) -> Any:
    return lambda *arguments: _step(*arguments, **flags)


def _unscales_by_the_next(
    weight: Tensor, gradient: Tensor, scale: float, n_good: int, max_norm: float, interval: int
) -> State:
    """Double the scale, if that is due, before the gradient is divided by it."""
    _, next_scale, next_n_good = _step(weight, gradient, scale, n_good, max_norm, interval)
    if not gradient.isfinite().all():
        return weight, next_scale, next_n_good
    unscaled = gradient / next_scale
    unscaled = unscaled * (max_norm / unscaled.norm()).clamp(max=1.0)
    return weight - unscaled, next_scale, next_n_good


def _never_unscales(
    weight: Tensor, gradient: Tensor, scale: float, n_good: int, max_norm: float, interval: int
) -> State:
    unscaled = gradient * scale if gradient.isfinite().all() else gradient
    return _step(weight, unscaled, scale, n_good, max_norm, interval)


def _steps_and_halves(
    weight: Tensor, gradient: Tensor, scale: float, n_good: int, max_norm: float, interval: int
) -> State:
    """See the overflow, but update all the same."""
    updated, _, _ = _step(weight, gradient, scale, n_good, max_norm, interval, notices="")
    _, scale, n_good = _step(weight, gradient, scale, n_good, max_norm, interval)
    return updated, scale, n_good


SCALING_MISTAKES: Mistakes = {
    "it clips before it unscales: the norm it compares with max_norm is scale times too large": (
        _with(clips_first=True)
    ),
    "it clips and applies the scaled gradient: divide by the scale first": _never_unscales,
    "it divides by the next scale: the gradient carries the scale of its own step": (
        _unscales_by_the_next
    ),
    "it keeps the weight in float16: a small update rounds to nothing, so the weight that is "
    "updated is float32": _with(dtype=torch.float16),
    "it makes the update although the gradient is not finite: skip it": _with(notices=""),
    "it halves the scale but makes the update all the same: skip it": _steps_and_halves,
    "it looks for ∞ only: NaN is no number either (∞ − ∞ on the way back)": _with(notices="inf"),
    "it sets the numbers that are not finite to 0 and goes on: the others ran over too, or nearly; "
    "skip the update": _with(notices="zeroed"),
    "it doubles the scale after an overflow: that was too large": _with(after_skip="double reset"),
    "it leaves the scale after an overflow: the next step would overflow again; halve it": (
        _with(after_skip="leave reset")
    ),
    "it forgets to reset the count after a skipped update: the good ones must be in a row": (
        _with(after_skip="halve")
    ),
    "it counts the skipped update as a good one": _with(after_skip="halve count"),
    "it doubles the scale after every good update: only after growth_interval of them": (
        _with(grows="always")
    ),
    "it never grows back: after growth_interval good updates the scale doubles": (
        _with(grows="never")
    ),
    "it grows one update late: at growth_interval good updates, not after": _with(grows="late"),
    "it forgets to reset the count after it has grown: it would grow again at once": (
        _with(resets=False)
    ),
}


@exercise("a step with a loss scaler")
def check_scaled_step(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``scaled_step(weight, gradient, scale, n_good, max_norm, growth_interval)``.

    ``gradient`` (float32) carries the factor ``scale``; ``n_good`` counts good updates in a row.
    It returns the next ``(weight, scale, n_good)``, with plain gradient descent of rate 1 and
    growth and backoff by 2.
    """
    mistakes = SCALING_MISTAKES
    weight = torch.tensor([1.0, 2.0])
    given = (weight, torch.tensor([4.0, -8.0]), 4.0, 0, 4.0, 3)
    attempt.equals("one step by hand", given, (torch.tensor([0.0, 4.0]), 4.0, 1), mistakes)
    given = (weight, torch.tensor([12.0, 16.0]), 4.0, 1, 1.0, 5)  # unscaled its norm is 5
    attempt.equals("a long gradient", given, (torch.tensor([0.4, 1.2]), 4.0, 2), mistakes)
    given = (torch.tensor([1000.0]), torch.tensor([0.4]), 4.0, 0, 1.0, 3)
    attempt.equals("a small update", given, (torch.tensor([999.9]), 4.0, 1), mistakes)
    for bad in (math.inf, -math.inf, math.nan):
        given = (weight, torch.tensor([4.0, bad]), 4.0, 2, 4.0, 4)
        attempt.equals(f"a gradient with {bad}", given, (weight, 2.0, 0), mistakes)
    given = (weight, torch.tensor([4.0, -8.0]), 4.0, 2, 4.0, 3)
    attempt.equals(
        "the third good update of 3", given, (torch.tensor([0.0, 4.0]), 8.0, 0), mistakes
    )
    _follow_torch(attempt, generator)


def _follow_torch(attempt: Attempt, generator: torch.Generator) -> None:
    """Take twenty steps beside ``torch.amp.GradScaler``; some of them overflow."""
    theirs = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
    parameter = nn.Parameter(torch.randn(3, generator=generator))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    weight, scale, n_good = parameter.detach().clone(), 256.0, 0
    overflows = torch.rand(20, generator=generator) < 0.25
    for step, overflow in enumerate(overflows.tolist(), start=1):
        slope = torch.randn(3, generator=generator) * (math.inf if overflow else 1.0)
        optimizer.zero_grad()
        theirs.scale((parameter * slope).sum()).backward()
        assert parameter.grad is not None
        scaled = parameter.grad.clone()
        theirs.unscale_(optimizer)
        nn.utils.clip_grad_norm_([parameter], 1.5)
        theirs.step(optimizer)
        theirs.update()
        result = attempt(weight, scaled, scale, n_good, 1.5, 3)
        weight, scale, n_good = result
        tracker = theirs.state_dict()["_growth_tracker"]
        attempt.holds(
            f"step {step} of 20 beside torch's GradScaler",
            float(scale) == theirs.get_scale() and n_good == tracker,
            "it comes to another scale or count",
            scale_of_torch=theirs.get_scale(),
            scale=float(scale),
            count_of_torch=tracker,
            count=n_good,
        )
        attempt.holds(
            f"the weight after step {step} of 20",
            torch.allclose(weight, parameter.detach(), atol=1e-4),
            "it is another one than torch's",
            weight_of_torch=parameter.detach(),
            weight=weight,
        )
