"""Teach a small model to answer about TinyWorld's stories; count its true answers.

``python scripts/dialogue_numbers.py`` writes ``assets/dialogue.json`` and the model into
``assets/dialogue/``. Both runs stand in ``runs/``; the same command continues them.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minillm.config import FinetuneConfig, PretrainConfig
from minillm.finetuning.dialogue import add_chat_template, load_chat
from minillm.finetuning.running import finetune_run
from minillm.finetuning.truth import (
    Answerer,
    by_another_document,
    by_continuation,
    by_conversation,
    by_frequency,
    true_shares,
)
from minillm.run import RunFolder, load_model, pretrain
from minillm.runtime import machine_signature
from minillm.text.world import TinyWorld

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "assets"
BODY, CHAT = ROOT / "runs" / "dialogue-body", ROOT / "runs" / "dialogue"
N_DOCUMENTS, N_COUNTED = 100, 1000  # of the test split; of the training split, for frequencies
PRETRAINING: dict[str, Any] = {
    "corpus": ("world:documents=16000",),
    "vocab_size": 2048,
    "model": "llama",
    "d_model": 96,
    "n_layers": 3,
    "n_heads": 4,
    "context_length": 384,  # the longest story and its dialogue have fewer tokens
    "batch_size": 4,
    "steps": 1700,
    "learning_rate": 3e-3,
    "eval_every": 400,
    "eval_tokens": 8192,
    "save_every": 400,
    "threads": 1,
}
FINETUNING: dict[str, Any] = {
    "task": "dialogue",
    "data": "world:documents=3000,split=train,first=30000",
    "validation_data": "world:documents=40,split=validation,first=60000",
    "steps": 320,
    "batch_size": 8,
    "learning_rate": 2e-3,
    "eval_every": 80,
    "patience": None,
}


def main() -> None:
    """Train, judge, store."""
    seconds = {"pretraining": _timed(BODY, _pretrain), "fine-tuning": _timed(CHAT, _finetune)}
    documents = list(TinyWorld().documents(N_DOCUMENTS, split="test"))
    body, chat = load_model(BODY), load_chat(CHAT)
    untuned = add_chat_template(body.model, body.tokenizer)
    counted = TinyWorld().documents(N_COUNTED, split="train")
    answerers: dict[str, Answerer] = {
        "fine-tuned for dialogue": by_conversation(chat.model, chat.tokenizer),
        "pretrained, continuing": by_continuation(body.model, body.tokenizer),
        "pretrained, with the template": by_conversation(*untuned),
        "most frequent answer": by_frequency(counted),
        "answer from another document": by_another_document(documents),
    }
    shares = {name: true_shares(answer, documents) for name, answer in answerers.items()}
    numbers = {
        "command": "python scripts/dialogue_numbers.py",
        "machine": machine_signature(),
        "cpu_seconds": seconds,
        "n_documents": N_DOCUMENTS,
        "n_parameters": chat.model.n_parameters(),
        "validation_loss": [
            [line["step"], round(line["validation_loss"], 4)]
            for line in RunFolder(CHAT).read_metrics()
            if "validation_loss" in line
        ],
        "true": {
            name: {kind: round(share, 4) for kind, share in sorted(found.items())}
            for name, found in shares.items()
        },
    }
    text = json.dumps(numbers, indent=2, ensure_ascii=False) + "\n"
    (ASSETS / "dialogue.json").write_text(text, "utf-8")
    shutil.rmtree(ASSETS / "dialogue", ignore_errors=True)
    shutil.copytree(chat.folder, ASSETS / "dialogue")
    print(text)


def _timed(folder: Path, train: Callable[[], None]) -> int:
    """Train, and return the CPU seconds of all calls that it took; a finished run takes none."""
    if (folder / "final").is_dir() and (folder / "cpu_seconds").exists():
        return int((folder / "cpu_seconds").read_text("utf-8"))
    start = time.process_time()
    train()
    notes = folder / "cpu_seconds"
    before = int(notes.read_text("utf-8")) if notes.exists() else 0
    seconds = before + round(time.process_time() - start)
    notes.write_text(str(seconds), "utf-8")
    return seconds


def _pretrain() -> None:
    result = pretrain(PretrainConfig(out=BODY, **PRETRAINING), say=_say)
    if result.exit_status:
        sys.exit(result.exit_status)


def _finetune() -> None:
    result = finetune_run(FinetuneConfig(out=CHAT, checkpoint=BODY, **FINETUNING), say=_say)
    if result.exit_status:
        sys.exit(result.exit_status)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
