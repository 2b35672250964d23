"""Train on TinyWorld for 1, 5 and 20 CPU minutes and measure what is left to the exact floor.

``python scripts/gap_to_floor.py`` trains the comparison's Transformer, one layer deeper, and its
LSTM, and writes ``assets/gap.json``: bits a word beside the exact bits of the same documents, for all words
and for those that the document has said before, and the loss curve, in which copying is a drop.
What is finished is kept in ``runs/gap``; the same command continues.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from compare_models import DTYPE, RECIPES, ROOT, Trial, prepared
from tqdm.auto import tqdm

from minillm.batch import Batch
from minillm.data import PreparedData
from minillm.models.base import LanguageModel
from minillm.runtime import machine_signature
from minillm.text.world import TinyWorld, WorldDocument

WORK = ROOT / "runs" / "gap"
N_TEST = 400  # documents of the test split, which no run sees
KINDS = {
    "Transformer": replace(
        RECIPES["Transformer"],
        architecture=dict(RECIPES["Transformer"].architecture) | {"n_layers": 3},
    ),
    "LSTM": RECIPES["LSTM"],
}
RUNS = (("Transformer", 1), ("Transformer", 5), ("LSTM", 5), ("Transformer", 20))


def word_costs(
    model: LanguageModel, data: PreparedData, document: WorldDocument
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each word of a document: its bits, its exact bits, whether it was said before.

    A word's bits are those of the tokens that end in it. Small words that anybody says (the 40
    most frequent ones) do not count as said before.
    """
    world = TinyWorld()
    tokens = torch.tensor([data.tokenizer.encode_document(document.text)])
    with torch.no_grad():
        log_probs = model.log_probs(Batch(inputs=tokens[:, :-1], targets=tokens[:, 1:]))[0]
    bits = (-log_probs.double() / math.log(2)).numpy()
    ends = np.cumsum([len(data.tokenizer.decode([t])) for t in tokens[0, 1:-1].tolist()])
    word_ends = np.array([end for _, end in document.spans])
    owner = np.searchsorted(word_ends, ends, side="left")  # the word in which a token ends
    costs = np.zeros(len(document.words))
    np.add.at(costs, owner.clip(max=len(word_ends) - 1), bits[:-1])
    costs[-1] += bits[-1]  # the end of the document
    exact = np.array(world.exact.word_bits(document.words))
    said = [word in document.words[:place] for place, word in enumerate(document.words)]
    return costs, exact, np.array(said)


def measure(kind: str, minutes: int) -> dict[str, Any]:
    """Train for some CPU minutes and compare with the exact bits of held-out documents."""
    data = prepared("world")
    losses: list[tuple[int, float, float]] = []
    trial, start = Trial(data, KINDS[kind], 0), time.process_time()
    model, cost = trial.train(
        60.0 * minutes,
        on_step=lambda result: losses.append(
            (result.step, result.loss, time.process_time() - start)
        ),
    )
    model.eval()
    documents = list(TinyWorld().documents(N_TEST, split="test"))
    small = _small_words(documents)
    rows = [(*word_costs(model, data, d), [w in small for w in d.words]) for d in tqdm(documents)]
    ours, exact, said, is_small = (np.concatenate([row[i] for row in rows]) for i in range(4))
    gaps = np.array([row[0].sum() - row[1].sum() for row in rows])
    n_words = len(ours)
    is_copy = said & ~is_small.astype(bool)
    return {
        "model": kind,
        "minutes": minutes,
        **{name: round(value, 1) for name, value in cost.items()},
        "bits_per_word": round(ours.sum() / n_words, 4),
        "floor_bits_per_word": round(exact.sum() / n_words, 4),
        "gap_bits_per_word": round(gaps.sum() / n_words, 4),
        "standard_error": round(gaps.std() * math.sqrt(N_TEST) / n_words, 4),
        "said_before": {
            "share": round(float(is_copy.mean()), 4),
            "bits_per_word": round(float(ours[is_copy].mean()), 4),
            "floor_bits_per_word": round(float(exact[is_copy].mean()), 4),
        },
        "curve": _thinned(losses),
    }


def _small_words(documents: list[WorldDocument]) -> set[str]:
    words, counts = np.unique([w for d in documents for w in d.words], return_counts=True)
    return set(words[np.argsort(-counts)[:40]].tolist())


def _thinned(losses: list[tuple[int, float, float]]) -> list[list[float]]:
    """Return (step, mean loss in nats per token, CPU seconds) of at most 200 stretches."""
    groups = np.array_split(np.array(losses), min(200, len(losses)))
    return [[int(g[-1, 0]), round(g[:, 1].mean(), 4), round(g[-1, 2], 1)] for g in groups]


def main() -> None:
    """Measure what is missing and write the asset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--minutes", nargs="+", type=int, default=[1, 5, 20])
    options = parser.parse_args()
    torch.set_num_threads(1)
    WORK.mkdir(parents=True, exist_ok=True)
    for kind, minutes in RUNS:
        path = WORK / f"{kind}-{minutes}.json"
        if kind in options.models and minutes in options.minutes and not path.exists():
            path.write_text(json.dumps(measure(kind, minutes)), encoding="utf-8")
    found = [path for kind, n in RUNS if (path := WORK / f"{kind}-{n}.json").exists()]
    asset = {
        "command": "python scripts/gap_to_floor.py",
        "recipes": {name: asdict(recipe) for name, recipe in KINDS.items()},
        "machine": machine_signature()
        | {"python": platform.python_version(), "threads": 1, "dtype": DTYPE},
        "runs": [json.loads(path.read_text(encoding="utf-8")) for path in found],
    }
    text = json.dumps(asset, indent=1, ensure_ascii=False) + "\n"
    (ROOT / "assets" / "gap.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
