"""What is finished stays finished, whatever killed the writer."""

import json

import pytest

from minillm.arena.ledger import Cell, Ledger, Outcome
from minillm.errors import DataError

SETTINGS = {"seconds": 3.0, "sizes": {"d_model": 7}, "rows": (2, 5)}


def outcome(seed, score=0.25):
    cell = Cell(seed=seed, reader="masked", task="topic", n_labels=11)
    return Outcome(cell=cell, scores={"accuracy": score}, cpu_s=1.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "cells.jsonl"


def test_it_remembers_and_says_what_is_missing(path):
    ledger = Ledger(path, settings=SETTINGS)
    cells = [outcome(seed).cell for seed in range(3)]
    assert list(ledger.missing(cells)) == cells
    ledger.add(outcome(0))
    ledger.add(outcome(2))
    for again in (ledger, Ledger(path, settings=SETTINGS)):
        assert list(again.missing(cells)) == [cells[1]]
        assert again.outcomes == {cells[0]: outcome(0), cells[2]: outcome(2)}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 3
    assert lines[1]["n_labels"] == 11


def test_any_torn_line_is_computed_again_and_the_next_ones_count(path):
    ledger = Ledger(path, settings=SETTINGS)
    ledger.add(outcome(0))
    whole = path.read_bytes()
    ledger.add(outcome(1))
    both = path.read_bytes()
    for end in range(len(whole), len(both) - 1):  # without its newline the last line is whole
        path.write_bytes(both[:end])
        torn = Ledger(path, settings=SETTINGS)
        assert set(torn.outcomes) == {outcome(0).cell}
        torn.add(outcome(2))
        assert set(Ledger(path, settings=SETTINGS).outcomes) == {outcome(0).cell, outcome(2).cell}
    path.write_bytes(both[:-1])
    Ledger(path, settings=SETTINGS).add(outcome(2))
    assert len(Ledger(path, settings=SETTINGS).outcomes) == 3


def test_two_writers_see_each_others_cells(path):
    one, two = (Ledger(path, settings=SETTINGS) for _ in range(2))
    one.add(outcome(0))
    two.add(outcome(1))
    two.reread()
    assert set(two.outcomes) == {outcome(0).cell, outcome(1).cell}
    assert len(path.read_text().splitlines()) == 3


def test_the_last_line_of_a_cell_counts(path):
    ledger = Ledger(path, settings=SETTINGS)
    ledger.add(outcome(0, 0.1))
    ledger.add(outcome(0, 0.2))
    assert Ledger(path, settings=SETTINGS).outcomes == {outcome(0).cell: outcome(0, 0.2)}


def test_refusals(path):
    Ledger(path, settings=SETTINGS).add(outcome(0))
    with pytest.raises(DataError, match=r"of other settings \(seconds, width\)"):
        Ledger(path, settings=SETTINGS | {"seconds": 4.0, "width": 1})
    with path.open("a") as file:
        file.write('{"seed": 1, "reader": "masked"}\n')
    with pytest.raises(DataError, match=r"cells\.jsonl:3: not a cell"):
        Ledger(path, settings=SETTINGS)
    for content in ("torn", "[1]\n"):
        path.write_text(content)
        with pytest.raises(DataError, match="1: not a line of a table"):
            Ledger(path, settings=SETTINGS)
    path.write_text('{"seed": 1}\n')
    with pytest.raises(DataError, match="other settings"):
        Ledger(path, settings=SETTINGS)
