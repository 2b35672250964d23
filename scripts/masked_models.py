"""Train the two small encoders that notebook 11 opens, and store them with their curves.

Run as ``python scripts/masked_models.py world`` and ``… stdlib``; about four minutes of one core
each. Written are ``assets/masked/world.safetensors`` or the directory ``assets/masked/stdlib``
(which Transformers opens as well), and ``assets/masked/NAME.json``: command, settings, curve.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from exercises.bidirectional_07 import descend, tell_stories
from exercises.masked_11 import HiddenStories, fate_losses, make_encoder
from minillm.data import PackedWindows, prepare_data
from minillm.interop import to_transformers
from minillm.objectives.masked import Masking, masked_batch
from minillm.text.corpora import load_corpus

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "masked"
RATE = 0.3  # hides twice as much as BERT: twice as many answers for the same seconds
LOOK_EVERY = 100  # steps


def train_world(n_steps: int) -> None:
    """Whole stories, every chosen word [MASK]."""
    hidden = HiddenStories(tell_stories(6000, 300))
    masking = hidden.masking(rate=RATE, mask_share=1.0, random_share=0.0)
    judged = hidden.masking(mask_share=1.0, random_share=0.0)
    sizes = {"context_length": 224, "d_model": 64, "n_layers": 2, "n_heads": 4}
    model = make_encoder(hidden.vocab_size, seed=0, **sizes)
    held = hidden.batch(hidden.stories.held[:100], torch.Generator().manual_seed(0), judged)
    curve, start = [], time.process_time()

    def look(step: int) -> None:
        if step == 1 or step % LOOK_EVERY == 0:
            with torch.no_grad():
                loss = -model.eval().log_probs(held).sum().item() / held.n_scored()["tokens"]
            model.train()
            curve.append([step, round(time.process_time() - start, 1), round(loss, 4)])
            print(*curve[-1], flush=True)

    batches = hidden.batches(n_steps, 16, seed=0, masking=masking)
    descend(model, batches, n_steps=n_steps, rate=3e-3, look=look)
    safetensors.torch.save_file(model.state_dict(), FOLDER / "world.safetensors")
    _describe("world", sizes=sizes, n_steps=n_steps, curve=curve, columns=["step", "s", "[MASK]"])


def train_stdlib(n_steps: int) -> None:
    """Windows of Python's documentation, 80/10/10."""
    corpus = load_corpus(["stdlib"])
    with tempfile.TemporaryDirectory() as folder:
        data = prepare_data(Path(folder) / "d", corpus, tokenizer="wordpiece", vocab_size=2048)
        tokenizer, length = data.tokenizer, 32
        first = max(tokenizer.special_tokens.values()) + 1
        ids = {"mask_id": tokenizer.mask_id, "ordinary_ids": (first, tokenizer.vocab_size)}
        masking = Masking(**ids, rate=RATE)
        sizes = {"context_length": length, "d_model": 96, "n_layers": 3, "n_heads": 4}
        model = make_encoder(tokenizer.vocab_size, seed=0, **sizes)
        held = torch.from_numpy(np.asarray(data.validation[: length * 600], dtype=np.int64))
        held, generator = held.view(-1, length), torch.Generator().manual_seed(0)
        judged = masked_batch(
            held, torch.Generator().manual_seed(1), masking=Masking(**ids), maskable=held >= first
        )
        windows = PackedWindows(data.train, context_length=length - 1, batch_size=32, seed=0)
        rows = (windows.batch_at(step) for step in range(n_steps))
        batches = (
            masked_batch(row, generator, masking=masking, maskable=row >= first) for row in rows
        )
        curve, start = [], time.process_time()

        def look(step: int) -> None:
            if step == 1 or step % LOOK_EVERY == 0:
                losses = fate_losses(model, held, judged, tokenizer.mask_id).values()
                seconds = round(time.process_time() - start, 1)
                curve.append([step, seconds, *(round(loss, 4) for loss in losses)])
                print(*curve[-1], flush=True)

        descend(model, batches, n_steps=n_steps, rate=3e-3, look=look)
        shutil.rmtree(FOLDER / "stdlib", ignore_errors=True)
        to_transformers(model, FOLDER / "stdlib", tokenizer=tokenizer)
        columns = ["step", "s", "[MASK]", "random", "kept"]
        about = {"corpus_sha256": data.manifest["corpus_sha256"]}
        _describe("stdlib", sizes=sizes, n_steps=n_steps, curve=curve, columns=columns, **about)


def _describe(name: str, **about: object) -> None:
    command = f"python scripts/masked_models.py {name}"
    text = json.dumps({"command": command, "rate": RATE, **about}, indent=None)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Train one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=["world", "stdlib"])
    parser.add_argument("--steps", type=int, default=5000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (train_world if options.name == "world" else train_stdlib)(options.steps)


if __name__ == "__main__":
    main()
