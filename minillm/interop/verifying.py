"""Ask Transformers itself whether it computes what we compute; only this needs the library."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch

from minillm.errors import CheckpointError, ConfigError
from minillm.models.base import Model
from minillm.tokenizers import Tokenizer

OLDEST = 5  # before it, names of arguments and files were others
TEXTS = ("The cat sees the red house.", "Zoë didn't read 3 books…\n", "小猫看见红色的房子。")


def require_transformers() -> Any:
    """Return the module ``transformers``.

    Raises:
        ConfigError: it is missing or too old; the message says what to install.

    Example:
        ``require_transformers().AutoTokenizer.from_pretrained("exported/")``
    """
    try:
        library = importlib.import_module("transformers")
    except ImportError as error:
        raise ConfigError(
            "this needs Hugging Face Transformers, which is not installed: "
            "pip install 'minillm[interop]'"
        ) from error
    version = str(getattr(library, "__version__", "0"))
    if int(version.split(".")[0]) < OLDEST:
        raise ConfigError(
            f"this needs Transformers {OLDEST} or newer, installed is {version}: "
            "pip install --upgrade 'minillm[interop]'"
        )
    return library


@torch.no_grad()
def verify_export(model: Model, directory: Path | str, *, tokenizer: Tokenizer) -> float:
    """Open a directory with Transformers and compare its scores and its ids with ours.

    Args:
        model: what ``to_transformers`` wrote there.
        directory: where.
        tokenizer: of the model.

    Returns:
        The largest difference of two logits, relative to the largest logit.

    Raises:
        ConfigError: Transformers is missing or too old.
        CheckpointError: the tokenizers give other ids.

    Example:
        ``verify_export(model, "exported/", tokenizer=tokenizer)``
    """
    library, folder = require_transformers(), Path(directory)
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = getattr(library, about["architectures"][0])
    theirs = kind.from_pretrained(folder, local_files_only=True).eval()
    read = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    for text in TEXTS:
        if read(text, add_special_tokens=False)["input_ids"] != tokenizer.encode(text):
            raise CheckpointError(f"{folder}: AutoTokenizer gives other ids for {text!r}")
    generator = torch.Generator().manual_seed(0)
    shape = (2, min(64, model.config.context_length))
    token_ids = torch.randint(model.config.vocab_size, shape, generator=generator)
    given = [token_ids, token_ids.flip(1)][: 2 if theirs.config.is_encoder_decoder else 1]
    out = theirs(**dict(zip(("input_ids", "decoder_input_ids"), given, strict=False)))
    expected = out.logits if "logits" in out else out.prediction_logits
    scores = model.eval()(*given)
    return float((scores - expected).abs().max() / expected.abs().max())
