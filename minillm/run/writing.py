"""How each kind of model is made to write: what it is given, and where it begins."""

from __future__ import annotations

from typing import NamedTuple

import torch

from minillm.errors import ConfigError
from minillm.models.base import LanguageModel
from minillm.models.decoder import Decoder
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.run.table import LoadedModel
from minillm.tokenizers import SENTINEL_TOKENS


class Writer(NamedTuple):
    """A language model of what follows a prompt, ready for ``minillm.generation``."""

    model: LanguageModel
    token_ids: list[int]  # where it begins
    repeats_prompt: bool  # whether what is written continues the prompt


def make_writer(loaded: LoadedModel, prompt: str) -> Writer:
    """Give a model a prompt.

    A language model continues it. A prefix model reads it in both directions first. An
    encoder–decoder writes what is missing where the prompt has a sentinel, ``<extra_id_0>`` and so
    on; at the end of a prompt without one.

    Args:
        loaded: from ``load_model``.
        prompt: any text; empty means the beginning of a document.

    Raises:
        ConfigError: the model predicts no next token, such as an encoder.

    Example:
        ``make_writer(load_model("runs/tour"), "Return the").model.next_log_probs(token_ids)``
    """
    model, tokenizer = loaded.model, loaded.tokenizer
    if isinstance(model, EncoderDecoder):
        if SENTINEL_TOKENS[0] not in prompt:
            prompt += SENTINEL_TOKENS[0]
        known = [token for token in SENTINEL_TOKENS if token in tokenizer.special_tokens]
        source = [*tokenizer.encode(prompt, allowed_special=known), tokenizer.eos_id]
        return Writer(model.given(_row(loaded, source)), [tokenizer.pad_id], False)
    token_ids = [tokenizer.bos_id, *tokenizer.encode(prompt)]
    if isinstance(model, Decoder) and loaded.description["objective"] == "prefix":
        return Writer(model.given_prefix(_row(loaded, token_ids)), token_ids, True)
    if isinstance(model, LanguageModel):
        return Writer(model, token_ids, True)
    raise ConfigError(
        f"{loaded.folder} holds a {loaded.description['model']} of the objective "
        f"{loaded.description['objective']}: it predicts no next token and cannot write; choose a "
        "model of the objective causal, prefix or span-corruption"
    )


def _row(loaded: LoadedModel, token_ids: list[int]) -> torch.Tensor:
    device = next(loaded.model.parameters()).device
    return torch.tensor([token_ids], device=device)
