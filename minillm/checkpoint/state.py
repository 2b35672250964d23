"""Models and optimizers as named tensors, and back into the very same state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from minillm.errors import CheckpointError

# How a step is computed, not what: another machine or another implementation may differ in these.
IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable", "maximize")


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the model's parameters and buffers by name, a tied one once.

    Args:
        model: any module.

    Returns:
        Name to tensor, sharing memory with the model; a tensor that the model has under several
        names (tied embeddings) comes under the first.

    Example:
        >>> read, predict = nn.Embedding(5, 2), nn.Linear(2, 5, bias=False)
        >>> predict.weight = read.weight
        >>> list(model_tensors(nn.Sequential(read, predict)))
        ['0.weight']
    """
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():  # keeps the identity of tied ones
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach()
    return tensors


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy ``tensors`` into the model, after every name, shape and dtype was compared.

    The copy is in place, so tied weights stay tied and an optimizer keeps its parameters.

    Args:
        model: changed only where everything fits.
        tensors: as ``model_tensors`` returned them.

    Raises:
        CheckpointError: with the lists of missing and unexpected names, shapes and dtypes.

    Example:
        >>> load_weights(nn.Linear(2, 1), {"weight": torch.ones(1, 3), "gain": torch.ones(1)})
        Traceback (most recent call last):
        minillm.errors.CheckpointError: the weights are of another model: missing: bias; \
unexpected: gain; shape: weight (want 1 × 2, got 1 × 3)
    """
    wanted = model_tensors(model)
    _check_fit(wanted, tensors, "the weights are of another model")
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(tensors[name])


def _check_fit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], summary: str) -> None:
    """Raise one error that lists every difference."""
    both = [name for name in wanted if name in given]
    differences = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "shape": [
            f"{name} (want {_size(wanted[name])}, got {_size(given[name])})"
            for name in both
            if wanted[name].shape != given[name].shape
        ],
        "dtype": [
            f"{name} (want {wanted[name].dtype}, got {given[name].dtype})"
            for name in both
            if wanted[name].dtype != given[name].dtype
        ],
    }
    _raise_if_any(differences, summary)


def _raise_if_any(differences: Mapping[str, list[str]], summary: str) -> None:
    parts = [f"{kind}: {', '.join(names)}" for kind, names in differences.items() if names]
    if parts:
        raise CheckpointError(f"{summary}: {'; '.join(parts)}")


def _size(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "scalar"


def optimizer_tensors(
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take the optimizer's state apart into named tensors and JSON.

    Args:
        optimizer: built from named parameters, as ``make_optimizer`` does (else they are
            numbered).

    Returns:
        ``tensors``, named ``<parameter>.<what>``, for example ``blocks.0.norm.gain.exp_avg``; and
        what else there is to know: the rule and, for each group, its settings and parameters.

    Raises:
        ValueError: the state holds something that is no tensor.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> optimizer = torch.optim.AdamW(layer.named_parameters(), fused=True)
        >>> layer(torch.ones(2)).sum().backward()
        >>> optimizer.step()
        >>> tensors, description = optimizer_tensors(optimizer)
        >>> sorted(tensors)[:3], description["rule"]
        (['bias.exp_avg', 'bias.exp_avg_sq', 'bias.step'], 'AdamW')
    """
    tensors: dict[str, Tensor] = {}
    groups = []
    for group, names in zip(optimizer.param_groups, _names(optimizer), strict=True):
        settings = {k: v for k, v in group.items() if k not in ("params", "param_names")}
        settings = {k: v for k, v in settings.items() if k not in IMPLEMENTATION}
        groups.append({**settings, "parameters": names})
        for name, parameter in zip(names, group["params"], strict=True):
            for key, value in optimizer.state.get(parameter, {}).items():
                if value is None:  # torch's SGD notes "no momentum yet" so
                    continue
                if not isinstance(value, Tensor):
                    raise ValueError(f"{name}.{key} is a {type(value).__name__}, not a tensor")
                tensors[f"{name}.{key}"] = value.detach()
    return tensors, {"rule": type(optimizer).__name__, "groups": groups}


def load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], description: Mapping[str, Any]
) -> None:
    """Put a state of ``optimizer_tensors`` back, so that the next step is the one that was due.

    The optimizer may be our readable one or torch's fused one of the same rule, whichever wrote
    the state. Settings (learning rate, decay …) become those of the checkpoint.

    Args:
        optimizer: changed only where everything fits.
        tensors: the named tensors; they are copied.
        description: the rule and the groups.

    Raises:
        CheckpointError: another rule, other groups, or tensors that do not fit the parameters.

    Example:
        >>> def small():
        ...     return torch.optim.SGD(nn.Linear(2, 1).named_parameters(), momentum=0.9)
        >>> load_optimizer(small(), *optimizer_tensors(small()))
    """
    names = _names(optimizer)
    _check_description(type(optimizer).__name__, names, description)
    parameters = {
        name: parameter
        for group, group_names in zip(optimizer.param_groups, names, strict=True)
        for name, parameter in zip(group_names, group["params"], strict=True)
    }
    state = _state_by_parameter(parameters, tensors)
    for group, saved in zip(optimizer.param_groups, description["groups"], strict=True):
        for key in group.keys() & saved.keys():  # JSON has no tuples: betas come back as a list
            group[key] = tuple(saved[key]) if isinstance(group[key], tuple) else saved[key]
    content = optimizer.state_dict()
    content["state"] = {i: state[name] for i, name in enumerate(parameters) if name in state}
    optimizer.load_state_dict(content)


def _check_description(rule: str, names: list[list[str]], description: Mapping[str, Any]) -> None:
    """Refuse the state of another rule, of other parameters or of other groups of them."""
    try:
        saved_rule = description["rule"]
        saved_names: list[list[str]] = [list(g["parameters"]) for g in description["groups"]]
    except (LookupError, TypeError) as error:
        raise CheckpointError(f"the optimizer's description is incomplete: {error!r}") from error
    if saved_rule != rule:
        raise CheckpointError(f"the optimizer's state is of {saved_rule}, not of {rule}")
    if saved_names == names:
        return
    want, got = ([name for group in groups for name in group] for groups in (names, saved_names))
    differences = {
        "missing": [name for name in want if name not in got],
        "unexpected": [name for name in got if name not in want],
    }
    _raise_if_any(differences, "the optimizer's state is of other parameters")
    raise CheckpointError("the optimizer's state has the same parameters in other groups or order")


def _names(optimizer: torch.optim.Optimizer) -> list[list[str]]:
    """Return the parameters' names of each group, numbers where they were not told."""
    names, n_before = [], 0
    for group in optimizer.param_groups:
        numbers = range(n_before, n_before + len(group["params"]))
        names.append(list(group.get("param_names", map(str, numbers))))
        n_before += len(group["params"])
    return names


def _state_by_parameter(
    parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    """Group copies of the tensors by their parameter; each fits it, or is a scalar like step."""
    state: dict[str, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        name, _, key = full_name.rpartition(".")
        state.setdefault(name, {})[key] = tensor.clone()  # not a view of the checkpoint's file
    keys = sorted({key for entries in state.values() for key in entries})  # each has all or none
    scalar = torch.zeros(())
    wanted = {
        f"{name}.{key}": scalar if key == "step" else parameters[name]
        for name in parameters
        if name in state
        for key in keys
    }
    _check_fit(wanted, tensors, "the optimizer's state is of another model")
    return state
