"""Immutable, validated configurations; they know numbers and words, never tensors."""

from minillm.config.commands import EvaluateConfig, GenerateConfig, PretrainConfig, TourConfig
from minillm.config.decoder import DecoderConfig, NormPosition, PositionKind

__all__ = [
    "DecoderConfig",
    "EvaluateConfig",
    "GenerateConfig",
    "NormPosition",
    "PositionKind",
    "PretrainConfig",
    "TourConfig",
]
