"""Translation: read a text, write another.

Dimension key: B pairs, S source positions, T target positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from minillm.batch import Batch
from minillm.errors import ConfigError, DataError
from minillm.objectives.source_target import TokenIds, source_target_batch


@dataclass(frozen=True, kw_only=True, slots=True)
class TranslationFrame:
    """What stands around source and target."""

    start_id: int  # read first by the decoder; the tokenizer's bos
    eos_id: int  # ends both
    pad_id: int
    max_tokens: int  # of a source and of a target, eos counted

    def __post_init__(self) -> None:
        if self.max_tokens < 2:
            raise ConfigError(f"max_tokens must be 2 or more, got {self.max_tokens}")


def translation_batch(
    pairs: Sequence[tuple[TokenIds, TokenIds]],
    generator: torch.Generator | None = None,
    *,
    frame: TranslationFrame,
) -> Batch:
    """Make a batch of pairs: the source ends in eos, and so does the target to be written.

    Sutskever et al. 2014 (arXiv:1409.3215) in the form of Vaswani et al. 2017: the decoder reads
    ``start y₁ … yₙ`` and predicts ``y₁ … yₙ eos``.

    Args:
        pairs: B of them, (source ids, target ids) without special tokens.
        generator: not used: this objective draws nothing. Every objective takes one.
        frame: special tokens and the greatest length.

    Returns:
        A batch with inputs (B, S), is_padding, decoder_inputs (B, T) and targets (B, T).

    Raises:
        DataError: a text that is too long: half a sentence has no translation.

    Example:
        >>> frame = TranslationFrame(start_id=1, eos_id=2, pad_id=0, max_tokens=8)
        >>> batch = translation_batch([([7, 8], [5])], frame=frame)
        >>> batch.inputs.tolist(), batch.decoder_inputs.tolist(), batch.targets.tolist()
        ([[7, 8, 2]], [[1, 5]], [[5, 2]])
    """
    longest = max((len(text) for pair in pairs for text in pair), default=0) + 1
    if longest > frame.max_tokens:
        raise DataError(
            f"a text has {longest} tokens with its end, more than max_tokens={frame.max_tokens}: "
            "leave it out or ask for a longer context"
        )
    sources, targets = zip(*pairs, strict=True) if pairs else ((), ())
    end = torch.tensor([frame.eos_id])
    return source_target_batch(
        [torch.cat([torch.as_tensor(row, dtype=torch.int64), end]) for row in sources],
        [torch.cat([torch.as_tensor(row, dtype=torch.int64), end]) for row in targets],
        start_id=frame.start_id,
        pad_id=frame.pad_id,
    )
