"""The neural n-gram: the first neural language model (Bengio et al. 2003).

Dimension key: B sequences, T positions, K = order - 1 tokens read, C d_model, F d_ff, V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from minillm.config import NeuralNgramConfig
from minillm.linear import Linear
from minillm.models.scoring import HiddenLanguageModel, check_token_ids

INIT_STD = 0.02  # of the output matrix: the first logits are near 0 and the loss near ln V


class NeuralNgram(HiddenLanguageModel):
    """Predict each token from the vectors of the ``order - 1`` tokens before it.

    ``scores = U tanh(H x + d) + W x`` with x the K vectors one after the other (Bengio, Ducharme,
    Vincent and Jauvin 2003, eq. 1). W are the optional direct connections; the paper's output
    bias is left out, as in the other models here. Where fewer than K tokens come before, a
    learned vector stands for "nothing".

    Args:
        config: the architecture.
        generator: draws the weights; ``None`` means torch's fixed default seed.

    Example:
        >>> model = NeuralNgram(NeuralNgramConfig(vocab_size=11, order=3, d_model=4, d_ff=8))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    def __init__(
        self, config: NeuralNgramConfig, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.nothing_id = config.vocab_size  # reads one row more than can be predicted
        d_context = config.n_read * config.d_model
        d_features = config.d_ff + (d_context if config.direct_connections else 0)
        with torch.random.fork_rng(devices=[]):  # torch's own initial weights are overwritten
            self.token_embedding = nn.Embedding(config.vocab_size + 1, config.d_model)
            self.feed_forward = Linear(d_context, config.d_ff)
            self.unembedding = Linear(d_features, config.vocab_size, bias=False)  # [U, W]
        self.dropout = nn.Dropout(config.dropout)
        self._initialize(torch.Generator() if generator is None else generator)

    @torch.no_grad()
    def _initialize(self, generator: torch.Generator) -> None:
        """Draw vectors from N(0, 1) and H so that tanh gets inputs of size 1 / √3."""
        bound = 1 / math.sqrt(self.feed_forward.in_features)
        nn.init.normal_(self.token_embedding.weight, generator=generator)
        nn.init.uniform_(self.feed_forward.weight, -bound, bound, generator=generator)
        nn.init.zeros_(self.feed_forward.bias)
        nn.init.normal_(self.unembedding.weight, std=INIT_STD, generator=generator)

    def hidden(
        self,
        token_ids: Tensor,
        document_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
    ) -> Tensor:
        """Return the (B, T, F) vectors that the unembedding reads; arguments as ``forward``."""
        return self._features(self.contexts(token_ids, document_ids, is_padding))

    def contexts(
        self,
        token_ids: Tensor,
        document_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
    ) -> Tensor:
        """Return the K token ids that each position reads, the oldest first, (B, T, K).

        ``nothing_id`` stands before the beginning, for padding and for other documents.
        """
        check_token_ids(token_ids, document_ids=document_ids, is_padding=is_padding)
        if is_padding is not None:
            token_ids = token_ids.masked_fill(is_padding, self.nothing_id)
        contexts = self._unfold(token_ids, fill=self.nothing_id)
        if document_ids is None:
            return contexts
        documents = self._unfold(document_ids, fill=-1)
        return contexts.masked_fill(documents != documents[..., -1:], self.nothing_id)

    @torch.no_grad()
    def next_log_probs(
        self, token_ids: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the distribution of the token that follows ``token_ids``.

        Args:
            token_ids: (B, T) int64, T >= 1: all tokens, or the new ones after ``state``.
            state: what the last call returned: the last K tokens.

        Returns:
            (B, V) log probabilities in nats, float32, and the state for the next call.

        Raises:
            ValueError: if there is no token.
        """
        check_token_ids(token_ids)
        if state is None:
            state = token_ids.new_full((len(token_ids), self.config.n_read), self.nothing_id)
        state = torch.cat([state, token_ids], dim=1)[:, -self.config.n_read :]
        logits = self.unembedding(self._features(state))
        return logits.float().log_softmax(dim=-1), state

    def _features(self, contexts: Tensor) -> Tensor:
        """Return tanh(H x + d) of (..., K) token ids, followed by x for direct connections."""
        x = self.token_embedding(contexts).flatten(-2)  # (..., K C)
        hidden = self.dropout(self.feed_forward(x).tanh())
        return torch.cat([hidden, x], dim=-1) if self.config.direct_connections else hidden

    def _unfold(self, ids: Tensor, *, fill: int) -> Tensor:
        """Show each position of (B, T) itself and the K - 1 before it, (B, T, K)."""
        before = ids.new_full((len(ids), self.config.n_read - 1), fill)
        return torch.cat([before, ids], dim=1).unfold(1, self.config.n_read, 1)
