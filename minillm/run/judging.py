"""Judge a stored model on held-out text, or on any text that the reader names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from minillm.data import load_prepared
from minillm.errors import ConfigError, DataError
from minillm.evaluation import Evaluation, evaluate_documents
from minillm.run.folder import CONFIG, DATA, RunFolder
from minillm.run.table import LoadedModel
from minillm.text.corpora import Errors, load_corpus
from minillm.text.world import TinyWorld
from minillm.text.world.corpus import is_world, parse_corpus


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model reaches on whole documents, and what could be reached."""

    evaluation: Evaluation
    floor_bits_per_byte: float | None  # None where the source's probabilities are not known

    def to_json(self) -> dict[str, float | int]:
        """Return the numbers by name, the floor only where it is known."""
        numbers = asdict(self.evaluation)
        if self.floor_bits_per_byte is not None:
            numbers["floor_bits_per_byte"] = self.floor_bits_per_byte
        return numbers


def judge_checkpoint(
    loaded: LoadedModel,
    *,
    corpus: Sequence[str] | None = None,
    errors: Errors = "strict",
    show_bars: bool = False,
) -> Judgement:
    """Measure how well a model predicts whole documents.

    Of documents of TinyWorld the exact bits are known: no model of whole documents can do with
    fewer on average.

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
        ``judge_checkpoint(load_model("runs/world")).floor_bits_per_byte``
    """
    if corpus is None:
        folder = _run_folder(loaded.folder)
        data = load_prepared(folder / DATA)
        documents = data.documents("validation")
        names = (RunFolder(folder).read_config() or {})["resolved"]["corpus"]
        texts = [data.tokenizer.decode(document[1:-1].tolist()) for document in documents]
    else:
        names = corpus
        texts = [document.text for document in load_corpus(corpus, errors=errors)]
        documents = [np.array(loaded.tokenizer.encode_document(text)) for text in texts]
    n_bytes = sum(len(text.encode()) for text in texts)
    bar = partial(tqdm, desc="evaluate", unit=" batches", disable=not show_bars, leave=False)
    evaluation = evaluate_documents(loaded.model, documents, n_bytes=n_bytes, progress=bar)
    bits = floor_bits(names, texts)
    return Judgement(evaluation, None if bits is None else bits / n_bytes)


def evaluate_checkpoint(loaded: LoadedModel, **options: Any) -> Evaluation:
    """Return only what the model reaches; arguments and errors as ``judge_checkpoint``.

    Example:
        ``evaluate_checkpoint(load_model("runs/tour")).bits_per_byte``
    """
    return judge_checkpoint(loaded, **options).evaluation


def floor_bits(corpus: Sequence[str], texts: Sequence[str]) -> float | None:
    """Return the exact code length of texts of TinyWorld, all together, in bits.

    Args:
        corpus: the names that the texts came from, as for ``load_corpus``.
        texts: whole documents.

    Returns:
        The sum of -log2 p; ``None`` if another corpus is among them, or a text was changed on the
        way (by cleaning, or by a tokenizer that cannot give it back).

    Example:
        >>> floor_bits(["stdlib"], ["Return the sum."]) is None
        True
    """
    if not all(map(is_world, corpus)):
        return None
    languages = {parse_corpus(name).language for name in corpus}
    if len(languages) != 1:
        return None
    try:
        return sum(TinyWorld(languages.pop()).exact.floor_bits(texts))
    except DataError:
        return None


def _run_folder(checkpoint: Path) -> Path:
    for folder in list(checkpoint.resolve().parents)[:2]:
        if (folder / CONFIG).exists() and (folder / DATA).is_dir():
            return folder
    raise ConfigError(
        f"{checkpoint} does not lie in the folder of its run: name the text with --corpus"
    )
