"""Who competes: bodies pretrained by an objective, the same bodies untrained, and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from minillm.arena.recipes import check_objectives, recipe_of
from minillm.config import FAMILIES

Kind = Literal["pretrained", "scratch", "baseline"]
ARCHITECTURES = {"llama": "decoder", "gpt": "decoder", "bert": "encoder", "t5": "encoder–decoder"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """One row of the table."""

    name: str
    kind: Kind
    objective: str | None = None  # whose first weights, or whose pretrained ones
    architecture: str | None = None
    scratch: str | None = None  # the reader that began with the same weights and learned nothing


def family_of(objective: str) -> str:
    """Return the family that an objective's recipe trains: its own choice, or the usual one."""
    usual = next(iter(FAMILIES[objective]))
    return str(recipe_of(objective).settings.get("model", usual))


def architecture_of(objective: str) -> str:
    """Return the kind of an objective's body in words; a family without them keeps its name."""
    family = family_of(objective)
    return ARCHITECTURES.get(family, family)


def readers_of(objectives: Sequence[str]) -> list[Reader]:
    """Return the rows of a table: each objective, and each architecture once from scratch.

    Example:
        >>> [reader.name for reader in readers_of(["causal", "masked"])]
        ['causal', 'masked', 'scratch decoder', 'scratch encoder']
    """
    check_objectives(objectives)
    scratch: dict[str, str] = {}  # architecture → the objective whose first weights stand for it
    for objective in objectives:
        scratch.setdefault(architecture_of(objective), objective)
    pretrained = [
        Reader(
            name=objective,
            kind="pretrained",
            objective=objective,
            architecture=architecture_of(objective),
            scratch=f"scratch {architecture_of(objective)}",
        )
        for objective in objectives
    ]
    untrained = [
        Reader(name=f"scratch {kind}", kind="scratch", objective=objective, architecture=kind)
        for kind, objective in scratch.items()
    ]
    return pretrained + untrained
