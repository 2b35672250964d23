"""Writing text: one token after the other from any model that predicts the next one.

It knows a model only by ``next_log_probs(token_ids, state)`` and ``context_length``.
Whatever the model remembers (an n-gram context, a key/value cache) stays inside ``state``.

Dimension key: B sequences, T positions, V vocabulary.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from minillm.errors import ConfigError, NumericalError
from minillm.models.base import LanguageModel
from minillm.runtime import derive_generator


def sample(
    log_probs: Tensor,
    *,
    generators: Sequence[torch.Generator],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """Draw one token id per row.

    The log-probabilities are divided by ``temperature``; then only the ``top_k`` most likely
    tokens stay (Fan et al. 2018, arXiv:1805.04833, §5); then the smallest set of most likely
    tokens whose probabilities sum to at least ``top_p`` (the nucleus of Holtzman et al. 2020,
    arXiv:1904.09751, §3.1), which includes the token that crosses ``top_p``. What stays is
    normalized again. Equally likely tokens are ranked by their id, the lowest first.

    The draw inverts the cumulative distribution at one uniform number per row, in float64 on
    the CPU: the same seed gives the same text on every device.

    Args:
        log_probs: (B, V) float, nats; each row may be shifted by a constant.
        generators: one CPU generator per row; each moves on by one number, unless
            ``temperature`` is 0.
        temperature: 0 always takes the most likely token; 1 samples the model as it is.
        top_k: how many tokens may be drawn; more than V means all.
        top_p: in (0, 1].

    Returns:
        (B,) int64 token ids, on the device of ``log_probs``.

    Raises:
        ConfigError: if a setting is out of its range.
        NumericalError: if a row holds NaN or +inf, or nothing but -inf.
        ValueError: if ``log_probs`` is not (B, V) or the generators are not B.

    Example:
        >>> log_probs = torch.tensor([[0.1, 0.6, 0.3]]).log()
        >>> sample(log_probs, temperature=0, generators=[torch.Generator()])
        tensor([1])
    """
    _check_settings(temperature, top_k, top_p)
    if log_probs.ndim != 2 or len(generators) != len(log_probs):
        raise ValueError(
            f"log_probs must be (B, V) with B generators, got {tuple(log_probs.shape)} "
            f"and {len(generators)} generators"
        )
    scores = log_probs.detach().cpu().double()  # cpu first: some devices have no float64
    peak, likeliest = scores.max(dim=-1, keepdim=True)  # the first, so the lowest id, of equals
    wrong = [row for row, (value,) in enumerate(peak.tolist()) if not math.isfinite(value)]
    if wrong:  # the peak is NaN if any score is
        raise NumericalError(
            f"cannot choose a token: rows {wrong} of the log-probabilities hold NaN, +inf or only "
            "-inf; the model is damaged or was trained with a loss that was not finite"
        )
    if temperature == 0:
        return likeliest[:, 0].to(log_probs.device)
    probs = ((scores - peak) / temperature).softmax(dim=-1)  # the peak is 0: no overflow
    if top_k is not None or top_p is not None:
        probs = _keep_likeliest(probs, top_k=top_k, top_p=top_p)
    return _draw(probs, generators).to(log_probs.device)


def generate(  # noqa: PLR0913 (one flat list of settings, as the command line has them)
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    seed: int = 0,
    use_cache: bool = True,
) -> list[list[int]]:
    """Continue every prompt; the prompts may differ in length.

    There is no padding: all rows start together, and a row that is still inside its prompt takes
    its own next prompt token instead of a drawn one. So each row equals being generated
    alone; row ``i`` draws from a generator of its own, that of a single prompt under ``seed + i``.

    A model with a limited ``context_length`` reads the last ``context_length`` tokens of a longer
    prompt. When its window is full, it starts again from the last ``context_length // 2``
    tokens (at least one): a key/value cache cannot slide, since the kept values were
    computed from tokens that left. The rule is the same without the cache, so that
    ``use_cache`` changes the speed and never the text.

    Args:
        model: put into evaluation mode for each prediction, and back.
        prompts: token ids, at least one each; begin with bos, as the training documents do.
        max_new_tokens: per row; 0 returns the prompts.
        temperature: see ``sample``, as for ``top_k`` and ``top_p``.
        top_k: see ``sample``.
        top_p: see ``sample``.
        eos_id: a row stops after drawing it; ``None`` never stops early.
        seed: of row 0.
        use_cache: ``False`` reads the whole window again for each token (slow; for tests).

    Returns:
        One list per prompt: the full prompt and the new tokens, eos included.

    Raises:
        ConfigError: if a prompt is empty or a setting is out of its range.
        NumericalError: if the model predicts NaN.

    Example:
        ``generate(model, [[256], [256, 72, 105]], max_new_tokens=100, eos_id=257)``
    """
    outputs = [list(prompt) for prompt in prompts]
    steps = _steps(
        model,
        outputs,
        max_new_tokens=max_new_tokens,
        sampling={"temperature": temperature, "top_k": top_k, "top_p": top_p},
        eos_id=eos_id,
        seed=seed,
        use_cache=use_cache,
    )
    for new_tokens in steps:
        for row, token in new_tokens.items():
            outputs[row].append(token)
    return outputs


def stream(  # noqa: PLR0913 (the settings of generate)
    model: LanguageModel,
    prompt: Sequence[int],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    seed: int = 0,
    use_cache: bool = True,
) -> Iterator[int]:
    """Yield the new tokens of one prompt as they are drawn: exactly those of ``generate``.

    Args and errors are those of ``generate``; wrong settings are refused at the call.

    Example:
        ``for token in stream(model, prompt, max_new_tokens=99): print(tokenizer.decode([token]))``
    """
    steps = _steps(
        model,
        [prompt],
        max_new_tokens=max_new_tokens,
        sampling={"temperature": temperature, "top_k": top_k, "top_p": top_p},
        eos_id=eos_id,
        seed=seed,
        use_cache=use_cache,
    )
    return (new_tokens[0] for new_tokens in steps)


def _steps(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    sampling: dict[str, Any],
    eos_id: int | None,
    seed: int,
    use_cache: bool,
) -> Iterator[dict[int, int]]:
    """Check the settings now; then yield the new token of each row that got one."""
    _check_settings(**sampling)
    if max_new_tokens < 0:
        raise ConfigError(f"max_new_tokens must be 0 or more, got {max_new_tokens}")
    for row, prompt in enumerate(prompts):
        if not len(prompt):
            raise ConfigError(f"prompt {row} is empty: begin it with the tokenizer's bos_id")
    generators = [derive_generator(seed + row, "generate") for row in range(len(prompts))]
    limit = model.context_length
    texts = [list(prompt if limit is None else prompt[-limit:]) for prompt in prompts]
    predictions = _predictions(model, texts, use_cache=use_cache)
    n_left = [max_new_tokens] * len(texts)
    return _drawn_tokens(predictions, texts, n_left, generators, sampling, eos_id)


def _drawn_tokens(
    predictions: Iterator[tuple[int, Tensor]],
    texts: list[list[int]],
    n_left: list[int],
    generators: list[torch.Generator],
    sampling: dict[str, Any],
    eos_id: int | None,
) -> Iterator[dict[int, int]]:
    """Append to each text what was drawn for it, and yield it, until no row has any left."""
    while max(n_left, default=0) > 0:
        length, log_probs = next(predictions)
        ended = [row for row, text in enumerate(texts) if len(text) == length]
        drawn = _sample_rows(log_probs, [r for r in ended if n_left[r]], generators, sampling)
        for row in ended:  # a finished row repeats its last token: rows stay equally long
            texts[row].append(drawn.get(row, texts[row][-1]))
        for row, token in drawn.items():
            n_left[row] = 0 if token == eos_id else n_left[row] - 1
        if drawn:
            yield drawn


def _predictions(
    model: LanguageModel, texts: list[list[int]], *, use_cache: bool
) -> Iterator[tuple[int, Tensor]]:
    """Yield how many tokens of each text were read, and the log-probabilities of the next.

    The texts grow in the caller's hands between two predictions.
    """
    limit, state = model.context_length, None
    device, modules = _device(model), list(model.modules())
    start = n_read = 0  # the window's first token; how many tokens the state has read
    length = min(map(len, texts))
    while True:
        if limit is not None and length - start > limit:
            start = length - max(limit // 2, 1)
            state, n_read = None, start
        if not use_cache:
            state, n_read = None, start
        token_ids = torch.tensor([text[n_read:length] for text in texts], device=device)
        with _evaluation_mode(modules):
            log_probs, state = model.next_log_probs(token_ids, state)
        yield length, log_probs
        n_read, length = length, length + 1


@contextlib.contextmanager
def _evaluation_mode(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Switch dropout off and gradients too; then give every module back the mode that it had.

    Each mode is looked at before it is set: to switch a whole model to and fro for every token
    takes an eighth of the time of predicting it (4 layers, 256 wide).
    """
    training = [module for module in modules if module.training]
    try:
        for module in training:
            module.training = False
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def _sample_rows(
    log_probs: Tensor, rows: list[int], generators: list[torch.Generator], sampling: dict[str, Any]
) -> dict[int, int]:
    """Draw for some rows only: the others' generators stay where they are."""
    if not rows:
        return {}
    if len(rows) < len(log_probs):
        log_probs = log_probs[rows]
    tokens = sample(log_probs, generators=[generators[row] for row in rows], **sampling)
    return dict(zip(rows, tokens.tolist(), strict=True))


def _keep_likeliest(probs: Tensor, *, top_k: int | None, top_p: float | None) -> Tensor:
    """Set the probabilities (B, V) to zero outside the top k and outside the nucleus."""
    ranked, order = probs.sort(dim=-1, descending=True, stable=True)  # stable: low ids first
    if top_k is not None:
        ranked[:, top_k:] = 0.0
    if top_p is not None and top_p < 1.0:  # at 1 rounding must not cut off the tail
        ranked = ranked / ranked.sum(dim=-1, keepdim=True)
        before = ranked.cumsum(dim=-1) - ranked  # what the likelier tokens hold already
        ranked = ranked.masked_fill(before >= top_p, 0.0)
    return torch.zeros_like(probs).scatter(-1, order, ranked)


def _draw(probs: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Invert the cumulative distribution of each row of (B, V) weights at a uniform number."""
    # u < 1 and u · total < total, also after rounding in float64: the search always ends, and
    # at a token that adds something, never at one of probability zero.
    uniform = torch.stack([torch.rand(1, generator=g, dtype=torch.float64) for g in generators])
    cumulative = probs.cumsum(dim=-1)
    return torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)[:, 0]


def _check_settings(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Refuse what has no meaning, at temperature 0 too."""
    if not 0.0 <= temperature < math.inf:
        raise ConfigError(f"temperature must be 0 (greedy) or a positive number, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k must be 1 or more (None: no limit), got {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ConfigError(f"top_p must be in (0, 1] (None: no limit), got {top_p}")


def _device(model: LanguageModel) -> torch.device:
    """Return where the model's parameters are; the CPU if it has none."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
