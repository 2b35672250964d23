"""Llama here and in Transformers.

Both turn the halves of a head's coordinates (``rotate``), so that no row of a query or key changes
its place; the first release of Llama paired neighbors. Theirs normalizes and turns in float32
whatever the weights are, so that equality holds to float32's digits also in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minillm.config import DecoderConfig
from minillm.errors import CheckpointError
from minillm.interop.names import Entry, NameTable, in_layers

MODEL_TYPE = "llama"
CONFIG = DecoderConfig
POSITIONS = "rotary"
MODEL_INPUTS = ("input_ids", "attention_mask")
FRAME = ("bos", "text")  # Llama's tokenizer begins every text

_LINEAR = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
_NORMS = {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"}


def name_table(config: DecoderConfig) -> NameTable:
    """List every tensor of a Llama under both names."""
    parts = ("weight", "bias") if config.use_bias else ("weight",)
    layer = [
        Entry((f"blocks.{{}}.{ours}.{part}",), f"model.layers.{{}}.{theirs}.{part}")
        for ours, theirs in (_LINEAR | _NORMS).items()
        for part in (parts if ours in _LINEAR else ("weight",))
    ]
    entries = [
        Entry(("token_embedding.weight",), "model.embed_tokens.weight"),
        *in_layers(config.n_layers, layer),
        Entry(("final_norm.weight",), "model.norm.weight"),
    ]
    tied = {"lm_head.weight": "model.embed_tokens.weight"}
    if not config.tie_embeddings:
        entries.append(Entry(("unembedding.weight",), "lm_head.weight"))
        tied = {}
    angles = [f"model.layers.{n}.self_attn.rotary_emb.inv_freq" for n in range(config.n_layers)]
    return NameTable(
        entries=tuple(entries),
        derived=("model.rotary_emb.inv_freq", *angles),
        prefix="model.",
        tied=tied,
        heads=frozenset({"lm_head.weight"}),
        with_heads="LlamaForCausalLM",
    )


def class_name(config: DecoderConfig) -> str:
    """Name the class of theirs that has the same heads."""
    return "LlamaForCausalLM"


def read_config(theirs: Mapping[str, Any], names: frozenset[str]) -> DecoderConfig:
    """Return our architecture for their ``config.json``.

    Raises:
        CheckpointError: it asks for what our decoder does not have.
    """
    rotary = theirs.get("rope_parameters") or theirs.get("rope_scaling") or {}
    d_model, n_heads = theirs["hidden_size"], theirs["num_attention_heads"]
    use_bias = bool(theirs.get("attention_bias", False))
    wanted = {
        "hidden_act": (theirs.get("hidden_act", "silu"), "silu"),
        "rope_type": (rotary.get("rope_type", rotary.get("type", "default")), "default"),
        "head_dim": (theirs.get("head_dim") or d_model // n_heads, d_model // n_heads),
        "mlp_bias": (bool(theirs.get("mlp_bias", False)), use_bias),
    }
    for name, (given, ours) in wanted.items():
        if given != ours:
            raise CheckpointError(f"this Llama has {name} {given!r}, minillm's {ours!r}")
    return DecoderConfig.llama(
        vocab_size=theirs["vocab_size"],
        context_length=theirs["max_position_embeddings"],
        d_model=d_model,
        n_layers=theirs["num_hidden_layers"],
        n_heads=n_heads,
        n_kv_heads=theirs.get("num_key_value_heads"),
        d_ff=theirs["intermediate_size"],
        norm_eps=theirs.get("rms_norm_eps", 1e-6),
        rotary_base=float(rotary.get("rope_theta", theirs.get("rope_theta", 10_000.0))),
        use_bias=use_bias,
        tie_embeddings=bool(theirs.get("tie_word_embeddings", False)),
        dropout=theirs.get("attention_dropout", 0.0),
    )


def write_config(config: DecoderConfig, special_ids: Mapping[str, int]) -> dict[str, Any]:
    """Return their ``config.json`` for our architecture; of our dropout theirs knows attention's.

    Raises:
        CheckpointError: our decoder is no Llama.
    """
    wanted = DecoderConfig.llama(vocab_size=config.vocab_size)
    parts = ("norm", "norm_position", "positions", "feed_forward")
    other = [name for name in parts if getattr(config, name) != getattr(wanted, name)]
    if other:
        raise CheckpointError(
            f"only a Llama can be written as one; this decoder has other parts: {', '.join(other)}"
        )
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.hidden_width,
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_theta": config.rotary_base, "rope_type": "default"},
        "hidden_act": "silu",
        "attention_bias": config.use_bias,
        "mlp_bias": config.use_bias,
        "attention_dropout": config.dropout,
        "tie_word_embeddings": config.tie_embeddings,
        **special_ids,
    }
