"""Judge a stored model on held-out text, or on any text that the reader names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from minillm.data import load_prepared
from minillm.errors import ConfigError, DataError
from minillm.evaluation import Scores
from minillm.run.floors import floors, held_out_texts, world_of
from minillm.run.folder import CONFIG, DATA, RunFolder
from minillm.run.judges import HeldOut
from minillm.run.table import OBJECTIVES, LoadedModel
from minillm.text.corpora import Errors, load_corpus


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model reaches on held-out documents, and what could be reached."""

    evaluation: Scores
    floors: Mapping[str, float]  # by name; empty where the source's probabilities are not known

    @property
    def floor_bits_per_byte(self) -> float | None:
        """The least that any model of whole documents can reach, where it is known."""
        return self.floors.get("floor_bits_per_byte")

    def to_json(self) -> dict[str, float]:
        """Return the numbers by name, those of the best possible only where they are known."""
        return self.evaluation.numbers() | dict(self.floors)


def judge_checkpoint(
    loaded: LoadedModel,
    *,
    corpus: Sequence[str] | None = None,
    errors: Errors = "strict",
    show_bars: bool = False,
) -> Judgement:
    """Measure how well a model does what it was trained for, on documents it has not seen.

    Of documents of TinyWorld the best possible is computed as well, where it is known: no model
    can do better on average.

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
    objective = OBJECTIVES[loaded.description["objective"]]
    if corpus is None:
        folder = _run_folder(loaded.folder)
        data = load_prepared(folder / DATA)
        names = (RunFolder(folder).read_config() or {})["resolved"]["corpus"]
        held_out = HeldOut.of_run(data, with_sentences=objective.reads_sentences)
        texts = partial(held_out_texts, names, data)
    else:
        names = corpus
        given = [document.text for document in load_corpus(corpus, errors=errors)]
        held_out = HeldOut.of_texts(
            given, loaded.tokenizer, with_sentences=objective.reads_sentences
        )
        texts = partial(list, given)
    evaluation = objective.judge(loaded.model, held_out, show_bars=show_bars)
    return Judgement(evaluation, floors(objective.floor, names, texts, held_out))


def evaluate_checkpoint(loaded: LoadedModel, **options: Any) -> Scores:
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
    world = world_of(corpus)
    if world is None:
        return None
    try:
        return sum(world.exact.floor_bits(texts))
    except DataError:
        return None


def _run_folder(checkpoint: Path) -> Path:
    for folder in list(checkpoint.resolve().parents)[:2]:
        if (folder / CONFIG).exists() and (folder / DATA).is_dir():
            return folder
    raise ConfigError(
        f"{checkpoint} does not lie in the folder of its run: name the text with --corpus"
    )
