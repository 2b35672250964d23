"""Right and wrong answers to the exercise "schedule" of notebook 05."""

from __future__ import annotations

import math

import numpy as np

from exercises.attempts.planted import Planted
from exercises.checks_05 import check_schedule

# --- right


def _by_cases(step, n_steps, n_warmup, peak, final):
    if step <= n_warmup:
        return peak * step / n_warmup
    progress = (step - n_warmup) / (n_steps - n_warmup)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * progress))


def _by_squares(step, n_steps, n_warmup, peak, final):
    """(1 + cos x) / 2 = cos²(x / 2), and sin² is the rest."""
    if step < n_warmup:
        return step * (peak / n_warmup)
    angle = math.pi / 2 * (step - n_warmup) / max(n_steps - n_warmup, 1)
    return peak * math.cos(angle) ** 2 + final * math.sin(angle) ** 2


def _by_a_table(step, n_steps, n_warmup, peak, final):
    """Write down all rates, then look one up."""
    rise = np.linspace(0, peak, n_warmup + 1)[1:]
    angles = np.linspace(0, np.pi, n_steps - n_warmup + 1)[1:]
    rates = np.concatenate([rise, (peak + final) / 2 + (peak - final) / 2 * np.cos(angles)])
    return float(rates[step - 1])


# --- wrong


def _warmup_from_zero(step, n_steps, n_warmup, peak, final):
    if step <= n_warmup:
        return peak * (step - 1) / n_warmup
    return _by_cases(step, n_steps, n_warmup, peak, final)


def _warmup_too_long(step, n_steps, n_warmup, peak, final):
    if step <= n_warmup:
        return peak * step / (n_warmup + 1)
    return _by_cases(step, n_steps, n_warmup, peak, final)


def _falls_late(step, n_steps, n_warmup, peak, final):
    if step <= n_warmup:
        return peak * step / n_warmup
    progress = (step - n_warmup - 1) / max(n_steps - n_warmup - 1, 1)
    return final + (peak - final) * (1 + math.cos(math.pi * progress)) / 2


def _never_arrives(step, n_steps, n_warmup, peak, final):
    if step <= n_warmup:
        return peak * step / n_warmup
    progress = (step - 1 - n_warmup) / (n_steps - n_warmup)
    return final + (peak - final) * (1 + math.cos(math.pi * progress)) / 2


def _over_all_steps(step, n_steps, n_warmup, peak, final):
    if step <= n_warmup:
        return peak * step / n_warmup
    return final + (peak - final) * (1 + math.cos(math.pi * step / n_steps)) / 2


def _stretched(step, n_steps, n_warmup, peak, final):
    if step <= n_warmup:
        return peak * step / n_warmup
    return final + (peak - final) * (1 + math.cos(math.pi * (step - n_warmup) / n_steps)) / 2


def _shaped(shape):
    def schedule(step, n_steps, n_warmup, peak, final):
        if step <= n_warmup:
            return peak * step / n_warmup
        return float(shape((step - n_warmup) / (n_steps - n_warmup), peak, final))

    return schedule


_whole_period = _shaped(lambda p, high, low: low + (high - low) * (1 + math.cos(math.tau * p)) / 2)
_quarter = _shaped(lambda p, high, low: low + (high - low) * math.cos(math.pi / 2 * p))
_straight = _shaped(lambda p, high, low: high + p * (low - high))
_not_halved = _shaped(lambda p, high, low: low + (high - low) * math.cos(math.pi * p))
_to_zero = _shaped(lambda p, high, low: high * (1 + math.cos(math.pi * p)) / 2)
_cut_off = _shaped(lambda p, high, low: max(low, high * (1 + math.cos(math.pi * p)) / 2))
_on_top = _shaped(lambda p, high, low: low + high * (1 + math.cos(math.pi * p)) / 2)
_fraction = _shaped(lambda p, high, low: high * (low + (1 - low) * (1 + math.cos(math.pi * p)) / 2))


def _without_warmup(step, n_steps, n_warmup, peak, final):
    progress = (step - n_warmup) / max(n_steps - n_warmup, 1)
    return final + (peak - final) * (1 + math.cos(math.pi * progress)) / 2


PLANTED = (
    Planted(
        check=check_schedule,
        arguments=(5, 11, 3, 0.1, 0.01),
        right=(_by_cases, _by_squares, _by_a_table),
        wrong={
            _warmup_from_zero: "counts steps from 0",
            _warmup_too_long: "counts from 0 on both sides",
            _falls_late: "peak comes one step late",
            _never_arrives: "last step has not arrived",
            _over_all_steps: "begins at step 0",
            _stretched: "stretches the cosine over all steps",
            _whole_period: "whole period",
            _quarter: "quarter of a period",
            _straight: "straight line",
            _not_halved: "runs from 1 to −1",
            _to_zero: "falls to zero",
            _cut_off: "cuts the cosine off",
            _on_top: "adds final on top",
            _fraction: "fraction of the peak",
            _without_warmup: "has no warmup",
        },
    ),
)
