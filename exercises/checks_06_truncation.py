"""The second check of notebook 06: truncated backpropagation through time. T steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from exercises.harness import Attempt, exercise, same

Reset = Literal["never", "to zeros", "to the first state"]


class _Carry(torch.autograd.Function):
    """``weight * state``, kept for a second backward pass, so that one is told, not refused."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, state: Tensor) -> Tensor:
        ctx.kept = weight.detach(), state.detach()
        return weight * state

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        weight, state = ctx.kept
        return gradients[0] * state, gradients[0] * weight


@dataclass
class _Outcome:
    """What a run did: gradients at each update, the total loss, the last state."""

    gradients: list[Tensor] = field(default_factory=list)
    total: float = 0.0
    state: Tensor = field(default_factory=lambda: torch.zeros(0))


@dataclass(frozen=True, kw_only=True)
class _Variant:
    """How truncated backpropagation can be done, rightly and wrongly."""

    reset: Reset = "never"
    cut: Literal["windows", "steps", "never"] = "windows"
    updates: Literal["windows", "steps", "once"] = "windows"
    drops_rest: bool = False
    takes_mean: bool = False
    only_last: bool = False  # scores only the last step of a window


def _simulate(
    inputs: Tensor, first: Tensor, window: int, weight: Tensor, variant: _Variant
) -> _Outcome:
    """Follow h' = w h + x, its slope by w, and the loss |h|² by hand, without autograd."""
    outcome = _Outcome()
    h, slope, waiting = first, torch.zeros_like(first), torch.zeros_like(first)
    n_steps = len(inputs) - (len(inputs) % window if variant.drops_rest else 0)
    for t in range(n_steps):
        is_first, is_last = t % window == 0, (t + 1) % window == 0 or t + 1 == n_steps
        if is_first and variant.reset != "never":
            h = first if variant.reset == "to the first state" else torch.zeros_like(first)
            slope = torch.zeros_like(first)
        if variant.cut == "steps" or (variant.cut == "windows" and is_first):
            slope = torch.zeros_like(first)
        h, slope = weight * h + inputs[t], h + weight * slope
        share = 1 / min(window, n_steps - t // window * window) if variant.takes_mean else 1.0
        if is_last or not variant.only_last:
            outcome.total += share * h.square().sum().item()
            waiting = waiting + share * 2 * h * slope
        ends = {"windows": is_last, "steps": True, "once": t + 1 == n_steps}
        if ends[variant.updates]:
            outcome.gradients.append(waiting)
            waiting = torch.zeros_like(first)
    outcome.state = h
    return outcome


_RIGHT = _Variant()
_MISTAKES: Mapping[str, _Variant] = {
    "it starts every window from zeros: carry the state over, only the gradient is cut": (
        _Variant(reset="to zeros")
    ),
    "it starts every window from the first state: carry the last one over": (
        _Variant(reset="to the first state")
    ),
    "it does not detach: the gradient runs back past the window": _Variant(cut="never"),
    "it detaches at every step: inside a window the gradient must flow": _Variant(cut="steps"),
    "it updates once, at the end: update after every window": _Variant(updates="once"),
    "it updates once, at the end, with the whole text as one window": (
        _Variant(updates="once", cut="never")
    ),
    "it updates at every step, so that no gradient runs through time: once a window": (
        _Variant(updates="steps", cut="steps")
    ),
    "it leaves out the rest: the last window may be shorter": _Variant(drops_rest=True),
    "it takes the mean of a window's losses: sum them": _Variant(takes_mean=True),
    "it scores only the last step of each window: every step has a loss": _Variant(only_last=True),
}


@exercise("truncated backpropagation through time")
def check_truncated_bptt(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``truncated_bptt(step, inputs, state, window, update)``: total loss and last state.

    ``step(x, state)`` returns (loss, next state). For each window of steps: the sum of its losses
    goes backward, then ``update()`` is called once. Returns (a float, a detached tensor).
    """
    first = torch.randn(3, generator=generator, dtype=torch.float64)
    inputs = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    weight = 0.5 + torch.rand(3, generator=generator, dtype=torch.float64)
    for what, n_steps, window in (
        ("six steps, windows of 3", 6, 3),
        ("seven steps, windows of 3", 7, 3),
        ("a window that is longer than the text", 4, 9),
        ("windows of one step", 3, 1),
    ):
        given = inputs[:n_steps], first, window, weight
        outcome = _observe(attempt, what, *given)
        expected = _simulate(*given, _RIGHT)
        _compare(attempt, what, outcome, expected, _named(outcome, expected, given))


def _observe(
    attempt: Attempt, what: str, inputs: Tensor, first: Tensor, window: int, weight: Tensor
) -> _Outcome:
    """Run the attempt on h' = w h + x and look at w's gradient at every update."""
    w, outcome = weight.clone().requires_grad_(), _Outcome()

    def step(x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = _Carry.apply(w, state) + x  # pyright: ignore[reportOperatorIssue]
        return state.square().sum(), state

    def update() -> None:
        outcome.gradients.append(torch.zeros_like(weight) if w.grad is None else w.grad.clone())
        w.grad = None

    with torch.enable_grad():
        result = attempt(step, list(inputs), first, window, update)
    is_pair = type(result) is tuple and len(result) == 2
    attempt.holds(what, is_pair, "return the pair (total loss, last state)")
    outcome.total, outcome.state = result
    is_number = type(outcome.total) in (int, float)
    attempt.holds(what, is_number, "the total loss is to be a float: use .item(), the graph is big")
    is_tensor = type(outcome.state) is Tensor
    attempt.holds(what, is_tensor, "the last state is to be a tensor")
    mistake = "the returned state still hangs on its graph, which can never be freed: detach it"
    attempt.holds(what, not outcome.state.requires_grad, mistake)
    return outcome


def _equal(left: _Outcome, right: _Outcome) -> bool:
    is_total = math.isclose(left.total, right.total, rel_tol=1e-9)
    return is_total and same(left.gradients, right.gradients) and same(left.state, right.state)


def _named(outcome: _Outcome, expected: _Outcome, given: tuple[Tensor, Tensor, int, Tensor]) -> str:
    """Name the usual mistake that gives this outcome."""
    for name, variant in _MISTAKES.items():
        wrong = _simulate(*given, variant)
        if _equal(outcome, wrong) and not _equal(wrong, expected):
            return name
    if not outcome.gradients:
        return "it never calls update(): no weight changes"
    if not any(bool(gradient.any()) for gradient in outcome.gradients):
        return "every update sees a gradient of 0: call backward() before update()"
    if same(outcome.gradients, expected.gradients) and same(outcome.state, expected.state):
        return "the total is wrong: add the losses of all windows"
    return "the gradients at the updates are wrong"


def _compare(
    attempt: Attempt, what: str, outcome: _Outcome, expected: _Outcome, mistake: str
) -> None:
    shown = {"expected_gradients": expected.gradients, "got": outcome.gradients}
    attempt.holds(what, _equal(outcome, expected), mistake, **shown)
