"""Greedy generation: with our cache, without it, and by Transformers on the same weights."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch

from benchmarks.measuring import OURS, Row, compare, has_transformers, interleave
from benchmarks.peers import make_gpt2
from minillm.config import DecoderConfig
from minillm.generation import generate
from minillm.models.decoder import Decoder
from minillm.runtime import derive_generator

THEME = "generation"
NO_CACHE, GPT2 = "minillm, no cache", "Transformers' generate"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How large, how often, and what we want."""

    n_new: int = 256
    n_prompt: int = 16
    vocab_size: int = 8192
    d_model: int = 256
    n_layers: int = 4
    n_heads: int = 4
    n_rounds: int = 9  # the runs are short, and one disturbed round of three decided the median
    aims: dict[str, float] = field(default_factory=dict)


FULL = Settings(aims={NO_CACHE: 5.5, GPT2: 1.3})
QUICK = Settings(n_new=64, d_model=128, vocab_size=2048, n_rounds=3)


def rows(settings: Settings) -> Iterator[Row]:
    """Compare one prompt's continuation in float32; all must write the same tokens."""
    jobs = _jobs(settings)
    expected = jobs[OURS]()
    for name, job in jobs.items():
        if (tokens := job()) != expected:
            raise AssertionError(f"{name} wrote {tokens}, {OURS} {expected}")
    seconds = interleave(jobs, n_rounds=settings.n_rounds)
    case = f"fp32, {settings.n_new} tokens, {settings.n_layers} × {settings.d_model}"
    for peer in (name for name in jobs if name != OURS):
        aim, note = settings.aims.get(peer), f"equal tokens, {len(set(expected))} kinds"
        yield compare(seconds, theme=THEME, case=case, peer=peer, aim=aim, note=note)


def _jobs(settings: Settings) -> dict[str, Callable[[], list[int]]]:
    """Make the callers, all with the weights of one decoder."""
    config = DecoderConfig.gpt(
        vocab_size=settings.vocab_size,
        context_length=settings.n_prompt + settings.n_new,
        d_model=settings.d_model,
        n_layers=settings.n_layers,
        n_heads=settings.n_heads,
    )
    decoder = make_decided(Decoder(config, generator=derive_generator(0, "bench")))
    generator = derive_generator(1, "bench")
    prompt = torch.randint(settings.vocab_size, (settings.n_prompt,), generator=generator).tolist()
    n_new = settings.n_new

    def ours(*, use_cache: bool) -> list[int]:
        options = {"max_new_tokens": n_new, "temperature": 0.0, "use_cache": use_cache}
        return generate(decoder, [prompt], **options)[0]

    jobs: dict[str, Callable[[], list[int]]] = {
        OURS: partial(ours, use_cache=True),
        NO_CACHE: partial(ours, use_cache=False),
    }
    if has_transformers():
        gpt2 = make_gpt2(decoder).eval()

        def theirs() -> list[int]:
            ids = torch.tensor([prompt])
            options = {"max_new_tokens": n_new, "do_sample": False, "pad_token_id": 0}
            mask = torch.ones_like(ids)
            return gpt2.generate(ids, attention_mask=mask, **options)[0].tolist()

        jobs[GPT2] = theirs
    return jobs


@torch.no_grad()
def make_decided(decoder: Decoder) -> Decoder:
    """Enlarge the matrices: an untrained model's best two tokens are close to a tie."""
    for parameter in decoder.parameters():
        if parameter.ndim == 2:
            parameter *= 4
    return decoder
