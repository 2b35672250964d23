"""The case study of notebook 11: other people's programs as text, run and mended.

Dimension key: B rows, T positions.
"""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from exercises.bidirectional_07 import Stories
from minillm.interop import to_transformers
from minillm.models.encoder import Encoder
from minillm.tokenizers.base import Tokenizer

_N_SENTENCES = 2  # of a story: what fits into 32 pieces


def run_snippet(
    code: str, folder: Path, names: Mapping[str, Any]
) -> tuple[str, str, dict[str, Any]]:
    """Run a program that is given as text, inside a folder.

    Args:
        code: the program.
        folder: where it reads and writes.
        names: what it may use without defining it.

    Returns:
        The error that stopped it, with its line, or an empty text; what it printed; the names at
        the end.

    Example:
        >>> run_snippet("x = 1\\nprint(y)", Path(), {})[0]
        "NameError: name 'y' is not defined\\n    at: print(y)"
    """
    given, printed = dict(names), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        try:
            exec(compile(code, "snippet", "exec"), given)  # the text is the case study
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            number = [frame.lineno for frame in frames if frame.filename == "snippet"][-1] or 1
            line = code.splitlines()[number - 1].strip()
            reason = str(error).partition(" (/")[0]  # behind it comes a path of this machine
            return f"{type(error).__name__}: {reason}\n    at: {line}", printed.getvalue(), given
    return "", printed.getvalue(), given


def mend(
    code: str, changes: Sequence[Mapping[str, str]], folder: Path, names: Mapping[str, Any]
) -> tuple[list[str], str]:
    """Run a program, change what stopped it, run it again, and so on.

    Args:
        code: the program.
        changes: old text → new text, one mapping after each error.
        folder: where it runs.
        names: what it may use.

    Returns:
        The errors in their order, and the program after all changes.

    Raises:
        ValueError: if it runs before the last change, or a text to be changed is not there.
    """
    errors = []
    for change in changes:
        error, _, _ = run_snippet(code, folder, names)
        if not error or not all(old in code for old in change):
            raise ValueError(f"{[*change]} must be what stops the program, which says {error!r}")
        errors.append(error)
        for old, new in change.items():
            code = code.replace(old, new)
    return errors, code


def export(model: Encoder, folder: Path, *, tokenizer: Tokenizer, dropout: float) -> None:
    """Write a model for Transformers, with a dropout in its configuration; quiet its bars."""
    import transformers  # seconds: only where it is used

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    copy = Encoder(replace(model.config, dropout=dropout))
    copy.load_state_dict(model.state_dict())
    to_transformers(copy, folder, tokenizer=tokenizer)


def story_texts(stories: Stories, n_texts: int, *, held: bool = False) -> list[str]:
    """Return the first two sentences of stories, one text each."""
    texts = []
    for ids in (stories.held if held else stories.train)[:n_texts]:
        words = [stories.vocabulary[number - 1] for number in ids[1:]]
        stops = [place for place, word in enumerate(words) if word in ".!?"]
        texts.append(" ".join(words[: stops[_N_SENTENCES - 1] + 1]))
    return texts


def padded_rows(tokenizer: Tokenizer, texts: Sequence[str], *, length: int = 32) -> Tensor:
    """Encode texts as rows of one length, (B, T): cut if longer, padded if shorter."""
    rows = torch.full((len(texts), length), tokenizer.pad_id)
    for row, text in zip(rows, texts, strict=True):
        inside = tokenizer.encode(text)[: length - 2]
        ids = [tokenizer.bos_id, *inside, tokenizer.eos_id]
        row[: len(ids)] = torch.tensor(ids)
    return rows


@torch.no_grad()
def copied_share(model: Encoder, token_ids: Tensor, tokenizer: Tokenizer) -> float:
    """Return at which share of the ordinary tokens the model says the token that it reads."""
    guesses = model.eval()(token_ids, is_padding=token_ids == tokenizer.pad_id).argmax(-1)
    is_ordinary = token_ids > max(tokenizer.special_tokens.values())
    return (guesses == token_ids)[is_ordinary].double().mean().item()
