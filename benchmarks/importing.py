"""What a reader waits for: fresh processes, CPU seconds of user and system."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from benchmarks.measuring import Row, compare, rounds, run_python

THEME = "import"
TORCH = "import torch"
CALLS = {
    "import minillm": ("-c", "import minillm"),
    "minillm --version": ("-m", "minillm", "--version"),
    "all that a run needs": ("-c", "import minillm.run, minillm.generation"),
    TORCH: ("-c", TORCH),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How often, and what we want."""

    n_rounds: int = 5
    aims: dict[str, float] = field(default_factory=dict)


FULL = Settings(aims={"import minillm": 0.1, "minillm --version": 0.1})  # seconds beyond torch
QUICK = Settings(n_rounds=1)


def rows(settings: Settings) -> Iterator[Row]:
    """Compare each call with the import of torch alone; a negative difference is less than it."""
    measures = {name: partial(_cpu_seconds, call) for name, call in CALLS.items()}
    for measure in measures.values():
        measure()  # compiles the modules and fills the file cache
    seconds = rounds(measures, n_rounds=settings.n_rounds)
    row = partial(compare, seconds, theme=THEME, peer=TORCH, kind="difference")
    for name in (name for name in CALLS if name != TORCH):
        yield row(case=name, ours=name, aim=settings.aims.get(name))


def _cpu_seconds(call: tuple[str, ...]) -> float:
    return run_python(*call)[1]
