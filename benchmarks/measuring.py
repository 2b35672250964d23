"""What every benchmark shares: jobs in turn, CPU time, ratios by round, the machine described."""

import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[1]
OURS = "minillm"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: what we needed, what the peer needed, and how both relate in each round."""

    theme: str
    case: str
    peer: str
    unit: Literal["s", "MB"]
    ours: float  # median over the rounds
    theirs: float
    values: tuple[float, ...]  # one a round: theirs / ours, or ours − theirs
    kind: Literal["ratio", "difference"] = "ratio"
    aim: float | None = None  # the least ratio, or the greatest difference
    note: str = ""

    @property
    def value(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether this run reached the aim; ``None`` where there is none."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.kind == "ratio" else self.value <= self.aim

    def as_json(self) -> dict[str, Any]:
        """Return the fields and what follows from them."""
        spread = {"least": min(self.values), "greatest": max(self.values)}
        return asdict(self) | {"value": self.value, **spread, "reached": self.reached}


def compare(  # noqa: PLR0913 (the columns of the table)
    amounts: Mapping[str, Sequence[float]],
    *,
    theme: str,
    case: str,
    peer: str,
    ours: str = OURS,
    unit: Literal["s", "MB"] = "s",
    kind: Literal["ratio", "difference"] = "ratio",
    aim: float | None = None,
    note: str = "",
) -> Row:
    """Relate two jobs within each round, so that a busy machine slows both sides of a ratio.

    Args:
        amounts: what each job needed in each round.
        theme: the benchmark.
        case: which setting of it.
        peer: the job to compare with.
        ours: the job to judge.
        unit: of the amounts.
        kind: ``"ratio"`` is theirs / ours, more is better; ``"difference"`` ours − theirs.
        aim: the least ratio or the greatest difference that we want.
        note: what a reader must know.
    """
    pairs = list(zip(amounts[ours], amounts[peer], strict=True))
    values = (t / o if kind == "ratio" else o - t for o, t in pairs)
    return Row(
        theme=theme,
        case=case,
        peer=peer,
        unit=unit,
        ours=statistics.median(amounts[ours]),
        theirs=statistics.median(amounts[peer]),
        values=tuple(values),
        kind=kind,
        aim=aim,
        note=note,
    )


def interleave(
    jobs: Mapping[str, Callable[[], object]],
    *,
    n_rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Run all jobs once to warm up, then A B C, A B C, …; return the seconds of each.

    Process CPU time, summed over threads: waiting for another user of the machine does not count.
    """
    for job in jobs.values():
        job()
    return rounds({name: _timed(job, clock) for name, job in jobs.items()}, n_rounds=n_rounds)


def rounds(measures: Mapping[str, Callable[[], Any]], *, n_rounds: int) -> dict[str, list[Any]]:
    """Take what each call measures, in turn."""
    results: dict[str, list[Any]] = {name: [] for name in measures}
    for _ in range(n_rounds):
        for name, measure in measures.items():
            results[name].append(measure())
    return results


def _timed(job: Callable[[], object], clock: Callable[[], float]) -> Callable[[], float]:
    def measure() -> float:
        start = clock()
        job()
        return clock() - start

    return measure


def run_python(*arguments: str) -> tuple[str, float]:
    """Run a fresh Python in the root; return its stdout and the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout.decode(), sum(after[:2]) - sum(before[:2])  # user and system


@dataclass(frozen=True)
class Isolated:
    """What one job needed in a process of its own."""

    cpu_s: float
    megabytes: float  # its peak above what was there before
    result: float


def isolated(maker: str, **arguments: object) -> Isolated:
    """Measure ``maker(**arguments)()`` in a fresh process: memory cannot be measured in this one.

    Args:
        maker: ``"module:function"``; the function returns the job, warmed up, with its inputs made.
        arguments: for the maker, as JSON has them.
    """
    stdout, _ = run_python("-m", "benchmarks.isolated", maker, json.dumps(arguments))
    return Isolated(**json.loads(stdout.splitlines()[-1]))


def has_transformers() -> bool:
    """Say whether the extra ``interop`` is installed."""
    return importlib.util.find_spec("transformers") is not None


@contextmanager
def threads(n_threads: int) -> Iterator[None]:
    """Let torch use so many threads, and as many as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine() -> dict[str, Any]:
    """Describe what the figures depend on."""
    import torch

    from minillm.runtime import bfloat16_speedup, machine_signature, n_available_cores

    flags = _cpuinfo("flags").split()
    with threads(1):
        speedup = bfloat16_speedup(n_repeats=9)
    return {
        "cpu": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": n_available_cores(),
        "avx512": "avx512f" in flags,
        "avx512_bf16": "avx512_bf16" in flags,
        "bf16_speedup": round(speedup, 2),
        "instructions": machine_signature()["cpu"],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": _version("transformers"),
        "tokenizers": _version("tokenizers"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _cpuinfo(name: str) -> str:
    """Return the first value of a field of /proc/cpuinfo, empty where there is none."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return ""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
