"""T5's sentinels: special tokens that stand for what is missing from a text."""

from __future__ import annotations

from minillm.errors import ConfigError
from minillm.tokenizers.base import Tokenizer

SENTINEL_TOKENS = tuple(f"<extra_id_{number}>" for number in range(100))  # as many as T5 has


def sentinel_ids(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the ids of ``<extra_id_0>``, ``<extra_id_1>``, … as far as the tokenizer has them.

    Raises:
        ConfigError: it has none, with what to do.

    Example:
        >>> from minillm.tokenizers import DEFAULT_SPECIAL_TOKENS, ByteTokenizer
        >>> special_tokens = (*DEFAULT_SPECIAL_TOKENS, *SENTINEL_TOKENS[:3])
        >>> sentinel_ids(ByteTokenizer(special_tokens=special_tokens))
        (260, 261, 262)
    """
    ids = []
    for token in SENTINEL_TOKENS:
        if token not in tokenizer.special_tokens:
            break
        ids.append(tokenizer.special_tokens[token])
    if not ids:
        raise ConfigError(
            "span corruption needs sentinels, but the tokenizer has no special token "
            f"{SENTINEL_TOKENS[0]!r}: train it with special_tokens=(*DEFAULT_SPECIAL_TOKENS, "
            "*SENTINEL_TOKENS)"
        )
    return tuple(ids)
