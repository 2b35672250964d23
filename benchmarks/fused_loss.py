"""The last linear layer with its cross-entropy: chunk by chunk, or with all logits at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F

from benchmarks.measuring import Row, compare, isolated, rounds
from minillm.kernels.linear_cross_entropy import linear_cross_entropy_sum
from minillm.runtime import derive_generator, resolve_dtype
from minillm.training import autocast

THEME = "fused loss"
FUSED, PLAIN = "fused", "logits and cross_entropy"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How large, how often, and what we want."""

    n_tokens: int = 4096
    d_model: int = 256
    vocab_size: int = 50_257
    n_rounds: int = 3
    aims: dict[str, float] = field(default_factory=dict)


FULL = Settings(aims={"s": 1.0, "MB": 10.0})
QUICK = Settings(n_tokens=512, n_rounds=1)


def rows(settings: Settings) -> Iterator[Row]:
    """Compare time and peak memory, each call in a fresh process, where memory is fresh too."""
    is_bf16_fast = resolve_dtype("auto", device="cpu") == "bfloat16"
    for dtype in ("float32", "bfloat16") if is_bf16_fast else ("float32",):
        measures = {kind: partial(_measure, settings, kind, dtype) for kind in (FUSED, PLAIN)}
        results = rounds(measures, n_rounds=settings.n_rounds)
        _check_equal([result.result for kind in results.values() for result in kind], dtype)
        size = f"{settings.n_tokens} × {settings.d_model} → {settings.vocab_size}"
        row = partial(compare, theme=THEME, case=f"{dtype}, {size}", ours=FUSED, peer=PLAIN)
        aims = settings.aims if dtype == "float32" else {}
        seconds = {kind: [r.cpu_s for r in found] for kind, found in results.items()}
        yield row(seconds, unit="s", aim=aims.get("s"))
        megabytes = {kind: [r.megabytes for r in found] for kind, found in results.items()}
        yield row(megabytes, unit="MB", aim=aims.get("MB"))


def make_job(
    kind: str, dtype: str, *, n_tokens: int, d_model: int, vocab_size: int
) -> Callable[[], float]:
    """Return one forward and backward pass, tried once on two tokens."""
    generator = derive_generator(0, "bench")
    hidden = torch.randn(n_tokens, d_model, generator=generator)
    weight = torch.randn(vocab_size, d_model, generator=generator).mul_(0.02)
    targets = torch.randint(vocab_size, (n_tokens,), generator=generator)

    def run(hidden, weight, targets) -> float:
        leaves = [x.detach().requires_grad_() for x in (hidden, weight)]
        with autocast("cpu", getattr(torch, dtype)):
            if kind == FUSED:
                loss = linear_cross_entropy_sum(*leaves, targets)
            else:
                loss = F.cross_entropy(F.linear(*leaves), targets, reduction="sum")
        (loss / len(targets)).backward()
        return loss.item()

    run(hidden[:2], weight[:16], targets[:2] % 16)
    return partial(run, hidden, weight, targets)


def _measure(settings: Settings, kind: str, dtype: str):
    sizes = {name: getattr(settings, name) for name in ("n_tokens", "d_model", "vocab_size")}
    return isolated("benchmarks.fused_loss:make_job", kind=kind, dtype=dtype, **sizes)


def _check_equal(losses: list[float], dtype: str) -> None:
    """Refuse to compare two different losses."""
    tolerance = 1e-5 if dtype == "float32" else 1e-3  # relative; bf16 rounds each logit by 2⁻⁹
    if max(losses) - min(losses) > tolerance * max(losses):
        raise AssertionError(f"the losses differ: {losses}")
