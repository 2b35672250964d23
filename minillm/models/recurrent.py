"""The recurrent language model: a state that has read everything before.

Dimension key: B sequences, T positions, C d_model, V vocabulary, R runs, N tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minillm.config import RecurrentConfig
from minillm.linear import Linear
from minillm.models.cells import CellState, RecurrentBackend, RecurrentLayers
from minillm.models.scoring import HiddenLanguageModel, check_token_ids

INIT_STD = 0.05  # of a matrix that scores: the first logits are near 0 and the loss near ln V
READ_STD = 1.0  # of one that only reads: the gates see signals of their own size from the start


class Recurrent(HiddenLanguageModel):
    """Predict each token from a state that is updated token by token.

    Embed a token, let ``n_layers`` cells update their states, score the vocabulary with the
    highest state: an RNN (Mikolov et al. 2010) or an LSTM (Sundermeyer et al. 2012) language
    model; with tied embeddings as in Press and Wolf 2017 (arXiv:1608.05859). The state has a
    fixed size, so there is no limit on what is read, and a token costs the same wherever it is.

    Args:
        config: the architecture.
        generator: draws the weights; ``None`` means torch's fixed default seed.
        backend: ``"fused"`` or the readable ``"reference"`` (see ``minillm.models.cells``).

    Example:
        >>> model = Recurrent(RecurrentConfig.lstm(vocab_size=11, d_model=8))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    def __init__(
        self,
        config: RecurrentConfig,
        *,
        generator: torch.Generator | None = None,
        backend: RecurrentBackend = "fused",
    ) -> None:
        super().__init__()
        self.config = config
        generator = torch.Generator() if generator is None else generator
        with torch.random.fork_rng(devices=[]):  # torch's own initial weights are overwritten
            self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
            self.unembedding = Linear(config.d_model, config.vocab_size, bias=False)
        read_std = INIT_STD if config.tie_embeddings else READ_STD
        nn.init.normal_(self.token_embedding.weight, std=read_std, generator=generator)
        self.layers = RecurrentLayers(
            config.d_model,
            n_layers=config.n_layers,
            cell=config.cell,
            dropout=config.dropout,
            generator=generator,
            backend=backend,
        )
        self.dropout = nn.Dropout(config.dropout)
        if config.tie_embeddings:
            self.unembedding.weight = self.token_embedding.weight
        else:
            nn.init.normal_(self.unembedding.weight, std=INIT_STD, generator=generator)

    def hidden(
        self,
        token_ids: Tensor,
        document_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
    ) -> Tensor:
        """Return the (B, T, C) vectors that the unembedding reads; arguments as ``forward``."""
        check_token_ids(token_ids, document_ids=document_ids, is_padding=is_padding)
        x = self.dropout(self.token_embedding(token_ids))
        if document_ids is None and is_padding is None:
            return self._read(x)[0]
        if document_ids is None:
            document_ids = torch.zeros_like(token_ids)
        if is_padding is None:
            is_padding = torch.zeros_like(token_ids, dtype=torch.bool)
        return self._read_runs(x, document_ids, is_padding)

    def read(
        self, token_ids: Tensor, state: list[CellState] | None = None
    ) -> tuple[Tensor, list[CellState]]:
        """Read (B, T) tokens after ``state``; return (B, T, C) vectors and the state after them.

        Gradients flow into the state; truncated backpropagation through time (Williams and
        Peng 1990) detaches it between two calls.
        """
        check_token_ids(token_ids)
        return self._read(self.dropout(self.token_embedding(token_ids)), state)

    @torch.no_grad()
    def next_log_probs(
        self, token_ids: Tensor, state: list[CellState] | None = None
    ) -> tuple[Tensor, list[CellState]]:
        """Return the distribution of the token that follows ``token_ids``.

        Args:
            token_ids: (B, T) int64, T >= 1: all tokens, or the new ones after ``state``.
            state: what the last call returned.

        Returns:
            (B, V) log probabilities in nats, float32, and the state for the next call.

        Raises:
            ValueError: if there is no token.
        """
        hidden, state = self.read(token_ids, state)
        return self.unembedding(hidden[:, -1]).float().log_softmax(dim=-1), state

    def set_recurrent_backend(self, name: RecurrentBackend) -> None:
        """Compute the layers with the backend ``name`` from now on."""
        self.layers.set_backend(name)

    def _read(
        self, x: Tensor, state: list[CellState] | None = None
    ) -> tuple[Tensor, list[CellState]]:
        hidden, last = self.layers(x, state)
        return self.dropout(hidden[-1]), last

    def _read_runs(self, x: Tensor, document_ids: Tensor, is_padding: Tensor) -> Tensor:
        """Read each document of each row as a row of its own, and put the results back."""
        row, column = (~is_padding).nonzero(as_tuple=True)  # (N,), row by row
        if len(row) == 0:
            return torch.zeros_like(x)
        document = document_ids[row, column]
        begins = torch.ones_like(row, dtype=torch.bool)
        begins[1:] = (row[1:] != row[:-1]) | (document[1:] != document[:-1])
        run = begins.cumsum(dim=0) - 1  # (N,) number of the run that a token belongs to
        number = torch.arange(len(row), device=x.device)
        place = number - number[begins][run]  # (N,) place in the run
        runs = x.new_zeros(int(run[-1]) + 1, int(place.max()) + 1, x.shape[-1])
        hidden, _ = self._read(runs.index_put((run, place), x[row, column]))
        return hidden.new_zeros(x.shape).index_put((row, column), hidden[run, place])
