"""The small models of ``assets/models``: one an objective on TinyWorld, one on real text.

They are pretrained by the arena's recipes, with the tokenizer that each objective usually has.
Beside each lies ``NAME.json``: the command, the machine, the text, the number of steps, how the
loss fell, the SHA-256 of the weights, and the scores on a few held-out documents, which whoever
opens the model can compute again.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from minillm.arena.pretraining import pretrain_body, steps_within
from minillm.arena.table import as_text
from minillm.checkpoint import read_checkpoint
from minillm.config import USUAL_TOKENIZERS
from minillm.data import PreparedData, load_prepared, prepare_data
from minillm.run import OBJECTIVES, LoadedModel, load_model
from minillm.run.judges import HeldOut
from minillm.runtime import file_sha256, machine_signature
from minillm.text.cleaning import DEFAULT_STEPS
from minillm.text.corpora import load_corpus
from minillm.text.world import TinyWorld
from minillm.tokenizers import (
    SENTINEL_TOKENS,
    TokenizerKind,
    train_tokenizer,
    usual_special_tokens,
)

MAX_BYTES = 3_000_000  # of the weights of one model
N_JUDGED = 6  # held-out documents: enough to notice other weights, few enough for a test
_MAX_STORED_TEXT = 1500  # characters of a document that is stored beside its model


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredModel:
    """A model of ``assets/models``."""

    name: str
    objective: str
    corpus: str = "world"
    seconds: float = 60.0  # of CPU
    vocab_size: int = 1200
    sizes: Mapping[str, Any] = field(
        default_factory=lambda: {"d_model": 64, "n_layers": 2, "n_heads": 4}
    )

    @property
    def tokenizer(self) -> TokenizerKind:
        """The usual one of the objective."""
        return cast(TokenizerKind, USUAL_TOKENIZERS[self.objective])


STORED_MODELS = (
    *(StoredModel(name=name, objective=name) for name in OBJECTIVES),
    StoredModel(
        name="causal-stdlib",
        objective="causal",
        corpus="stdlib",
        vocab_size=1536,
        sizes={"d_model": 96, "n_layers": 3, "n_heads": 4},
    ),
)


def make_stored_model(one: StoredModel, *, assets: Path, work: Path, command: str) -> Path:
    """Pretrain a model and store it with what is told about it; one that is there stays.

    Args:
        one: which.
        assets: the folder of the models.
        work: for prepared text.
        command: that does it again.

    Returns:
        The folder of the model.
    """
    folder, about = assets / one.name, assets / f"{one.name}.json"
    if folder.is_dir() and about.exists():
        return folder
    data = _prepared(one, work)
    told = json.loads(about.read_text("utf-8")) if about.exists() else {}
    n_steps = told.get("n_steps")
    if n_steps is None:
        timed = steps_within([one.objective], data, seconds=one.seconds, sizes=one.sizes)
        n_steps = timed[one.objective]
    pretrain_body(folder, one.objective, data, n_steps, sizes=one.sizes, seed=0)
    loaded = load_model(folder)
    pretraining = loaded.description["pretraining"]
    texts = judged_texts(one.corpus, data)
    content = {
        "command": command,
        "machine": machine_signature() | {"python": platform.python_version(), "threads": 1},
        "objective": one.objective,
        "corpus": one.corpus,
        "corpus_sha256": data.manifest["corpus_sha256"],
        "n_steps": n_steps,
        "cpu_s": pretraining["cpu_s"],
        "recipe": pretraining["recipe"],
        "loss": pretraining["loss"],  # [step, nats of the batch]
        "sha256": file_sha256(folder / "model.safetensors"),
        "validation": scores_of(loaded, texts),
    }
    if one.corpus != "world":
        content["judged_texts"] = texts  # other Pythons have other documentation
    about.write_text(as_text(content), "utf-8")
    return folder


def judged_texts(corpus: str, data: PreparedData | None = None) -> list[str]:
    """Return the held-out documents that a stored model is judged by.

    Args:
        corpus: ``"world"``, whose documents are made anew; or another, of ``data``.
        data: the prepared text of another corpus; short documents of it are taken.
    """
    if corpus == "world" or data is None:
        return [one.text for one in TinyWorld().documents(N_JUDGED, split="validation")]
    decode = data.tokenizer.decode
    texts = (decode(document[1:-1].tolist()) for document in data.documents("validation"))
    short: Iterator[str] = (text for text in texts if len(text) <= _MAX_STORED_TEXT)
    return [text for text, _ in zip(short, range(N_JUDGED), strict=False)]


def scores_of(loaded: LoadedModel, texts: Sequence[str]) -> dict[str, float]:
    """Judge a model by texts, as its objective is judged; six digits."""
    objective = OBJECTIVES[loaded.description["objective"]]
    held_out = HeldOut.of_texts(texts, loaded.tokenizer, with_sentences=objective.reads_sentences)
    numbers = objective.judge(loaded.model, held_out).numbers()
    return {name: round(value, 6) for name, value in numbers.items()}


def check_intact(folder: Path, about: Mapping[str, Any]) -> None:
    """Compare a stored model with what is told about it.

    Raises:
        CheckpointError: a file of it is damaged.
        ValueError: it is another model, or a larger one than it may be.
    """
    read_checkpoint(folder)
    weights = folder / "model.safetensors"
    if (found := file_sha256(weights)) != about["sha256"]:
        raise ValueError(f"{weights} has the SHA-256 {found}, not {about['sha256']}")
    if weights.stat().st_size > MAX_BYTES:
        raise ValueError(f"{weights} has {weights.stat().st_size:,} bytes, at most {MAX_BYTES:,}")


def _prepared(one: StoredModel, work: Path) -> PreparedData:
    """Return the prepared text, the same for all models of one corpus and kind of tokenizer."""
    folder = work / f"{one.corpus}-{one.tokenizer}-{one.vocab_size}"
    if folder.is_dir():
        return load_prepared(folder)
    special_tokens = (*usual_special_tokens(one.tokenizer), *SENTINEL_TOKENS)
    learn = partial(
        train_tokenizer, one.tokenizer, vocab_size=one.vocab_size, special_tokens=special_tokens
    )
    return prepare_data(
        folder,
        load_corpus([one.corpus]),
        tokenizer=learn,
        clean_steps=DEFAULT_STEPS,
        sentences=True,
    )
