"""Train bags of words and encoders on pairs and orders of sentences; store how well they judge.

``python scripts/sentence_readers.py`` writes ``assets/sentences.json``, which notebook 12 shows:
for TinyWorld and for Python's manuals, three tasks on pairs, three kinds of readers, three seeds;
and for two to five shuffled sentences an encoder that points. Beside them, on TinyWorld, the best
possible. It takes about a quarter of an hour of one core. What is finished is kept in
``runs/sentences``; the same command continues.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from exercises.orders_12 import (
    MAX_SENTENCES,
    TOKENS,
    best_possible_order,
    draw_windows,
    found_order,
    shuffled_batch,
    shuffled_batches,
)
from exercises.pairs_12 import (
    TASKS,
    Corpus,
    best_accuracy,
    draw_pairs,
    read_manuals,
    tell_world,
    training_batches,
)
from exercises.readers_12 import BagReader, Reader, accuracy, make_encoder, train_reader
from minillm.objectives.sentence_reconstruction import exact_match, kendall_tau
from minillm.runtime import machine_signature
from minillm.text.world import TinyWorld
from minillm.text.world.floors import mean

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "runs" / "sentences"
SEEDS = (0, 1, 2)
N_HELD = 4000  # pairs to be judged on
N_ORDERS = 300  # texts of k sentences to be put in order
CORPORA: dict[str, Callable[[], Corpus]] = {
    "world": cache(lambda: tell_world(12_000, 1500)),
    "manuals": cache(read_manuals),
}
# TinyWorld never runs out of documents; of the manuals' 20,000 pairs much decay keeps a bag from
# knowing each by heart.
BAGS = {
    "world": {"rate": 0.03, "n_steps": 600, "weight_decay": 0.01},
    "manuals": {"rate": 0.005, "n_steps": 1000, "weight_decay": 1.0},
}
RANKS = {"linear": 0, "bilinear": 32}
ENCODER = {"rate": 1e-3, "weight_decay": 0.01}
ENCODER_STEPS = {
    "world": {"next": 1500, "next, same document": 1000, "order": 800},
    "manuals": {"next": 400, "next, same document": 300, "order": 300},
}
POINTER_STEPS = 1000


def judge_pairs(corpus_name: str, task: str, kind: str, seed: int) -> dict[str, Any]:
    """Train one reader on one task and return its accuracy on held-out pairs."""
    corpus = CORPORA[corpus_name]()
    if kind == "encoder":
        reader: Reader = make_encoder(corpus, seed=seed)
        plan = ENCODER | {"n_steps": ENCODER_STEPS[corpus_name][task]}
        batch_size = 64
    else:
        generator = torch.Generator().manual_seed(seed)
        reader = BagReader(len(corpus.vocabulary), rank=RANKS[kind], generator=generator)
        plan, batch_size = BAGS[corpus_name], 256
    n_steps = int(plan["n_steps"])
    sizes = {"n_steps": n_steps, "batch_size": batch_size, "seed": seed}
    start = time.process_time()
    losses = train_reader(reader, training_batches(corpus, TASKS[task], **sizes), **plan)  # pyright: ignore[reportArgumentType]
    cpu_s = time.process_time() - start
    held = draw_pairs(corpus.held, task, n_pairs=N_HELD).batch(corpus.frame)
    return {
        "corpus": corpus_name,
        "task": task,
        "reader": kind,
        "seed": seed,
        "n_steps": n_steps,
        "batch_size": batch_size,
        "cpu_s": round(cpu_s, 1),
        "last_losses": round(sum(losses[-50:]) / 50, 4),
        "accuracy": round(accuracy(reader, held), 4),
    }


def judge_orders(seed: int) -> dict[str, Any]:
    """Train an encoder to put two to five sentences of TinyWorld in order."""
    corpus = CORPORA["world"]()
    start = time.process_time()
    encoder = make_encoder(
        corpus, seed=seed, has_next_sentence_head=False, max_sentences=MAX_SENTENCES,
        n_segments=MAX_SENTENCES, context_length=TOKENS,
    )  # fmt: skip
    batches = shuffled_batches(corpus, n_steps=POINTER_STEPS, batch_size=32, seed=seed)
    losses = train_reader(encoder, batches, n_steps=POINTER_STEPS, **ENCODER)
    cpu_s = time.process_time() - start
    found = {}
    for k in range(2, MAX_SENTENCES + 1):
        batch, windows = held_orders(k), TinyWorld(seed=0).exact.windows
        sure, guesses = best_possible_order(windows, corpus, batch)
        exact, tau = found_order(encoder, batch)
        best = mean(sure)
        found[str(k)] = {
            "exact_match": round(exact, 4),
            "kendall_tau": round(tau, 4),
            "best_exact_match": [round(best.value, 4), round(best.standard_error, 4)],
            "best_guess_exact_match": round(exact_match(guesses, batch.labels), 4),
            "best_guess_kendall_tau": round(kendall_tau(guesses, batch.labels), 4),
        }
    return {
        "seed": seed,
        "n_steps": POINTER_STEPS,
        "cpu_s": round(cpu_s, 1),
        "last_losses": round(sum(losses[-50:]) / 50, 4),
        "by_k": found,
    }


def held_orders(k: int) -> Any:
    """Return shuffled windows of k sentences of held-out documents, the same for every seed."""
    corpus, generator = CORPORA["world"](), torch.Generator().manual_seed(k)
    windows = draw_windows(corpus.held, generator, k=k)[:N_ORDERS]
    return shuffled_batch(windows, generator, frame=corpus.frame)


def best_of_pairs() -> dict[str, Any]:
    """Return the best possible accuracy on the same pairs of TinyWorld, with its error."""
    corpus, found = CORPORA["world"](), {}
    for task in ("next", "order"):
        pairs = draw_pairs(corpus.held, task, n_pairs=N_HELD)
        best = best_accuracy(corpus, pairs, task)
        found[task] = [round(best.value, 4), round(best.standard_error, 4)]
    return found


def stored(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was made before under this name, or make and keep it."""
    path = WORK / f"{name}.json"
    if not path.exists():
        path.write_text(json.dumps(make()), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Train what is not trained yet and write the asset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    WORK.mkdir(parents=True, exist_ok=True)
    readers = (*RANKS, "encoder")
    keys = [(c, t, r, s) for s in options.seeds for c in CORPORA for t in TASKS for r in readers]
    pairs = [
        stored("-".join(map(str, key)).replace(", ", "-"), lambda key=key: judge_pairs(*key))
        for key in tqdm(keys)
    ]
    orders = [
        stored(f"order-{seed}", lambda seed=seed: judge_orders(seed)) for seed in options.seeds
    ]
    asset = {
        "command": "python scripts/sentence_readers.py",
        "machine": machine_signature() | {"python": platform.python_version(), "threads": 1},
        "corpus_sha256": CORPORA["manuals"]().manifest["corpus_sha256"],
        "n_held_pairs": N_HELD,
        "n_held_orders": N_ORDERS,
        "best": stored("best", best_of_pairs),
        "pairs": pairs,
        "orders": orders,
    }
    text = json.dumps(asset, indent=1, ensure_ascii=False) + "\n"
    (ROOT / "assets" / "sentences.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
