"""Right and wrong answers to the exercise "a step with a loss scaler" of notebook 17."""

from __future__ import annotations

import math

import torch
from torch import nn

from exercises.attempts.planted import Planted
from exercises.checks_17_scaling import check_scaled_step
from minillm.optim import LossScaler

# --- right


def _line_by_line(weight, gradient, scale, n_good, max_norm, growth_interval):
    gradient = gradient / scale
    if not torch.isfinite(gradient).all():
        return weight, scale / 2, 0
    norm = gradient.norm()
    if norm > max_norm:
        gradient = gradient * (max_norm / norm)
    n_good = n_good + 1
    if n_good == growth_interval:
        return weight - gradient, scale * 2, 0
    return weight - gradient, scale, n_good


def _by_norm(weight, gradient, scale, n_good, max_norm, growth_interval):
    """The norm of all numbers is finite where each of them is (these are small)."""
    norm = (gradient.double() / scale).square().sum().sqrt().item()
    is_good = math.isfinite(norm)
    if is_good:
        weight = weight - gradient * (min(1.0, max_norm / norm if norm else 1.0) / scale)
    count = (n_good + 1) * is_good
    grows = count == growth_interval
    return weight, scale * (2.0 if grows else 1.0 if is_good else 0.5), 0 if grows else count


def _by_the_library(weight, gradient, scale, n_good, max_norm, growth_interval):
    scaler = LossScaler(scale=scale, growth_interval=growth_interval, least_scale=1e-30)
    scaler.n_good = n_good
    parameter = nn.Parameter(weight)
    parameter.grad = gradient.clone()  # unscaled and clipped in place
    is_finite = scaler.unscale([parameter])
    if is_finite:
        nn.utils.clip_grad_norm_([parameter], max_norm)
        weight = weight - parameter.grad
    scaler.update(is_finite=is_finite)
    return weight, scaler.scale, scaler.n_good


# --- wrong


def _clip(gradient, max_norm):
    return gradient * (max_norm / gradient.norm()).clamp(max=1.0)


def _next(scale, n_good, growth_interval):
    return (scale * 2, 0) if n_good + 1 == growth_interval else (scale, n_good + 1)


def _clips_first(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale / 2, 0
    return (
        weight - _clip(gradient, max_norm) / scale,
        *_next(scale, n_good, growth_interval),
    )


def _forgets_to_unscale(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale / 2, 0
    return weight - _clip(gradient, max_norm), *_next(scale, n_good, growth_interval)


def _updates_the_scale_first(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale / 2, 0
    scale, n_good = _next(scale, n_good, growth_interval)
    return weight - _clip(gradient / scale, max_norm), scale, n_good


def _float16_weights(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale / 2, 0
    update = _clip(gradient / scale, max_norm).half()
    return (weight.half() - update).float(), *_next(scale, n_good, growth_interval)


def _steps_on_inf(weight, gradient, scale, n_good, max_norm, growth_interval):
    weight = weight - _clip(gradient / scale, max_norm)
    return weight, *_next(scale, n_good, growth_interval)


def _steps_on_inf_and_halves(weight, gradient, scale, n_good, max_norm, growth_interval):
    new_weight = weight - _clip(gradient / scale, max_norm)
    if not gradient.isfinite().all():
        return new_weight, scale / 2, 0
    return new_weight, *_next(scale, n_good, growth_interval)


def _sees_only_inf(weight, gradient, scale, n_good, max_norm, growth_interval):
    if gradient.isinf().any():
        return weight, scale / 2, 0
    return weight - _clip(gradient / scale, max_norm), *_next(scale, n_good, growth_interval)


def _sees_only_nan(weight, gradient, scale, n_good, max_norm, growth_interval):
    if gradient.isnan().any():
        return weight, scale / 2, 0
    return weight - _clip(gradient / scale, max_norm), *_next(scale, n_good, growth_interval)


def _zeroes_what_is_bad(weight, gradient, scale, n_good, max_norm, growth_interval):
    gradient = torch.where(gradient.isfinite(), gradient, 0.0)
    return weight - _clip(gradient / scale, max_norm), *_next(scale, n_good, growth_interval)


def _doubles_after_overflow(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale * 2, 0
    return weight - _clip(gradient / scale, max_norm), *_next(scale, n_good, growth_interval)


def _never_shrinks(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale, 0
    return weight - _clip(gradient / scale, max_norm), *_next(scale, n_good, growth_interval)


def _keeps_the_count(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale / 2, n_good
    return weight - _clip(gradient / scale, max_norm), *_next(scale, n_good, growth_interval)


def _counts_the_skipped(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale / 2, n_good + 1
    return weight - _clip(gradient / scale, max_norm), *_next(scale, n_good, growth_interval)


def _grows_each_time(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale / 2, 0
    return weight - _clip(gradient / scale, max_norm), scale * 2, 0


def _never_grows(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale / 2, 0
    return weight - _clip(gradient / scale, max_norm), scale, n_good + 1


def _grows_and_keeps_the_count(weight, gradient, scale, n_good, max_norm, growth_interval):
    if not gradient.isfinite().all():
        return weight, scale / 2, 0
    larger = scale * 2 if n_good + 1 >= growth_interval else scale
    return weight - _clip(gradient / scale, max_norm), larger, n_good + 1


PLANTED = (
    Planted(
        check=check_scaled_step,
        arguments=(torch.ones(2), torch.ones(2), 4.0, 0, 1.0, 3),
        right=(_line_by_line, _by_norm, _by_the_library),
        wrong={
            _clips_first: "clips before it unscales",
            _forgets_to_unscale: "divide by the scale first",
            _updates_the_scale_first: "divides by the next scale",
            _float16_weights: "keeps the weight in float16",
            _steps_on_inf: "makes the update although",
            _steps_on_inf_and_halves: "makes the update all the same",
            _sees_only_inf: "looks for ∞ only",
            _sees_only_nan: "makes the update although",
            _zeroes_what_is_bad: "sets the numbers that are not finite to 0",
            _doubles_after_overflow: "doubles the scale after an overflow",
            _never_shrinks: "leaves the scale after an overflow",
            _keeps_the_count: "reset the count after a skipped update",
            _counts_the_skipped: "counts the skipped update",
            _grows_each_time: "after every good update",
            _never_grows: "never grows back",
            _grows_and_keeps_the_count: "reset the count after it has grown",
        },
    ),
)
