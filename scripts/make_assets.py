"""Make what ``assets/`` holds again: ``python scripts/make_assets.py [tour] [bands] …``.

Each asset comes with the command and the machine that made it. The tour takes its usual time, the
bands five runs of every notebook that trains, the comparison an hour of one core (it continues if
it was interrupted), the readers of sentences a quarter of one, the encoders of
hidden words ten minutes, the stored models a quarter of an hour, the arena an hour and a half (it
continues as well).
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import torch

from minillm.arena.stored_models import STORED_MODELS, make_stored_model
from minillm.config import TourConfig
from minillm.plots.comparison import plot_scores
from minillm.plots.curves import plot_loss_curve
from minillm.run import RunFolder, load_model
from minillm.runtime import machine_signature
from minillm.tour import take_tour
from minillm.tour.few_labels import N_LABELS, PRETRAINED

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "assets"


def make_tour() -> None:
    """Take the tour; keep its loss curve, what it made of few labels, and its numbers."""
    config = TourConfig(out=ROOT / "runs" / "tour")
    result = take_tour(config, say=lambda text: print(text, file=sys.stderr), show_bars=True)
    if result.report is None:
        sys.exit(result.exit_status)
    metrics = RunFolder(config.out).read_metrics()
    tokenizer = load_model(config.out).tokenizer
    figure = plot_loss_curve(
        metrics, title="The tour's model", log_steps=True, vocab_size=tokenizer.vocab_size
    )
    png, _ = figure._repr_png_()
    (ASSETS / "tour_loss.png").write_bytes(png)
    figure = plot_scores(
        result.accuracies,
        xlabel="packages of docstrings told right (percent)",
        title=f"The tour's model with {N_LABELS} labels of each package",
        highlight=PRETRAINED,
    )
    png, _ = figure._repr_png_()
    (ASSETS / "tour_few_labels.png").write_bytes(png)
    numbers = {
        "command": "minillm tour",
        "machine": machine_signature() | {"python": platform.python_version()},
        "settings": json.loads((config.out / "config.json").read_text("utf-8"))["resolved"],
        "n_steps": len(metrics),
        "n_tokens_seen": metrics[-1]["n_tokens_seen"],
        "bits_per_byte": {name: round(bits, 4) for name, bits in result.bits_per_byte.items()},
        "few_labels": {
            name: [round(share, 4) for share in shares]
            for name, shares in result.accuracies.items()
        },
    }
    text = json.dumps(numbers, indent=2, ensure_ascii=False) + "\n"
    (ASSETS / "tour.json").write_text(text, "utf-8")


def make_bands() -> None:
    """Run the notebooks that train with five seeds; keep the band of their results."""
    script = ROOT / "scripts" / "notebook_bands.py"
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if "MINILLM_SEED" in path.read_text("utf-8"):  # its training can be repeated with seeds
            subprocess.run([sys.executable, str(script), str(path)], check=True)


def make_comparison() -> None:
    """Compare the kinds of models at equal CPU seconds, then measure the gap to the floor."""
    for name in ("compare_models.py", "gap_to_floor.py"):
        subprocess.run([sys.executable, str(ROOT / "scripts" / name)], check=True)


def make_sentences() -> None:
    """Train bags of words and encoders on pairs and orders of sentences."""
    subprocess.run([sys.executable, str(ROOT / "scripts" / "sentence_readers.py")], check=True)


def make_masked() -> None:
    """Train the two encoders of notebook 11."""
    for name in ("world", "stdlib"):
        script = str(ROOT / "scripts" / "masked_models.py")
        subprocess.run([sys.executable, script, name], check=True)


def make_models() -> None:
    """Pretrain the small models of ``assets/models``; those that are there stay."""
    torch.set_num_threads(1)
    for one in STORED_MODELS:
        folder = make_stored_model(
            one,
            assets=ASSETS / "models",
            work=ROOT / "runs" / "models",
            command="python scripts/make_assets.py models",
        )
        print(folder, file=sys.stderr, flush=True)


def make_arena() -> None:
    """Compare the objectives after fine-tuning."""
    subprocess.run([sys.executable, str(ROOT / "scripts" / "arena.py")], check=True)


MAKERS = {
    "tour": make_tour,
    "bands": make_bands,
    "comparison": make_comparison,
    "sentences": make_sentences,
    "masked": make_masked,
    "models": make_models,
    "arena": make_arena,
}


def main(names: list[str]) -> None:
    """Make the named assets, or all."""
    unknown = sorted(set(names) - set(MAKERS))
    if unknown:
        sys.exit(f"unknown assets: {', '.join(unknown)}; there are {', '.join(MAKERS)}")
    ASSETS.mkdir(exist_ok=True)
    for name in names or list(MAKERS):
        MAKERS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
