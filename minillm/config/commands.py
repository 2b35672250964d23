"""Settings of the commands."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from minillm.config.checking import require_positive
from minillm.config.families import (
    ARCHITECTURE_SETTINGS,
    OBJECTIVE_SETTINGS,
    Family,
    find_family,
)
from minillm.config.ngram import Smoothing
from minillm.errors import ConfigError

Objective = Literal[
    "causal",
    "bidirectional",
    "masked",
    "masked+next-sentence",
    "masked+sentence-order",
    "sentence-reconstruction",
    "span-corruption",
    "prefix",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainConfig:
    """One pretraining run: what to learn from, what to learn, and how long.

    ``"auto"`` and ``None`` are decided once, when the run begins, and written into its folder.
    """

    out: Path  # the run's folder; the same command again continues there
    corpus: tuple[str, ...] = ("stdlib",)  # stdlib, world, or paths of files and folders
    errors: Literal["strict", "replace"] = "strict"  # what invalid UTF-8 is: an error, or U+FFFD
    clean: tuple[str, ...] | None = None  # cleaning steps in order; None: the default ones
    # auto: the objective's usual one, wordpiece for an encoder, else bpe
    tokenizer: Literal["auto", "bpe", "unigram", "wordpiece", "bytes"] = "auto"
    vocab_size: int = 2048  # most token ids that the tokenizer may make
    objective: Objective = "causal"
    # auto: the objective's usual family
    model: Literal["auto", "gpt", "llama", "lstm", "rnn", "neural-ngram", "ngram", "bert", "t5"] = (
        "auto"
    )
    mask_rate: float = 0.15  # of masked: the share of tokens that is hidden
    masking: Literal["tokens", "words", "spans"] = "tokens"  # of masked: what is hidden together
    sentence_weight: float = 1.0  # of masked+…: the weight of the loss of sentence pairs
    n_sentences: int = 4  # of sentence-reconstruction: most that are shuffled
    noise_density: float = 0.15  # of span-corruption: the share of tokens that is cut out
    mean_span_length: float = 3.0  # of span-corruption, in tokens
    d_model: int = 128  # width of the residual stream
    n_layers: int | None = None  # None: the family's usual depth
    n_heads: int = 4
    n_kv_heads: int | None = None  # fewer share keys and values among heads; None: n_heads
    order: int = 5  # of n-gram models: a token is predicted from the n - 1 before it
    smoothing: Smoothing = "kneser-ney"  # of counted n-grams
    context_length: int = 128  # tokens read at once
    dropout: float = 0.0
    batch_size: int = 16  # windows in a micro-batch
    accumulate: int = 1  # micro-batches in a step
    steps: int | None = None  # optimizer updates; None: 1000, or what --seconds allows
    seconds: float | None = None  # how long to train instead, measured once at the start
    optimizer: Literal["adamw", "adam", "momentum", "sgd"] = "adamw"
    learning_rate: float = 2e-3  # at its peak
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    schedule: Literal["warmup-stable-decay", "warmup-cosine"] = "warmup-stable-decay"
    warmup_steps: int | None = None  # None: a tenth of the steps, at most 100
    save_every: int = 200  # steps between checkpoints
    eval_every: int = 100  # steps between validations
    eval_tokens: int = 16_384  # validation tokens scored each time; all of them at the end
    patience: int | None = None  # validations without a better one before stopping; None: never
    seed: int = 0
    threads: int | Literal["auto"] = "auto"
    # of matrix products; weights are float32; float16 scales its loss
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    # how attention is computed; flex and triton: on a GPU
    backend: Literal["auto", "reference", "sdpa", "flex", "triton"] = "auto"

    def __post_init__(self) -> None:
        require_positive(self, "vocab_size", "batch_size", "accumulate", "steps", "eval_tokens")
        require_positive(self, "save_every", "eval_every", "patience", "warmup_steps")
        if self.steps is not None and self.seconds is not None:
            raise ConfigError("give steps or seconds, not both")
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigError(f"seconds must be above 0, got {self.seconds}")
        if self.threads != "auto" and self.threads < 1:
            raise ConfigError(f"threads must be positive or auto, got {self.threads}")
        for name in ("learning_rate", "weight_decay", "max_grad_norm", "sentence_weight"):
            value, may_be_0 = getattr(self, name), name.endswith("weight") or name[0] == "w"
            if not (math.isfinite(value) and value >= 0) or (value == 0 and not may_be_0):
                raise ConfigError(f"{name} must be a positive finite number, got {value}")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed must be from 0 to 2**63 - 1, got {self.seed}")
        if self.corpus == ():
            raise ConfigError("corpus must name at least one corpus, file or folder")
        self._check_architecture()

    def _check_architecture(self) -> None:
        """Apply the model's own rules, before anything is read or written."""
        if self.backend in ("flex", "triton") and self.dropout:
            raise ConfigError(f"--backend {self.backend} knows no dropout, got {self.dropout}")
        self._check_objective()
        family = find_family(self.model, objective=self.objective)
        self._check_unused(family)
        family.make(vocab_size=self.vocab_size, **self.architecture)
        if family.counts and (self.steps, self.seconds) not in ((None, None), (1, None)):
            raise ConfigError(f"{self.model} counts the text once: leave out steps and seconds")

    def _check_objective(self) -> None:
        if not 0 < self.mask_rate <= 1:
            raise ConfigError(f"mask_rate must be above 0 and at most 1, got {self.mask_rate}")
        if not 0 < self.noise_density < 1:
            raise ConfigError(f"noise_density must be between 0 and 1, got {self.noise_density}")
        if not 1 <= self.mean_span_length < math.inf:
            raise ConfigError(f"mean_span_length must be 1 or more, got {self.mean_span_length}")
        if self.objective == "masked+next-sentence" and self.batch_size < 2:
            raise ConfigError(
                "next-sentence prediction takes its negatives from the other documents of a batch: "
                f"batch_size must be 2 or more, got {self.batch_size}"
            )

    def _check_unused(self, family: Family) -> None:
        """Refuse a setting that the model would ignore; every model that learns reads windows."""
        used = {*family.settings, *(() if family.counts else ("context_length",))}
        self._refuse([x for x in ARCHITECTURE_SETTINGS if x not in used], reader=self.model)
        own = OBJECTIVE_SETTINGS.get(self.objective, ())
        every = [name for names in OBJECTIVE_SETTINGS.values() for name in names]
        self._refuse([x for x in every if x not in own], reader=f"--objective {self.objective}")

    def _refuse(self, unused: Collection[str], *, reader: str) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in unused and value != field.default:
                raise ConfigError(
                    f"{field.name} means nothing to {reader}, got {value}: leave it out"
                )

    @property
    def architecture(self) -> dict[str, Any]:
        """The settings that the model's own configuration takes, as far as they are given."""
        family = find_family(self.model, objective=self.objective)
        given = {name: getattr(self, name) for name in family.settings}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """Judge a language model on whole documents: bits per byte, loss, perplexity."""

    checkpoint: Path  # a run's folder, its final/ or one of its checkpoints
    corpus: tuple[str, ...] | None = None  # None: the validation documents of the model's run
    errors: Literal["strict", "replace"] = "strict"  # what invalid UTF-8 is: an error, or U+FFFD
    device: Literal["auto", "cpu", "cuda"] = "auto"
    json: bool = False  # one line of JSON on stdout


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateConfig:
    """Let a language model continue a text."""

    checkpoint: Path  # a run's folder, its final/ or one of its checkpoints
    prompt: str = ""  # "-" reads it from stdin; empty: the model begins a document
    max_new_tokens: int = 200
    temperature: float = 0.8  # 0: always the likeliest token; 1: the model as it is
    top_k: int | None = None  # draw among the k likeliest tokens only
    top_p: float | None = None  # draw among the likeliest tokens that hold this much probability
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    json: bool = False  # one line of JSON on stdout: text, token_ids


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportConfig:
    """Write a model as a directory that Hugging Face Transformers opens."""

    checkpoint: Path  # a run's folder, its final/ or one of its checkpoints
    out: Path  # a new or empty directory
    verify: bool = False  # open it with Transformers and compare its scores with ours
    json: bool = False  # one line of JSON on stdout


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportConfig:
    """Read a directory of Hugging Face Transformers, for generate, evaluate and export."""

    source: Path  # as save_pretrained writes it; nothing is downloaded
    out: Path | None = None  # a new or empty directory; None: runs/ and the source's name
    fresh_heads: bool = False  # untrained heads for a bare model instead of refusing it
    json: bool = False  # one line of JSON on stdout


@dataclass(frozen=True, kw_only=True, slots=True)
class TourConfig:
    """Take the whole way once, on the reader's own Python documentation, and write a report."""

    out: Path = Path("runs/tour")  # the same command again continues there
    corpus: tuple[str, ...] = ("stdlib",)  # stdlib, world, or paths of files and folders
    seconds: float = 90.0  # of training; measured once at the start
    steps: int | None = None  # optimizer updates instead
    threads: int | Literal["auto"] = "auto"
    seed: int = 0
