"""A learned mixture of the layers of a pretrained model."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ScalarMix(nn.Module):
    """Mix layers with softmax weights and scale the result.

    ``γ Σ_l softmax(s)_l h_l``: equation (1) of Peters et al. 2018 (arXiv:1802.05365). The task
    learns s and γ, L + 2 numbers in all, while the layers stay as they were pretrained. It begins
    as their mean. The paper's optional normalization of each layer is left out.

    Args:
        n_layers: how many are mixed, the embedding included.

    Raises:
        ValueError: if there is no layer.

    Example:
        >>> mix = ScalarMix(2)
        >>> mix(torch.tensor([[1.0], [3.0]]))
        tensor([2.], grad_fn=<MulBackward0>)
    """

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        if n_layers < 1:
            raise ValueError(f"n_layers must be at least 1, got {n_layers}")
        self.scores = nn.Parameter(torch.zeros(n_layers))
        self.scale = nn.Parameter(torch.ones(()))

    @property
    def weights(self) -> Tensor:
        """Return the share of each layer, (n_layers,); they sum to 1."""
        return self.scores.softmax(dim=0)

    def forward(self, layers: Tensor) -> Tensor:
        """Return the mixture of ``layers`` (n_layers, ...), of the shape of one layer.

        Raises:
            ValueError: if there are more or fewer layers than weights.
        """
        if len(layers) != len(self.scores):
            raise ValueError(f"expected {len(self.scores)} layers to mix, got {len(layers)}")
        return self.scale * torch.tensordot(self.weights, layers, dims=1)
