"""One optimizer update of a masked language model: score the hidden tokens only, or all tokens.

Both sides are the same function of the same weights, which is asserted before anything is timed.
What differs: Transformers' BERT scores the whole vocabulary at every position, our encoder at the
hidden ones, about one in seven.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.measuring import OURS, Row, compare, has_transformers, interleave, isolated, rounds
from benchmarks.peers import hand_written_step, make_bert
from minillm.batch import Batch
from minillm.config import EncoderConfig
from minillm.loss import token_loss_sum
from minillm.models.encoder import Encoder
from minillm.objectives.masked import Masking, masked_batch
from minillm.optim import make_optimizer
from minillm.runtime import derive_generator
from minillm.training import train

THEME = "masked step"
BERT, ALL_POSITIONS = "Transformers' BERT", "minillm, all tokens scored"
LEARNING_RATE = 1e-4
N_SPECIAL, MASK_ID = 5, 4  # as in BERT's own kind of vocabulary


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How large, how often, and what we want."""

    batch_size: int = 16
    context_length: int = 128
    d_model: int = 256
    n_layers: int = 4
    n_heads: int = 4
    vocab_sizes: tuple[int, ...] = (8192, 30_522)  # the second is BERT's
    n_rounds: int = 7
    n_memory_rounds: int = 3
    aims: dict[tuple[str, int], float] = field(default_factory=dict)


FULL = Settings(aims={("s", 8192): 1.5, ("s", 30_522): 3.0, ("MB", 8192): 1.6, ("MB", 30_522): 1.6})
QUICK = Settings(batch_size=4, d_model=128, vocab_sizes=(8192,), n_rounds=3, n_memory_rounds=1)


def rows(settings: Settings) -> Iterator[Row]:
    """Compare the time of a step in this process, then its memory, each in a fresh one."""
    kinds = (OURS, BERT, ALL_POSITIONS) if has_transformers() else (OURS, ALL_POSITIONS)
    for vocab_size in settings.vocab_sizes:
        names = ("batch_size", "context_length", "d_model", "n_layers", "n_heads")
        sizes = {name: getattr(settings, name) for name in names} | {"vocab_size": vocab_size}
        case = (
            f"fp32, {settings.n_layers} × {settings.d_model}, T {settings.context_length}, "
            f"B {settings.batch_size}, V {vocab_size}"
        )
        row = partial(compare, theme=THEME, case=case)
        jobs = _same_steps(kinds, sizes)
        seconds = interleave(jobs, n_rounds=settings.n_rounds)
        del jobs
        measures = {kind: partial(_measure, kind, sizes) for kind in kinds}
        found = rounds(measures, n_rounds=settings.n_memory_rounds)
        megabytes = {kind: [one.megabytes for one in results] for kind, results in found.items()}
        for peer in kinds[1:]:
            aims = settings.aims if peer == BERT else {}
            yield row(seconds, peer=peer, aim=aims.get(("s", vocab_size)))
            yield row(megabytes, peer=peer, unit="MB", aim=aims.get(("MB", vocab_size)))


class Contender(NamedTuple):
    """A model, its loss of a batch, and one step of its training."""

    model: nn.Module
    loss: Callable[[Batch], Tensor]
    step: Callable[[Batch], float]


def make_contender(kind: str, sizes: Mapping[str, int]) -> Contender:
    """Build one of the kinds, always with the weights of the same encoder."""
    names = ("vocab_size", "context_length", "d_model", "n_layers", "n_heads")
    config = EncoderConfig.bert(**{name: sizes[name] for name in names})
    encoder = Encoder(config, generator=derive_generator(0, "bench"))
    if kind == OURS:
        optimizer = make_optimizer(encoder, name="adamw", learning_rate=LEARNING_RATE)

        def step(batch: Batch) -> float:
            (result,) = train(encoder, optimizer, [[batch]])
            return result.loss

        return Contender(encoder, partial(_our_loss, encoder), step)
    model = make_bert(encoder) if kind == BERT else encoder
    loss = partial(_their_loss if kind == BERT else _loss_of_all, model)
    return Contender(model, loss, hand_written_step(model, loss, learning_rate=LEARNING_RATE))


def make_job(kind: str, **sizes: int) -> Callable[[], float]:
    """Return one step, for a process of its own.

    A step on a row of nine tokens goes before, so that the optimizer has its state, and the
    gradients are given back: measured is what a step needs beside weights and state.
    """
    contender, batch = make_contender(kind, sizes), _make_batch(sizes)
    few = batch.inputs[:1, :9]
    contender.step(Batch(inputs=few, targets=few))
    contender.model.zero_grad(set_to_none=True)
    return partial(contender.step, batch)


def _measure(kind: str, sizes: Mapping[str, int]):
    return isolated("benchmarks.masked_step:make_job", kind=kind, **sizes)


def _same_steps(kinds: tuple[str, ...], sizes: Mapping[str, int]) -> dict[str, Callable]:
    """Make everybody's step; refuse to time a peer that is another function."""
    batch = _make_batch(sizes)
    contenders = {kind: make_contender(kind, sizes) for kind in kinds}
    losses = {kind: contender.loss(batch).item() for kind, contender in contenders.items()}
    for kind, loss in losses.items():
        if abs(loss - losses[OURS]) > 1e-4:  # float32: 10 000 times the rounding of one sum
            raise AssertionError(f"{kind} has loss {loss}, ours {losses[OURS]}: another model")
    return {kind: partial(contender.step, batch) for kind, contender in contenders.items()}


def _make_batch(sizes: Mapping[str, int]) -> Batch:
    generator = derive_generator(1, "bench")
    shape = (sizes["batch_size"], sizes["context_length"])
    token_ids = torch.randint(N_SPECIAL, sizes["vocab_size"], shape, generator=generator)
    masking = Masking(mask_id=MASK_ID, ordinary_ids=(N_SPECIAL, sizes["vocab_size"]))
    maskable = torch.ones_like(token_ids, dtype=torch.bool)
    return masked_batch(token_ids, generator, masking=masking, maskable=maskable)


def _our_loss(encoder: Encoder, batch: Batch) -> Tensor:
    return encoder.loss_sums(batch)["tokens"] / batch.n_scored()["tokens"]


def _their_loss(model: Any, batch: Batch) -> Tensor:
    return model(input_ids=batch.inputs, labels=batch.targets).loss


def _loss_of_all(encoder: Any, batch: Batch) -> Tensor:
    assert batch.targets is not None
    return token_loss_sum(encoder(batch.inputs), batch.targets) / batch.n_scored()["tokens"]
