"""The fused kernel against the equation spelled out, causal, forward and backward, by length."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch

from benchmarks.measuring import Row, compare, interleave, isolated, rounds
from minillm.attention import AttentionBackend, attention
from minillm.runtime import derive_generator, resolve_dtype

THEME = "attention"
SDPA, REFERENCE = "sdpa", "reference"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How large, how often, and what we want."""

    batch_size: int = 2
    n_heads: int = 4
    head_dim: int = 64
    lengths: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    memory_lengths: tuple[int, ...] = (1024, 2048)
    n_rounds: int = 5
    n_memory_rounds: int = 2
    aims: dict[tuple[str, int], float] = field(default_factory=dict)


FULL = Settings(aims={("s", 1024): 1.3, ("s", 2048): 2.5, ("MB", 2048): 10.0})
QUICK = Settings(lengths=(128, 512), memory_lengths=(512,), n_rounds=3, n_memory_rounds=1)


def rows(settings: Settings) -> Iterator[Row]:
    """Compare times in turn in this process, memory in fresh ones."""
    is_bf16_fast = resolve_dtype("auto", device="cpu") == "bfloat16"
    for dtype in ("float32", "bfloat16") if is_bf16_fast else ("float32",):
        aims = settings.aims if dtype == "float32" else {}
        for length in settings.lengths:
            jobs = {
                name: make_job(name, length, dtype, **_shape(settings))
                for name in (SDPA, REFERENCE)
            }
            seconds = interleave(jobs, n_rounds=settings.n_rounds)
            yield _row(settings, seconds, dtype, length, unit="s", aim=aims.get(("s", length)))
    for length in settings.memory_lengths:
        measures = {name: partial(_megabytes, settings, name, length) for name in (SDPA, REFERENCE)}
        peaks = rounds(measures, n_rounds=settings.n_memory_rounds)
        aim = settings.aims.get(("MB", length))
        yield _row(settings, peaks, "float32", length, unit="MB", aim=aim)


def make_job(
    backend: AttentionBackend,
    length: int,
    dtype: str,
    *,
    batch_size: int,
    n_heads: int,
    head_dim: int,
) -> Callable[[], float]:
    """Return one forward and backward pass, tried once on a short text."""
    generator = derive_generator(0, "bench")
    shape = (3, batch_size, n_heads, length, head_dim)
    inputs = torch.randn(shape, generator=generator).to(getattr(torch, dtype))

    def run(query, key, value) -> float:
        leaves = [x.detach().requires_grad_() for x in (query, key, value)]
        total = attention(*leaves, is_causal=True, backend=backend).sum()
        total.backward()
        return total.item()

    run(*inputs[..., :2, :])
    return partial(run, *inputs)


def _megabytes(settings: Settings, backend: str, length: int) -> float:
    """Measure one pass in a fresh process."""
    shape = {"length": length, "dtype": "float32", **_shape(settings)}
    return isolated("benchmarks.attention_backends:make_job", backend=backend, **shape).megabytes


def _shape(settings: Settings) -> dict[str, int]:
    return {
        "batch_size": settings.batch_size,
        "n_heads": settings.n_heads,
        "head_dim": settings.head_dim,
    }


def _row(settings: Settings, amounts: dict, dtype: str, length: int, *, unit, aim) -> Row:
    shape = f"B {settings.batch_size}, H {settings.n_heads}, D {settings.head_dim}"
    case = f"{dtype}, T {length}, {shape}"
    return compare(amounts, theme=THEME, case=case, ours=SDPA, peer=REFERENCE, unit=unit, aim=aim)
