"""Masked language modeling: hide some tokens, predict them from all the others.

Dimension key: B sequences, T positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch
from minillm.errors import ConfigError
from minillm.tokenizers import Tokenizer, Words

MaskingUnit = Literal["tokens", "words", "spans"]
UNITS = get_args(MaskingUnit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """How much is hidden, and what stands there instead.

    BERT's numbers (Devlin et al. 2019, §3.1 and appendix A.1, arXiv:1810.04805): of the chosen
    tokens 80 % become [MASK], 10 % another token, 10 % stay, so that the model cannot know which
    of the visible tokens are true and must form an opinion of each.
    """

    mask_id: int
    ordinary_ids: tuple[int, int]  # first id and one past the last that a random token may be
    rate: float = 0.15  # of the maskable tokens that are chosen
    mask_share: float = 0.8  # of the chosen ones that become [MASK]
    random_share: float = 0.1  # that become a random token; the rest stay

    def __post_init__(self) -> None:
        if not 0.0 < self.rate <= 1.0:
            raise ConfigError(f"rate must be in (0, 1], got {self.rate}")
        shares = self.mask_share, self.random_share
        if min(shares) < 0.0 or sum(shares) > 1.0 + 1e-9:
            raise ConfigError(f"mask_share and random_share must be parts of 1, got {shares}")
        first, end = self.ordinary_ids
        if not 0 <= first < end:
            raise ConfigError(f"ordinary_ids must be a range of ids, got {self.ordinary_ids}")

    @classmethod
    def of(cls, tokenizer: Tokenizer, **changes: float) -> Masking:
        """Return BERT's masking with the ids of a tokenizer.

        Args:
            tokenizer: any; its longest run of ids without special tokens is what a random token is
                drawn from.
            changes: other fields than the ids.

        Example:
            >>> from minillm.tokenizers import ByteTokenizer
            >>> masking = Masking.of(ByteTokenizer(), rate=0.3)
            >>> masking.mask_id, masking.ordinary_ids
            (259, (0, 256))
        """
        marks = [-1, *sorted(tokenizer.special_tokens.values()), tokenizer.vocab_size]
        runs = [(left + 1, right) for left, right in pairwise(marks)]
        longest = max(runs, key=lambda run: run[1] - run[0])
        return cls(mask_id=tokenizer.mask_id, ordinary_ids=longest, **changes)


class Masker:
    """Masked language modeling of a tokenizer's texts, chosen once and applied to every batch.

    Args:
        tokenizer: which tokens are special, and which form a word.
        unit: what is chosen: single ``"tokens"``, whole ``"words"`` (BERT's later models) or
            ``"spans"`` (SpanBERT).
        changes: fields of ``Masking``, such as ``rate=0.3``.

    Example:
        >>> from minillm.tokenizers import ByteTokenizer
        >>> masker = Masker(ByteTokenizer(), rate=1.0, mask_share=1.0, random_share=0.0)
        >>> masker(torch.tensor([[256, 72, 105, 257]]), torch.Generator()).inputs.tolist()
        [[256, 259, 259, 257]]
    """

    def __init__(
        self, tokenizer: Tokenizer, *, unit: MaskingUnit = "tokens", **changes: float
    ) -> None:
        if unit not in UNITS:
            raise ConfigError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
        self.masking, self.unit = Masking.of(tokenizer, **changes), unit
        self.words = Words(tokenizer)
        self._is_special = torch.zeros(tokenizer.vocab_size, dtype=torch.bool)
        self._is_special[list(tokenizer.special_tokens.values())] = True

    def maskable(self, token_ids: Tensor) -> Tensor:
        """Say where a token may be hidden, (B, T) bool: neither padding nor another special one."""
        return ~self._is_special[token_ids]

    def __call__(self, token_ids: Tensor, generator: torch.Generator) -> Batch:
        """Hide tokens of (B, T) ids; inputs and targets, (B, T) both."""
        options: dict[str, Any] = {
            "masking": self.masking,
            "maskable": self.maskable(token_ids),
        }
        if self.unit == "spans":
            return span_masked_batch(token_ids, generator, **options)
        if self.unit == "words":
            options["word_ids"] = self.words.ids(token_ids)
        return masked_batch(token_ids, generator, **options)

    def also(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Hide tokens of a batch that has another task already, such as judging a pair."""
        hidden = self(batch.inputs, generator)
        return replace(batch, inputs=hidden.inputs, targets=hidden.targets)


def masked_batch(
    token_ids: Tensor,
    generator: torch.Generator,
    *,
    masking: Masking,
    maskable: Tensor,
    word_ids: Tensor | None = None,
) -> Batch:
    """Choose tokens, hide them, and make them the targets.

    The draws exclude each other: one uniform number decides whether a token is chosen, a second
    one what becomes of it. Another generator draws other masks: a text that is read again must
    not be hidden at the same places (RoBERTa, Liu et al. 2019, §4.1, arXiv:1907.11692).

    Args:
        token_ids: (B, T) int64; not changed.
        generator: of every draw.
        masking: the rates.
        maskable: (B, T) bool, True where a token may be hidden: neither padding nor special.
        word_ids: (B, T) int64: tokens of one word share a number and are chosen together
            (whole-word masking); ``None`` chooses each token alone.

    Returns:
        A batch with inputs (B, T) and targets (B, T): the true id at the chosen places,
        ``IGNORE_INDEX`` elsewhere.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> masking = Masking(mask_id=0, ordinary_ids=(5, 100), rate=1.0, mask_share=1.0,
        ...                   random_share=0.0)
        >>> ids = torch.tensor([[1, 7, 8, 2]])
        >>> batch = masked_batch(ids, torch.Generator(), masking=masking, maskable=ids >= 5)
        >>> batch.inputs.tolist(), batch.targets.tolist()
        ([[1, 0, 0, 2]], [[-100, 7, 8, -100]])
    """
    _check_shapes(token_ids, maskable=maskable, word_ids=word_ids)
    uniform = torch.rand(token_ids.shape, generator=generator)
    if word_ids is not None:
        uniform = _shared_in_words(uniform, word_ids)
    chosen = (uniform < masking.rate) & maskable
    return hide(token_ids, chosen, generator, masking=masking)


def span_masked_batch(
    token_ids: Tensor,
    generator: torch.Generator,
    *,
    masking: Masking,
    maskable: Tensor,
    mean_length: float = 3.8,
    max_length: int = 10,
) -> Batch:
    """Hide whole spans: lengths from a geometric distribution, cut at ``max_length``.

    SpanBERT (Joshi et al. 2020, §3.1, arXiv:1907.10529): a span is harder to guess than single
    tokens, as its parts cannot help each other; p = 0.2 up to 10 has the mean 3.8. All tokens of
    a span meet the same fate (80/10/10 is drawn once a span). Differs from it in that spans
    begin at tokens, not at words.

    Args:
        token_ids: (B, T) int64; not changed.
        generator: of every draw.
        masking: the rates; spans are chosen until a row has ``rate`` of its maskable tokens.
        maskable: (B, T) bool.
        mean_length: of a span, tokens, after the cut.
        max_length: of a span, tokens.

    Returns:
        A batch as of ``masked_batch``.

    Raises:
        ConfigError: if no geometric distribution has this mean.
    """
    _check_shapes(token_ids, maskable=maskable, word_ids=None)
    shares = _length_shares(mean_length, max_length)
    chosen = torch.zeros_like(maskable)
    spans = torch.zeros_like(token_ids)  # number of each chosen token's span
    for row, allowed in enumerate(maskable):
        _choose_spans(chosen[row], spans[row], allowed, shares, masking.rate, generator)
    return hide(token_ids, chosen, generator, masking=masking, word_ids=spans)


def hide(
    token_ids: Tensor,
    chosen: Tensor,
    generator: torch.Generator,
    *,
    masking: Masking,
    word_ids: Tensor | None = None,
) -> Batch:
    """Replace the chosen tokens by [MASK], by a random token, or by themselves.

    Args:
        token_ids: (B, T) int64; not changed.
        chosen: (B, T) bool.
        generator: of every draw.
        masking: the shares.
        word_ids: (B, T) int64: tokens that share a number share their fate.

    Returns:
        Inputs and targets, (B, T) both.
    """
    fate = torch.rand(token_ids.shape, generator=generator)
    if word_ids is not None:
        fate = _shared_in_words(fate, word_ids)
    others = torch.randint(*masking.ordinary_ids, token_ids.shape, generator=generator)
    becomes_mask = chosen & (fate < masking.mask_share)
    is_random = chosen & ~becomes_mask & (fate < masking.mask_share + masking.random_share)
    inputs = torch.where(is_random, others, token_ids.masked_fill(becomes_mask, masking.mask_id))
    return Batch(inputs=inputs, targets=token_ids.masked_fill(~chosen, IGNORE_INDEX))


def without_fates(masking: Masking) -> Masking:
    """Return the masking that hides every chosen token: what a floor can be computed for."""
    return replace(masking, mask_share=1.0, random_share=0.0)


def _shared_in_words(uniform: Tensor, word_ids: Tensor) -> Tensor:
    """Give all tokens of a word the number of its first one."""
    n_words = int(word_ids.max()) + 1
    first = torch.full((len(uniform), n_words), 2.0)  # above every uniform number
    places = torch.arange(uniform.shape[1]).expand_as(word_ids)
    earliest = torch.full((len(uniform), n_words), uniform.shape[1], dtype=torch.int64)
    earliest.scatter_reduce_(1, word_ids, places, reduce="amin")
    known = earliest < uniform.shape[1]
    first[known] = uniform.gather(1, earliest.clamp(max=uniform.shape[1] - 1))[known]
    return first.gather(1, word_ids)


def _length_shares(mean_length: float, max_length: int) -> Tensor:
    """Return the probabilities of lengths 1 … max_length, geometric, with the mean asked for."""
    if not 1.0 <= mean_length < (max_length + 1) / 2:
        raise ConfigError(
            f"mean_length must be from 1 to below {(max_length + 1) / 2} (the mean of equally "
            f"likely lengths up to {max_length}), got {mean_length}"
        )
    lengths = torch.arange(1, max_length + 1, dtype=torch.float64)
    low, high = 0.0, 1.0  # the ratio of neighbors; the mean grows with it
    for _ in range(60):
        ratio = (low + high) / 2
        shares = ratio ** (lengths - 1)
        mean = float((shares * lengths).sum() / shares.sum())
        low, high = (ratio, high) if mean < mean_length else (low, ratio)
    shares = low ** (lengths - 1)
    return shares / shares.sum()


def _choose_spans(
    chosen: Tensor,
    spans: Tensor,
    allowed: Tensor,
    shares: Tensor,
    rate: float,
    generator: torch.Generator,
) -> None:
    """Mark spans of one row in place until its budget is spent."""
    budget = math.floor(rate * int(allowed.sum()) + float(torch.rand((), generator=generator)))
    starts = torch.nonzero(allowed)[:, 0]
    order = starts[torch.randperm(len(starts), generator=generator)].tolist()
    lengths = torch.multinomial(
        shares, max(len(order), 1), replacement=True, generator=generator
    ).tolist()
    for number, (start, extra) in enumerate(zip(order, lengths, strict=False), start=1):
        if budget <= 0:
            return
        end = min(start + extra + 1, start + budget, len(allowed))
        window = slice(start, end)
        if bool(chosen[window].any()) or not bool(allowed[window].all()):
            continue
        chosen[window], spans[window] = True, number
        budget -= end - start


def _check_shapes(token_ids: Tensor, *, maskable: Tensor, word_ids: Tensor | None) -> None:
    if token_ids.ndim != 2 or maskable.shape != token_ids.shape or maskable.dtype != torch.bool:
        raise ValueError(
            f"token_ids must be (B, T) and maskable a bool tensor of that shape, got "
            f"{tuple(token_ids.shape)} and {maskable.dtype} {tuple(maskable.shape)}"
        )
    if word_ids is not None and word_ids.shape != token_ids.shape:
        raise ValueError(
            f"word_ids {tuple(word_ids.shape)} must have the shape of token_ids "
            f"{tuple(token_ids.shape)}"
        )
