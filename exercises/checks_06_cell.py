"""The first check of notebook 06: one step of an LSTM. B rows, D inputs, C width."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from exercises.harness import Attempt, Mistakes, exercise, same

State = tuple[Tensor, Tensor]  # h and c, each (B, C)
Gates = tuple[Tensor, Tensor, Tensor, Tensor]  # scores of i, f, g, o
Step = Callable[[Tensor, State, Tensor, Tensor, Tensor], State]


def _scores(x: Tensor, h: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> Gates:
    i, f, g, o = (x @ weight_ih.T + h @ weight_hh.T + bias).chunk(4, dim=-1)
    return i, f, g, o


def _wrong(change: Callable[[Gates, State], State]) -> Step:
    """Turn a wrong use of the right scores into a cell."""
    return lambda x, state, w, u, b: change(_scores(x, state[0], w, u, b), state)


def _reordered(order: str) -> Step:
    """Read the four blocks of rows in another order, such as "ifog"."""

    def step(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
        named = dict(zip(order, _scores(x, state[0], w, u, b), strict=True))
        c = named["f"].sigmoid() * state[1] + named["i"].sigmoid() * named["g"].tanh()
        return named["o"].sigmoid() * c.tanh(), c

    return step


def _kept(gates: Gates, c: Tensor) -> Tensor:
    """Return the right new memory."""
    i, f, g, _ = gates
    return f.sigmoid() * c + i.sigmoid() * g.tanh()


def _without_memory(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    gates = _scores(x, torch.zeros_like(state[0]), w, u, b)
    c = _kept(gates, state[1])
    return gates[3].sigmoid() * c.tanh(), c


def _without_bias(x: Tensor, state: State, w: Tensor, u: Tensor, b: Tensor) -> State:
    gates = _scores(x, state[0], w, u, torch.zeros_like(b))
    c = _kept(gates, state[1])
    return gates[3].sigmoid() * c.tanh(), c


CELL_MISTAKES: Mistakes = {
    "the order of its gates is i, f, o, g: torch's rows come as i, f, g, o": _reordered("ifog"),
    "the order of its gates is f, i, g, o: torch's rows come as i, f, g, o": _reordered("figo"),
    "the order of its gates is i, g, f, o: torch's rows come as i, f, g, o": _reordered("igfo"),
    "the order of its gates is f, i, o, g: torch's rows come as i, f, g, o": _reordered("fiog"),
    "g goes through a sigmoid: what is written must be able to be negative, take tanh": _wrong(
        lambda gates, state: (
            gates[3].sigmoid()
            * (gates[1].sigmoid() * state[1] + gates[0].sigmoid() * gates[2].sigmoid()).tanh(),
            gates[1].sigmoid() * state[1] + gates[0].sigmoid() * gates[2].sigmoid(),
        )
    ),
    "its output is not gated: h is o times tanh(c), o decides what is shown": _wrong(
        lambda gates, state: (_kept(gates, state[1]).tanh(), _kept(gates, state[1]))
    ),
    "it shows c without tanh: c may grow step by step, h must stay between −1 and 1": _wrong(
        lambda gates, state: (
            gates[3].sigmoid() * _kept(gates, state[1]),
            _kept(gates, state[1]),
        )
    ),
    "it shows the old memory: h comes from the new c": _wrong(
        lambda gates, state: (gates[3].sigmoid() * state[1].tanh(), _kept(gates, state[1]))
    ),
    "it never forgets: the old c is multiplied by the forget gate": _wrong(
        lambda gates, state: (
            gates[3].sigmoid() * (state[1] + gates[0].sigmoid() * gates[2].tanh()).tanh(),
            state[1] + gates[0].sigmoid() * gates[2].tanh(),
        )
    ),
    "its forget gate is upside down: f near 1 means keep": _wrong(
        lambda gates, state: (
            gates[3].sigmoid()
            * ((1 - gates[1].sigmoid()) * state[1] + gates[0].sigmoid() * gates[2].tanh()).tanh(),
            (1 - gates[1].sigmoid()) * state[1] + gates[0].sigmoid() * gates[2].tanh(),
        )
    ),
    "it writes without the input gate: i decides how much of g is written": _wrong(
        lambda gates, state: (
            gates[3].sigmoid() * (gates[1].sigmoid() * state[1] + gates[2].tanh()).tanh(),
            gates[1].sigmoid() * state[1] + gates[2].tanh(),
        )
    ),
    "it squashes the memory: tanh belongs to what is shown, c itself stays as it is": _wrong(
        lambda gates, state: (
            gates[3].sigmoid() * _kept(gates, state[1]).tanh(),
            _kept(gates, state[1]).tanh(),
        )
    ),
    "it returns (c, h): h comes first": _wrong(
        lambda gates, state: (
            _kept(gates, state[1]),
            gates[3].sigmoid() * _kept(gates, state[1]).tanh(),
        )
    ),
    "its gates do not read h: the scores are W x + U h + b": _without_memory,
    "it leaves the bias out: the scores are W x + U h + b": _without_bias,
}


@exercise("LSTM cell")
def check_lstm_cell(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``lstm_cell(x, state, weight_ih, weight_hh, bias)``: the next (h, c).

    Of (B, D) inputs, a state (h, c) of (B, C) each, (4 C, D) and (4 C, C) matrices and a (4 C,)
    bias, whose rows belong to i, f, g, o. Compared with torch.nn.LSTMCell.
    """
    # All scores 0: every gate is 1/2, what is written is tanh(0) = 0, so c is halved.
    zeros = torch.zeros(4, 1, dtype=torch.float64)
    c = torch.tensor([[3.0]], dtype=torch.float64)
    nothing = torch.zeros(1, 1, dtype=torch.float64)
    by_hand = nothing, (nothing, c), zeros, zeros, zeros[:, 0]
    expected = (torch.tanh(c / 2) / 2, c / 2)
    attempt.equals("all weights 0", by_hand, expected, CELL_MISTAKES)

    n_rows, d_input, width = 2, 3, 5
    peer = nn.LSTMCell(d_input, width, dtype=torch.float64)
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    x = torch.randn(n_rows, d_input, generator=generator, dtype=torch.float64)
    h, c = 2 * torch.randn(2, n_rows, width, generator=generator, dtype=torch.float64)
    bias = (peer.bias_ih + peer.bias_hh).detach()
    matrices = peer.weight_ih.detach(), peer.weight_hh.detach()
    with torch.no_grad():
        expected = peer(x, (h, c))
    arguments = x, (h, c), *matrices, bias
    attempt.equals("against torch.nn.LSTMCell", arguments, expected, CELL_MISTAKES)
    _check_carousel(attempt, width, generator)


def _check_carousel(attempt: Attempt, width: int, generator: torch.Generator) -> None:
    """With f = 1 and i = 0 the memory must stay, and its gradient too."""
    weight_ih = torch.zeros(4 * width, 3, dtype=torch.float64)
    weight_hh = torch.zeros(4 * width, width, dtype=torch.float64)
    bias = torch.zeros(4, width, dtype=torch.float64)
    bias[0], bias[1] = -50.0, 50.0  # i is 0, f is 1
    first = torch.randn(2, width, generator=generator, dtype=torch.float64).requires_grad_()
    x = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    h, c = torch.zeros(2, width, dtype=torch.float64), first
    for _ in range(20):
        h, c = attempt(x, (h, c), weight_ih, weight_hh, bias.flatten())
    is_kept = same(c.detach(), first.detach())
    attempt.holds("20 steps with f = 1 and i = 0", is_kept, "the memory changes", memory=c)
    attempt.holds("the gradient", c.requires_grad, "none flows: stay with torch, no detach")
    (gradient,) = torch.autograd.grad(c.sum(), first)
    mistake = "through 20 steps with f = 1 it must stay 1"
    attempt.holds("the gradient", same(gradient, torch.ones_like(gradient)), mistake)
