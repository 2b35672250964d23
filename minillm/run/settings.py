"""What a run is begun with: the user's words, what ``auto`` became, and what may change later."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any, cast

import torch

from minillm.attention import AttentionBackend, explain_unusable
from minillm.config import FAMILIES, USUAL_TOKENIZERS, PretrainConfig
from minillm.errors import ConfigError
from minillm.models.base import Model
from minillm.optim import make_optimizer, warmup_cosine, warmup_stable_decay
from minillm.run.batches import BatchAt
from minillm.run.table import make_first_model
from minillm.runtime import fastest, n_available_cores, resolve_device, resolve_dtype
from minillm.text.cleaning import DEFAULT_STEPS
from minillm.training import train

DECAY_FRACTION = 0.2  # of a warmup-stable-decay run: its end, which cannot be prolonged
USUAL_STEPS = 1000
# So many times faster than the usual winner must another backend be: the clock's noise alone shall
# not give two runs of one command other backends, and with them other last digits.
CLEARLY = 1.3
FUSED_BFLOAT16_FROM = 1024  # tokens; below, torch's fused kernel is the slower one in bf16 on CPUs
MAX_WARMUP = 100  # steps; a tenth of a shorter run
# What may differ when a run continues: how long it is, how it is watched, and on how many threads.
CHANGEABLE = {"steps", "save_every", "eval_every", "eval_tokens", "patience", "threads"}
DECIDED_AT_START = {"clean", "steps", "seconds", "warmup_steps"}  # where None means "you decide"


def to_json(config: PretrainConfig) -> dict[str, Any]:
    """Return the configuration as JSON can say it; where it lies is not a part of it."""
    plain = {key: value for key, value in asdict(config).items() if key != "out"}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}


def from_json(plain: Mapping[str, Any], config: PretrainConfig) -> PretrainConfig:
    """Return the stored configuration ``plain``, lying where ``config`` lies.

    Raises:
        ConfigError: it has a key that this minillm does not know.
    """
    known = {field.name for field in fields(PretrainConfig)} - {"out"}
    if unknown := sorted(set(plain) - known):
        raise ConfigError(
            f"{config.out} was begun by another minillm: this one does not know "
            f"{', '.join(unknown)}"
        )
    tuples = {key: tuple(value) for key, value in plain.items() if isinstance(value, list)}
    return replace(config, **(dict(plain) | tuples))


def differences(
    config: PretrainConfig, asked: Mapping[str, Any], resolved: Mapping[str, Any]
) -> list[str]:
    """Name each setting that contradicts a run begun with ``asked``, which became ``resolved``.

    What is left to minillm (``auto``, ``None``) never contradicts what it once decided.
    """
    found = []
    usual = {field.name: field.default for field in fields(PretrainConfig)}
    for key, value in to_json(config).items():
        if key not in asked and value == usual[key]:
            continue  # a setting that the minillm which began the run did not have yet
        left_open = value == "auto" or (value is None and key in DECIDED_AT_START)
        if key in CHANGEABLE or left_open or value in (asked.get(key), resolved.get(key)):
            continue
        found.append(f"{key.replace('_', '-')} (the run has {resolved.get(key)}, now {value})")
    return found


def learning_rate_at(config: PretrainConfig) -> Callable[[int], float]:
    """Return the run's learning rate as a function of the step, from 1."""
    assert config.steps is not None
    assert config.warmup_steps is not None
    schedule = {
        "warmup-cosine": warmup_cosine,
        "warmup-stable-decay": partial(warmup_stable_decay, decay_fraction=DECAY_FRACTION),
    }[config.schedule]
    length = {"n_steps": config.steps, "n_warmup": config.warmup_steps}
    return lambda step: config.learning_rate * schedule(step, **length)


def last_stable_step(config: PretrainConfig) -> int:
    """Return the last step at the peak rate: until there a longer run would have been the same."""
    assert config.steps is not None
    rate = learning_rate_at(config)
    stable = (step for step in range(config.steps, 0, -1) if rate(step) == config.learning_rate)
    return next(stable, 0)


def resolve_words(config: PretrainConfig) -> PretrainConfig:
    """Decide what needs no training step: the model, the cleaning, the device, the dtype.

    Raises:
        ConfigError: the model does not fit the objective, the device is not there, or the
            backend cannot train on it.
    """
    families = FAMILIES[config.objective]
    model = next(iter(families)) if config.model == "auto" else config.model
    usual = USUAL_TOKENIZERS[config.objective]
    tokenizer = usual if config.tokenizer == "auto" else config.tokenizer
    config = replace(config, model=model, tokenizer=tokenizer)  # looked at with the model's eyes
    if families[model].counts:  # on the CPU, exactly, in one go
        config = replace(config, device="cpu", dtype="float32", steps=1, warmup_steps=1)
    device = resolve_device(config.device)
    if config.backend != "auto" and (why := _why_not(config.backend, device=device)):
        raise ConfigError(f"--backend {config.backend}: {why}")
    return replace(
        config,
        clean=DEFAULT_STEPS if config.clean is None else config.clean,
        device=device,
        dtype=resolve_dtype(config.dtype, device=device),
    )


def resolve_by_measuring(
    config: PretrainConfig,
    batch_at: BatchAt,
    *,
    vocab_size: int,
    evaluate: Callable[[Model], object],
) -> PretrainConfig:
    """Take a few real steps with a model that is thrown away; decide threads, backend, steps.

    Args:
        config: from ``resolve_words``.
        batch_at: the run's batches.
        vocab_size: V of the tokenizer.
        evaluate: one validation, to be timed where ``seconds`` must become steps.

    Returns:
        A configuration that leaves nothing open; ``seconds`` has become ``steps``.
    """
    if FAMILIES[config.objective][config.model].counts:
        return replace(config, threads=1, backend="sdpa")
    model = make_first_model(config, vocab_size=vocab_size)
    model.to(config.device)
    optimizer = make_optimizer(model, name=config.optimizer, learning_rate=1e-5)
    batch = batch_at(0).to(config.device)

    def take_step(threads: int, backend: AttentionBackend) -> None:
        torch.set_num_threads(threads)
        model.set_backend(backend)
        list(train(model, optimizer, [[batch]], autocast_dtype=getattr(torch, config.dtype)))

    threads = _thread_choices(config)
    backends = _backend_choices(config) if model.has_attention else ["sdpa"]
    n_threads, backend = threads[0], backends[0]
    if len(threads) > 1:
        calls = {str(n): _bind(take_step, n, backend) for n in threads}
        n_threads = int(fastest(calls))
    if len(backends) > 1:
        calls = _working({name: _bind(take_step, n_threads, name) for name in backends})
        backend = cast(AttentionBackend, fastest(calls, margin=CLEARLY))
    steps = config.steps or USUAL_STEPS
    if config.seconds is not None:
        step_s = _least_seconds(_bind(take_step, n_threads, backend)) * config.accumulate
        evaluation_s = _least_seconds(_bind(evaluate, model), n_repeats=1)
        steps = max(1, round(config.seconds / (step_s + evaluation_s / config.eval_every)))
    return replace(
        config,
        threads=n_threads,
        backend=backend,
        steps=steps,
        seconds=None,
        warmup_steps=min(config.warmup_steps or min(MAX_WARMUP, max(1, steps // 10)), steps),
    )


def _bind(function: Callable[..., object], *arguments: object) -> Callable[[], object]:
    return lambda: function(*arguments)


def _thread_choices(config: PretrainConfig) -> list[int]:
    if config.threads != "auto":
        return [config.threads]
    if config.device != "cpu":
        return [torch.get_num_threads()]
    return sorted({1, n_available_cores()})


def _backend_choices(config: PretrainConfig) -> list[AttentionBackend]:
    """Name what may be tried, the usual winner first (see `attention_backends` in benchmarks/).

    ``flex`` and ``triton`` can win on a GPU only: they are compiled, and it takes seconds.
    """
    if config.backend != "auto":
        return [config.backend]
    if config.device != "cpu":
        compiled: list[AttentionBackend] = [] if config.dropout else ["flex", "triton"]
        return ["sdpa", *(x for x in compiled if _why_not(x, device=config.device) is None)]
    if config.dtype == "bfloat16" and config.context_length <= FUSED_BFLOAT16_FROM:
        return ["reference", "sdpa"]
    return ["sdpa", "reference"]


def _why_not(backend: AttentionBackend, *, device: str) -> str | None:
    """Say why a backend cannot train on a device; ``"cuda:1"`` is a ``"cuda"``."""
    return explain_unusable(backend, device_type=device.partition(":")[0], with_gradients=True)


def _working(calls: Mapping[str, Callable[[], object]]) -> dict[str, Callable[[], object]]:
    """Leave out, with a warning, what fails on this GPU; the usual winner, the first, may not."""
    working: dict[str, Callable[[], object]] = {}
    for name, call in calls.items():
        try:
            if working:
                call()
        except Exception as error:  # whatever a compiler says to a GPU it does not know
            warnings.warn(
                f"the backend {name} is left out, since it fails here: {error}", stacklevel=2
            )
            continue
        working[name] = call
    return working


def _least_seconds(call: Callable[[], object], *, n_repeats: int = 5) -> float:
    """Return the least of a few times: what the machine can do when it is left alone."""
    times = []
    for _ in range(n_repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
