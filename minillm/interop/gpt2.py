"""GPT-2 here and in Transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minillm.config import DecoderConfig
from minillm.errors import CheckpointError
from minillm.interop.names import Entry, NameTable, in_layers, linear

MODEL_TYPE = "gpt2"
CONFIG = DecoderConfig
POSITIONS = "learned"  # tells a GPT-2 from other decoders
MODEL_INPUTS = ("input_ids", "attention_mask")
FRAME = ("text",)
ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu": "gelu", "relu": "relu"}  # theirs → ours

_QUERY_KEY_VALUE = tuple(f"blocks.{{}}.attention.{name}" for name in ("query", "key", "value"))
_LAYER = [
    *linear("blocks.{}.attention_norm", "transformer.h.{}.ln_1"),
    *linear(_QUERY_KEY_VALUE, "transformer.h.{}.attn.c_attn", is_transposed=True),
    *linear("blocks.{}.attention.output", "transformer.h.{}.attn.c_proj", is_transposed=True),
    *linear("blocks.{}.feed_forward_norm", "transformer.h.{}.ln_2"),
    *linear("blocks.{}.feed_forward.up", "transformer.h.{}.mlp.c_fc", is_transposed=True),
    *linear("blocks.{}.feed_forward.down", "transformer.h.{}.mlp.c_proj", is_transposed=True),
]


def name_table(config: DecoderConfig) -> NameTable:
    """List every tensor of a GPT-2 under both names."""
    entries = [
        Entry(("token_embedding.weight",), "transformer.wte.weight"),
        Entry(("position_embedding.weight",), "transformer.wpe.weight"),
        *in_layers(config.n_layers, _LAYER),
        *linear("final_norm", "transformer.ln_f"),
    ]
    masks = [
        f"transformer.h.{n}.attn.{m}"
        for n in range(config.n_layers)
        for m in ("bias", "masked_bias")
    ]
    tied = {"lm_head.weight": "transformer.wte.weight"}
    if not config.tie_embeddings:
        entries.append(Entry(("unembedding.weight",), "lm_head.weight"))
        tied = {}
    return NameTable(
        entries=tuple(entries),
        derived=tuple(masks),
        prefix="transformer.",
        tied=tied,
        heads=frozenset({"lm_head.weight"}),
        with_heads="GPT2LMHeadModel",
    )


def class_name(config: DecoderConfig) -> str:
    """Name the class of theirs that has the same heads."""
    return "GPT2LMHeadModel"


def read_config(theirs: Mapping[str, Any], names: frozenset[str]) -> DecoderConfig:
    """Return our architecture for their ``config.json``.

    Raises:
        CheckpointError: it asks for what our decoder does not have.
    """
    unusual = [
        name
        for name in ("add_cross_attention", "scale_attn_by_inverse_layer_idx")
        if theirs.get(name)
    ]
    if unusual or not theirs.get("scale_attn_weights", True):
        raise CheckpointError(f"this GPT-2 has {', '.join(unusual) or 'unscaled attention'}")
    activation = theirs.get("activation_function", "gelu_new")
    if activation not in ACTIVATIONS:
        raise CheckpointError(
            f"activation_function must be one of {list(ACTIVATIONS)}, got {activation!r}"
        )
    return DecoderConfig.gpt(
        vocab_size=theirs["vocab_size"],
        context_length=theirs["n_positions"],
        d_model=theirs["n_embd"],
        n_layers=theirs["n_layer"],
        n_heads=theirs["n_head"],
        d_ff=theirs.get("n_inner") or 4 * theirs["n_embd"],
        norm_eps=theirs.get("layer_norm_epsilon", 1e-5),
        feed_forward=ACTIVATIONS[activation],
        tie_embeddings=theirs.get("tie_word_embeddings", True),
        dropout=theirs.get("resid_pdrop", 0.1),
    )


def write_config(config: DecoderConfig, special_ids: Mapping[str, int]) -> dict[str, Any]:
    """Return their ``config.json`` for our architecture.

    Raises:
        CheckpointError: our decoder is no GPT-2.
    """
    wanted = DecoderConfig.gpt(vocab_size=config.vocab_size)
    parts = ("norm", "norm_position", "positions", "use_bias")
    other = [name for name in parts if getattr(config, name) != getattr(wanted, name)]
    if (
        other
        or config.kv_heads != config.n_heads
        or config.feed_forward not in ACTIVATIONS.values()
    ):
        raise CheckpointError(
            f"only a GPT-2 can be written as one; this decoder has other parts: "
            f"{', '.join(other) or 'key/value heads or feed-forward layer'}"
        )
    activation = {ours: theirs for theirs, ours in ACTIVATIONS.items()}[config.feed_forward]
    return {
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_embd": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_inner": config.hidden_width,
        "layer_norm_epsilon": config.norm_eps,
        "activation_function": activation,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "tie_word_embeddings": config.tie_embeddings,
        **special_ids,
    }
