"""The fourth check of notebook 14: a low-rank adapter. F inputs, O outputs, r rank, N rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from exercises.harness import Attempt, exercise, plain, same

_FORM = (
    "it must return (down, up, forward, merge): two tensors that ask for gradients, of shapes "
    "(r, F) and (O, r) and the layer's dtype, and two functions"
)


class _Adapter(NamedTuple):
    """What the student returns."""

    down: Tensor
    up: Tensor
    forward: Callable[[Tensor], Tensor]
    merge: Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True)
class _Case:
    """A layer, what it is to be adapted with, and rows (N, F) to put through it."""

    layer: nn.Linear
    rank: int
    alpha: float
    rows: Tensor

    @property
    def scales(self) -> dict[str, float]:
        """Wrong scales, each in the words that tell a student what was done."""
        alpha, rank = self.alpha, self.rank
        return {
            "the scale α / r is missing: a larger r would make a larger change": 1.0,
            "it scales by α alone: divide by r, or each r needs another learning rate": alpha,
            "it scales by 1 / r: α is missing": 1 / rank,
            "it scales by r / α: turn it round": rank / alpha,
            "it scales by α / √r, as a later paper does: here it is α / r": alpha / math.sqrt(rank),
            "it subtracts the change": -alpha / rank,
            "it adds the change twice": 2 * alpha / rank,
        }


def _make_case(generator: torch.Generator, n_in: int, n_out: int, rank: int, alpha: float) -> _Case:
    layer = nn.Linear(n_in, n_out, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    rows = torch.randn(3, n_in, generator=generator, dtype=torch.float64)
    return _Case(layer=layer, rank=rank, alpha=alpha, rows=rows)


@exercise("a low-rank adapter")
def check_adapt(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``adapt(layer, rank, alpha, generator)``: returns ``(down, up, forward, merge)``.

    ``layer`` is an ``nn.Linear``. ``down`` (r, F) is drawn from the generator, ``up`` (O, r) begins
    at zero; only they learn. ``forward(rows)`` is (N, F) → (N, O), ``merge()`` returns the (O, F)
    matrix that does the same with the layer's bias.
    """
    for sizes in ((5, 7, 3, 6.0), (7, 5, 2, 5.0), (4, 3, 1, 2.5)):
        case = _make_case(generator, *sizes)
        adapter = _made(attempt, case)
        _check_start(attempt, case, adapter)
        with torch.no_grad():
            adapter.up.copy_(torch.randn(adapter.up.shape, generator=generator).double())
        _check_forward(attempt, case, adapter)
        _check_learning(attempt, case, adapter)
        _check_merge(attempt, case, adapter)
    case = _make_case(generator, 5, 7, 2, 6.0)
    drawn = [_made(attempt, case, seed).down for seed in (1, 1, 2)]
    mistake = "the same seed draws another matrix: draw it from the generator"
    attempt.holds("the generator", same(drawn[0], drawn[1]), mistake)
    mistake = "another seed draws the same matrix: draw it from the generator"
    attempt.holds("the generator", not same(drawn[0], drawn[2]), mistake)


def _made(attempt: Attempt, case: _Case, seed: int = 0) -> _Adapter:
    """Run the function and look at the form of what it returns."""
    generator = torch.Generator().manual_seed(seed)
    result = attempt(case.layer, case.rank, case.alpha, generator)
    n_out, n_in = case.layer.weight.shape
    shapes = (case.rank, n_in), (n_out, case.rank)
    is_right = (
        isinstance(result, tuple)
        and len(result) == 4
        and all(isinstance(matrix, Tensor) for matrix in result[:2])
        and tuple(matrix.shape for matrix in result[:2]) == shapes
        and all(m.dtype == case.layer.weight.dtype and m.requires_grad for m in result[:2])
        and all(map(callable, result[2:]))
    )
    attempt.holds("the form of the result", is_right, _FORM)
    return _Adapter(*result)


def _run(attempt: Attempt, what: str, function: Callable[..., Any], *arguments: Any) -> Tensor:
    """Call one of the functions that came back; an error of theirs ends the check."""
    try:
        result = function(*arguments)
    except Exception as error:
        attempt.holds(what, False, f"it stops with {type(error).__name__}: {error}")
        raise
    if not isinstance(result, Tensor):
        attempt.holds(what, False, f"it returns no tensor but {plain(result)!r}")
    return result


def _check_start(attempt: Attempt, case: _Case, adapter: _Adapter) -> None:
    """Begin as the pretrained layer, and be able to leave it."""
    down, up = adapter.down.detach(), adapter.up.detach()
    mistake = "both matrices are zero: neither has a gradient then, and nothing would ever learn"
    attempt.holds("the start", bool(down.any()) or bool(up.any()), mistake)
    mistake = "up is not zero: before the first step the adapted layer must be the pretrained one"
    attempt.holds("the start", not bool(up.any()), mistake, up=up)
    result = _run(attempt, "the start", adapter.forward, case.rows).detach()
    expected = nn.functional.linear(case.rows, case.layer.weight, case.layer.bias).detach()
    without_bias = same(result, expected - case.layer.bias.detach())
    attempt.holds("the start", not without_bias, "forward forgets the layer's bias")
    mistake = "with up at zero, forward is not the layer itself"
    attempt.holds("the start", same(result, expected), mistake, expected=expected, got=result)


def _check_forward(attempt: Attempt, case: _Case, adapter: _Adapter) -> None:
    """Compare with sums by loops, once up is no longer zero."""
    base = nn.functional.linear(case.rows, case.layer.weight, case.layer.bias).detach()
    change = _change(adapter)
    moved = torch.stack([change @ row for row in case.rows])
    result = _run(attempt, "up has learned", adapter.forward, case.rows).detach()
    mistake = "forward does not look at up and down as they are now: it multiplied them at first"
    attempt.holds("up has learned", not same(result, base), mistake)
    expected = base + case.alpha / case.rank * moved
    if not same(result, expected):
        for words, scale in case.scales.items():
            attempt.holds("up has learned", not same(result, base + scale * moved), words)
        mistake = "it is not W x + b + (α / r) · B A x"
        attempt.holds("up has learned", False, mistake, expected=expected, got=result)
    attempt.n_checks += 1


def _check_learning(attempt: Attempt, case: _Case, adapter: _Adapter) -> None:
    """See where the gradients go."""
    for parameter in (*case.layer.parameters(), adapter.down, adapter.up):
        parameter.grad = None
    loss = _run(attempt, "the gradients", adapter.forward, case.rows).square().sum()
    if loss.requires_grad:
        loss.backward()
    for name, matrix in {"down": adapter.down, "up": adapter.up}.items():
        mistake = f"{name} gets no gradient: both matrices of the adapter learn"
        is_learning = matrix.grad is not None and bool(matrix.grad.any())
        attempt.holds("the gradients", is_learning, mistake)
    mistake = "the pretrained weight learns too: freeze it, for that is what an adapter is for"
    attempt.holds("the gradients", case.layer.weight.grad is None, mistake)
    mistake = "the layer's bias learns too: only down and up do"
    attempt.holds("the gradients", case.layer.bias.grad is None, mistake)


def _check_merge(attempt: Attempt, case: _Case, adapter: _Adapter) -> None:
    """Put the change into the matrix: the same layer, and the old weight as it was."""
    weight = case.layer.weight.detach().clone()
    before = _run(attempt, "merging", adapter.forward, case.rows).detach()
    merged = _run(attempt, "merging", adapter.merge).detach()
    mistake = "merge changes the layer's weight in place: forward now adds the change twice"
    attempt.holds("merging", same(case.layer.weight.detach(), weight), mistake)
    mistake = f"the merged matrix must have the weight's shape (O, F), got {tuple(merged.shape)}"
    attempt.holds("merging", merged.shape == weight.shape, mistake)
    change = _change(adapter)
    expected = weight + case.alpha / case.rank * change
    if not same(merged, expected):
        mistake = "merge returns the change alone: add the pretrained weight"
        attempt.holds("merging", not same(merged, expected - weight), mistake)
        attempt.holds("merging", not same(merged, weight), "merge returns the old weight")
        for words, scale in case.scales.items():
            words = f"in merge, {words}"
            attempt.holds("merging", not same(merged, weight + scale * change), words)
    output = nn.functional.linear(case.rows, merged, case.layer.bias).detach()
    mistake = "the merged layer does not do what the adapted one does"
    attempt.holds("merging", same(output, before), mistake, expected=before, got=output)


def _change(adapter: _Adapter) -> Tensor:
    """Return B A as a sum of r outer products."""
    pairs = zip(adapter.up.detach().T, adapter.down.detach(), strict=True)
    return torch.stack([torch.outer(out, row) for out, row in pairs]).sum(dim=0)
