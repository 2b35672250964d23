"""Span corruption: cut spans out of a text and write them down, T5's objective.

Dimension key: B sequences, N tokens of a text, S input positions, T target positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch
from minillm.errors import ConfigError, DataError
from minillm.objectives.source_target import TokenIds, source_target_batch


class SpanCounts(NamedTuple):
    """How many tokens of a text are cut out, in how many spans."""

    n_noise: int
    n_spans: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanCorruption:
    """How much is cut out, and what stands for it.

    T5's numbers (Raffel et al. 2020, §3.1.4 and §3.3.4, arXiv:1910.10683): 15 % of the tokens, in
    spans of 3 on average.
    """

    sentinel_ids: tuple[int, ...]  # <extra_id_0>, <extra_id_1>, …: one for each span
    eos_id: int  # ends inputs and targets
    pad_id: int  # also begins what the decoder reads, as in T5
    noise_density: float = 0.15  # of the tokens that are cut out
    mean_span_length: float = 3.0  # tokens
    closes_with_sentinel: bool = False  # one more ends the targets, as the paper's figure 2 has it

    def __post_init__(self) -> None:
        if not 0.0 < self.noise_density < 1.0:
            raise ConfigError(f"noise_density must be in (0, 1), got {self.noise_density}")
        if not self.mean_span_length >= 1.0:
            raise ConfigError(f"mean_span_length must be 1 or more, got {self.mean_span_length}")
        ids = (*self.sentinel_ids, self.eos_id, self.pad_id)
        if not self.sentinel_ids or len(set(ids)) != len(ids):
            raise ConfigError(
                f"sentinel_ids must be given and differ from each other, eos_id={self.eos_id} and "
                f"pad_id={self.pad_id}, got {self.sentinel_ids}"
            )

    def counts(self, n_tokens: int) -> SpanCounts:
        """Say how much of a text of ``n_tokens`` >= 2 is cut out, as T5's code rounds it.

        Raises:
            DataError: a text of which nothing could be cut or left.
            ConfigError: more spans than sentinels.

        Example:
            >>> SpanCorruption(sentinel_ids=tuple(range(9)), eos_id=9, pad_id=10).counts(100)
            SpanCounts(n_noise=15, n_spans=5)
        """
        if n_tokens < 2:
            raise DataError(f"span corruption needs a text of two tokens or more, got {n_tokens}")
        n_noise = min(max(round(n_tokens * self.noise_density), 1), n_tokens - 1)
        n_spans = max(round(n_noise / self.mean_span_length), 1)
        n_spans = min(n_spans, n_noise, n_tokens - n_noise)  # a token each, and one before each
        n_needed = n_spans + self.closes_with_sentinel
        if n_needed > len(self.sentinel_ids):
            raise ConfigError(
                f"a text of {n_tokens} tokens needs {n_needed} sentinels, but there are "
                f"{len(self.sentinel_ids)}: give the tokenizer more or make the texts shorter"
            )
        return SpanCounts(n_noise, n_spans)

    def lengths(self, n_tokens: int) -> tuple[int, int]:
        """Return S and T, the tokens of inputs and of targets that such a text becomes."""
        n_noise, n_spans = self.counts(n_tokens)
        n_targets = n_noise + n_spans + self.closes_with_sentinel + 1  # with eos
        return n_tokens - n_noise + n_spans + 1, n_targets

    def longest_text(self, context_length: int) -> int:
        """Return the most tokens of a text whose inputs and targets fit into ``context_length``.

        Example:
            >>> sentinel_ids = tuple(range(100))
            >>> corruption = SpanCorruption(sentinel_ids=sentinel_ids, eos_id=100, pad_id=101)
            >>> corruption.longest_text(512)  # T5's code finds the same
            568
        """
        n_tokens = 2
        while max(self.lengths(n_tokens + 1)) <= context_length:
            n_tokens += 1
        if max(self.lengths(n_tokens)) > context_length:
            raise ConfigError(f"context_length={context_length} is too short for span corruption")
        return n_tokens


def span_corruption_batch(
    token_ids: Tensor | Sequence[TokenIds],
    generator: torch.Generator,
    *,
    corruption: SpanCorruption,
) -> Batch:
    """Replace spans by sentinels in the inputs; the targets say what each sentinel stands for.

    ``Thank you for inviting me to your party`` becomes ``Thank <0> inviting me <1> eos`` and
    ``<0> you for <1> to your party eos`` (Raffel et al. 2020, figure 2). As in T5's code, lengths
    of spans and of what is between them are drawn so that all ways of cutting are equally likely,
    and a text begins with a token that stays and ends in a span; spans never touch, so that their
    number is that of the sentinels. Texts of one length become rows of one length.

    Args:
        token_ids: (B, N) int64, or B texts of token ids, of two tokens or more each.
        generator: of every draw.
        corruption: rates and ids.

    Returns:
        A batch with inputs (B, S), is_padding, decoder_inputs (B, T), which begin with ``pad_id``,
        and targets (B, T); ``rebuild`` makes the text of them again.

    Raises:
        DataError: a text that is too short, or holds a sentinel.
        ConfigError: more spans than sentinels.

    Example:
        >>> corruption = SpanCorruption(sentinel_ids=(90, 91), eos_id=1, pad_id=0)
        >>> ids = torch.arange(10, 30)[None]
        >>> batch = span_corruption_batch(ids, torch.Generator(), corruption=corruption)
        >>> rebuild(batch.inputs[0], batch.targets[0], corruption=corruption) == ids[0].tolist()
        True
    """
    pairs = [_corrupted(_as_list(text), generator, corruption) for text in token_ids]
    sources, targets = zip(*pairs, strict=True) if pairs else ((), ())
    return source_target_batch(
        sources, targets, start_id=corruption.pad_id, pad_id=corruption.pad_id
    )


def noise_mask(n_tokens: int, generator: torch.Generator, *, corruption: SpanCorruption) -> Tensor:
    """Draw which tokens of a text are cut out.

    Args:
        n_tokens: N, two or more.
        generator: of the draw.
        corruption: the rates.

    Returns:
        (N,) bool, True at the tokens of the spans.
    """
    n_noise, n_spans = corruption.counts(n_tokens)
    kept = _random_parts(n_tokens - n_noise, n_spans, generator)
    cut = _random_parts(n_noise, n_spans, generator)
    lengths = torch.stack([kept, cut], dim=1).flatten()  # kept, cut, kept, cut, …
    return torch.tensor([False, True]).repeat(n_spans).repeat_interleave(lengths)


def rebuild(inputs: TokenIds, targets: TokenIds, *, corruption: SpanCorruption) -> list[int]:
    """Put the spans of the targets back in the places of their sentinels.

    Args:
        inputs: (S,) ids of one row, with or without padding.
        targets: (T,) ids of the same row, ``IGNORE_INDEX`` or padding at the end.
        corruption: the ids.

    Returns:
        The token ids of the text.

    Raises:
        DataError: the sentinels of the two do not belong together.
    """
    source, target = (_without_end(_as_list(row), corruption) for row in (inputs, targets))
    numbers = {token: number for number, token in enumerate(corruption.sentinel_ids)}
    places = [place for place, token in enumerate(target) if token in numbers]
    if places[:1] != [0]:
        raise DataError("targets must begin with a sentinel")
    spans = [target[start + 1 : end] for start, end in pairwise([*places, len(target)])]
    order = [numbers[target[place]] for place in places]
    asked = [numbers[token] for token in source if token in numbers]
    is_closing = len(order) == len(asked) + 1 and not spans[-1]
    if order != list(range(len(order))) or asked != order[: len(order) - is_closing]:
        raise DataError(
            f"the sentinels of inputs {asked} and targets {order} must be 0, 1, 2, …, each once; "
            "targets may close with one more"
        )
    parts = (spans[numbers[token]] if token in numbers else [token] for token in source)
    return [token for part in parts for token in part]


def _corrupted(
    text: list[int], generator: torch.Generator, corruption: SpanCorruption
) -> tuple[list[int], list[int]]:
    """Return inputs and targets of one text."""
    if not set(corruption.sentinel_ids).isdisjoint(text):
        raise DataError("the text holds sentinels already: corrupt each text once")
    mask = noise_mask(len(text), generator, corruption=corruption).tolist()
    inputs, targets, sentinels = [], [], iter(corruption.sentinel_ids)
    for place, (token, is_noise) in enumerate(zip(text, mask, strict=True)):
        if is_noise and not mask[place - 1]:  # the first token is never noise
            sentinel = next(sentinels)
            inputs.append(sentinel)
            targets.append(sentinel)
        (targets if is_noise else inputs).append(token)
    if corruption.closes_with_sentinel:
        targets.append(next(sentinels))
    return [*inputs, corruption.eos_id], [*targets, corruption.eos_id]


def _random_parts(n_items: int, n_parts: int, generator: torch.Generator) -> Tensor:
    """Cut ``n_items`` into ``n_parts`` of one item or more, all ways equally likely."""
    cuts = torch.randperm(n_items - 1, generator=generator)[: n_parts - 1].sort().values + 1
    edges = torch.cat([torch.tensor([0]), cuts, torch.tensor([n_items])])
    return edges.diff()


def _as_list(row: TokenIds) -> list[int]:
    return row.tolist() if isinstance(row, Tensor) else [int(token) for token in row]


def _without_end(row: list[int], corruption: SpanCorruption) -> list[int]:
    """Take the padding and the end-of-text token off the end of a row."""
    end = len(row)
    while end and row[end - 1] in (IGNORE_INDEX, corruption.pad_id):
        end -= 1
    if not end or row[end - 1] != corruption.eos_id:
        raise DataError(f"a row must end with eos_id={corruption.eos_id}, got {row[:end][-3:]}")
    return row[: end - 1]
