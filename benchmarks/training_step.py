"""One optimizer update, ours against the same function elsewhere; everyone gets fused AdamW.

Dimension key: B sequences, T positions, C d_model, V vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measuring import OURS, Row, compare, has_transformers, interleave
from benchmarks.peers import (
    PeerModel,
    hand_written_step,
    make_gpt2,
    make_plain,
    make_torch_stack,
)
from minillm.attention import AttentionBackend
from minillm.batch import Batch
from minillm.config import DecoderConfig
from minillm.models.decoder import Decoder
from minillm.objectives.causal import causal_batch
from minillm.optim import make_optimizer
from minillm.runtime import derive_generator, fastest, resolve_dtype
from minillm.training import train

THEME = "training step"
GPT2, ENCODER, PLAIN = "Transformers' GPT-2", "nn.TransformerEncoder", "plain (nanoGPT's manner)"
BF16, GPT2_BF16 = "minillm, bf16", "Transformers' GPT-2, bf16"
MAX_PLAIN_GAP = 0.05  # a plain re-implementation counts only if it keeps up with a known peer
LEARNING_RATE, WEIGHT_DECAY, BETAS = 1e-4, 0.1, (0.9, 0.95)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How large, how often, and what we want."""

    batch_size: int = 8
    context_length: int = 256
    vocab_size: int = 8192
    d_model: int = 256
    n_layers: int = 4
    n_heads: int = 4
    n_rounds: int = 7
    aims: dict[str, float] = field(default_factory=dict)


FULL = Settings(aims={"fp32": 1.05, "bf16": 2.9})
QUICK = Settings(batch_size=4, context_length=128, d_model=128, vocab_size=2048, n_rounds=3)


def rows(settings: Settings) -> Iterator[Row]:
    """Compare fp32 with each peer, and bf16, where it is fast, with both of Transformers."""
    batch = _make_batch(settings)
    jobs = _fp32_jobs(settings, batch)
    is_bf16_fast = resolve_dtype("auto", device="cpu") == "bfloat16"
    if is_bf16_fast:
        jobs |= _bf16_jobs(settings, batch)
    seconds = interleave(jobs, n_rounds=settings.n_rounds)
    size = (
        f"{settings.n_layers} × {settings.d_model}, T {settings.context_length}, "
        f"B {settings.batch_size}, V {settings.vocab_size}"
    )
    row = partial(compare, seconds, theme=THEME)
    case = f"fp32, {size}"
    if GPT2 in jobs:
        yield row(case=case, peer=GPT2, aim=settings.aims.get("fp32"))
    yield row(case=case, peer=ENCODER)
    yield row(case=case, peer=PLAIN, note=_plain_note(seconds))
    if is_bf16_fast and GPT2 in jobs:
        case = f"bf16, {size}"
        yield row(case=case, peer=GPT2, ours=BF16, aim=settings.aims.get("bf16"), note="to fp32")
        yield row(case=case, peer=GPT2_BF16, ours=BF16, note="autocast on both sides")
    if is_bf16_fast:
        yield row(case="bf16 to fp32, ours", peer=OURS, ours=BF16)


def _fp32_jobs(settings: Settings, batch: Batch) -> dict[str, Callable[[], object]]:
    """Make the steps of all peers, each from the weights of one decoder."""
    decoder = make_decoder(settings)
    peers: dict[str, nn.Module] = {
        ENCODER: make_torch_stack(decoder),
        PLAIN: make_plain(decoder),
    }
    if has_transformers():
        peers = {GPT2: make_gpt2(decoder), **peers}
    expected = decoder.loss_sums(batch)["tokens"].item() / batch.inputs.numel()
    for name, model in peers.items():
        _check_equal(name, model, batch, expected, decoder.n_parameters())
    jobs: dict[str, Callable[[], object]] = {OURS: _our_step(decoder, batch, torch.float32)}
    return jobs | {name: _peer_step(model, batch) for name, model in peers.items()}


def _bf16_jobs(settings: Settings, batch: Batch) -> dict[str, Callable[[], object]]:
    """Make our step as a run would choose it, and Transformers' under autocast."""
    jobs = {BF16: _our_step(make_decoder(settings), batch, torch.bfloat16)}
    if has_transformers():
        gpt2 = make_gpt2(make_decoder(settings))
        jobs[GPT2_BF16] = _peer_step(gpt2, batch, dtype=torch.bfloat16)
    return jobs


def make_decoder(settings: Settings) -> Decoder:
    """Build the decoder that every peer copies."""
    config = DecoderConfig.gpt(
        vocab_size=settings.vocab_size,
        context_length=settings.context_length,
        d_model=settings.d_model,
        n_layers=settings.n_layers,
        n_heads=settings.n_heads,
    )
    return Decoder(config, generator=derive_generator(0, "bench"))


def _make_batch(settings: Settings) -> Batch:
    shape = (settings.batch_size, settings.context_length + 1)
    generator = derive_generator(1, "bench")
    return causal_batch(torch.randint(settings.vocab_size, shape, generator=generator))


def _our_step(decoder: Decoder, batch: Batch, dtype: torch.dtype) -> Callable[[], object]:
    """Return one step of ``train``; the attention backend is probed, as a run does."""
    optimizer = make_optimizer(decoder, name="adamw", learning_rate=LEARNING_RATE)

    def step(backend: AttentionBackend | None = None) -> None:
        if backend is not None:
            decoder.set_backend(backend)
        list(train(decoder, optimizer, [[batch]], autocast_dtype=dtype))

    best = fastest({"sdpa": partial(step, "sdpa"), "reference": partial(step, "reference")})
    decoder.set_backend(best)  # pyright: ignore[reportArgumentType]
    return step


def _peer_step(model: nn.Module, batch: Batch, dtype: torch.dtype | None = None) -> Callable:
    """Return one step of the peer."""
    loss = partial(_peer_loss, model)
    step = hand_written_step(
        model,
        loss,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        betas=BETAS,
        dtype=dtype,
    )
    return partial(step, batch)


def _peer_loss(model: Any, batch: Batch) -> Tensor:
    """Return the mean loss; Transformers must be told that the targets are shifted already."""
    if isinstance(model, PeerModel):
        assert batch.targets is not None
        return model.loss(batch.inputs, batch.targets)
    shifted = {"labels": batch.targets, "shift_labels": batch.targets}
    return model(input_ids=batch.inputs, use_cache=False, **shifted).loss


def _check_equal(
    name: str, model: nn.Module, batch: Batch, expected: float, n_parameters: int
) -> None:
    """Refuse to time a peer that is another function."""
    loss = _peer_loss(model, batch).item()
    if abs(loss - expected) > 1e-4:  # float32: 10 000 times the rounding of one sum
        raise AssertionError(f"{name} has loss {loss}, ours {expected}: not the same model")
    count = sum(parameter.numel() for parameter in model.parameters())
    if count != n_parameters:
        raise AssertionError(f"{name} has {count} parameters, ours {n_parameters}")


def _plain_note(seconds: dict[str, list[float]]) -> str:
    """Say whether the re-implementation is as fast as one of the known peers, and so counts."""
    gaps = {
        peer: abs(compare(seconds, theme="", case="", peer=peer, ours=PLAIN).value - 1)
        for peer in (GPT2, ENCODER)
        if peer in seconds
    }
    nearest = min(gaps, key=gaps.__getitem__)
    verdict = "counts" if gaps[nearest] <= MAX_PLAIN_GAP else "does not count"
    return f"{verdict}: {gaps[nearest]:.0%} from {nearest}"
