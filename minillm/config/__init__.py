"""Immutable, validated configurations; they know numbers and words, never tensors."""

from minillm.config.commands import EvaluateConfig, GenerateConfig, PretrainConfig, TourConfig
from minillm.config.decoder import DecoderConfig, NormPosition, PositionKind
from minillm.config.families import FAMILIES, find_family
from minillm.config.ngram import NgramConfig, Smoothing

__all__ = [
    "FAMILIES",
    "DecoderConfig",
    "EvaluateConfig",
    "GenerateConfig",
    "NgramConfig",
    "NormPosition",
    "PositionKind",
    "PretrainConfig",
    "Smoothing",
    "TourConfig",
    "find_family",
]
