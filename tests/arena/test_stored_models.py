"""The models of assets/models open, are what their papers say, and score as they did."""

import json
from pathlib import Path

import pytest

from minillm.arena.recipes import is_of_recipe
from minillm.arena.stored_models import (
    STORED_MODELS,
    StoredModel,
    check_intact,
    judged_texts,
    make_stored_model,
    scores_of,
)
from minillm.errors import CheckpointError
from minillm.run import OBJECTIVES, load_model

MODELS = Path(__file__).parents[2] / "assets" / "models"
MAX_TOTAL_BYTES = 20_000_000


@pytest.mark.parametrize("one", STORED_MODELS, ids=lambda one: one.name)
def test_a_stored_model_scores_as_it_did(one):
    about = json.loads((MODELS / f"{one.name}.json").read_text("utf-8"))
    check_intact(MODELS / one.name, about)
    loaded = load_model(MODELS / one.name)
    assert loaded.description["objective"] == about["objective"] == one.objective
    assert is_of_recipe(about["recipe"], one.objective)
    texts = about.get("judged_texts") or judged_texts("world")
    assert scores_of(loaded, texts) == pytest.approx(about["validation"], rel=1e-4, abs=1e-5)


def test_all_together_are_small():
    files = [path for path in MODELS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_TOTAL_BYTES
    assert {path.name for path in MODELS.iterdir() if path.is_dir()} == {
        one.name for one in STORED_MODELS
    }
    assert {one.objective for one in STORED_MODELS} == {*OBJECTIVES}


@pytest.fixture
def tiny(recipes, tmp_path, monkeypatch):
    """Make and store a model in a moment."""
    monkeypatch.setattr(
        "minillm.arena.stored_models.steps_within",
        lambda names, data, **_: {name: [2, 2] for name in names},
    )
    monkeypatch.setattr("minillm.arena.stored_models.load_corpus", lambda names: _documents())
    one = StoredModel(
        name="small",
        objective="masked",
        vocab_size=230,
        sizes={"d_model": 6, "n_layers": 1, "n_heads": 3},
    )

    def make():
        return make_stored_model(
            one, assets=tmp_path / "models", work=tmp_path / "work", command="make it"
        )

    return make


def _documents():
    from minillm.text.corpora import load_corpus

    return iter(load_corpus(["world:documents=20"]))


def test_it_is_made_once_and_again_the_same(tiny, monkeypatch):
    folder = tiny()
    path = folder.with_name("small.json")
    about = json.loads(path.read_text("utf-8"))
    assert scores_of(load_model(folder), judged_texts("world")) == about["validation"]
    check_intact(folder, about)
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    tiny()
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    monkeypatch.setattr("minillm.arena.stored_models.steps_within", None)  # the steps are known
    tiny()
    assert json.loads(path.read_text("utf-8"))["sha256"] == about["sha256"]


def test_another_model_and_a_damaged_one_are_noticed(tiny, monkeypatch):
    folder = tiny()
    about = json.loads(folder.with_name("small.json").read_text("utf-8"))
    with pytest.raises(ValueError, match="has the SHA-256"):
        check_intact(folder, about | {"sha256": "0" * 64})
    monkeypatch.setattr("minillm.arena.stored_models.MAX_BYTES", 11)
    with pytest.raises(ValueError, match="bytes, at most 11"):
        check_intact(folder, about)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(CheckpointError):
        check_intact(folder, about)
