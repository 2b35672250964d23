"""Right and wrong answers to the exercises of notebook 06."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_06 import check_lstm_cell, check_truncated_bptt

State = tuple[Tensor, Tensor]

# --- the cell, right


def _cell_by_chunks(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    h, c = state
    i, f, g, o = (x @ w.T + h @ u.T + b).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _cell_by_slices(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    n = len(w) // 4
    both = torch.cat([x, state[0]], dim=-1)
    scores = torch.einsum("bd,gd->bg", both, torch.cat([w, u], dim=1)) + b
    gate = 1 / (1 + torch.exp(-scores))
    written = torch.tanh(scores[:, 2 * n : 3 * n])
    c = gate[:, n : 2 * n] * state[1] + gate[:, :n] * written
    return gate[:, 3 * n :] * torch.tanh(c), c


# --- the cell, wrong


def _ordered(names: str) -> Callable[[Tensor, State, Tensor, Tensor, Tensor], State]:
    """Do everything rightly, but with the rows in another order."""

    def cell(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
        index = [names.index(gate) for gate in "ifgo"]
        w, u, b = (torch.cat([part.chunk(4)[k] for k in index]) for part in (w, u, b))
        return _cell_by_chunks(x, state, w, u, b)

    cell.__name__ = f"_order_{names}"
    return cell


def _gates(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    i, f, g, o = (x @ w.T + state[0] @ u.T + b).chunk(4, dim=1)
    return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()


def _sigmoid_written(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    i, f, g, o = (x @ w.T + state[0] @ u.T + b).sigmoid().chunk(4, dim=1)
    c = f * state[1] + i * g
    return o * c.tanh(), c


def _not_gated(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    i, f, g, _ = _gates(x, state, w, u, b)
    c = f * state[1] + i * g
    return c.tanh(), c


def _without_tanh(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    i, f, g, o = _gates(x, state, w, u, b)
    c = f * state[1] + i * g
    return o * c, c


def _old_memory_shown(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    i, f, g, o = _gates(x, state, w, u, b)
    return o * state[1].tanh(), f * state[1] + i * g


def _never_forgets(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    i, _, g, o = _gates(x, state, w, u, b)
    c = state[1] + i * g
    return o * c.tanh(), c


def _upside_down(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    i, f, g, o = _gates(x, state, w, u, b)
    c = (1 - f) * state[1] + i * g
    return o * c.tanh(), c


def _input_not_gated(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    _, f, g, o = _gates(x, state, w, u, b)
    c = f * state[1] + g
    return o * c.tanh(), c


def _squashed(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    i, f, g, o = _gates(x, state, w, u, b)
    c = (f * state[1] + i * g).tanh()
    return o * c, c


def _swapped(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    h, c = _cell_by_chunks(x, state, w, u, b)
    return c, h


def _blind(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    return _cell_by_chunks(x, (state[0] * 0, state[1]), w, u, b)


def _no_bias(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    return _cell_by_chunks(x, state, w, u, b * 0)


def _cut_off(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    h, c = _cell_by_chunks(x, state, w, u, b)
    return h.detach(), c.detach()


# --- truncated backpropagation

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Update = Callable[[], None]
Result = tuple[float, Tensor]


def _by_windows(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    total = 0.0
    for start in range(0, len(inputs), window):
        state = state.detach()
        losses = []
        for x in inputs[start : start + window]:
            loss, state = step(x, state)
            losses.append(loss)
        loss = torch.stack(losses).sum()
        loss.backward()
        update()
        total += loss.item()
    return total, state.detach()


def _by_counting(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    total, waiting = 0.0, torch.zeros((), dtype=state.dtype)
    for t, x in enumerate(inputs, start=1):
        loss, state = step(x, state)
        waiting = waiting + loss
        if t % window == 0 or t == len(inputs):
            waiting.backward()
            update()
            total += waiting.item()
            state, waiting = state.detach(), torch.zeros_like(waiting)
    return total, state


def _looped(
    *,
    begin: Callable[[Tensor, Tensor], Tensor] = lambda state, first: state.detach(),
    between: Callable[[Tensor], Tensor] = lambda state: state,
    combine: Callable[[Tensor], Tensor] = lambda losses: losses.sum(),
) -> Callable[..., Result]:
    """Do everything rightly but for what happens to a state or to the losses."""

    def answer(
        step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
    ) -> Result:
        total, first = 0.0, state
        for start in range(0, len(inputs), window):
            state = begin(state, first)
            losses = []
            for x in inputs[start : start + window]:
                loss, state = step(x, between(state))
                losses.append(loss)
            loss = combine(torch.stack(losses))
            loss.backward(retain_graph=True)
            update()
            total += loss.item()
        return total, state.detach()

    return answer


_reset_to_zeros = _looped(begin=lambda state, first: torch.zeros_like(first))
_reset_to_first = _looped(begin=lambda state, first: first)
_not_detached = _looped(begin=lambda state, first: state)
_detached_each_step = _looped(between=lambda state: state.detach())
_mean_loss = _looped(combine=lambda losses: losses.mean())
_last_loss = _looped(combine=lambda losses: losses[-1])


def _updated_once(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    result = _by_windows(step, inputs, state, window, lambda: None)
    update()
    return result


def _one_window(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    return _by_windows(step, inputs, state, len(inputs), update)


def _each_step(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    return _by_windows(step, inputs, state, 1, update)


def _rest_dropped(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    n_whole = max(len(inputs) // window, 1) * window
    return _by_windows(step, inputs[:n_whole], state, window, update)


def _never_updated(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    return _by_windows(step, inputs, state, window, lambda: None)


def _updated_before(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    total = 0.0
    for start in range(0, len(inputs), window):
        state = state.detach()
        for x in inputs[start : start + window]:
            loss, state = step(x, state)
            total += loss.item()
        update()
    return total, state.detach()


def _last_total(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    _, last = _by_windows(step, inputs, state, window, update)
    return last.square().sum().item(), last


def _hanging(
    step: Step, inputs: list[Tensor], state: Tensor, window: int, update: Update
) -> Result:
    total, state = _by_windows(step, inputs, state, window, update)
    return total, state.requires_grad_()


_X, _C = torch.ones(2, 3, dtype=torch.float64), torch.ones(2, 5, dtype=torch.float64)
_W = torch.full((20, 3), 0.1, dtype=torch.float64)
_U = torch.full((20, 5), 0.1, dtype=torch.float64)
PLANTED = (
    Planted(
        check=check_lstm_cell,
        arguments=(_X, (_C, _C), _W, _U, _U[:, 0]),
        right=(_cell_by_chunks, _cell_by_slices),
        wrong={
            _ordered("ifog"): "gates is i, f, o, g",
            _ordered("figo"): "gates is f, i, g, o",
            _ordered("igfo"): "gates is i, g, f, o",
            _ordered("fiog"): "gates is f, i, o, g",
            _sigmoid_written: "g goes through a sigmoid",
            _not_gated: "not gated",
            _without_tanh: "without tanh",
            _old_memory_shown: "old memory",
            _never_forgets: "never forgets",
            _upside_down: "upside down",
            _input_not_gated: "without the input gate",
            _squashed: "squashes the memory",
            _swapped: "h comes first",
            _blind: "do not read h",
            _no_bias: "leaves the bias out",
            _cut_off: "none flows",
        },
    ),
    Planted(
        check=check_truncated_bptt,
        arguments=(
            lambda x, state: ((state + x).requires_grad_().sum(), state + x),
            [torch.ones(3), torch.ones(3), torch.ones(3)],
            torch.zeros(3),
            2,
            lambda: None,
        ),
        right=(_by_windows, _by_counting),
        wrong={
            _reset_to_zeros: "from zeros",
            _reset_to_first: "from the first state",
            _not_detached: "does not detach",
            _detached_each_step: "detaches at every step",
            _updated_once: "updates once",
            _one_window: "whole text as one window",
            _each_step: "updates at every step",
            _rest_dropped: "leaves out the rest",
            _mean_loss: "takes the mean",
            _last_loss: "only the last step",
            _never_updated: "never calls update",
            _updated_before: "call backward() before update()",
            _last_total: "total is wrong",
            _hanging: "hangs on its graph",
        },
    ),
)
