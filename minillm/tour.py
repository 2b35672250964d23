"""The main job: raw text to a trained model once, with a report that tells the whole way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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
from minillm.generation import generate
from minillm.models.decoder import Decoder
from minillm.plots.attention_maps import plot_attention
from minillm.plots.curves import plot_loss_curve
from minillm.plots.report import Report, Sample
from minillm.run import RunFolder, from_json, load_model, make_first_model, pretrain
from minillm.tokenizers import Tokenizer

Say = Callable[[str], None]
OURS = "minillm, trained"
SENTENCE = "The function returns a list of the names in the module."
PROMPTS = ("", "Return the", "If the argument is")


@dataclass(frozen=True, slots=True, kw_only=True)
class TourResult:
    """What the tour brought; ``report`` is None if it was interrupted."""

    report: Path | None
    bits_per_byte: dict[str, float]
    exit_status: int


def take_tour(config: TourConfig, *, say: Say, show_bars: bool = False) -> TourResult:
    """Collect, clean, tokenize, pretrain, judge, write, and tell it in ``report.html``.

    Interrupted, it continues where it was; finished, it only writes the report again.

    Args:
        config: the corpus, the folder and the time.
        say: gets one line for each thing that the reader should know.
        show_bars: progress bars on stderr.

    Returns:
        The report's path and the table of bits per byte, the worst first.

    Raises:
        MinillmError: as ``pretrain``.

    Example:
        ``minillm tour`` on the command line.
    """
    run = pretrain(recipe(config), say=say, show_bars=show_bars)
    if not run.is_finished:
        return TourResult(report=None, bits_per_byte={}, exit_status=run.exit_status)
    folder = RunFolder(config.out)
    data = load_prepared(config.out / "data")
    loaded = load_model(config.out)
    trained = cast(Decoder, loaded.model)  # as the recipe says
    say("judging the model beside an untrained one, xz and a unigram count")
    settings = from_json((folder.read_config() or {})["resolved"], recipe(config))
    untrained = cast(Decoder, make_first_model(settings, vocab_size=data.tokenizer.vocab_size))
    untrained.eval()
    bits = baselines(data, untrained=untrained)
    bits[OURS] = loaded.description["run"]["validation"]["bits_per_byte"]
    bits = dict(sorted(bits.items(), key=lambda item: -item[1]))
    say("writing samples and the report")
    report = _report(folder, data, untrained=untrained, trained=trained, bits=bits)
    path = report.save(config.out / "report.html")
    return TourResult(report=path, bits_per_byte=bits, exit_status=0)


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


def _report(
    folder: RunFolder,
    data: PreparedData,
    *,
    untrained: Decoder,
    trained: Decoder,
    bits: dict[str, float],
) -> Report:
    report = Report(
        "How a language model teaches itself",
        subtitle="The whole way, taken once on your computer: from the English inside your own "
        "Python to a small model that predicts it.",
        footer="Made by `minillm tour`. The notebooks explain every step: `make lab`.",
    )
    _tell_text(report, data)
    _tell_tokens(report, data.tokenizer)
    _tell_training(report, folder, data, trained)
    _tell_judgment(report, bits)
    _tell_samples(report, data.tokenizer, untrained=untrained, trained=trained)
    _tell_attention(report, data.tokenizer, trained)
    report.section("Go on", lead="Everything above is a few lines in a notebook.")
    report.command(
        "make lab                         # the notebooks: begin with 00_setup\n"
        "source .venv/bin/activate        # then, in the same terminal:\n"
        f"minillm generate --checkpoint {folder.path} --prompt 'The module'\n"
        f"minillm evaluate --checkpoint {folder.path}\n"
        "minillm pretrain --corpus my_notes/ --out runs/mine --seconds 120"
    )
    return report


def _tell_text(report: Report, data: PreparedData) -> None:
    splits = data.manifest["splits"]
    report.section(
        "Collect and clean",
        lead="A language model needs text and nothing else: no labels, the next word is the label.",
    )
    train, held_out = splits["train"], splits["validation"]
    report.stats(
        {
            "documents to learn from": f"{train['n_documents']:,}",
            "held out, to judge by": f"{held_out['n_documents']:,}",
            "bytes of text": f"{train['n_bytes'] + held_out['n_bytes']:,}",
        }
    )
    beginning = data.tokenizer.decode(data.documents("validation")[0][1:-1].tolist())[:600]
    report.samples([Sample("the beginning of a held-out document", beginning + " …")])
    _tell_cleaning(report, data.manifest["cleaning"])
    if data.manifest["notice"]:
        report.callout(data.manifest["notice"], kind="warning")


def _tell_cleaning(report: Report, steps: list[dict[str, Any]]) -> None:
    """Show the steps that found something, and name those that looked in vain."""
    rows = [
        (s["name"], s["n_documents_in"], s["n_changed"], s["n_dropped"], s["bytes_removed"])
        for s in steps
    ]
    found = [row for row in rows if row[2] or row[3]]
    idle = ", ".join(row[0] for row in rows if row not in found)
    headers = ("cleaning step", "documents in", "changed", "dropped", "bytes removed")
    caption = f"Nothing to do for: {idle}." if idle else ""
    if found:
        report.table(headers, found, caption=caption)
    else:
        report.text(f"Cleaning looked at {rows[0][1]:,} documents and changed none. {caption}")


def _tell_tokens(report: Report, tokenizer: Tokenizer) -> None:
    report.section(
        "Tokenize",
        lead="Byte-pair encoding joins the most frequent pair of neighbors, again and again.",
    )
    merges = [
        f"`{tokenizer.token_text(left)}` + `{tokenizer.token_text(right)}`"
        for left, right in tokenizer.merges[:8]
    ]
    longest = sorted(range(tokenizer.vocab_size), key=lambda i: -len(tokenizer.token_text(i)))[:8]
    report.text(
        f"The vocabulary has **{tokenizer.vocab_size:,} tokens**: 256 bytes, 4 marks, and "
        f"{len(tokenizer.merges):,} pairs that were joined. The first pairs were "
        f"{' · '.join(merges)}. The longest tokens are now "
        f"{' · '.join(f'`{tokenizer.token_text(i)}`' for i in longest)}."
    )
    ids = tokenizer.encode(SENTENCE)
    pieces = " ".join(f"`{tokenizer.token_text(i)}`" for i in ids)
    report.text(f"{len(SENTENCE.encode())} bytes become {len(ids)} tokens: {pieces}")


def _tell_training(report: Report, folder: RunFolder, data: PreparedData, model: Decoder) -> None:
    metrics = folder.read_metrics()
    report.section(
        "Pretrain",
        lead="Predict the next token, be charged −log p of the true one, follow the gradient.",
    )
    report.stats(
        {
            "parameters": f"{model.n_parameters():,}",
            "steps": f"{len(metrics):,}",
            "tokens read": f"{metrics[-1]['n_tokens_seen']:,}",
            "times through the text": f"{metrics[-1]['n_tokens_seen'] / len(data.train):.1f}",
        }
    )
    counts = np.bincount(data.train, minlength=data.tokenizer.vocab_size).astype(float)
    probs = counts[counts > 0] / counts.sum()
    entropy = float(-(probs * np.log(probs)).sum())
    figure = plot_loss_curve(
        metrics,
        title="Loss",
        log_steps=True,
        vocab_size=data.tokenizer.vocab_size,
        lines={"token counts only": entropy},
    )
    first, last = metrics[0]["loss"], metrics[-1]["validation_loss"]
    report.figure(
        figure,
        alt="Training and validation loss against the step, on a logarithmic step axis",
        caption=f"It began at {first:.2f} nats per token, near ln {data.tokenizer.vocab_size:,} = "
        f"{np.log(data.tokenizer.vocab_size):.2f}, what guessing costs. First it learned how "
        f"frequent each token is (the line at {entropy:.2f}), then what follows what; on text that "
        f"it never saw it ended at {last:.2f}.",
    )


def _tell_judgment(report: Report, bits: dict[str, float]) -> None:
    report.section(
        "Judge", lead="Bits per byte: how short the held-out text becomes, whatever the tokens are."
    )
    report.bars(
        bits,
        highlight=OURS,
        caption="bits per UTF-8 byte of the held-out documents; "
        "less is better, and 8 would be every byte equally likely",
    )
    best_other = min(value for name, value in bits.items() if name != OURS)
    name = min((n for n in bits if n != OURS), key=bits.__getitem__)
    ours = bits[OURS]
    verdict = (
        f"The model needs **{ours:.2f}** bits per byte, {best_other - ours:.2f} fewer than {name} "
        f"({best_other:.2f}), the best of the others."
        if ours < best_other
        else f"The model needs **{ours:.2f}** bits per byte and **does not beat {name}** "
        f"({best_other:.2f}): a compressor copies whole sentences that it has seen before, and "
        "this training was short. Give it more time: `minillm tour --seconds 600 --out runs/long`."
    )
    report.callout(verdict, kind="result" if ours < best_other else "note")


def _tell_samples(
    report: Report, tokenizer: Tokenizer, *, untrained: Decoder, trained: Decoder
) -> None:
    report.section("Write", lead="The same model, the same dice: before the training, and after.")
    prompts = [[tokenizer.bos_id, *tokenizer.encode(prompt)] for prompt in PROMPTS]
    samples = []
    written = {
        name: generate(model, prompts, max_new_tokens=120, temperature=0.7, eos_id=tokenizer.eos_id)
        for name, model in (("untrained", untrained), ("trained", trained))
    }
    for row, prompt in enumerate(PROMPTS):
        for name, texts in written.items():
            new = texts[row][len(prompts[row]) :]
            samples.append(Sample(name, tokenizer.decode(new, skip_special=True), prompt))
    report.samples(samples)


def _tell_attention(report: Report, tokenizer: Tokenizer, model: Decoder) -> None:
    report.section(
        "Look inside", lead="Where each token looks: a row per layer, a column per head."
    )
    ids = [tokenizer.bos_id, *tokenizer.encode(SENTENCE)]
    weights = model.attention_weights(torch.tensor([ids]))[:, 0]
    first = weights[..., 1:, 0].mean().item()
    previous = weights.diagonal(offset=-1, dim1=-2, dim2=-1)
    layer, head = divmod(int(previous.mean(dim=-1).argmax()), weights.shape[1])
    report.figure(
        plot_attention(weights, [tokenizer.token_text(i) for i in ids], title="Attention"),
        alt="Attention weights of every layer and head for one sentence",
        caption=f"A token gives {first:.0%} of its attention to the first one, where there is "
        f"nothing to read: the usual resting place. Head {head + 1} of layer {layer + 1} looks "
        f"most at the token just before ({previous[layer, head].mean():.0%}).",
    )
