"""What a training step and a generation are compared with, all with the weights of our models.

Each peer is the same function as ours, ``Decoder(DecoderConfig.gpt(…))`` or
``Encoder(EncoderConfig.bert(…))``: that is asserted before anything is timed, because another
function's speed would mean nothing.
Dimension key: B sequences, T positions, C d_model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.batch import Batch
from minillm.blocks import TransformerBlock
from minillm.checkpoint import model_tensors
from minillm.interop import bert
from minillm.interop.names import to_theirs
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.optim import decay_groups


class PlainBlock(nn.Module):
    """Pre-norm attention and feed-forward, in nanoGPT's manner: one matrix for q, k and v."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.qkv, self.output = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)
        self.up, self.down = nn.Linear(d_model, 4 * d_model), nn.Linear(4 * d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, T, C) to (B, T, C)."""
        b, t, c = x.shape
        parts = self.qkv(self.norm_1(x)).split(c, dim=2)
        q, k, v = (part.view(b, t, self.n_heads, -1).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(y.transpose(1, 2).contiguous().view(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class TorchStack(nn.Module):
    """``nn.TransformerEncoder`` with a causal mask."""

    def __init__(self, d_model: int, n_heads: int, n_layers: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            d_model, n_heads, 4 * d_model, 0.0, F.gelu, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, T, C) to (B, T, C)."""
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.encoder(x, mask=mask, is_causal=True)


class PeerModel(nn.Module):
    """Embeddings, the stack of a peer, a final norm, a tied unembedding, and the plain loss."""

    def __init__(self, decoder: Decoder, stack: nn.Module) -> None:
        super().__init__()
        config = decoder.config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.context_length, config.d_model)
        self.stack = stack
        self.final_norm = nn.LayerNorm(config.d_model)
        with torch.no_grad():
            self.token_embedding.weight.copy_(decoder.token_embedding.weight)
            self.position_embedding.weight.copy_(_position_weight(decoder))
            self.final_norm.load_state_dict(decoder.final_norm.state_dict())

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy of (B, T) targets."""
        positions = torch.arange(inputs.shape[1])
        x = self.token_embedding(inputs) + self.position_embedding(positions)
        logits = F.linear(self.final_norm(self.stack(x)), self.token_embedding.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def make_plain(decoder: Decoder) -> PeerModel:
    """Build the plain re-implementation with the decoder's weights."""
    config = decoder.config
    blocks = [PlainBlock(config.d_model, config.n_heads) for _ in decoder.blocks]
    for ours, block in zip(decoder.blocks, blocks, strict=True):
        parts = _parts(ours)
        block.norm_1.load_state_dict(parts["attention_norm"])
        block.norm_2.load_state_dict(parts["feed_forward_norm"])
        block.qkv.load_state_dict(parts["qkv"])
        block.output.load_state_dict(parts["output"])
        block.up.load_state_dict(parts["up"])
        block.down.load_state_dict(parts["down"])
    return PeerModel(decoder, nn.Sequential(*blocks))


def make_torch_stack(decoder: Decoder) -> PeerModel:
    """Build ``nn.TransformerEncoder`` with the decoder's weights."""
    config = decoder.config
    stack = TorchStack(config.d_model, config.n_heads, config.n_layers)
    for ours, layer in zip(decoder.blocks, stack.encoder.layers, strict=True):
        parts = _parts(ours)
        state = {f"self_attn.in_proj_{name}": x for name, x in parts["qkv"].items()}
        names = {
            "norm1": "attention_norm",
            "norm2": "feed_forward_norm",
            "self_attn.out_proj": "output",
            "linear1": "up",
            "linear2": "down",
        }
        for theirs, name in names.items():
            state |= {f"{theirs}.{key}": x for key, x in parts[name].items()}
        layer.load_state_dict(state)
    return PeerModel(decoder, stack)


def make_gpt2(decoder: Decoder) -> Any:
    """Build Transformers' GPT-2 with the decoder's weights (it stores them as (in, out))."""
    from transformers import GPT2Config, GPT2LMHeadModel

    ours = decoder.config
    config = GPT2Config(
        vocab_size=ours.vocab_size,
        n_positions=ours.context_length,
        n_embd=ours.d_model,
        n_layer=ours.n_layers,
        n_head=ours.n_heads,
        activation_function="gelu",  # exact, as ours; its own tanh approximation is slower
        layer_norm_epsilon=ours.norm_eps,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="sdpa",
    )
    model = GPT2LMHeadModel(config)
    state = {
        "transformer.wte.weight": decoder.token_embedding.weight,
        "transformer.wpe.weight": _position_weight(decoder),
        "lm_head.weight": decoder.token_embedding.weight,
    }
    state |= {f"transformer.ln_f.{k}": x for k, x in decoder.final_norm.state_dict().items()}
    names = {
        "ln_1": "attention_norm",
        "ln_2": "feed_forward_norm",
        "attn.c_attn": "qkv",
        "attn.c_proj": "output",
        "mlp.c_fc": "up",
        "mlp.c_proj": "down",
    }
    for number, block in enumerate(decoder.blocks):
        parts = _parts(block)
        for theirs, name in names.items():
            for key, x in parts[name].items():
                state[f"transformer.h.{number}.{theirs}.{key}"] = x.T if x.ndim == 2 else x
    model.load_state_dict(state)
    return model


def make_bert(encoder: Encoder) -> Any:
    """Build Transformers' BERT for masked language modeling with the encoder's weights."""
    from transformers import BertConfig, BertForMaskedLM

    settings = bert.write_config(encoder.config, {})
    model = BertForMaskedLM(BertConfig(**settings, attn_implementation="sdpa"))
    state = to_theirs(model_tensors(encoder), bert.name_table(encoder.config))
    matrix, bias = state["bert.embeddings.word_embeddings.weight"], state["cls.predictions.bias"]
    state |= {"cls.predictions.decoder.weight": matrix, "cls.predictions.decoder.bias": bias}
    model.load_state_dict(state)
    return model


def hand_written_step(
    model: nn.Module,
    loss: Callable[[Batch], Tensor],
    *,
    learning_rate: float,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    dtype: torch.dtype | None = None,
) -> Callable[[Batch], float]:
    """Return one step of the loop that everyone writes by hand, with fused AdamW.

    Args:
        model: what is trained.
        loss: mean loss of a batch.
        learning_rate: of AdamW.
        weight_decay: of matrices.
        betas: of AdamW.
        dtype: of autocast; ``None``: no autocast.
    """
    groups = decay_groups(model, weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=betas, fused=True)

    def step(batch: Batch) -> float:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            mean = loss(batch)
        mean.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return mean.item()

    return step


def _parts(block: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Return the state of each part of our block, query, key and value stacked as ``qkv``."""
    ours = cast(TransformerBlock, block)
    attention, feed_forward = ours.attention, cast(Any, ours.feed_forward)
    three = [layer.state_dict() for layer in (attention.query, attention.key, attention.value)]
    return {
        "attention_norm": ours.attention_norm.state_dict(),
        "feed_forward_norm": ours.feed_forward_norm.state_dict(),
        "qkv": {name: torch.cat([part[name] for part in three]) for name in ("weight", "bias")},
        "output": attention.output.state_dict(),
        "up": feed_forward.up.state_dict(),
        "down": feed_forward.down.state_dict(),
    }


def _position_weight(decoder: Decoder) -> Tensor:
    return cast(Any, decoder.position_embedding).weight
