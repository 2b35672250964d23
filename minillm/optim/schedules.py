"""How the learning rate changes during a run, as a multiplier of its peak; steps count from 1."""

from __future__ import annotations

import math

from minillm.errors import ConfigError


def _check_schedule(step: int, n_steps: int, n_warmup: int, **fractions: float) -> None:
    if not 0 <= n_warmup <= n_steps:
        raise ConfigError(f"n_warmup must be in 0..n_steps={n_steps}, got {n_warmup}")
    if not 1 <= step <= n_steps:
        raise ConfigError(f"step must be in 1..n_steps={n_steps}, got {step}")
    for name, value in fractions.items():
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"{name} must be in [0, 1], got {value}")


def warmup_cosine(step: int, *, n_steps: int, n_warmup: int, final_fraction: float = 0.1) -> float:
    """Rise linearly to the peak, then fall along half a cosine (arXiv:1608.03983, eq. 5).

    Step 1 has 1 / n_warmup of the peak, step n_warmup the peak itself, step n_steps
    ``final_fraction`` of it. No warmup and a warmup of one step are the same: the first step has
    the peak. The shape depends on ``n_steps``, so a finished run cannot be prolonged with it.

    Args:
        step: counted from 1.
        n_steps: length of the whole run, in steps.
        n_warmup: steps of the rise, at most n_steps.
        final_fraction: multiplier of the last step.

    Returns:
        The multiplier of the peak learning rate, in [0, 1].

    Raises:
        ConfigError: a number is out of its range.

    Example:
        >>> [round(warmup_cosine(t, n_steps=6, n_warmup=2), 2) for t in range(1, 7)]
        [0.5, 1.0, 0.87, 0.55, 0.23, 0.1]
    """
    _check_schedule(step, n_steps, n_warmup, final_fraction=final_fraction)
    peak_step = max(n_warmup, 1)
    if step <= peak_step:
        return step / peak_step
    progress = (step - peak_step) / (n_steps - peak_step)
    return final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * progress)) / 2


def warmup_stable_decay(
    step: int,
    *,
    n_steps: int,
    n_warmup: int,
    decay_fraction: float = 0.2,
    final_fraction: float = 0.0,
) -> float:
    """Rise linearly, stay at the peak, then fall linearly during the last steps.

    From MiniCPM (arXiv:2404.06395, section 4); the linear fall and its 20 % are from Hägele et
    al. 2024 (arXiv:2405.18392). Until the fall begins nothing depends on ``n_steps``, which is why
    a run under this schedule can be prolonged from a checkpoint of its stable phase.

    Args:
        step: counted from 1.
        n_steps: length of the whole run, in steps.
        n_warmup: steps of the rise, at most n_steps.
        decay_fraction: share of the run that falls, rounded to steps; never before the peak.
        final_fraction: multiplier of the last step.

    Returns:
        The multiplier of the peak learning rate, in [0, 1].

    Raises:
        ConfigError: a number is out of its range.

    Example:
        >>> schedule = {"n_steps": 10, "n_warmup": 2, "decay_fraction": 0.4}
        >>> [warmup_stable_decay(t, **schedule) for t in range(1, 11)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    fractions = {"decay_fraction": decay_fraction, "final_fraction": final_fraction}
    _check_schedule(step, n_steps, n_warmup, **fractions)
    peak_step = max(n_warmup, 1)
    if step <= peak_step:
        return step / peak_step
    n_decay = min(round(decay_fraction * n_steps), n_steps - peak_step)
    n_left = n_steps - step
    if n_left >= n_decay:
        return 1.0
    return final_fraction + (1 - final_fraction) * n_left / n_decay
