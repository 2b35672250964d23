"""The third check of notebook 05: warmup, then half a cosine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from exercises.harness import Attempt, Mistakes, exercise, same


def _planned(
    rise: Callable[[int, int], float] = lambda step, n_warmup: step / n_warmup,
    progress: Callable[[int, int, int], float] = lambda step, n, w: (step - w) / max(n - w, 1),
    shape: Callable[[float], float] = lambda p: (1 + math.cos(math.pi * p)) / 2,
    end: Callable[[float, float, float], float] = lambda x, peak, low: low + (peak - low) * x,
    rises: Callable[[int, int], bool] = lambda step, n_warmup: step <= n_warmup,
) -> Callable[..., float]:
    """Build the schedule from parts, of which the given ones are wrong."""

    def schedule(step: int, n_steps: int, n_warmup: int, peak: float, final: float) -> float:
        if rises(step, n_warmup):
            return peak * rise(step, n_warmup)
        return float(end(shape(progress(step, n_steps, n_warmup)), peak, final))

    return schedule


SCHEDULE_MISTAKES: Mistakes = {
    "it counts steps from 0: the first step would learn nothing, as its rate is zero": _planned(
        rise=lambda step, n_warmup: (step - 1) / n_warmup
    ),
    "its warmup counts from 0 on both sides: step n_warmup must have the peak itself": _planned(
        rise=lambda step, n_warmup: step / (n_warmup + 1)
    ),
    "its peak comes one step late: step n_warmup has it, n_warmup + 1 has already begun to fall": (
        _planned(progress=lambda step, n, w: (step - w - 1) / max(n - w - 1, 1))
    ),
    "its last step has not arrived: step n_steps has the final rate": _planned(
        progress=lambda step, n, w: (step - w - 1) / max(n - w, 1)
    ),
    "it arrives one step early: only step n_steps has the final rate": _planned(
        progress=lambda step, n, w: min((step - w) / max(n - w - 1, 1), 1.0)
    ),
    "its cosine begins at step 0, so that the rate jumps after the warmup": _planned(
        progress=lambda step, n, w: step / n
    ),
    "it stretches the cosine over all steps: it has only those after the warmup": _planned(
        progress=lambda step, n, w: (step - w) / n
    ),
    "it goes through a whole period, down and up again: half a cosine": _planned(
        shape=lambda p: (1 + math.cos(2 * math.pi * p)) / 2
    ),
    "it goes through a quarter of a period: half a cosine, (1 + cos πp) / 2": _planned(
        shape=lambda p: math.cos(math.pi * p / 2)
    ),
    "it falls in a straight line: half a cosine": _planned(shape=lambda p: 1 - p),
    "its cosine runs from 1 to −1: (1 + cos πp) / 2 runs from 1 to 0": _planned(
        shape=lambda p: math.cos(math.pi * p)
    ),
    "its argument of the cosine is in degrees: math.cos takes radians": _planned(
        shape=lambda p: (1 + math.cos(math.radians(math.pi * p))) / 2
    ),
    "it cuts the cosine off at final: it must arrive there only in the last step": _planned(
        end=lambda x, peak, low: max(peak * x, low)
    ),
    "it falls to zero: it must end at final": _planned(end=lambda x, peak, low: peak * x),
    "it adds final on top, so that the fall begins above the peak": _planned(
        end=lambda x, peak, low: peak * x + low
    ),
    "it takes final for a fraction of the peak: it is a rate": _planned(
        end=lambda x, peak, low: peak * (low + (1 - low) * x)
    ),
    "it has no warmup": _planned(rises=lambda step, n_warmup: False),
}


def _torchs_rates(n_steps: int, n_warmup: int, peak: float, final: float) -> list[float]:
    """Return what PyTorch's schedulers give in steps 1 … n_steps."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    rise = torch.optim.lr_scheduler.LinearLR(
        optimizer, start_factor=1 / n_warmup, total_iters=n_warmup - 1
    )
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=n_steps - n_warmup, eta_min=final
    )
    both = torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[n_warmup - 1])
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        both.step()
    return rates


def _close_to(attempt: Attempt, what: str, steps: range, *plan: Any) -> None:
    """Compare every step with PyTorch's."""
    for step, rate in zip(steps, _torchs_rates(steps[-1], *plan), strict=True):
        attempt.equals(f"{what}, step {step}", (step, steps[-1], *plan), rate, SCHEDULE_MISTAKES)


@exercise("schedule")
def check_schedule(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``rate(step, n_steps, n_warmup, peak, final)``: the learning rate of a step.

    Steps count from 1: a straight rise to ``peak`` in step n_warmup, then half a cosine down to
    ``final`` in step n_steps. A float.
    """
    mistakes = SCHEDULE_MISTAKES
    by_hand = {4: 8.0, 1: 2.0, 2: 4.0, 8: 2.0, 6: 5.0}  # the middle of the fall: (8 + 2) / 2
    for step, expected in by_hand.items():
        what = f"by hand, step {step} of 8"
        attempt.equals(what, (step, 8, 4, 8.0, 2.0), expected, mistakes)
    n_warmup = int(torch.randint(5, 9, (), generator=generator))
    _close_to(attempt, "as torch", range(1, 24), n_warmup, 0.03, 0.002)
    _close_to(attempt, "a warmup of one step", range(1, 8), 1, 1.0, 0.0)
    attempt.equals("no warmup, the last step", (9, 9, 0, 1.0, 0.25), 0.25, mistakes)
    attempt.equals("nothing but warmup", (7, 7, 7, 1.0, 0.25), 1.0, mistakes)
    rates = [attempt(step, 1000, 100, 1.0, 0.0) for step in (99, 100, 101)]
    is_peak = rates[1] > max(rates[0], rates[2])
    attempt.holds("around the peak", is_peak, "step n_warmup must have the highest rate of all")
    mean = math.fsum(attempt(step, 1000, 100, 1.0, 0.0) for step in range(100, 1001)) / 901
    mistake = "what it loses below the middle it must win above: the mean of the fall is the middle"
    attempt.holds("the mean of the fall", same(mean, 0.5), mistake)
