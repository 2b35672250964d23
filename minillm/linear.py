"""The linear layer of the models: ``nn.Linear``, quick for a single token too."""

from torch import Tensor, nn

from minillm.kernels.few_rows_linear import few_rows_linear


class Linear(nn.Linear):
    """``x @ weight.T + bias``: the same weights, names and training as ``nn.Linear``.

    Example:
        >>> import torch
        >>> Linear(3, 5)(torch.zeros(2, 3)).shape
        torch.Size([2, 5])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map ``input`` (..., C) to (..., F)."""
        return few_rows_linear(input, self.weight, self.bias)
