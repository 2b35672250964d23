"""The tour's report: the whole way from text to a model that has a use, on one page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from minillm.batch import Batch
from minillm.data import PreparedData
from minillm.generation import generate
from minillm.models.decoder import Decoder
from minillm.plots.attention_maps import plot_attention
from minillm.plots.curves import plot_loss_curve
from minillm.plots.report import Report, Sample
from minillm.run import RunFolder
from minillm.tokenizers import Tokenizer
from minillm.tour.few_labels import FOLDER, FewLabels
from minillm.tour.telling_labels import tell_labels, tell_own_labels

OURS = "minillm, trained"
SENTENCE = "The function returns a list of the names in the module."
PROMPTS = ("", "Return the", "If the argument is")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What the report tells."""

    folder: RunFolder
    data: PreparedData
    untrained: Decoder
    trained: Decoder
    bits: dict[str, float]  # per byte, by predictor
    labeled: FewLabels | None  # None: the corpus has no docstrings


def tell(story: Story) -> Report:
    """Write the report, the same bytes for the same story."""
    report = Report(
        "How a language model teaches itself",
        subtitle="The whole way, taken once on your computer: from the English inside your own "
        "Python to a small model that predicts it, and to a use for what it learned.",
        footer="Made by `minillm tour`. The notebooks explain every step: `make lab`.",
    )
    tokenizer = story.data.tokenizer
    _tell_text(report, story.data)
    _tell_tokens(report, tokenizer)
    _tell_objective(report, tokenizer, untrained=story.untrained, trained=story.trained)
    _tell_training(report, story.folder, story.data, story.trained)
    _tell_judgment(report, story.bits)
    if story.labeled is None:
        tell_own_labels(report, story.folder)
    else:
        tell_labels(report, story.labeled)
    _tell_samples(report, tokenizer, untrained=story.untrained, trained=story.trained)
    _tell_attention(report, tokenizer, story.trained)
    _tell_next(report, story)
    return report


def _tell_next(report: Report, story: Story) -> None:
    report.section("Go on", lead="Everything above is a few lines in a notebook.")
    path = story.folder.path
    asking = (
        f"minillm predict --checkpoint {path / FOLDER} --text 'Wait until the lock is free.'\n"
        if story.labeled
        else ""
    )
    report.command(
        "make lab                         # the notebooks: begin with 00_setup\n"
        "source .venv/bin/activate        # then, in the same terminal:\n"
        f"minillm generate --checkpoint {path} --prompt 'The module'\n"
        f"minillm evaluate --checkpoint {path}\n"
        f"{asking}"
        "minillm pretrain --corpus my_notes/ --out runs/mine --seconds 120"
    )


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


def _tell_objective(
    report: Report, tokenizer: Tokenizer, *, untrained: Decoder, trained: Decoder
) -> None:
    report.section(
        "Make questions of it",
        lead="Every token is the answer to a question: what follows the tokens before it?",
    )
    ids = torch.tensor([[tokenizer.bos_id, *tokenizer.encode(SENTENCE)]])
    batch = Batch(inputs=ids[:, :-1], targets=ids[:, 1:])
    with torch.no_grad():
        before, after = (model.log_probs(batch)[0].exp() for model in (untrained, trained))
    pieces = [f"`{tokenizer.token_text(i)}`" for i in ids[0].tolist()]
    rows = [
        (" ".join(pieces[:place]), pieces[place], f"{p:.2%}", f"{q:.1%}")
        for place, p, q in zip(range(1, 9), before.tolist(), after.tolist(), strict=False)
    ]
    report.table(
        ("the model reads", "true next token", "probability before training", "after"),
        rows,
        caption=f"The first {len(rows)} of the {len(pieces) - 1} questions in one sentence, all "
        "asked at once: no position sees what comes after it.",
    )


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
