"""Judge a stored model on held-out text, or on any text that the reader names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from minillm.data import load_prepared
from minillm.errors import ConfigError
from minillm.evaluation import Evaluation, evaluate_documents
from minillm.run.folder import CONFIG, DATA
from minillm.run.table import LoadedModel
from minillm.text.corpora import Errors, load_corpus


def evaluate_checkpoint(
    loaded: LoadedModel,
    *,
    corpus: Sequence[str] | None = None,
    errors: Errors = "strict",
    show_bars: bool = False,
) -> Evaluation:
    """Measure how well a model predicts whole documents.

    Args:
        loaded: from ``load_model``.
        corpus: names and paths as for ``load_corpus``; every document of them, as it is, without
            cleaning. ``None``: all validation documents of the model's own run.
        errors: what invalid UTF-8 is.
        show_bars: a progress bar on stderr.

    Raises:
        ConfigError: no corpus is named and the checkpoint does not lie in its run's folder.
        DataError: the corpus cannot be used.

    Example:
        ``evaluate_checkpoint(load_model("runs/tour")).bits_per_byte``
    """
    if corpus is None:
        data = load_prepared(_run_folder(loaded.folder) / DATA)
        documents = data.documents("validation")
        n_bytes = data.n_bytes(documents)
    else:
        documents, n_bytes = [], 0
        for document in load_corpus(corpus, errors=errors):
            documents.append(np.array(loaded.tokenizer.encode_document(document.text)))
            n_bytes += document.n_bytes
    bar = partial(tqdm, desc="evaluate", unit=" batches", disable=not show_bars, leave=False)
    return evaluate_documents(loaded.model, documents, n_bytes=n_bytes, progress=bar)


def _run_folder(checkpoint: Path) -> Path:
    for folder in list(checkpoint.resolve().parents)[:2]:
        if (folder / CONFIG).exists() and (folder / DATA).is_dir():
            return folder
    raise ConfigError(
        f"{checkpoint} does not lie in the folder of its run: name the text with --corpus"
    )
