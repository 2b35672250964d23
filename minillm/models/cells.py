"""Recurrent cells and the layers that carry their state along a text.

Weights lie as in ``torch.nn.RNN`` and ``torch.nn.LSTM``, so that they can be exchanged.
Dimension key: B sequences, T positions, C width, L layers, G gates (4 in an LSTM, 1 in an RNN).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.config import CellKind

RecurrentBackend = Literal["reference", "fused"]
CellState = tuple[Tensor, ...]  # (h,) of an RNN, (h, c) of an LSTM; each (B, C)
FORGET_BIAS = 1.0  # else the first gates halve the memory at every step (Jozefowicz et al. 2015)


class RNNCell(nn.Module):
    """One step of a plain recurrent network (Elman 1990).

    ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    Args:
        d_input: width of ``x``.
        d_model: C, width of ``h``.

    Example:
        >>> (h,) = RNNCell(3, 5)(torch.zeros(2, 3), (torch.zeros(2, 5),))
        >>> h.shape
        torch.Size([2, 5])
    """

    n_gates, n_states = 1, 1

    def __init__(self, d_input: int, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model
        self.weight_ih = nn.Parameter(torch.empty(self.n_gates * d_model, d_input))
        self.weight_hh = nn.Parameter(torch.empty(self.n_gates * d_model, d_model))
        self.bias_ih = nn.Parameter(torch.empty(self.n_gates * d_model))
        self.bias_hh = nn.Parameter(torch.empty(self.n_gates * d_model))
        self.initialize(torch.Generator())

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draw the matrices from U(-1/√C, 1/√C), torch's choice; the biases are 0."""
        bound = 1 / math.sqrt(self.d_model)
        for weight in (self.weight_ih, self.weight_hh):
            nn.init.uniform_(weight, -bound, bound, generator=generator)
        self.bias_ih.zero_()
        self.bias_hh.zero_()

    def first_state(self, x: Tensor) -> CellState:
        """Return the zeros that stand for "nothing read yet", for ``x`` (B, ...)."""
        return tuple(x.new_zeros(len(x), self.d_model) for _ in range(self.n_states))

    def forward(self, x: Tensor, state: CellState) -> CellState:
        """Read ``x`` (B, d_input) with the ``state`` before it; return the state after it."""
        (h,) = state
        return (self._scores(x, h).tanh(),)

    def _scores(self, x: Tensor, h: Tensor) -> Tensor:
        """Return what goes into the gates, (B, G C)."""
        return F.linear(x, self.weight_ih, self.bias_ih) + F.linear(h, self.weight_hh, self.bias_hh)


class LSTMCell(RNNCell):
    """One step of long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

    With i, f, o = σ(scores) and g = tanh(scores), each score as in an RNN with its own rows of
    the matrices, in the order i, f, g, o: ``c' = f c + i g`` and ``h' = o tanh(c')``.
    The derivative of c' by c along this path is f, not a matrix product: a gate near 1 lets
    the gradient pass through many steps.

    Args:
        d_input: width of ``x``.
        d_model: C, width of ``h`` and ``c``.

    Example:
        >>> h, c = LSTMCell(3, 5)(torch.zeros(2, 3), (torch.zeros(2, 5), torch.zeros(2, 5)))
        >>> h.shape, c.shape
        (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    n_gates, n_states = 4, 2

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draw as for an RNN; the forget gate starts with a bias of ``FORGET_BIAS``."""
        super().initialize(generator)
        self.bias_ih[self.d_model : 2 * self.d_model] = FORGET_BIAS

    def forward(self, x: Tensor, state: CellState) -> CellState:
        """Read ``x`` (B, d_input) with the state (h, c) before it; return those after it."""
        h, c = state
        i, f, g, o = self._scores(x, h).chunk(self.n_gates, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


CELLS: dict[CellKind, type[RNNCell]] = {"rnn": RNNCell, "lstm": LSTMCell}


class RecurrentLayer(nn.Module):
    """Let a cell read a text from left to right.

    Args:
        d_input: width of what is read.
        d_model: C.
        cell: ``"rnn"`` or ``"lstm"``.
        backend: ``"reference"`` calls the readable cell at every position; ``"fused"`` is
            torch's own routine with the same weights, equal up to the rounding of sums.

    Example:
        >>> hidden, state = RecurrentLayer(3, 5)(torch.zeros(2, 7, 3))
        >>> hidden.shape, len(state)
        (torch.Size([2, 7, 5]), 2)
    """

    def __init__(
        self,
        d_input: int,
        d_model: int,
        *,
        cell: CellKind = "lstm",
        backend: RecurrentBackend = "fused",
    ) -> None:
        super().__init__()
        check_recurrent_backend(backend)
        self.cell = CELLS[cell](d_input, d_model)
        self.kind, self.backend = cell, backend

    def forward(self, x: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        """Read ``x`` (B, T, d_input); return h at every position, (B, T, C), and the last state.

        Args:
            x: T >= 1.
            state: that after the text before ``x``; ``None`` where nothing comes before.

        Raises:
            ValueError: if ``x`` has no position or another number of axes.
        """
        if x.ndim != 3 or x.shape[1] == 0:
            raise ValueError(f"x must be (B, T, C) with T >= 1, got {tuple(x.shape)}")
        if state is None:
            state = self.cell.first_state(x)
        return self._fused(x, state) if self.backend == "fused" else self._reference(x, state)

    def _reference(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        hidden = []
        for x_t in x.unbind(dim=1):
            state = self.cell(x_t, state)
            hidden.append(state[0])
        return torch.stack(hidden, dim=1), state

    def _fused(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        cell, first = self.cell, [part[None] for part in state]  # torch counts layers first
        weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        # has_biases, num_layers, dropout, train, bidirectional, batch_first
        options = (True, 1, 0.0, self.training, False, True)
        if self.kind == "lstm":
            hidden, *last = torch.lstm(x, first, weights, *options)
        else:
            hidden, *last = torch.rnn_tanh(x, first[0], weights, *options)
        return hidden, tuple(part[0] for part in last)


class RecurrentLayers(nn.Module):
    """Recurrent layers on top of each other, each reading the states of the one below.

    Dropout is applied to what goes up, never to what goes on in time (Zaremba et al. 2014,
    arXiv:1409.2329).

    Args:
        d_model: C, the width of the input and of every layer.
        n_layers: L.
        cell: ``"rnn"`` or ``"lstm"``.
        dropout: probability of zeroing a number between two layers, in training only.
        generator: draws the weights; ``None`` means torch's fixed default seed.
        backend: see ``RecurrentLayer``.

    Example:
        >>> hidden, state = RecurrentLayers(5, n_layers=2)(torch.zeros(2, 7, 5))
        >>> [h.shape for h in hidden]
        [torch.Size([2, 7, 5]), torch.Size([2, 7, 5])]
    """

    def __init__(
        self,
        d_model: int,
        *,
        n_layers: int = 1,
        cell: CellKind = "lstm",
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
        backend: RecurrentBackend = "fused",
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            RecurrentLayer(d_model, d_model, cell=cell, backend=backend) for _ in range(n_layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.initialize(torch.Generator() if generator is None else generator)

    def initialize(self, generator: torch.Generator) -> None:
        """Draw fresh weights for every layer."""
        for layer in self.layers:
            cast(RecurrentLayer, layer).cell.initialize(generator)

    def forward(
        self, x: Tensor, state: Sequence[CellState] | None = None
    ) -> tuple[list[Tensor], list[CellState]]:
        """Read ``x`` (B, T, C) from left to right.

        Args:
            x: T >= 1.
            state: one for each layer, as the last call returned; ``None`` at the beginning.

        Returns:
            The states h of every layer, L times (B, T, C), the lowest first; and the state
            after the last position, for the next call. Neither has dropout applied.
        """
        hidden, last = [], []
        for number, layer in enumerate(self.layers):
            below = x if number == 0 else self.dropout(hidden[-1])
            h, after = layer(below, None if state is None else state[number])
            hidden.append(h)
            last.append(after)
        return hidden, last

    def set_backend(self, name: RecurrentBackend) -> None:
        """Compute with the backend ``name`` from now on, in every layer."""
        check_recurrent_backend(name)
        for layer in self.layers:
            cast(RecurrentLayer, layer).backend = name


def check_recurrent_backend(name: str) -> None:
    """Refuse a backend that does not exist.

    Raises:
        ValueError: naming the backends that exist.
    """
    if name not in get_args(RecurrentBackend):
        known = " or ".join(map(repr, get_args(RecurrentBackend)))
        raise ValueError(f"backend must be {known}, got {name!r}")
