"""Collect, clean, tokenize, pretrain, judge, fine-tune, and tell it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch

from minillm.config import PretrainConfig, TourConfig
from minillm.data import PreparedData, load_prepared
from minillm.evaluation import (
    evaluate_documents,
    uniform_bits_per_byte,
    unigram_bits_per_byte,
    xz_bits_per_byte,
)
from minillm.finetuning.packages import NAME
from minillm.models.decoder import Decoder
from minillm.run import LoadedModel, RunFolder, from_json, load_model, make_first_model, pretrain
from minillm.run.saving import Say
from minillm.tour.few_labels import FOLDER, compare_with_few_labels
from minillm.tour.telling import OURS, Story, tell


@dataclass(frozen=True, slots=True, kw_only=True)
class TourResult:
    """What the tour brought; ``report`` is None if it was interrupted."""

    report: Path | None = None
    bits_per_byte: dict[str, float] = field(default_factory=dict)  # the worst first
    # of docstrings whose package was told, for each seed; none if the corpus is not stdlib
    accuracies: dict[str, tuple[float, ...]] = field(default_factory=dict)
    exit_status: int = 0


def take_tour(config: TourConfig, *, say: Say, show_bars: bool = False) -> TourResult:
    """Collect, clean, tokenize, pretrain, judge, fine-tune, write, and tell it in ``report.html``.

    Interrupted, it continues where it was; finished, it only writes the report again.

    Args:
        config: the corpus, the folder and the time.
        say: gets one line for each thing that the reader should know.
        show_bars: progress bars on stderr.

    Returns:
        The report's path, bits per byte, and the shares of docstrings told right.

    Raises:
        MinillmError: as ``pretrain``.

    Example:
        ``minillm tour`` on the command line.
    """
    run = pretrain(recipe(config), say=say, show_bars=show_bars)
    if not run.is_finished:
        return TourResult(exit_status=run.exit_status)
    folder = RunFolder(config.out)
    data = load_prepared(config.out / "data")
    trained = cast(LoadedModel[Decoder], load_model(config.out))  # as the recipe says
    settings = from_json((folder.read_config() or {})["resolved"], recipe(config))
    untrained = cast(Decoder, make_first_model(settings, vocab_size=data.tokenizer.vocab_size))
    untrained.eval()
    say("judging the model beside an untrained one, xz and a unigram count")
    bits = baselines(data, untrained=untrained)
    bits[OURS] = trained.description["run"]["validation"]["bits_per_byte"]
    bits = dict(sorted(bits.items(), key=lambda item: -item[1]))
    labeled = None
    if NAME in config.corpus:
        say("fine-tuning on a few labeled docstrings, beside a model that has not read and a count")
        labeled, status = compare_with_few_labels(
            config.out / FOLDER,
            pretrained=trained,
            untrained=untrained,
            threads=cast(int, settings.threads if config.threads == "auto" else config.threads),
            most_steps=config.steps,
            say=say,
            show_bars=show_bars,
        )
        if labeled is None:
            return TourResult(exit_status=status)
    say("writing samples and the report")
    story = Story(
        folder=folder,
        data=data,
        untrained=untrained,
        trained=trained.model,
        bits=bits,
        labeled=labeled,
    )
    path = tell(story).save(config.out / "report.html")
    accuracies = {} if labeled is None else labeled.accuracies
    return TourResult(report=path, bits_per_byte=bits, accuracies=accuracies)


def recipe(config: TourConfig) -> PretrainConfig:
    """Return the tour's training run: a Llama that learns as much as a minute or so allows."""
    return PretrainConfig(
        out=config.out,
        corpus=config.corpus,
        model="llama",
        vocab_size=2048,
        d_model=128,
        n_layers=3,
        n_heads=4,
        context_length=128,
        batch_size=8,
        steps=config.steps,
        seconds=None if config.steps else config.seconds,
        learning_rate=4e-3,
        eval_every=200,
        save_every=200,
        seed=config.seed,
        threads=config.threads,
    )


def baselines(data: PreparedData, *, untrained: Decoder) -> dict[str, float]:
    """Return bits per byte on the validation documents of four predictors that could have won.

    Args:
        data: the run's prepared corpus.
        untrained: the model as it was before the first step.

    Returns:
        Bits per byte by the predictor's name.
    """
    documents = data.documents("validation")
    n_bytes, vocab_size = data.n_bytes(documents), data.tokenizer.vocab_size
    return {
        "every token equally likely": uniform_bits_per_byte(
            documents, n_bytes=n_bytes, vocab_size=vocab_size
        ),
        "minillm, untrained": evaluate_documents(
            untrained, documents, n_bytes=n_bytes
        ).bits_per_byte,
        "how often each token occurs": unigram_bits_per_byte(
            torch.from_numpy(data.train.astype(np.int64)),
            documents,
            n_bytes=n_bytes,
            vocab_size=vocab_size,
        ),
        "xz, a compressor": xz_bits_per_byte(data.text("train"), data.text("validation")),
    }
