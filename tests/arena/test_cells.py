"""The table is the same whoever was killed on the way; bodies are learned once and as said."""

import json
from dataclasses import replace

import pytest
import torch

from minillm.arena.cells import Table, learn_cell, rerun
from minillm.arena.ledger import Cell
from minillm.arena.pretraining import pretrain_body, steps_within
from minillm.arena.readers import readers_of
from minillm.arena.recipes import CONTEXT_LENGTH, Phase, Recipe, recipe_of
from minillm.arena.table import compared, document, finished_seeds, table_json
from minillm.errors import ConfigError, DataError
from minillm.run import load_model


class Killed(BaseException):
    """What kill -9 looks like from inside."""


def scores(outcomes):
    return {cell: one.scores for cell, one in outcomes.items()}


def killed_after(table, n_cells, monkeypatch):
    """Run a table that is killed within its cell number ``n_cells``."""
    compute, done = table.compute, []

    def limited(cell):
        if len(done) == n_cells:
            raise Killed
        done.append(cell)
        return compute(cell)

    monkeypatch.setattr(table, "compute", limited)
    with pytest.raises(Killed):
        table.run()


def test_killed_and_continued_it_is_the_same_table(make_table, monkeypatch):
    whole = make_table(name="whole").run()
    n_cells = len(whole)
    assert n_cells == 2 * 2 * (2 + 1)  # tasks, numbers of labels, readers and a baseline
    assert list(whole) == list(make_table().cells())
    for n_done in (0, 7):
        killed_after(make_table(name=f"cut {n_done}"), n_done, monkeypatch)
        assert scores(make_table(name=f"cut {n_done}").run()) == scores(whole)


def test_what_another_process_did_meanwhile_is_not_done_again(make_table, monkeypatch):
    table, other = make_table(), make_table()
    compute, done = table.compute, []

    def and_the_other_runs(cell):
        done.append(cell)
        if len(done) == 3:
            other.run()
        return compute(cell)

    monkeypatch.setattr(table, "compute", and_the_other_runs)
    outcomes = table.run()
    assert len(done) == 3
    assert set(outcomes) == set(table.cells())


def test_a_second_run_computes_nothing(make_table, monkeypatch):
    first = make_table().run()
    monkeypatch.setattr(Table, "compute", None)
    monkeypatch.setattr(Table, "body", None)
    assert make_table().run() == first


def test_one_more_objective_adds_a_row_and_leaves_the_others(make_table):
    before = make_table(["masked"]).run()
    after = make_table(["masked", "prefix"]).run()
    new = {cell.reader for cell in after} - {cell.reader for cell in before}
    assert new == {"prefix", "scratch decoder"}
    assert {cell: after[cell] for cell in before} == before


def test_bodies_are_pretrained_once_and_begin_as_the_untrained_ones(make_table):
    table = make_table(["causal", "masked", "span-corruption"])
    for reader in readers_of(table.objectives):
        if reader.kind == "scratch":
            continue
        body = table.body(reader.name, 0)
        folder = table.body_folder(reader.name, 0)
        changed = (folder / "model.safetensors").stat().st_mtime_ns
        again = table.body(reader.name, 0)
        assert (folder / "model.safetensors").stat().st_mtime_ns == changed
        assert body.context_length == CONTEXT_LENGTH
        for one, two in zip(body.parameters(), again.parameters(), strict=True):
            assert torch.equal(one, two)
        untrained = table.body(reader.scratch, 0)
        assert type(untrained) is type(body)
        pairs = zip(body.state_dict().items(), untrained.state_dict().values(), strict=True)
        moved = [not torch.equal(one, two) for (_, one), two in pairs]
        assert any(moved)
        other = table.body(reader.scratch, 1)
        assert any(
            not torch.equal(one, two)
            for one, two in zip(untrained.parameters(), other.parameters(), strict=True)
        )


def test_a_body_is_the_same_each_time_and_says_what_it_took(make_table, tmp_path):
    table = make_table(["masked"])
    folders = [
        pretrain_body(
            tmp_path / f"body{i}", "masked", table.data, [2, 3], sizes=table.bench.sizes, seed=1
        )
        for i in (0, 1)
    ]
    one, two = (load_model(folder) for folder in folders)
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(a, b)
    told = one.description["pretraining"]
    assert told["n_steps"] == [2, 3]
    assert [step for step, _ in told["loss"]] == [1, 2, 3, 4, 5]
    assert told["cpu_s"] > 0


def test_phases_read_rows_of_their_length(make_table, monkeypatch):
    table, seen = make_table(["masked"]), []
    loss_sums = type(table.body("scratch encoder", 0)).loss_sums

    def watched(model, batch):
        seen.append(tuple(batch.inputs.shape))
        return loss_sums(model, batch)

    monkeypatch.setattr("minillm.models.encoder.Encoder.loss_sums", watched)
    table.body("masked", 0)
    assert seen == [(3, 7)] * 2 + [(2, 13)] * 3


def test_a_body_of_another_recipe_is_refused(make_table, monkeypatch):
    table = make_table(["causal"])
    table.body("causal", 0)
    other = Recipe(
        phases=(Phase(share=1.0, context_length=11, batch_size=2),), settings={"model": "llama"}
    )
    monkeypatch.setattr("minillm.arena.recipes.RECIPES", {"causal": other})
    with pytest.raises(DataError, match="causal-0 was pretrained by another recipe"):
        make_table(["causal"]).body("causal", 0)


def test_equal_seconds(make_table, bench):
    """Twice the seconds are about twice the steps, and phases share as they should."""
    table = make_table(["masked"])
    counts = []
    for seconds in (1.0, 10.0):
        steps = steps_within(["masked"], table.data, seconds=seconds, sizes=bench.sizes, n_rounds=2)
        counts.append(sum(steps["masked"]))
        assert len(steps["masked"]) == 2
        assert min(steps["masked"]) >= 1
    assert counts[0] < counts[1]


def test_the_steps_are_measured_once(make_table, monkeypatch):
    assert make_table(["causal"]).steps() == {"causal": [3]}
    monkeypatch.setattr("minillm.arena.cells.steps_within", None)
    assert make_table(["causal"]).steps() == {"causal": [3]}
    monkeypatch.setattr(
        "minillm.arena.cells.steps_within", lambda names, data, **_: {name: [9] for name in names}
    )
    assert make_table(["causal", "prefix"]).steps() == {"causal": [3], "prefix": [9]}


def test_the_seed_decides_about_a_cell_and_nothing_else(make_table):
    table = make_table(["causal"])
    body, task = table.body("causal", 0), table.tasks["entities"]
    cell = Cell(seed=3, reader="causal", task="entities", n_labels=5)
    first = learn_cell(body, table.data.tokenizer, task, cell)
    torch.rand(5)
    assert learn_cell(body, table.data.tokenizer, task, cell).scores == first.scores
    other = learn_cell(body, table.data.tokenizer, task, replace(cell, seed=4))
    assert other.scores["loss"] != first.scores["loss"]


def test_a_cell_is_computed_again_from_its_body(make_table, bench):
    table = make_table(["causal"])
    cell = Cell(seed=0, reader="causal", task="topic", n_labels=5)
    stored = table.compute(cell)
    folder = table.body_folder("causal", 0)
    assert rerun(folder, bench, cell).scores == stored.scores
    with pytest.raises(ConfigError, match="task must be one of topic, entities, got 'cooking'"):
        rerun(folder, bench, replace(cell, task="cooking"))
    for other in (replace(cell, seed=1), replace(cell, reader="masked")):
        with pytest.raises(ConfigError, match="is a causal body of seed 0, the cell is of"):
            rerun(folder, bench, other)


def test_the_stored_table(make_table):
    table = make_table(seeds=(0, 1))
    outcomes = table.run()
    found = json.loads(json.dumps(table_json(table, outcomes)))
    assert found["seeds"] == [0, 1]
    assert found["readers"]["masked"]["scratch"] == "scratch encoder"
    assert len(found["readers"]["masked"]["cpu_s"]) == 2
    for name, task in found["tasks"].items():
        assert task["n_test"] == 7
        for reader, values in task["results"].items():
            for number, of_seeds in values.items():
                cells = [
                    Cell(seed=seed, reader=reader, task=name, n_labels=int(number))
                    for seed in (0, 1)
                ]
                assert of_seeds == [outcomes[cell].scores[task["score"]] for cell in cells]
    topic = found["tasks"]["topic"]
    difference = compared(topic, "masked", "scratch encoder", 5).mean
    means = [sum(topic["results"][name]["5"]) / 2 for name in ("masked", "scratch encoder")]
    assert difference == pytest.approx(means[0] - means[1])
    with pytest.raises(DataError, match="no masked with 7 labels"):
        compared(topic, "masked", "scratch encoder", 7)
    assert document({"tiny": found}, command="x")["benches"]["tiny"] == found


def test_only_whole_seeds_are_told(make_table, monkeypatch):
    table = make_table(seeds=(0, 1))
    killed_after(table, 14, monkeypatch)
    outcomes = table.ledger.outcomes
    assert finished_seeds(table, outcomes) == [0]
    assert table_json(table, outcomes)["seeds"] == [0]
    with pytest.raises(DataError, match="no seed of the table is finished"):
        table_json(table, {})


def test_readers_and_recipes(recipes):
    names = [reader.name for reader in readers_of(["masked", "masked+sentence-order", "prefix"])]
    assert names == [
        "masked", "masked+sentence-order", "prefix", "scratch encoder", "scratch decoder"
    ]  # fmt: skip
    assert recipe_of("prefix") == Recipe()
    with pytest.raises(ConfigError, match="objective must be one of causal"):
        readers_of(["masked", "casual"])
    with pytest.raises(ConfigError, match="must sum to 1"):
        Recipe(phases=(Phase(share=0.5, context_length=7, batch_size=1),))
