"""The tokenizer's part of a directory that Transformers and minillm share.

Both keep ``tokenizer.json`` of the ``tokenizers`` library. Theirs also frames each text, such as
``[CLS] … [SEP]``; ours leaves that to who calls it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minillm.errors import ConfigError, DataError
from minillm.tokenizers import (
    BERT_SPECIAL_TOKENS,
    FastWordPiece,
    Tokenizer,
    tokenizer_from_json,
)
from minillm.tokenizers.tokenizer_json import word_pieces_to_json
from minillm.tokenizers.wordpiece import MAX_WORD

TEXT = "text"  # in a frame: where the text itself goes
_ROLES = ("bos", "eos", "pad", "unk", "mask", "cls", "sep")
# Settings of a BERT tokenizer that cut words otherwise, with the only value that ours knows.
_BERT_RULES = {"clean_text": True, "handle_chinese_chars": True}


def save_tokenizer(
    tokenizer: Tokenizer,
    folder: Path,
    *,
    context_length: int | None,
    model_inputs: Sequence[str],
    frame: Sequence[str] = (TEXT,),
) -> None:
    """Write the files from which ``AutoTokenizer`` makes the same ids.

    Args:
        tokenizer: any of ours.
        folder: gets ``tokenizer.json`` and ``tokenizer_config.json``.
        context_length: of the model, at which theirs warns; ``None``: no limit.
        model_inputs: what their model takes beside the ids; a GPT-2 that is given
            ``token_type_ids`` would add the embedding of token 0 to every token.
        frame: what stands around a text, such as ``("bos", "text", "eos")``.
    """
    contents = json.loads(tokenizer.to_json())
    if tuple(frame) != (TEXT,):
        contents["post_processor"] = _template(tokenizer, frame)
    text = json.dumps(contents, ensure_ascii=False) + "\n"
    (folder / "tokenizer.json").write_text(text, encoding="utf-8", newline="\n")
    names = {token_id: token for token, token_id in tokenizer.special_tokens.items()}
    ids = {role: getattr(tokenizer, f"{role}_id", None) for role in _ROLES}
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": list(model_inputs),
        "clean_up_tokenization_spaces": False,
        **({} if context_length is None else {"model_max_length": context_length}),
        **{f"{role}_token": names[i] for role, i in ids.items() if i is not None and i in names},
    }
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8", newline="\n")


def read_tokenizer(folder: Path | str) -> Tokenizer:
    """Read the tokenizer of a directory of theirs, where ours can do exactly the same.

    That is: what ``save_tokenizer`` wrote, and WordPiece under BERT's rules in
    ``tokenizer.json`` or ``vocab.txt``.

    Args:
        folder: as ``save_pretrained`` writes it.

    Raises:
        ConfigError: the folder holds no tokenizer.
        DataError: it cuts words by other rules; the message says which.

    Example:
        ``read_tokenizer("bert-base-uncased/").encode("Hello")``
    """
    folder = Path(folder)
    path = folder / "tokenizer.json"
    if not path.is_file():
        return _from_vocabulary(folder)
    try:
        contents = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        text = _as_ours(contents)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _unusable(path, error) from error
    try:
        return tokenizer_from_json(text, source=str(path))
    except DataError as error:
        raise _unusable(path, error.__cause__ or error) from error


def _unusable(path: Path, reason: object) -> DataError:
    return DataError(
        f"the tokenizer {path} works otherwise than minillm's ({reason}): ids would differ. "
        "minillm reads BERT's WordPiece and what minillm exported; from_transformers reads the "
        "model without its tokenizer"
    )


def _as_ours(contents: dict[str, Any]) -> str:
    """Leave out what does not change how a text is cut: frames, lengths, spaces when decoding."""
    kind = contents["model"]["type"]
    if kind != "WordPiece":
        frame = contents.get("post_processor")
        if frame is not None and frame["type"] != "TemplateProcessing":
            raise ValueError(f"post_processor {frame['type']}")
        return json.dumps(contents | {"post_processor": None, "truncation": None, "padding": None})
    model, normalizer = contents["model"], contents["normalizer"]
    cutter = contents["pre_tokenizer"]["type"]
    if (normalizer["type"], cutter) != ("BertNormalizer", "BertPreTokenizer"):
        raise ValueError(f"words are cut by {normalizer['type']} and {cutter}")
    _check_rules(normalizer)
    rules = ("unk_token", "continuing_subword_prefix", "max_input_chars_per_word")
    if [model[rule] for rule in rules] != ["[UNK]", "##", MAX_WORD]:
        raise ValueError(", ".join(f"{rule}={model[rule]!r}" for rule in rules))
    vocab: dict[str, int] = model["vocab"]
    pieces = sorted(vocab, key=vocab.__getitem__)
    if [vocab[piece] for piece in pieces] != list(range(len(pieces))):
        raise ValueError("ids are missing or doubled")
    names = [token["content"] for token in contents["added_tokens"]]
    _check_special(names, pieces)
    return word_pieces_to_json(
        pieces,
        {name: vocab[name] for name in names},
        lowercase=bool(normalizer["lowercase"]),
        max_word=MAX_WORD,
    )


def _from_vocabulary(folder: Path) -> Tokenizer:
    """Read BERT's ``vocab.txt``: a piece a line, in the order of ids."""
    path = folder / "vocab.txt"
    if not path.is_file():
        raise ConfigError(
            f"{folder} holds no tokenizer: neither tokenizer.json nor BERT's vocab.txt; save "
            "theirs there with tokenizer.save_pretrained"
        )
    about = _settings(folder / "tokenizer_config.json")
    try:
        rules = {"handle_chinese_chars": about.get("tokenize_chinese_chars", True)}
        lowercase = bool(about.get("do_lower_case", True))
        strip = about.get("strip_accents")
        _check_rules(rules | {"lowercase": lowercase, "strip_accents": strip})
        pieces = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        _check_special(BERT_SPECIAL_TOKENS, pieces)
        return FastWordPiece(pieces, lowercase=lowercase)
    except ValueError as error:  # a ConfigError of a doubled piece too
        raise _unusable(path, error) from error


def _settings(path: Path) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _check_rules(given: Mapping[str, Any]) -> None:
    """Refuse a normalizer that keeps or drops other characters than ours."""
    other = [f"{name}={given[name]}" for name, x in _BERT_RULES.items() if given.get(name, x) != x]
    strip, lowercase = given.get("strip_accents"), bool(given["lowercase"])
    if strip is not None and strip != lowercase:
        other.append(f"strip_accents={strip} with lowercase={lowercase}")
    if other:
        raise ValueError(", ".join(other))


def _check_special(names: Sequence[str], pieces: Sequence[str]) -> None:
    """Refuse a vocabulary without BERT's special tokens: they would shift all other ids."""
    missing = [t for t in BERT_SPECIAL_TOKENS if t not in names or t not in pieces]
    missing += [t for t in names if t not in pieces and t not in missing]
    if missing:
        raise ValueError(f"the vocabulary lacks {', '.join(missing)}")


def _template(tokenizer: Tokenizer, frame: Sequence[str]) -> dict[str, Any]:
    """Frame one text, and a pair as ``a`` with its frame, then ``b`` with what follows a text."""
    names = {token_id: token for token, token_id in tokenizer.special_tokens.items()}
    used = {role: names[getattr(tokenizer, f"{role}_id")] for role in frame if role != TEXT}

    def part(role: str, sequence: str, type_id: int) -> dict[str, Any]:
        if role == TEXT:
            return {"Sequence": {"id": sequence, "type_id": type_id}}
        return {"SpecialToken": {"id": used[role], "type_id": type_id}}

    single = [part(role, "A", 0) for role in frame]
    second = [part(role, "B", 1) for role in frame[frame.index(TEXT) :]]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": single + second,
        "special_tokens": {
            token: {"id": token, "ids": [tokenizer.special_tokens[token]], "tokens": [token]}
            for token in used.values()
        },
    }
