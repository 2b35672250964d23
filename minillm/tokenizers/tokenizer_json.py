"""The file ``tokenizer.json`` as the Hugging Face ``tokenizers`` library defines it.

JSON holds characters and our tokens are bytes, so each byte is spelled as one printable
character (GPT-2's table, ``bytes_to_unicode`` in its ``encoder.py``): " the" becomes "Ġthe".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from minillm.errors import DataError
from minillm.tokenizers.pattern import WORD_PATTERN

N_BYTES = 256


def _byte_spellings() -> list[str]:
    """Spell each byte: printable Latin-1 as itself, the others from U+0100 onwards."""
    itself = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)}
    itself |= set(range(ord("®"), ord("ÿ") + 1))
    others = iter(range(N_BYTES, 2 * N_BYTES))
    return [chr(byte if byte in itself else next(others)) for byte in range(N_BYTES)]


BYTE_SPELLINGS = _byte_spellings()


class Contents(NamedTuple):
    """What a tokenizer file says: special tokens, then merges as pairs of ids, in order."""

    special_tokens: tuple[str, ...]
    merges: list[tuple[int, int]]


def spell(token: bytes) -> str:
    """Spell a token's bytes in printable characters.

    Example:
        >>> spell(b" the"), spell("é".encode())
        ('Ġthe', 'Ã©')
    """
    return "".join([BYTE_SPELLINGS[byte] for byte in token])


def to_json(
    token_bytes: Sequence[bytes], special_tokens: Sequence[str], merges: Sequence[tuple[int, int]]
) -> str:
    """Write a tokenizer as JSON that the ``tokenizers`` library opens; equal input, equal bytes.

    Args:
        token_bytes: the bytes of every id: 256 bytes, the special tokens, the merges.
        special_tokens: strings of the ids that follow the bytes.
        merges: pairs of ids, the most urgent first.
    """
    spelled = [spell(token) for token in token_bytes]
    spelled[N_BYTES : N_BYTES + len(special_tokens)] = special_tokens
    byte_level = {"add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    words = {"type": "Split", "pattern": {"Regex": WORD_PATTERN}, "behavior": "Isolated"}
    contents = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added_token(N_BYTES + index, content) for index, content in enumerate(special_tokens)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [words | {"invert": False}, {"type": "ByteLevel", **byte_level}],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", **byte_level},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: token_id for token_id, token in enumerate(spelled)},
            "merges": [[spelled[left], spelled[right]] for left, right in merges],
        },
    }
    return json.dumps(contents, ensure_ascii=False) + "\n"


def from_json(text: str, *, source: str) -> Contents:
    """Read back what ``to_json`` wrote; the words must be cut by our pattern.

    Args:
        text: the file's content.
        source: its name, for messages.

    Raises:
        DataError: not JSON, damaged, or a tokenizer that minillm did not write.
    """
    try:
        contents = json.loads(text)
        return _contents(contents)
    except (json.JSONDecodeError, KeyError, TypeError, IndexError, ValueError) as error:
        raise DataError(
            f"{source} is not a tokenizer.json written by minillm ({error!r}); train one with "
            "train_tokenizer and save it"
        ) from error


def _added_token(token_id: int, content: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": content, **flags, "special": True}


def _contents(contents: dict[str, Any]) -> Contents:
    """Check the parts that decide how text is encoded, and pick out what varies."""
    model = contents["model"]
    ids: dict[str, int] = model["vocab"]
    special_tokens = tuple(token["content"] for token in contents["added_tokens"])
    merges = [(ids[left], ids[right]) for left, right in model["merges"]]
    expected = [*BYTE_SPELLINGS, *special_tokens, *("".join(pair) for pair in model["merges"])]
    if ids != {token: token_id for token_id, token in enumerate(expected)}:
        raise ValueError("the vocabulary is not bytes, special tokens, merges")
    if contents["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] != WORD_PATTERN:
        raise ValueError("words are cut by another pattern")
    return Contents(special_tokens, merges)
