"""How each objective is pretrained in the comparison: for all the same cost, for each its own way.

The cost is CPU seconds of one core. What all share is the text, the tokenizer, the width, the
depth and the heads; what is each objective's own is what its literature found or what a short
search on other documents did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from minillm.config import PretrainConfig, find_family
from minillm.errors import ConfigError
from minillm.run import OBJECTIVES
from minillm.run.settings import resolve_words

CONTEXT_LENGTH = 192  # tokens that every body can read: a whole story and a question


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A part of a pretraining: rows of one length."""

    share: float  # of the CPU seconds
    objective: str | None = None  # of this phase alone, for the same model; None: the body's
    context_length: int  # tokens of a row
    batch_size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a body is pretrained, whatever the text and the seed."""

    phases: tuple[Phase, ...] = (Phase(share=1.0, context_length=128, batch_size=16),)
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    why: str = "the settings of minillm pretrain"

    def __post_init__(self) -> None:
        if abs(sum(phase.share for phase in self.phases) - 1.0) > 1e-9:
            raise ConfigError(f"the phases' shares must sum to 1, got {self.phases}")


# BERT's own curriculum (Devlin et al. 2019, §A.2), in smaller steps: short rows first, in which a
# word's neighbors are soon found, then longer ones, from which the later positions are learned.
_EVER_LONGER = (
    Phase(share=0.4, context_length=24, batch_size=64),
    Phase(share=0.15, context_length=48, batch_size=32),
    Phase(share=0.2, context_length=96, batch_size=16),
    Phase(share=0.25, context_length=CONTEXT_LENGTH, batch_size=10),
)
_PAIRS_LAST = (
    Phase(share=0.25, context_length=24, batch_size=64, objective="masked"),
    Phase(share=0.1, context_length=96, batch_size=16, objective="masked"),
    Phase(share=0.1, context_length=CONTEXT_LENGTH, batch_size=10, objective="masked"),
    Phase(share=0.55, context_length=64, batch_size=48),
)
RECIPES: Mapping[str, Recipe] = {
    "causal": Recipe(
        phases=(Phase(share=1.0, context_length=96, batch_size=16),),
        settings={"model": "llama", "learning_rate": 4e-3},
        why="rotary positions, which short rows teach for long ones too",
    ),
    "masked": Recipe(
        phases=_EVER_LONGER,
        settings={"learning_rate": 5e-3, "mask_rate": 0.4},
        why="40 % of the tokens hidden (Wettig et al. 2023): more answers for the same seconds; "
        "short rows first, as BERT had them",
    ),
    "bidirectional": Recipe(
        phases=(Phase(share=1.0, context_length=96, batch_size=32),),
        settings={"learning_rate": 6e-3, "n_layers": 1},
        why="two LSTMs of one layer each, as in ELMo, for the two layers of the others",
    ),
    "prefix": Recipe(
        phases=(Phase(share=1.0, context_length=96, batch_size=16),),
        settings={"learning_rate": 4e-3},
        why="as causal",
    ),
    **{
        name: Recipe(
            phases=_PAIRS_LAST,
            settings={"learning_rate": 3e-3, "mask_rate": 0.4},
            why="words first, from masks alone and in ever longer rows, from which the later "
            "positions are learned; pairs last: after other rows their head no longer fits the "
            "body",
        )
        for name in ("masked+next-sentence", "masked+sentence-order")
    },
    "sentence-reconstruction": Recipe(
        phases=(Phase(share=1.0, context_length=CONTEXT_LENGTH, batch_size=32),),
        settings={"learning_rate": 1e-3},
        why="four sentences to be put in order; a larger rate does not begin to learn",
    ),
    "span-corruption": Recipe(
        phases=(
            Phase(share=0.6, context_length=24, batch_size=48),
            Phase(share=0.4, context_length=64, batch_size=24),
        ),
        settings={"learning_rate": 3e-3, "noise_density": 0.3, "mean_span_length": 2.0},
        why="30 % of the tokens cut out, in spans of 2: more answers for the same seconds; short "
        "rows first, and relative positions know any length",
    ),
}


def recipe_of(objective: str) -> Recipe:
    """Return an objective's recipe; one without its own takes the settings of ``pretrain``.

    Raises:
        ConfigError: there is no such objective in ``run/table.py``.
    """
    if objective not in OBJECTIVES:
        raise ConfigError(f"objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}")
    return RECIPES.get(objective, Recipe())


def settings_of(
    objective: str, *, sizes: Mapping[str, Any], seed: int, out: Path, phase: Phase | None = None
) -> PretrainConfig:
    """Return an objective's settings of a run, the model's own or those of one phase.

    Args:
        objective: of ``run/table.py``.
        sizes: what all bodies share: ``d_model`` and the like.
        seed: of the weights, the order of the text and what is hidden.
        out: where the body will lie.
        phase: ``None``: as the model is built, able to read ``CONTEXT_LENGTH`` tokens.
    """
    rows = {"context_length": CONTEXT_LENGTH}
    if phase is not None:
        rows = {"context_length": phase.context_length, "batch_size": phase.batch_size}
    fixed = {"threads": 1, "dtype": "float32", "device": "cpu", "backend": "sdpa"}
    own = recipe_of(objective).settings
    family = find_family(str(own.get("model", "auto")), objective=objective)
    taken = {name: size for name, size in sizes.items() if name in family.settings}
    given = {**taken, **fixed, **own, **rows}
    return resolve_words(PretrainConfig(out=out, objective=objective, seed=seed, **given))  # pyright: ignore[reportArgumentType]


def check_objectives(names: Sequence[str]) -> None:
    """Refuse names that are in no table.

    Raises:
        ConfigError: naming the objectives that there are.
    """
    for name in names:
        recipe_of(name)


def stated(objective: str) -> dict[str, Any]:
    """Return a recipe as JSON says it."""
    recipe = recipe_of(objective)
    return {
        "settings": dict(recipe.settings),
        "phases": [
            {name: value for name, value in asdict(phase).items() if value is not None}
            for phase in recipe.phases
        ],
        "why": recipe.why,
    }


def is_of_recipe(told: Mapping[str, Any], objective: str) -> bool:
    """Tell whether what was stored as ``stated`` is still an objective's recipe."""
    now = stated(objective)
    return all(told.get(name) == now[name] for name in ("settings", "phases"))
