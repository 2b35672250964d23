"""BERT here and in Transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minillm.config import EncoderConfig
from minillm.errors import CheckpointError
from minillm.interop.names import Entry, NameTable, in_layers, linear

MODEL_TYPE = "bert"
CONFIG = EncoderConfig
MODEL_INPUTS = ("input_ids", "token_type_ids", "attention_mask")
FRAME = ("bos", "text", "eos")  # [CLS] … [SEP], as ``encode_document``
ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu"}  # theirs → ours

_LAYER = [
    *linear("blocks.{}.attention.query", "bert.encoder.layer.{}.attention.self.query"),
    *linear("blocks.{}.attention.key", "bert.encoder.layer.{}.attention.self.key"),
    *linear("blocks.{}.attention.value", "bert.encoder.layer.{}.attention.self.value"),
    *linear("blocks.{}.attention.output", "bert.encoder.layer.{}.attention.output.dense"),
    *linear("blocks.{}.attention_norm", "bert.encoder.layer.{}.attention.output.LayerNorm"),
    *linear("blocks.{}.feed_forward.up", "bert.encoder.layer.{}.intermediate.dense"),
    *linear("blocks.{}.feed_forward.down", "bert.encoder.layer.{}.output.dense"),
    *linear("blocks.{}.feed_forward_norm", "bert.encoder.layer.{}.output.LayerNorm"),
]
_PAIR_HEAD = {"cls.seq_relationship.weight", "bert.pooler.dense.weight", "pooler.dense.weight"}
_MATRIX = "bert.embeddings.word_embeddings.weight"


def name_table(config: EncoderConfig) -> NameTable:
    """List every tensor of an encoder under both names."""
    entries = [
        Entry(("token_embedding.weight",), _MATRIX),
        Entry(("position_embedding.weight",), "bert.embeddings.position_embeddings.weight"),
        Entry(("segment_embedding.weight",), "bert.embeddings.token_type_embeddings.weight"),
        *linear("embedding_norm", "bert.embeddings.LayerNorm"),
        *in_layers(config.n_layers, _LAYER),
        *linear("masked_head.dense", "cls.predictions.transform.dense"),
        *linear("masked_head.norm", "cls.predictions.transform.LayerNorm"),
        Entry(("masked_head.output_bias",), "cls.predictions.bias"),
    ]
    if config.has_next_sentence_head:
        entries += linear("pair_head.pooler", "bert.pooler.dense")
        entries += linear("pair_head.classifier", "cls.seq_relationship")
    return NameTable(
        entries=tuple(entries),
        heads=frozenset(e.theirs for e in entries if e.theirs.startswith("cls.")),
        with_heads="BertForMaskedLM or BertForPreTraining",
        derived=("bert.embeddings.position_ids",),
        prefix="bert.",
        tied={
            "cls.predictions.decoder.weight": _MATRIX,
            "cls.predictions.decoder.bias": "cls.predictions.bias",
        },
    )


def class_name(config: EncoderConfig) -> str:
    """Name the class of theirs that has the same heads."""
    return "BertForPreTraining" if config.has_next_sentence_head else "BertForMaskedLM"


def read_config(theirs: Mapping[str, Any], names: frozenset[str]) -> EncoderConfig:
    """Return our architecture for their ``config.json``.

    Args:
        theirs: the parsed file.
        names: of the tensors, which tell whether the pair head or its pooler is there.

    Raises:
        CheckpointError: it asks for what our encoder does not have.
    """
    if theirs.get("is_decoder") or theirs.get("add_cross_attention"):
        raise CheckpointError("this BERT is a decoder (is_decoder), ours reads both directions")
    positions = theirs.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise CheckpointError(f"position_embedding_type must be 'absolute', got {positions!r}")
    if not theirs.get("tie_word_embeddings", True):
        raise CheckpointError("this BERT has an output matrix of its own (tie_word_embeddings)")
    activation = theirs.get("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        raise CheckpointError(f"hidden_act must be one of {list(ACTIVATIONS)}, got {activation!r}")
    return EncoderConfig(
        vocab_size=theirs["vocab_size"],
        context_length=theirs["max_position_embeddings"],
        d_model=theirs["hidden_size"],
        n_layers=theirs["num_hidden_layers"],
        n_heads=theirs["num_attention_heads"],
        d_ff=theirs["intermediate_size"],
        n_segments=theirs.get("type_vocab_size", 2),
        norm_eps=theirs.get("layer_norm_eps", 1e-12),
        feed_forward=ACTIVATIONS[activation],  # pyright: ignore[reportArgumentType]
        dropout=theirs.get("hidden_dropout_prob", 0.1),
        has_next_sentence_head=not names.isdisjoint(_PAIR_HEAD),
    )


def write_config(config: EncoderConfig, special_ids: Mapping[str, int]) -> dict[str, Any]:
    """Return their ``config.json`` for our architecture.

    Raises:
        CheckpointError: our encoder has a head that theirs does not know.
    """
    if config.max_sentences:
        raise CheckpointError("Transformers' BERT has no head that puts sentences in order")
    activation = {ours: theirs for theirs, ours in ACTIVATIONS.items()}[config.feed_forward]
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.hidden_width,
        "type_vocab_size": config.n_segments,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": activation,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "tie_word_embeddings": True,
        "pad_token_id": special_ids.get("pad_token_id", 0),
    }
