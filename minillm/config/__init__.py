"""Immutable, validated configurations; they know numbers and words, never tensors."""

from minillm.config.commands import EvaluateConfig, GenerateConfig, PretrainConfig, TourConfig
from minillm.config.decoder import DecoderConfig, NormPosition, PositionKind
from minillm.config.neural_ngram import NeuralNgramConfig
from minillm.config.recurrent import CellKind, RecurrentConfig

__all__ = [
    "CellKind",
    "DecoderConfig",
    "EvaluateConfig",
    "GenerateConfig",
    "NeuralNgramConfig",
    "NormPosition",
    "PositionKind",
    "PretrainConfig",
    "RecurrentConfig",
    "TourConfig",
]
