"""T5, 1.0 and 1.1, here and in Transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from minillm.config import EncoderDecoderConfig
from minillm.errors import CheckpointError
from minillm.interop.names import Entry, NameTable, in_layers

MODEL_TYPE = "t5"
CONFIG = EncoderDecoderConfig
MODEL_INPUTS = ("input_ids", "attention_mask")
FRAME = ("text", "eos")
FEED_FORWARDS = {  # theirs → ours; their "gated-gelu" is the tanh approximation
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gated-gelu": "geglu",
    "gated-silu": "swiglu",
}


def _attention(ours: str, theirs: str, *, place: int) -> list[Entry]:
    """Return the entries of an attention layer and of its norm; ``place`` is theirs in a block."""
    kind = "SelfAttention" if place == 0 else "EncDecAttention"
    layer = f"{theirs}.block.{{}}.layer.{place}"
    names = {"query": "q", "key": "k", "value": "v", "output": "o"}
    return [
        *(
            Entry((f"{ours}.{name}.weight",), f"{layer}.{kind}.{letter}.weight")
            for name, letter in names.items()
        ),
        Entry((f"{ours}_norm.weight",), f"{layer}.layer_norm.weight"),
    ]


def _feed_forward(stack: str, place: int, *, is_gated: bool) -> list[Entry]:
    names = {"gate": "wi_0", "up": "wi_1"} if is_gated else {"up": "wi"}
    layer = f"{stack}.block.{{}}.layer.{place}"
    return [
        *(
            Entry(
                (f"{stack}.blocks.{{}}.feed_forward.{name}.weight",),
                f"{layer}.DenseReluDense.{other}.weight",
            )
            for name, other in (names | {"down": "wo"}).items()
        ),
        Entry((f"{stack}.blocks.{{}}.feed_forward_norm.weight",), f"{layer}.layer_norm.weight"),
    ]


def name_table(config: EncoderDecoderConfig) -> NameTable:
    """List every tensor of a T5 under both names."""
    is_gated = config.feed_forward in ("geglu", "swiglu")
    entries = [Entry(("token_embedding.weight",), "shared.weight")]
    for stack, n_layers in (("encoder", config.n_layers), ("decoder", config.decoder_layers)):
        layer = _attention(f"{stack}.blocks.{{}}.attention", stack, place=0)
        if stack == "decoder":
            layer += _attention("decoder.blocks.{}.cross_attention", stack, place=1)
        place = 2 if stack == "decoder" else 1
        layer += _feed_forward(stack, place, is_gated=is_gated)
        entries += in_layers(n_layers, layer)
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        entries.append(Entry((f"{stack}.relative_bias.weight",), bias))
        entries.append(Entry((f"{stack}.final_norm.weight",), f"{stack}.final_layer_norm.weight"))
    tied = {f"{stack}.embed_tokens.weight": "shared.weight" for stack in ("encoder", "decoder")}
    if config.tie_embeddings:
        tied["lm_head.weight"] = "shared.weight"
    else:
        entries.append(Entry(("unembedding.weight",), "lm_head.weight"))
    # Old files hold a bias of the first cross-attention, which nothing reads.
    unread = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    return NameTable(tuple(entries), derived=(unread,), tied=tied)


def class_name(config: EncoderDecoderConfig) -> str:
    """Name the class of theirs that has the same heads."""
    return "T5ForConditionalGeneration"


def own_names(tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """Name the tensors, without an output matrix that equals the shared embedding.

    Transformers 5 sets ``tie_word_embeddings`` of every T5 to true, whatever the file holds: only
    the tensors tell.
    """
    head, shared = tensors.get("lm_head.weight"), tensors.get("shared.weight")
    is_copy = head is not None and shared is not None and torch.equal(head, shared)
    return frozenset(tensors) - ({"lm_head.weight"} if is_copy else set())


def read_config(theirs: Mapping[str, Any], names: frozenset[str]) -> EncoderDecoderConfig:
    """Return our architecture for their ``config.json``.

    Whether the output is scaled is what ``tie_word_embeddings`` said in older files; Transformers
    5 keeps it in ``scale_decoder_outputs``.

    Args:
        theirs: the parsed file.
        names: of ``own_names``, which tell whether the output matrix is tied.

    Raises:
        CheckpointError: it asks for what our model does not have.
    """
    kind = theirs.get("feed_forward_proj", "relu")
    if kind not in FEED_FORWARDS:
        raise CheckpointError(
            f"feed_forward_proj must be one of {list(FEED_FORWARDS)}, got {kind!r}"
        )
    is_scaled = theirs.get("scale_decoder_outputs", theirs.get("tie_word_embeddings", True))
    return EncoderDecoderConfig.t5(
        vocab_size=theirs["vocab_size"],
        context_length=theirs.get("n_positions", 512),  # relative positions know no limit
        d_model=theirs["d_model"],
        n_layers=theirs["num_layers"],
        n_decoder_layers=theirs.get("num_decoder_layers") or theirs["num_layers"],
        n_heads=theirs["num_heads"],
        d_head=theirs["d_kv"],
        d_ff=theirs["d_ff"],
        norm_eps=theirs.get("layer_norm_epsilon", 1e-6),
        n_buckets=theirs.get("relative_attention_num_buckets", 32),
        max_distance=theirs.get("relative_attention_max_distance", 128),
        feed_forward=FEED_FORWARDS[kind],
        tie_embeddings="lm_head.weight" not in names,
        scale_output=is_scaled,
        dropout=theirs.get("dropout_rate", 0.1),
    )


def write_config(config: EncoderDecoderConfig, special_ids: Mapping[str, int]) -> dict[str, Any]:
    """Return their ``config.json`` for our architecture.

    Raises:
        CheckpointError: our encoder–decoder is no T5.
    """
    wanted = EncoderDecoderConfig.t5(vocab_size=config.vocab_size)
    parts = ("norm", "norm_position", "positions", "attention_scale", "use_bias")
    other = [name for name in parts if getattr(config, name) != getattr(wanted, name)]
    if other:
        raise CheckpointError(
            f"only a T5 can be written as one; this encoder–decoder has other parts: "
            f"{', '.join(other)}"
        )
    kind = {ours: theirs for theirs, ours in FEED_FORWARDS.items()}[config.feed_forward]
    return {
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "d_model": config.d_model,
        "d_kv": config.head_dim,
        "d_ff": config.hidden_width,
        "num_layers": config.n_layers,
        "num_decoder_layers": config.decoder_layers,
        "num_heads": config.n_heads,
        "relative_attention_num_buckets": config.n_buckets,
        "relative_attention_max_distance": config.max_distance,
        "layer_norm_epsilon": config.norm_eps,
        "feed_forward_proj": kind,
        "dropout_rate": config.dropout,
        "tie_word_embeddings": config.tie_embeddings,
        "scale_decoder_outputs": config.scale_output,
        "decoder_start_token_id": special_ids.get("pad_token_id", 0),
        "eos_token_id": special_ids.get("eos_token_id", 1),
        "pad_token_id": special_ids.get("pad_token_id", 0),
    }
