"""Compare the kinds of language models at equal cost: ``python scripts/compare_models.py``.

Every model is trained for the same CPU seconds of one core, in bfloat16 where this CPU is fast
at it, else in float32, on the same text, by the same loop, with five seeds; a budget is a run of
its own, with its own learning-rate schedule. What is finished is kept in ``runs/comparison``, so
that the same command continues; at the end the numbers are in ``assets/comparison.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from minillm.config import find_family
from minillm.data import PackedWindows, PreparedData, load_prepared, prepare_data
from minillm.evaluation import Evaluation, evaluate_documents, xz_bits_per_byte
from minillm.models.base import CountedModel, LanguageModel
from minillm.objectives.causal import causal_batch
from minillm.optim import make_optimizer, warmup_stable_decay
from minillm.run import floor_bits, make_model
from minillm.runtime import derive_generator, machine_signature, resolve_dtype
from minillm.text.cleaning import DEFAULT_STEPS
from minillm.text.corpora import load_corpus
from minillm.text.world import TinyWorld
from minillm.training import StepResult, train

ROOT = Path(__file__).parents[1]
WORK = ROOT / "runs" / "comparison"
BUDGETS_S = (4.0, 12.0, 36.0)  # CPU seconds of training
SEEDS = (0, 1, 2, 3, 4)
CORPORA = {"stdlib": ("stdlib",), "world": ("world",)}
VOCAB_SIZE = 2048
DTYPE = resolve_dtype("auto", device="cpu")

EVAL_TOKENS = 60_000  # of the validation documents, the same for all
DECAY_FRACTION = 0.3


@dataclass(frozen=True, slots=True)
class Recipe:
    """A kind of model, as good as a short search of its learning rate made it."""

    family: str
    architecture: Mapping[str, Any]
    learning_rate: float = 0.0
    context_length: int = 256
    batch_tokens: int = 1024


RECIPES = {
    "5-gram, Kneser–Ney": Recipe("ngram", {"order": 5}),
    "neural 5-gram": Recipe("neural-ngram", {"order": 5, "d_model": 64}, 3e-3),
    "LSTM": Recipe("lstm", {"d_model": 128}, 4e-3),
    "Transformer": Recipe(
        "llama", {"d_model": 128, "n_layers": 2, "n_heads": 4, "tie_embeddings": True}, 3e-3
    ),
}


def prepared(corpus: str) -> PreparedData:
    """Open the prepared text of a corpus; prepare it the first time."""
    folder = WORK / corpus / "data"
    if folder.is_dir():
        return load_prepared(folder)
    return prepare_data(
        folder,
        load_corpus(CORPORA[corpus]),
        vocab_size=VOCAB_SIZE,
        clean_steps=DEFAULT_STEPS,
        progress=tqdm,
    )


class Trial:
    """One model, one budget, one seed."""

    def __init__(self, data: PreparedData, recipe: Recipe, seed: int) -> None:
        self.data, self.recipe, self.seed = data, recipe, seed
        self.windows = PackedWindows(
            data.train,
            context_length=recipe.context_length,
            batch_size=recipe.batch_tokens // recipe.context_length,
            seed=seed,
        )

    def model(self) -> LanguageModel:
        """Build the model with the seed's first weights."""
        architecture = dict(self.recipe.architecture)
        settings = find_family(self.recipe.family).settings
        if "context_length" in settings:
            architecture["context_length"] = self.recipe.context_length
        return make_model(
            self.recipe.family,
            vocab_size=self.data.tokenizer.vocab_size,
            architecture=architecture,
            generator=derive_generator(self.seed, "weights"),
            backend="reference" if DTYPE == "bfloat16" else "sdpa",  # the faster one at 256 tokens
        )

    def train(
        self, budget_s: float, *, on_step: Callable[[StepResult], object] = lambda _: None
    ) -> tuple[LanguageModel, dict[str, float]]:
        """Train for ``budget_s`` CPU seconds; return the model and what it took."""
        model = self.model()
        if isinstance(model, CountedModel):
            start = time.process_time()
            model.fit(self.data.train, bos_id=self.data.tokenizer.bos_id)
            return model, {"cpu_s": time.process_time() - start, "n_steps": 1}
        n_steps = max(20, round(budget_s / self._step_s()))
        start = time.process_time()
        for result in self._steps(model, n_steps):
            on_step(result)
        return model, {"cpu_s": time.process_time() - start, "n_steps": n_steps}

    def _steps(self, model: LanguageModel, n_steps: int) -> Iterator[StepResult]:
        peak = self.recipe.learning_rate
        optimizer = make_optimizer(model, name="adamw", learning_rate=peak, weight_decay=0.1)
        n_warmup = min(50, n_steps // 10 + 1)
        bos_id = self.data.tokenizer.bos_id
        batches = (
            [causal_batch(self.windows.batch_at(index), bos_id=bos_id)] for index in range(n_steps)
        )

        def rate(step: int) -> float:
            return peak * warmup_stable_decay(
                step, n_steps=n_steps, n_warmup=n_warmup, decay_fraction=DECAY_FRACTION
            )

        dtype = getattr(torch, DTYPE)
        return train(model, optimizer, batches, learning_rate=rate, autocast_dtype=dtype)

    def _step_s(self) -> float:
        """Measure the CPU seconds of a step, on a model that is thrown away."""
        steps = self._steps(self.model(), 12)
        times = []
        for _ in range(10):
            start = time.process_time()
            next(steps)
            times.append(time.process_time() - start)
        return sorted(times)[len(times) // 2]


def judged(model: LanguageModel, data: PreparedData) -> Evaluation:
    """Score the first validation documents."""
    documents = data.documents("validation", max_tokens=EVAL_TOKENS)
    return evaluate_documents(model, documents, n_bytes=data.n_bytes(documents))


def run_trials(
    corpora: list[str], names: list[str], budgets: list[float], seeds: list[int]
) -> None:
    """Do the trials that are not done yet; each appends a line to ``results.jsonl``."""
    WORK.mkdir(parents=True, exist_ok=True)
    done = {_key(line) for line in read_results()}
    jobs = [
        (corpus, name, budget, seed)
        for seed in seeds
        for corpus in corpora
        for name in names
        for budget in (budgets if RECIPES[name].learning_rate else budgets[:1])
        if (corpus, name, budget, seed) not in done
        and (RECIPES[name].learning_rate or seed == 0)  # counting knows no seed
    ]
    for corpus, name, budget, seed in tqdm(jobs, desc="compare", unit=" trials"):
        data = prepared(corpus)
        model, cost = Trial(data, RECIPES[name], seed).train(budget)
        evaluation = judged(model, data)
        line = {
            "corpus": corpus,
            "model": name,
            "budget_s": budget,
            "seed": seed,
            **cost,
            "bits_per_byte": evaluation.bits_per_byte,
            "loss": evaluation.loss,
        }
        with (WORK / "results.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        tqdm.write(json.dumps(line), file=sys.stderr)


def read_results() -> list[dict[str, Any]]:
    """Return the finished trials."""
    path = WORK / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def summarize() -> dict[str, Any]:
    """Arrange the finished trials, with what they must be compared with."""
    corpora: dict[str, Any] = {}
    for corpus, names in CORPORA.items():
        data = prepared(corpus)
        documents = data.documents("validation", max_tokens=EVAL_TOKENS)
        texts = [data.tokenizer.decode(document[1:-1].tolist()) for document in documents]
        n_bytes = sum(len(text.encode()) for text in texts)
        floor = floor_bits(names, texts)
        corpora[corpus] = {
            "n_train_tokens": len(data.train),
            "n_validation_bytes": n_bytes,
            "corpus_sha256": data.manifest["corpus_sha256"],
            "vocab_size": data.tokenizer.vocab_size,
            "xz_bits_per_byte": round(xz_bits_per_byte(data.text("train"), "\n\n".join(texts)), 4),
            "models": _by_model(corpus),
        }
        if floor is not None:
            n_words = sum(len(TinyWorld().parse(text)) for text in texts)
            corpora[corpus] |= {
                "floor_bits_per_byte": round(floor / n_bytes, 5),
                "floor_bits_per_word": round(floor / n_words, 5),
                "bytes_per_word": round(n_bytes / n_words, 5),
            }
    return {
        "command": "python scripts/compare_models.py",
        "recipes": {name: asdict(recipe) for name, recipe in RECIPES.items()},
        "machine": machine_signature()
        | {"python": platform.python_version(), "threads": 1, "dtype": DTYPE},
        "seeds": list(SEEDS),
        "corpora": corpora,
    }


def _by_model(corpus: str) -> dict[str, dict[str, list[float]]]:
    """Return, for each model and budget, the bits per byte of the seeds in their order."""
    found: dict[str, dict[str, list[float]]] = {}
    order = {name: place for place, name in enumerate(RECIPES)}
    lines = read_results()
    lines.sort(key=lambda line: (order[line["model"]], line["budget_s"], line["seed"]))
    for line in lines:
        if line["corpus"] == corpus:
            counted = not RECIPES[line["model"]].learning_rate
            budget = f"{line['cpu_s'] if counted else line['budget_s']:.3g}"
            values = found.setdefault(line["model"], {}).setdefault(budget, [])
            values.append(round(line["bits_per_byte"], 4))
    return found


def _key(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return line["corpus"], line["model"], line["budget_s"], line["seed"]


def main() -> None:
    """Run what is missing and write the asset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=list(CORPORA))
    parser.add_argument("--models", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--budgets", nargs="+", type=float, default=list(BUDGETS_S))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    run_trials(options.corpora, options.models, options.budgets, options.seeds)
    text = json.dumps(summarize(), indent=1, ensure_ascii=False) + "\n"
    (ROOT / "assets" / "comparison.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
