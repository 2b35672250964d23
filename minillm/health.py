"""What goes on inside a model while it trains, without changing it.

Dimension key: L layers, B sequences, H heads, T query positions, S key positions, V vocabulary.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from minillm.models.base import evaluating
from minillm.models.decoder import Decoder


class LayerHealth(NamedTuple):
    """Root mean squares of one layer; NaN where there was nothing to measure."""

    activation: float  # of what the layer put out
    gradient: float  # of its weights' gradients, as the optimizer saw them
    update: float  # of the change of its weights, divided by that of the weights


@contextmanager
def watch(model: nn.Module) -> Iterator[dict[str, LayerHealth]]:
    """Measure every layer with weights of its own while the block runs.

    Sizes that grow or vanish from layer to layer foretell a failure long before the loss shows
    it; an update of about a thousandth of the weight is a usual rule of thumb (Karpathy 2019,
    "A Recipe for Training Neural Networks"). Outputs are read by hooks, which are removed at
    the end; weights are compared with a copy. Several forward passes are pooled. A tied matrix
    belongs to the first layer that has it.

    Args:
        model: any module.

    Yields:
        A mapping, filled at the end: name of a layer, in order of definition → ``LayerHealth``.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        >>> with watch(model) as health:
        ...     model(torch.ones(1, 2)).sum().backward()
        >>> list(health), health["0"].update                   # no optimizer stepped
        (['0'], 0.0)
    """
    layers = _layers(model)
    before = {p: p.detach().clone() for _, parameters in layers.values() for p in parameters}
    outputs: dict[str, list[tuple[float, int]]] = defaultdict(list)
    health: dict[str, LayerHealth] = {}

    def hook(name: str):
        def record(module: nn.Module, inputs: object, output: Tensor) -> None:
            outputs[name].append(_squares([output]))

        return record

    handles = [module.register_forward_hook(hook(name)) for name, (module, _) in layers.items()]
    try:
        yield health
    finally:
        for handle in handles:
            handle.remove()
    for name, (_, parameters) in layers.items():
        gradients = [p.grad for p in parameters if p.grad is not None]
        change = _rms([_squares([p - before[p] for p in parameters])])
        weight = _rms([_squares([before[p] for p in parameters])])
        update = change / weight if weight else math.nan  # biases that are still zero
        health[name] = LayerHealth(_rms(outputs[name]), _rms([_squares(gradients)]), update)


def attention_entropy(weights: Tensor) -> Tensor:
    """Return the mean entropy of each head's attention: 0 reads one key, ln S all alike.

    ``-Σ w ln w`` in nats over each row of weights, averaged over the rows that read something.
    A head whose entropy collapses to 0 has stopped mixing (Zhai et al. 2023, arXiv:2303.06296).

    Args:
        weights: (L, B, H, T, S), from ``Decoder.attention_weights``.

    Returns:
        (L, H) nats; NaN where no row reads anything.

    Example:
        >>> attention_entropy(torch.full((1, 1, 1, 2, 8), 1 / 8))  # ln 8
        tensor([[2.0794]])
    """
    reads = weights.sum(dim=-1) > 0
    entropy = torch.special.entr(weights).sum(dim=-1)  # 0 where nothing is read
    return entropy.sum(dim=(1, 3)) / reads.sum(dim=(1, 3))


@torch.no_grad()
def logit_lens(model: Decoder, token_ids: Tensor) -> Tensor:
    """Return what the model would predict if it stopped after each layer.

    The final norm and the unembedding are applied to the residual stream before the first
    block and after every block (nostalgebraist 2020, "interpreting GPT: the logit lens").

    Args:
        model: a decoder; dropout is off while it is looked at.
        token_ids: (B, T) int64.

    Returns:
        (L + 1, B, T, V) logits; the last are exactly ``model(token_ids)``.

    Example:
        >>> from minillm.config import DecoderConfig
        >>> model = Decoder(DecoderConfig.gpt(vocab_size=11, d_model=8, n_heads=2, n_layers=3))
        >>> logit_lens(model, torch.tensor([[1, 2]])).shape
        torch.Size([4, 1, 2, 11])
    """
    streams: list[Tensor] = []
    handles = [
        model.blocks[0].register_forward_pre_hook(lambda _, inputs: streams.append(inputs[0])),
        *(
            block.register_forward_hook(lambda *call: streams.append(call[2]))
            for block in model.blocks
        ),
    ]
    try:
        with evaluating(model):
            model.hidden(token_ids)
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack([model.unembedding(model.final_norm(stream)) for stream in streams])


def _layers(model: nn.Module) -> dict[str, tuple[nn.Module, list[nn.Parameter]]]:
    """Return the modules that own parameters which no module before them owns."""
    layers, seen = {}, set()
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if p not in seen]
        seen.update(own)
        if own:
            layers[name] = (module, own)
    return layers


def _squares(tensors: list[Tensor]) -> tuple[float, int]:
    """Return the sum of squares of all numbers, and how many they are."""
    total = sum(x.detach().double().square().sum().item() for x in tensors)
    return total, sum(x.numel() for x in tensors)


def _rms(parts: list[tuple[float, int]]) -> float:
    """Return the root mean square of all parts together."""
    n = sum(count for _, count in parts)
    return math.sqrt(sum(total for total, _ in parts) / n) if n else math.nan
