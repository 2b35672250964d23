"""Which models each objective can train, and which settings of a run each of them takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from minillm.config.bidirectional import BidirectionalConfig
from minillm.config.decoder import DecoderConfig
from minillm.config.encoder import EncoderConfig
from minillm.config.encoder_decoder import EncoderDecoderConfig
from minillm.config.neural_ngram import NeuralNgramConfig
from minillm.config.ngram import NgramConfig
from minillm.config.recurrent import RecurrentConfig
from minillm.errors import ConfigError

# Settings of a run that describe its model; a family takes some of them.
_TRANSFORMER = ("d_model", "n_layers", "n_heads", "n_kv_heads", "context_length", "dropout")
_RECURRENT = ("d_model", "n_layers", "dropout")
_NEURAL_NGRAM = ("d_model", "order", "dropout")
_NGRAM = ("order", "smoothing")
_ENCODER = ("d_model", "n_layers", "n_heads", "context_length", "dropout")
ARCHITECTURE_SETTINGS = (*_TRANSFORMER, *_NGRAM, "n_sentences")


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model under the name that the command line knows it by."""

    config: type  # of the architecture
    make: Callable[..., Any]  # vocab_size and settings in, such a configuration out
    settings: tuple[str, ...]  # of a run, that ``make`` takes
    counts: bool = False  # it reads the text once and counts: no steps, no gradients


_CAUSAL = {
    "gpt": Family(DecoderConfig, DecoderConfig.gpt, _TRANSFORMER),
    "llama": Family(DecoderConfig, DecoderConfig.llama, _TRANSFORMER),
    "lstm": Family(RecurrentConfig, RecurrentConfig.lstm, _RECURRENT),
    "rnn": Family(RecurrentConfig, RecurrentConfig.rnn, _RECURRENT),
    "neural-ngram": Family(NeuralNgramConfig, NeuralNgramConfig, _NEURAL_NGRAM),
    "ngram": Family(NgramConfig, NgramConfig, _NGRAM, counts=True),
}
_BIDIRECTIONAL = {
    "lstm": Family(BidirectionalConfig, BidirectionalConfig.lstm, _RECURRENT),
    "rnn": Family(BidirectionalConfig, BidirectionalConfig.rnn, _RECURRENT),
}


def _bert(make: Callable[..., EncoderConfig], *more: str) -> Family:
    """Return a BERT for little text: begun at random, positions cost it most of a short run."""
    return Family(EncoderConfig, partial(make, position_start="sinusoids"), (*_ENCODER, *more))


_MASKED = {"bert": _bert(EncoderConfig.bert)}
_PAIRS = {"bert": _bert(EncoderConfig.bert_of_pairs)}
_ORDERING = {"bert": _bert(EncoderConfig.bert_that_orders, "n_sentences")}
_PREFIX = {name: _CAUSAL[name] for name in ("llama", "gpt")}  # they have a mask to change
# T5's second version: at these sizes the first one needs a learning rate three times as large.
_SPANS = {"t5": Family(EncoderDecoderConfig, EncoderDecoderConfig.t5_1_1, _ENCODER)}
# The first family of an objective is its usual one.
FAMILIES: Mapping[str, Mapping[str, Family]] = {
    "causal": _CAUSAL,
    "bidirectional": _BIDIRECTIONAL,
    "masked": _MASKED,
    "masked+next-sentence": _PAIRS,
    "masked+sentence-order": _PAIRS,
    "sentence-reconstruction": _ORDERING,
    "span-corruption": _SPANS,
    "prefix": _PREFIX,
}
_MASKING = ("mask_rate", "masking")
# Settings of a run that describe its objective; those not listed have none.
OBJECTIVE_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "masked": _MASKING,
    "masked+next-sentence": (*_MASKING, "sentence_weight"),
    "masked+sentence-order": (*_MASKING, "sentence_weight"),
    "span-corruption": ("noise_density", "mean_span_length"),
}
# What a model reads best: an encoder whole words, as BERT does; the others anything, without loss.
USUAL_TOKENIZERS: Mapping[str, str] = {
    name: "wordpiece" if "bert" in families else "bpe" for name, families in FAMILIES.items()
}


def find_family(name: str, *, objective: str = "causal") -> Family:
    """Return a family of an objective; ``"auto"`` is the usual one.

    Raises:
        ConfigError: the objective is unknown, or has no such model.

    Example:
        >>> find_family("auto").settings[:2]
        ('d_model', 'n_layers')
    """
    if objective not in FAMILIES:
        raise ConfigError(f"objective must be one of {', '.join(FAMILIES)}, got {objective!r}")
    families = FAMILIES[objective]
    if name == "auto":
        return next(iter(families.values()))
    if name not in families:
        known = any(name in others for others in FAMILIES.values())
        fault = f"does not fit --objective {objective}" if known else "is unknown"
        raise ConfigError(f"--model {name} {fault}: choose from {', '.join(families)}")
    return families[name]
