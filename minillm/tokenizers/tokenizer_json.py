"""The file ``tokenizer.json`` as the Hugging Face ``tokenizers`` library defines it.

JSON holds characters and our tokens are bytes, so each byte is spelled as one printable
character (GPT-2's table, ``bytes_to_unicode`` in its ``encoder.py``): " the" becomes "Ġthe".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from minillm.errors import DataError
from minillm.tokenizers.pattern import WORD_PATTERN

N_BYTES = 256
_BYTE_LEVEL = {
    "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False
}  # fmt: skip


def _byte_spellings() -> list[str]:
    """Spell each byte: printable Latin-1 as itself, the others from U+0100 onwards."""
    itself = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)}
    itself |= set(range(ord("®"), ord("ÿ") + 1))
    others = iter(range(N_BYTES, 2 * N_BYTES))
    return [chr(byte if byte in itself else next(others)) for byte in range(N_BYTES)]


BYTE_SPELLINGS = _byte_spellings()
_BYTE_OF = {spelling: byte for byte, spelling in enumerate(BYTE_SPELLINGS)}


class Merges(NamedTuple):
    """What the file of bytes and merges says: special tokens, then pairs of ids, in order."""

    special_tokens: tuple[str, ...]
    merges: list[tuple[int, int]]


class WordPieces(NamedTuple):
    """What a WordPiece file says: special tokens, pieces in the order of ids, letter case."""

    special_tokens: tuple[str, ...]
    pieces: list[str]
    lowercase: bool


class ScoredPieces(NamedTuple):
    """What a Unigram file says: special tokens, and the score of each byte and piece."""

    special_tokens: tuple[str, ...]
    scores: list[tuple[bytes, float]]


def spell(token: bytes) -> str:
    """Spell a token's bytes in printable characters.

    Example:
        >>> spell(b" the"), spell("é".encode())
        ('Ġthe', 'Ã©')
    """
    return "".join([BYTE_SPELLINGS[byte] for byte in token])


def unspell(spelling: str) -> bytes:
    """Read back what ``spell`` wrote.

    Raises:
        KeyError: a character that spells no byte.
    """
    return bytes([_BYTE_OF[character] for character in spelling])


def merges_to_json(
    token_bytes: Sequence[bytes], special_tokens: Sequence[str], merges: Sequence[tuple[int, int]]
) -> str:
    """Write bytes and merges as JSON that the ``tokenizers`` library opens.

    Args:
        token_bytes: the bytes of every id: 256 bytes, the special tokens, the merges.
        special_tokens: strings of the ids that follow the bytes.
        merges: pairs of ids, the most urgent first.
    """
    spelled = [spell(token) for token in token_bytes]
    spelled[N_BYTES : N_BYTES + len(special_tokens)] = special_tokens
    model = {
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
    }
    return _byte_level_json(model, {t: N_BYTES + i for i, t in enumerate(special_tokens)})


def scores_to_json(
    token_bytes: Sequence[bytes], scores: Sequence[float], special_tokens: Mapping[str, int]
) -> str:
    """Write a Unigram model as JSON that the ``tokenizers`` library opens.

    Args:
        token_bytes: what each id stands for: 256 bytes, the special tokens, the pieces.
        scores: log-probability of each id.
        special_tokens: string → id.
    """
    names = {token_id: token for token, token_id in special_tokens.items()}
    spelled = [names.get(i) or spell(token) for i, token in enumerate(token_bytes)]
    vocab = [[token, score] for token, score in zip(spelled, scores, strict=True)]
    model = {"type": "Unigram", "unk_id": None, "vocab": vocab, "byte_fallback": False}
    return _byte_level_json(model, special_tokens)


def word_pieces_to_json(
    pieces: Sequence[str], special_tokens: Mapping[str, int], *, lowercase: bool, max_word: int
) -> str:
    """Write a WordPiece model as JSON that the ``tokenizers`` library opens.

    Args:
        pieces: the vocabulary in the order of ids, special tokens included.
        special_tokens: string → id.
        lowercase: whether letters lose their case and their accents.
        max_word: the most characters of a word that is cut at all.
    """
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": lowercase,
    }
    model = {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": max_word,
        "vocab": {piece: token_id for token_id, piece in enumerate(pieces)},
    }
    return _to_json(
        model,
        special_tokens,
        normalizer=normalizer,
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": False},
    )


def from_json(text: str, *, source: str) -> Merges | WordPieces | ScoredPieces:
    """Read back what minillm wrote; foreign rules of cutting words are refused.

    Args:
        text: the file's content.
        source: its name, for messages.

    Raises:
        DataError: not JSON, damaged, or a tokenizer that minillm did not write.
    """
    try:
        contents = json.loads(text)
        return _READERS[contents["model"].get("type")](contents)
    except (json.JSONDecodeError, KeyError, TypeError, IndexError, ValueError) as error:
        raise DataError(
            f"{source} is not a tokenizer.json written by minillm ({error!r}); train one with "
            "train_tokenizer and save it"
        ) from error


def _byte_level_json(model: dict[str, Any], special_tokens: Mapping[str, int]) -> str:
    words = {"type": "Split", "pattern": {"Regex": WORD_PATTERN}, "behavior": "Isolated"}
    cut = {"type": "Sequence", "pretokenizers": [words | {"invert": False}, _BYTE_LEVEL]}
    return _to_json(model, special_tokens, normalizer=None, pre_tokenizer=cut, decoder=_BYTE_LEVEL)


def _to_json(
    model: dict[str, Any],
    special_tokens: Mapping[str, int],
    *,
    normalizer: dict[str, Any] | None,
    pre_tokenizer: dict[str, Any],
    decoder: dict[str, Any],
) -> str:
    """Write what all files have in common; equal input, equal bytes."""
    added = [_added_token(token_id, content) for content, token_id in special_tokens.items()]
    contents = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }
    return json.dumps(contents, ensure_ascii=False) + "\n"


def _added_token(token_id: int, content: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": content, **flags, "special": True}


def _special_tokens(contents: dict[str, Any]) -> tuple[str, ...]:
    return tuple(token["content"] for token in contents["added_tokens"])


def _check_words(contents: dict[str, Any]) -> None:
    if contents["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] != WORD_PATTERN:
        raise ValueError("words are cut by another pattern")


def _merges(contents: dict[str, Any]) -> Merges:
    """Check the parts that decide how text is encoded, and pick out what varies."""
    model = contents["model"]
    ids: dict[str, int] = model["vocab"]
    special_tokens = _special_tokens(contents)
    merges = [(ids[left], ids[right]) for left, right in model["merges"]]
    expected = [*BYTE_SPELLINGS, *special_tokens, *("".join(pair) for pair in model["merges"])]
    if ids != {token: token_id for token_id, token in enumerate(expected)}:
        raise ValueError("the vocabulary is not bytes, special tokens, merges")
    _check_words(contents)
    return Merges(special_tokens, merges)


def _scored_pieces(contents: dict[str, Any]) -> ScoredPieces:
    special_tokens = _special_tokens(contents)
    vocab: list[tuple[str, float]] = contents["model"]["vocab"]
    fixed = [*BYTE_SPELLINGS, *special_tokens]
    if [token for token, _ in vocab[: len(fixed)]] != fixed:
        raise ValueError("the vocabulary is not bytes, special tokens, pieces")
    _check_words(contents)
    spelled = vocab[:N_BYTES] + vocab[len(fixed) :]
    return ScoredPieces(special_tokens, [(unspell(token), float(x)) for token, x in spelled])


def _word_pieces(contents: dict[str, Any]) -> WordPieces:
    vocab: dict[str, int] = contents["model"]["vocab"]
    pieces = sorted(vocab, key=vocab.__getitem__)
    lowercase = contents["normalizer"]["lowercase"]
    written = word_pieces_to_json(
        pieces,
        {token: vocab[token] for token in _special_tokens(contents)},
        lowercase=lowercase,
        max_word=contents["model"]["max_input_chars_per_word"],
    )
    if json.loads(written) != contents | {"post_processor": None}:  # a frame cuts nothing
        raise ValueError("words are cut by other rules, or ids are missing")
    return WordPieces(_special_tokens(contents), pieces, lowercase)


_READERS: dict[str, Callable[[dict[str, Any]], Merges | WordPieces | ScoredPieces]] = {
    "BPE": _merges,
    "WordPiece": _word_pieces,
    "Unigram": _scored_pieces,
}
