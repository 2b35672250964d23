"""The same weights under two names: how a model's tensors are called here and in Transformers.

An entry says that some tensors of ours, one after the other, are one tensor of theirs, which may
be stored transposed (GPT-2's ``Conv1D`` keeps (inputs, outputs)).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from minillm.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Entry:
    """``theirs`` holds ``ours`` side by side along its output axis."""

    ours: tuple[str, ...]
    theirs: str
    is_transposed: bool = False


@dataclass(frozen=True, slots=True)
class NameTable:
    """All tensors of one architecture.

    ``derived`` are tensors of theirs that say nothing new (tied to another, or constants); they
    are not asked for. ``prefix`` may stand before all of their names or be missing, depending
    on which of their classes saved the model. ``tied`` are names of theirs for a tensor that also
    stands under another. ``heads`` are what a bare model lacks; ``with_heads`` names the classes
    of theirs that have them.
    """

    entries: tuple[Entry, ...]
    derived: tuple[str, ...] = ()
    prefix: str = ""
    tied: Mapping[str, str] = field(default_factory=dict)  # their name → the same tensor's other
    heads: frozenset[str] = frozenset()
    with_heads: str = ""


def to_ours(
    tensors: Mapping[str, Tensor], table: NameTable, *, source: str, may_lack_heads: bool = False
) -> dict[str, Tensor]:
    """Rename and split their tensors into ours.

    Args:
        tensors: as their ``state_dict`` or safetensors file has them.
        table: of the architecture.
        source: where they come from, for the message.
        may_lack_heads: leave missing heads out instead of refusing.

    Raises:
        CheckpointError: with the names of missing and unexpected tensors.
    """
    given = _with_prefix(tensors, table)
    wanted = {entry.theirs for entry in table.entries}
    known = wanted | set(table.derived) | set(table.tied)
    allowed = table.heads if may_lack_heads else frozenset()
    problems = {
        "missing": sorted(wanted - set(given) - allowed),
        "unexpected": sorted(set(given) - known),
    }
    if any(problems.values()):
        raise CheckpointError(_refusal(problems, table, source=source))
    _check_tied(given, table, source=source)
    ours: dict[str, Tensor] = {}
    for entry in table.entries:
        if entry.theirs not in given:
            continue
        tensor = given[entry.theirs]
        tensor = tensor.T if entry.is_transposed and tensor.ndim == 2 else tensor
        for name, part in zip(entry.ours, tensor.chunk(len(entry.ours)), strict=True):
            ours[name] = part.contiguous()
    return ours


def to_theirs(tensors: Mapping[str, Tensor], table: NameTable) -> dict[str, Tensor]:
    """Join and rename our tensors into theirs; the inverse of ``to_ours``."""
    theirs: dict[str, Tensor] = {}
    for entry in table.entries:
        tensor = torch.cat([tensors[name] for name in entry.ours])
        tensor = tensor.T if entry.is_transposed and tensor.ndim == 2 else tensor
        theirs[entry.theirs] = tensor.contiguous()
    return theirs


def in_layers(n_layers: int, entries: Sequence[Entry]) -> Iterator[Entry]:
    """Repeat entries for each layer: ``{}`` in a name is the layer's number."""
    for layer in range(n_layers):
        for entry in entries:
            ours = tuple(name.format(layer) for name in entry.ours)
            yield Entry(ours, entry.theirs.format(layer), entry.is_transposed)


def linear(ours: str | tuple[str, ...], theirs: str, *, is_transposed: bool = False) -> list[Entry]:
    """Return the entries of weight and bias of a layer, or of several that they keep as one."""
    names = (ours,) if isinstance(ours, str) else ours
    return [
        Entry(tuple(f"{name}.{part}" for name in names), f"{theirs}.{part}", is_transposed)
        for part in ("weight", "bias")
    ]


def _refusal(problems: Mapping[str, list[str]], table: NameTable, *, source: str) -> str:
    """Name the tensors, and what to do where a head is all that is missing."""
    missing = problems["missing"]
    if missing and not problems["unexpected"] and table.heads.issuperset(missing):
        return (
            f"{source} is a bare model without the heads that minillm needs (missing: "
            f"{', '.join(missing)}): save it as {table.with_heads}, or ask for fresh, untrained "
            "heads (fresh_heads=True, --fresh-heads)"
        )
    parts = [f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names]
    return f"{source} has other tensors than its config says: {'; '.join(parts)}"


def _with_prefix(tensors: Mapping[str, Tensor], table: NameTable) -> dict[str, Tensor]:
    """Give every name the prefix that the bare model's file leaves out."""
    expected = {entry.theirs for entry in table.entries} | set(table.derived) | set(table.tied)
    result = {}
    for given, tensor in tensors.items():
        name = _modern(given)
        longer = table.prefix + name
        result[longer if name not in expected and longer in expected else name] = tensor
    return result


def _modern(name: str) -> str:
    """Rename what the first release of BERT called gamma and beta."""
    for old, new in (
        (".LayerNorm.gamma", ".LayerNorm.weight"),
        (".LayerNorm.beta", ".LayerNorm.bias"),
    ):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _check_tied(given: Mapping[str, Tensor], table: NameTable, *, source: str) -> None:
    """Refuse a head of its own where the architecture shares one matrix."""
    for name, other in table.tied.items():
        if name in given and not torch.equal(given[name], given[other]):
            raise CheckpointError(
                f"{source}: {name} differs from {other}, which this architecture ties to it"
            )
