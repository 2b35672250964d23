"""Immutable, validated configurations; they know numbers and words, never tensors."""

from minillm.config.commands import EvaluateConfig, GenerateConfig, PretrainConfig, TourConfig
from minillm.config.decoder import DecoderConfig, NormPosition, PositionKind
from minillm.config.encoder import EncoderConfig
from minillm.config.families import FAMILIES, find_family

__all__ = [
    "FAMILIES",
    "DecoderConfig",
    "EncoderConfig",
    "EvaluateConfig",
    "GenerateConfig",
    "NormPosition",
    "PositionKind",
    "PretrainConfig",
    "TourConfig",
    "find_family",
]
