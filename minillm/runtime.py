"""The machine under the model: generators, threads, device, number format.

Every ``auto`` is decided here once, by measuring, and then written down: machines differ (bf16
is 4 times faster than fp32 on one CPU and 37 times slower on another), so nothing is assumed.
Torch is imported inside the functions, so that ``minillm --version`` need not wait for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import platform
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from minillm.errors import ConfigError

if TYPE_CHECKING:
    import torch

MAX_SEED = 2**63 - 1


def derive_seed(seed: int, *keys: int | str) -> int:
    """Derive a seed for one purpose, the same on every machine and in any order of calls.

    Args:
        seed: the run's seed, 0 <= seed < 2**63.
        keys: what the numbers are for, such as ``("windows", epoch)``.

    Raises:
        ConfigError: if the seed is out of range.

    Example:
        >>> derive_seed(0, "step", 1) == derive_seed(0, "step", 1) != derive_seed(0, "step", 2)
        True
    """
    if not 0 <= seed <= MAX_SEED:
        raise ConfigError(f"seed must be from 0 to 2**63 - 1, got {seed}")
    digest = hashlib.sha256(repr((seed, *keys)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def derive_generator(seed: int, *keys: int | str) -> torch.Generator:
    """Return a CPU generator seeded for one purpose, see ``derive_seed``."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *keys))


def random_state() -> dict[str, object]:
    """Return the global random states of Python, NumPy and torch, as JSON-able values.

    ``set_random_state`` restores them: the next draw of each is then the same.
    """
    import numpy as np
    import torch

    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, keys.tolist(), position, has_gauss, cached],
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
    }


def set_random_state(state: Mapping[str, object]) -> None:
    """Restore what ``random_state`` returned."""
    import numpy as np
    import torch

    version, internal, gauss = state["python"]  # type: ignore[misc]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(state["numpy"]))  # type: ignore[arg-type] # noqa: NPY002
    raw = bytearray.fromhex(str(state["torch"]))
    torch.set_rng_state(torch.frombuffer(raw, dtype=torch.uint8))


def resolve_device(device: str) -> str:
    """Return ``device``, or for ``"auto"`` CUDA where there is one, else the CPU."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda was asked for, but torch sees no CUDA GPU; use cpu or auto")
    return device


def resolve_dtype(dtype: str, *, device: str) -> str:
    """Return ``dtype``, or for ``"auto"`` bfloat16 only where a probe finds it clearly faster."""
    if dtype != "auto":
        return dtype
    if device != "cpu":
        return "bfloat16"
    return "bfloat16" if bfloat16_speedup() > 1.5 else "float32"


def bfloat16_speedup(size: int = 384, n_repeats: int = 3) -> float:
    """Measure how many times faster a (size × size) matrix product is in bfloat16 than in float32.

    Takes a few milliseconds; the minimum over the repeats ignores other users of the machine.
    """
    import torch

    def seconds(dtype: torch.dtype) -> float:
        x = torch.ones(size, size, dtype=dtype)
        x @ x  # the first product pays for set-up
        times = []
        for _ in range(n_repeats):
            start = time.perf_counter()
            x @ x
            times.append(time.perf_counter() - start)
        return min(times)

    return seconds(torch.float32) / seconds(torch.bfloat16)


def fastest(candidates: Mapping[str, Callable[[], object]], *, n_repeats: int = 3) -> str:
    """Return the name of the call that takes the least time, each tried in turn, interleaved.

    A call that takes twice the best one's time is not tried again: two threads on a busy machine
    can be 25 times slower than one, and a probe should not wait for that three times.
    """
    for call in candidates.values():
        call()  # warm up
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(n_repeats):
        for name, call in candidates.items():
            if math.isfinite(best[name]) and best[name] > 2 * min(best.values()):
                continue
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    return min(best, key=best.__getitem__)


def n_available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_signature() -> dict[str, str]:
    """Describe what the last digits of a result depend on: torch, and the CPU's abilities."""
    import torch

    return {
        "torch": torch.__version__,
        "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def seeded_random_state(seed: int) -> dict[str, object]:
    """Return the state that ``random_state`` would after seeding Python, NumPy and torch anew."""
    import numpy as np
    import torch

    version, internal, gauss = random.Random(derive_seed(seed, "python")).getstate()
    numpy_seed = derive_seed(seed, "numpy") % 2**32
    name, keys, position, has_gauss, cached = np.random.RandomState(numpy_seed).get_state(
        legacy=True
    )
    generator = torch.Generator().manual_seed(derive_seed(seed, "torch"))
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, keys.tolist(), position, has_gauss, cached],
        "torch": generator.get_state().numpy().tobytes().hex(),
    }


@contextlib.contextmanager
def preserved_process_state() -> Iterator[None]:
    """Give the caller's random states and thread count back at the end."""
    import torch

    state, threads = random_state(), torch.get_num_threads()
    try:
        yield
    finally:
        set_random_state(state)
        torch.set_num_threads(threads)
