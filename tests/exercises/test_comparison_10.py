"""What notebook 10 shows is what the assets hold."""

import json
from pathlib import Path

import pytest

from exercises.comparison_10 import describe_gap, mean_bits, plot_copying, plot_kinds

ASSETS = Path(__file__).parents[2] / "assets"


@pytest.fixture
def compared():
    return json.loads((ASSETS / "comparison.json").read_text("utf-8"))["corpora"]


@pytest.fixture
def gap():
    return json.loads((ASSETS / "gap.json").read_text("utf-8"))


def test_every_model_has_five_seeds_and_none_is_below_the_floor(compared):
    for corpus in compared.values():
        for model, by_cost in corpus["models"].items():
            assert {len(bits) for bits in by_cost.values()} == {1 if "Kneser" in model else 5}
            for bits in by_cost.values():
                assert min(bits) > corpus.get("floor_bits_per_byte", 0)


def test_a_text_with_a_floor_shows_it_and_another_one_the_compressor(compared):
    for name, text in {"world": "entropy", "stdlib": "xz"}.items():
        axes = plot_kinds(compared[name], title=name).axes[0]
        assert any(text in note.get_text() for note in axes.texts)
        assert len(axes.get_legend().get_texts()) == 4


def test_means_are_over_the_seeds():
    corpus = {"models": {"a": {"4": [1.0, 2.0, 6.0]}}}
    assert mean_bits(corpus, "a", "4") == 3.0


def test_the_gap_is_what_the_model_pays_above_the_exact_bits(gap):
    for run in gap["runs"]:
        above = run["bits_per_word"] - run["floor_bits_per_word"]
        assert run["gap_bits_per_word"] == pytest.approx(above, abs=2e-4)
        assert f"{run['gap_bits_per_word']:.2f} ± " in describe_gap(run)
        assert run["gap_bits_per_word"] > 3 * run["standard_error"]


def test_both_curves_are_drawn_over_the_same_minutes(gap):
    axes = plot_copying(gap).axes[0]
    curves = [line for line in axes.lines if len(line.get_xdata()) > 2]
    assert len(curves) == 2
    assert all(line.get_xdata()[-1] == pytest.approx(5) for line in curves)
