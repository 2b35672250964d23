"""Immutable, validated configurations; they know numbers and words, never tensors."""

from minillm.config.bidirectional import BidirectionalConfig
from minillm.config.commands import (
    EvaluateConfig,
    ExportConfig,
    GenerateConfig,
    ImportConfig,
    PretrainConfig,
    TourConfig,
)
from minillm.config.decoder import DecoderConfig, NormPosition, PositionKind
from minillm.config.encoder import EncoderConfig
from minillm.config.encoder_decoder import EncoderDecoderConfig
from minillm.config.families import FAMILIES, USUAL_TOKENIZERS, find_family
from minillm.config.finetuning import ChatConfig, FinetuneConfig, PredictConfig, TuningConfig
from minillm.config.neural_ngram import NeuralNgramConfig
from minillm.config.ngram import NgramConfig, Smoothing
from minillm.config.recurrent import CellKind, RecurrentConfig
from minillm.config.world import WorldConfig

__all__ = [
    "FAMILIES",
    "USUAL_TOKENIZERS",
    "BidirectionalConfig",
    "CellKind",
    "ChatConfig",
    "DecoderConfig",
    "EncoderConfig",
    "EncoderDecoderConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FinetuneConfig",
    "GenerateConfig",
    "ImportConfig",
    "NeuralNgramConfig",
    "NgramConfig",
    "NormPosition",
    "PositionKind",
    "PredictConfig",
    "PretrainConfig",
    "RecurrentConfig",
    "Smoothing",
    "TourConfig",
    "TuningConfig",
    "WorldConfig",
    "find_family",
]
