"""Masks that hide most of the scores, forward: a kernel compiled for the rule against the matrix.

On a CPU FlexAttention has no gradients: this is what reading long texts would gain, not training.
Our Triton kernel has no row: without a GPU it is interpreted, and that is not its speed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmarks.measuring import Row, compare, interleave
from minillm.attention import AttentionBackend, attention
from minillm.kernels.flex import explain_no_compiler
from minillm.masking import MaskRule
from minillm.runtime import derive_generator

THEME = "skipped blocks"
FLEX, SDPA = "flex", "sdpa"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How large, how often, and what we want."""

    n_heads: int = 4
    head_dim: int = 64
    lengths: tuple[int, ...] = (1024, 4096)
    window: int = 256
    n_documents: int = 8
    n_rounds: int = 5
    aims: dict[tuple[str, int], float] = field(default_factory=dict)


FULL = Settings(aims={("window", 4096): 5.0, ("documents", 4096): 5.0})
QUICK = Settings(lengths=(1024,), window=128, n_rounds=3)


def rows(settings: Settings) -> Iterator[Row]:
    """Compare the kernels on the same tensors; the matrix and the blocks are made before."""
    if explain_no_compiler() is not None:
        return  # nothing can be compiled here
    for length in settings.lengths:
        ids = torch.arange(length) * settings.n_documents // length
        rules = {
            "window": MaskRule(is_causal=True, window=settings.window),
            "documents": MaskRule(is_causal=True, document_ids=ids[None]),
        }
        for name, rule in rules.items():
            jobs = _same_passes(settings, rule, length)
            seconds = interleave(jobs, n_rounds=settings.n_rounds)
            what = settings.window if name == "window" else settings.n_documents
            yield compare(
                seconds,
                theme=THEME,
                case=f"{what} {name}, T {length}, H {settings.n_heads}, D {settings.head_dim}",
                ours=FLEX,
                peer=SDPA,
                aim=settings.aims.get((name, length)),
                note="forward only",
            )


def _same_passes(settings: Settings, rule: MaskRule, length: int) -> dict[str, Callable]:
    """Make both jobs; refuse to time a kernel that computes something else."""
    shape = (3, 1, settings.n_heads, length, settings.head_dim)
    inputs = torch.randn(shape, generator=derive_generator(0, "bench"))
    masks: dict[AttentionBackend, Tensor | MaskRule] = {FLEX: rule, SDPA: rule.matrix(length)}

    def make_job(backend: AttentionBackend) -> Callable[[], Tensor]:
        def job() -> Tensor:
            with torch.no_grad():
                return attention(*inputs, mask=masks[backend], backend=backend)

        return job

    jobs = {name: make_job(name) for name in masks}
    results = [job() for job in jobs.values()]  # the first call compiles
    assert torch.allclose(*results, atol=1e-4), "flex computes something else"
    return {str(name): job for name, job in jobs.items()}
