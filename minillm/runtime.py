"""The machine under the model: generators, threads, device, number format.

Every ``auto`` is decided here once, by measuring, and then written down: machines differ (bf16
is 4 times faster than fp32 on one CPU and 37 times slower on another), so nothing is assumed.
Torch is imported inside the functions, so that ``minillm --version`` need not wait for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import operator
import os
import platform
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.errors import ConfigError

if TYPE_CHECKING:
    import torch

MAX_SEED = 2**63 - 1


def derive_seed(seed: int, *keys: int | str) -> int:
    """Derive a seed for one purpose, the same on every machine and in any order of calls.

    Args:
        seed: the run's seed, 0 <= seed < 2**63.
        keys: what the numbers are for, such as ``"windows", epoch``. NumPy's integers and a
            tensor's count as Python's.

    Returns:
        An integer from 0 to 2**63 - 1.

    Raises:
        ConfigError: if the seed is out of range.

    Example:
        >>> derive_seed(0, "step", 1) == derive_seed(0, "step", 1) != derive_seed(0, "step", 2)
        True
    """
    if not 0 <= seed <= MAX_SEED:
        raise ConfigError(f"seed must be from 0 to 2**63 - 1, got {seed}")
    plain = [key if isinstance(key, str) else operator.index(key) for key in (seed, *keys)]
    digest = hashlib.sha256(repr(tuple(plain)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces: memory stays small."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def derive_generator(seed: int, *keys: int | str) -> torch.Generator:
    """Return a CPU generator seeded for one purpose, see ``derive_seed``."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *keys))


def random_state() -> dict[str, object]:
    """Return the global random states of Python, NumPy and torch, as JSON-able values.

    ``set_random_state`` restores them: the next draw of each is then the same. A GPU draws its
    dropout from a state of its own, which is among them once torch has used CUDA.
    """
    import numpy as np
    import torch

    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    numpy_state = np.random.get_state(legacy=True)  # noqa: NPY002
    return _random_states(random.getstate(), numpy_state, torch.get_rng_state(), on_gpus)


def seeded_random_state(seed: int) -> dict[str, object]:
    """Return the state that ``random_state`` would after seeding Python, NumPy and torch anew."""
    import numpy as np
    import torch

    python_state = random.Random(derive_seed(seed, "python")).getstate()
    numpy_state = np.random.RandomState(derive_seed(seed, "numpy") % 2**32).get_state(legacy=True)
    devices = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    torch_seed = derive_seed(seed, "torch")
    on_cpu, *on_gpus = (torch.Generator(d).manual_seed(torch_seed).get_state() for d in devices)
    return _random_states(python_state, numpy_state, on_cpu, on_gpus)


def _random_states(
    python_state: tuple, numpy_state: Any, torch_state: torch.Tensor, on_gpus: list[torch.Tensor]
) -> dict[str, object]:
    """Write the states as JSON can."""
    version, internal, gauss = python_state
    name, keys, *rest = numpy_state
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, keys.tolist(), *rest],
        "torch": torch_state.numpy().tobytes().hex(),
        "cuda": [state.numpy().tobytes().hex() for state in on_gpus],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Restore what ``random_state`` returned."""
    import numpy as np
    import torch

    def tensor(state: str) -> torch.Tensor:
        return torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8)

    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(state["numpy"]))  # noqa: NPY002
    torch.set_rng_state(tensor(state["torch"]))
    on_gpus = [tensor(one) for one in state["cuda"]]
    if on_gpus and torch.cuda.device_count() == len(on_gpus):  # else it is another machine
        torch.cuda.set_rng_state_all(on_gpus)


@contextlib.contextmanager
def preserved_process_state() -> Iterator[None]:
    """Give the caller's random states and thread count back at the end."""
    import torch

    state, n_threads = random_state(), torch.get_num_threads()
    try:
        yield
    finally:
        set_random_state(state)
        torch.set_num_threads(n_threads)


def resolve_device(device: str) -> str:
    """Return ``device``, or for ``"auto"`` CUDA where there is one, else the CPU.

    Args:
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises:
        ConfigError: if there is no such device.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = "unknown"
    exists = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.mps.is_available()}
    if not exists.get(kind, False):
        raise ConfigError(f"torch sees no device {device!r} on this machine; use cpu or auto")
    return device


def resolve_dtype(dtype: str, *, device: str) -> str:
    """Return ``dtype``, or for ``"auto"`` bfloat16 only where it is known to be faster.

    Args:
        dtype: ``"auto"``, ``"float32"``, ``"bfloat16"``, or ``"float16"``, which needs its loss
            scaled and is never chosen by itself. On a CPU it is there to be studied: the numbers
            are those of the format, the speed is not that of a GPU.
        device: from ``resolve_device``. A CPU is measured; a GPU is asked.

    Raises:
        ConfigError: if the format is another one.
    """
    if dtype not in ("auto", "float32", "bfloat16", "float16"):
        raise ConfigError(f"dtype must be auto, float32, bfloat16 or float16, got {dtype!r}")
    if dtype != "auto":
        return dtype
    if device == "cpu":
        is_faster = bfloat16_speedup() > 1.5
    else:
        import torch

        is_faster = device.startswith("cuda") and torch.cuda.is_bf16_supported(False)
    return "bfloat16" if is_faster else "float32"


def bfloat16_speedup(size: int = 384, n_repeats: int = 3) -> float:
    """Measure how many times faster a (size × size) matrix product is in bfloat16 than in float32.

    Takes some milliseconds, 0.2 s where the CPU has to emulate bfloat16; the minimum over the
    repeats ignores other users of the machine.
    """
    import torch

    def seconds(dtype: torch.dtype) -> float:
        x = torch.ones(size, size, dtype=dtype)
        torch.mm(x, x)  # the first product pays for set-up
        times = []
        for _ in range(n_repeats):
            start = time.perf_counter()
            torch.mm(x, x)
            times.append(time.perf_counter() - start)
        return min(times)

    return seconds(torch.float32) / seconds(torch.bfloat16)


def fastest(
    candidates: Mapping[str, Callable[[], object]], *, n_repeats: int = 3, margin: float = 1.0
) -> str:
    """Return the name of the call that takes the least time, each tried in turn, interleaved.

    A call that takes twice the best one's time is not tried again: two threads on a busy machine
    can be 25 times slower than one, and a probe should not wait for that three times.

    Args:
        candidates: calls by name, the favorite first.
        n_repeats: the least of so many times counts.
        margin: how many times faster than the favorite another must be to win.
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
    favorite, winner = next(iter(best)), min(best, key=best.__getitem__)
    return winner if best[favorite] > margin * best[winner] else favorite


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
