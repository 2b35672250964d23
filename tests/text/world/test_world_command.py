"""minillm world: documents, their views and the language's numbers, for people and programs."""

import json
import math

import numpy as np
import pytest

from minillm.cli import main
from minillm.text.world import TinyWorld
from minillm.text.world.picture import draw
from minillm.text.world.showing import document_json, entities, entropy_lines, picture_lines
from minillm.text.world.sprites import BACKGROUND, COLORS


def run(capsys, *arguments):
    assert main(["world", *arguments]) == 0
    return capsys.readouterr().out


def test_documents_are_shown_in_order(capsys):
    out = run(capsys, "--documents", "3", "--seed", "5", "--first", "7", "--language", "zh")
    world = TinyWorld("zh", 5)
    expected = [world.document(number) for number in (7, 8, 9)]
    for document, shown in zip(expected, out.strip().split("\n\n"), strict=True):
        head, text = shown.splitlines()
        assert head == f"{document.source} ({document.split})"
        assert text == document.text
    assert run(capsys).count("\n\n") == 10


def test_a_split_can_be_chosen(capsys):
    out = run(capsys, "--documents", "4", "--split", "test", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["split"] for one in found] == ["test"] * 4
    assert [one["text"] for one in found] == [
        d.text for d in TinyWorld().documents(4, split="test")
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_views_are_shown_to_people_and_programs(capsys, language):
    arguments = ["--documents", "2", "--views", "--language", language]
    text = run(capsys, *arguments)
    lines = run(capsys, *arguments, "--json").splitlines()
    for number, line in enumerate(lines):
        document, views = TinyWorld(language).document(number), json.loads(line)
        assert views == json.loads(json.dumps(document_json(document, views=True)))
        assert f"topic {views['labels']['topic']}, ending {views['labels']['ending']}" in text
        for question in views["questions"]:
            assert f"{question['text']} {question['answer'] or '(not said)'}" in text
        for turn in views["dialogue"]:
            assert f"{turn['speaker']}: {turn['text']}" in text
        for question in views["picture_questions"]:
            assert f"{question['text']} {question['answer']}" in text
        assert views["caption"] in text
        assert np.array_equal(views["picture"], draw(document).pixels)
        assert len(views["tags"]) == len(document.words) - 1


def test_entities_keep_their_words_together():
    world = TinyWorld("en", 3)
    for number in range(50):
        document = world.document(number)
        for words, _ in entities(document):
            assert words in document.text
        adjectives = [document.fact(name) for name in ("size", "color")]
        assert any(words.startswith(" ".join(adjectives)) for words, _ in entities(document))


def test_a_picture_in_letters_and_in_blocks_shows_the_same():
    pixels = np.full((2, 3, 3), BACKGROUND, np.uint8)
    pixels[0, 1], pixels[1, 2] = COLORS["black"], COLORS["blue"]
    assert list(picture_lines(pixels, False)) == [". k .", ". . b", "b blue, k black"]
    background = "\033[48;2;{};{};{}m  ".format(*BACKGROUND)
    black = "\033[48;2;0;0;0m  "
    assert next(picture_lines(pixels, True)) == f"{background}{black}{background}\033[0m"
    every = np.array([list(COLORS.values())], np.uint8)
    letters = next(picture_lines(every, False)).split()
    assert len(set(letters)) == len(COLORS)


def test_the_entropy_is_one_line_of_json_with_the_promised_names(capsys):
    (line,) = run(capsys, "--entropy", "--json", "--documents", "150").splitlines()
    numbers = json.loads(line)
    difference = numbers["analytic_bits_per_document"] - numbers["monte_carlo_bits_per_document"]
    assert abs(difference) < 5 * numbers["standard_error"]
    n_words = sum(len(document.words) for document in map(TinyWorld().document, range(150))) / 150
    assert numbers["bits_per_word"] == pytest.approx(
        numbers["analytic_bits_per_document"] / n_words, rel=0.05
    )
    assert 0.1 < numbers["bits_per_byte"] < numbers["bits_per_word"]
    for name in ("masked_bits_per_word", "next_sentence_accuracy", "sentence_order_accuracy"):
        assert 0 < numbers[f"{name}_error"] < 0.1 * numbers[name]
    assert all(map(math.isfinite, numbers.values()))


def test_the_entropy_is_shown_with_its_errors():
    numbers = {
        "monte_carlo_bits_per_document": 100.25,
        "standard_error": 0.5,
        "bits_per_word": 0.9,
        "masked_accuracy": 0.75,
        "masked_accuracy_error": 0.125,
    }
    assert [line.split() for line in entropy_lines(numbers)] == [
        ["100.2500", "±", "0.5000", "monte", "carlo", "bits", "per", "document"],
        ["0.9000", "bits", "per", "word"],
        ["0.7500", "±", "0.1250", "masked", "accuracy"],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--language", "fr"], "language must be one of en, zh, got 'fr'"),
        (["--seed", "-1"], "seed must be from 0 to 2**63 - 1, got -1"),
        (["--seed", str(2**63)], f"seed must be from 0 to 2**63 - 1, got {2**63}"),
        (["--documents", "0"], "the number of documents must be 1 or more, got 0"),
        (["--split", "dev"], "split must be one of validation, test, train, or some joined by +"),
        (["--first", "-1"], "first must be from 0 to"),
        (["--entropy", "--documents", "0"], "the number of documents must be 1 or more, got 0"),
        (["--entropy", "--documents", "1"], "needs at least 2 draws, got 1"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(capsys, arguments, message):
    assert main(["world", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
