"""Architectures of bidirectional language models."""

from __future__ import annotations

from dataclasses import dataclass

from minillm.config.recurrent import RecurrentConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class BidirectionalConfig(RecurrentConfig):
    """Architecture of each of the two recurrent models that read a text from its two ends.

    They share the embedding and the output layer, as in ELMo (Peters et al. 2018).
    """
