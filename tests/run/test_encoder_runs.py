"""Runs of an encoder: hidden words, pairs and orders of sentences, on the same run folder."""

import json

import numpy as np
import pytest
import torch

from minillm.cli import main
from minillm.config import PretrainConfig
from minillm.data import load_prepared
from minillm.errors import ConfigError, DataError
from minillm.evaluation import choose_words, draw_pairs
from minillm.run import OBJECTIVES, judge_checkpoint, load_model, make_writer
from minillm.run.batches import make_frame
from minillm.run.judges import HeldOut
from minillm.text.world import TinyWorld

WORLD = ("world:documents=90",)
# so much text that every word of the validation documents is a token
ENOUGH = {"corpus": ("world:documents=2000",), "vocab_size": 2200}
SENTENCES = ["masked+next-sentence", "masked+sentence-order", "sentence-reconstruction"]


@pytest.fixture
def settings(settings):
    kept = {key: value for key, value in settings.items() if key != "dropout"}
    return kept | {"corpus": WORLD, "vocab_size": 1400, "context_length": 61, "batch_size": 7}


@pytest.mark.parametrize("objective", ["masked", *SENTENCES])
def test_it_learns_is_judged_and_never_beats_the_best(run, settings, objective):
    run(
        objective=objective,
        steps=25,
        learning_rate=0.02,
        d_model=12,
        **(ENOUGH if objective == "masked" else {}),
    )
    loaded = load_model(settings["out"])
    judgement = judge_checkpoint(loaded)
    stored = loaded.description["run"]["validation"]
    numbers = judgement.to_json()
    assert numbers["loss"] == pytest.approx(stored["loss"], rel=1e-6)
    log = (settings["out"] / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in log]
    losses = [line["loss"] for line in lines]
    assert sum(losses[-10:]) < sum(losses[:10])
    if objective == "masked":
        assert 0.05 < numbers["floor_bits_per_hidden_word"] < numbers["bits_per_hidden_word"]
    elif objective in SENTENCES[:2]:
        most = numbers["best_sentence_accuracy"] + 4 * numbers["best_sentence_accuracy_error"]
        assert 0.8 < most < 1.05
        assert numbers["sentence_accuracy"] < most
    else:
        assert judgement.floors == {}
        assert -1 <= numbers["kendall_tau"] <= 1


@pytest.mark.parametrize("objective", ["masked", *SENTENCES])
def test_a_killed_run_draws_the_same_masks_and_pairs(check_killed_is_whole, objective):
    check_killed_is_whole(objective=objective)


def test_masks_are_fresh_each_time_a_text_is_read(run, settings):
    run(objective="masked", steps=1)
    data = load_prepared(settings["out"] / "data")
    config = PretrainConfig(**(settings | {"objective": "masked", "batch_size": 40}))
    batch_at = OBJECTIVES["masked"].batches(data, config)
    first, later = batch_at(0), batch_at(1)
    chosen = (first.targets != -100).float().mean().item()
    assert 0.1 < chosen < 0.2
    again = ((first.targets != -100) & (later.targets != -100)).float().mean().item()
    assert again < 0.3 * chosen  # of the chosen places 15 % are chosen again by chance
    assert torch.equal(first.inputs, batch_at(0).inputs)


def test_the_floor_of_hidden_words_is_that_of_the_same_words(run, settings):
    """By hand for one document: the exact engine, asked for the words that are hidden."""
    run(objective="masked", steps=1, **ENOUGH)
    judgement = judge_checkpoint(load_model(settings["out"]))
    held_out = HeldOut.of_run(load_prepared(settings["out"] / "data"), with_sentences=False)
    documents = TinyWorld().documents(2000, split="train+validation")
    told = [d for d in documents if d.split == "validation"]
    assert len(told) == len(held_out.documents)
    bits, n_words = 0.0, 0
    for number, (document, ids) in enumerate(zip(told, held_out.documents, strict=True)):
        token_ids = torch.from_numpy(ids)
        places = choose_words(
            held_out.masker.words.ids(token_ids[None])[0],
            held_out.masker.maskable(token_ids),
            rate=0.15,
            number=number,
        )
        hidden = [int(place) - 1 for place in torch.nonzero(places)]
        for place, found in zip(
            hidden, TinyWorld().exact.hidden_words(document.words, hidden), strict=True
        ):
            bits -= np.log2(found[document.words[place]])
            n_words += 1
    assert judgement.floors["floor_bits_per_hidden_word"] == pytest.approx(bits / n_words)
    assert judgement.evaluation.numbers()["n_words"] == n_words


def test_pieces_of_words_have_no_floor(run, settings):
    run(objective="masked", steps=1, vocab_size=120)
    assert judge_checkpoint(load_model(settings["out"])).floors == {}


@pytest.mark.parametrize("task", ["next-sentence", "sentence-order"])
def test_pairs_are_half_and_half_and_say_what_is_true(task):
    documents = [[np.array([100 * d + s]) for s in range(2 + d % 5)] for d in range(40)]
    pairs = draw_pairs(documents, task)
    neighbors = {(d, s) for d, document in enumerate(documents) for s in range(len(document) - 1)}
    assert len(pairs) == len(neighbors)
    assert 0.3 < np.mean([pair.label for pair in pairs]) < 0.7
    for (a, i), (b, j), label in pairs:
        if label == 0:
            assert (a, i + 1) == (b, j)
        elif task == "sentence-order":
            assert (a, i) == (b, j + 1)
        else:
            assert a != b


def test_one_held_out_document_borrows_foreign_sentences_from_training(run, settings, corpus):
    run(objective="masked+next-sentence", steps=2, corpus=(str(corpus),), vocab_size=90)
    data = load_prepared(settings["out"] / "data")
    held_out = HeldOut.of_run(data, with_sentences=True)
    assert (held_out.n_judged, len(data.sentences("validation"))) == (1, 1)
    assert len(held_out.sentences) > 1
    homes = {pair.first[0] for pair in draw_pairs(held_out.sentences, "next-sentence", n_judged=1)}
    assert homes == {0}


@pytest.mark.parametrize("objective", SENTENCES)
def test_texts_without_neighbors_are_refused_row27(run, settings, tmp_path, objective):
    for number in range(12):
        (tmp_path / f"{number}.txt").write_text(f"only one sentence number {number} here")
    with pytest.raises(DataError, match=r"at least . training documents of two sentences"):
        run(objective=objective, corpus=(str(tmp_path),), vocab_size=60)


def test_one_document_has_no_foreign_sentence_row27(run, settings, tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("The cat sees a dog. The dog likes a bird. " * 30)
    with pytest.raises(DataError, match="needs at least 2 training documents"):
        run(objective="masked+next-sentence", corpus=(str(path),), vocab_size=60)
    run(objective="masked+sentence-order", corpus=(str(path),), vocab_size=60, steps=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "masked+next-sentence", "batch_size": 1}, "batch_size must be 2 or more"),
        ({"objective": "masked", "mask_rate": 0.0}, "mask_rate must be above 0"),
        (
            {"objective": "causal", "mask_rate": 0.3},
            "mask_rate means nothing to --objective causal",
        ),
        ({"objective": "masked", "n_sentences": 3}, "n_sentences means nothing"),
        ({"objective": "sentence-reconstruction", "n_sentences": 8}, "from 2 to 7, got 8"),
        ({"objective": "masked", "model": "gpt"}, "--model gpt does not fit --objective masked"),
        ({"objective": "masked", "sentence_weight": 2.0}, "sentence_weight means nothing"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, changes, message):
    with pytest.raises(ConfigError, match=message):
        PretrainConfig(**(settings | changes))


def test_sentences_that_do_not_fit_the_context_are_refused(run):
    with pytest.raises(DataError, match="4 sentences do not fit into 8 tokens"):
        run(objective="sentence-reconstruction", context_length=8)


def test_an_encoder_does_not_write(run, settings, capsys):
    run(objective="masked", steps=1)
    with pytest.raises(ConfigError, match="predicts no next token"):
        make_writer(load_model(settings["out"]), "the cat")
    assert main(["generate", "--checkpoint", str(settings["out"])]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_evaluate_reads_other_texts_and_prints_json(run, settings, capsys):
    run(objective="masked+sentence-order", steps=1)
    arguments = ["evaluate", "--checkpoint", str(settings["out"]), "--corpus"]
    assert main([*arguments, "world:documents=8,split=test", "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert {"loss", "sentence_accuracy", "n_pairs", "best_sentence_accuracy"} <= set(numbers)


def test_the_weight_of_a_head_is_that_of_its_gradient(run, settings):
    """With weight 0 the head of pairs learns nothing; its weights only decay."""
    changes = {"objective": "masked+sentence-order", "steps": 3, "weight_decay": 0.0}
    run(**changes, sentence_weight=0.0)
    model = load_model(settings["out"]).model
    assert bool((model.pair_head.classifier.bias == 0).all())
    run(**changes, out=settings["out"].with_name("weighted"))
    model = load_model(settings["out"].with_name("weighted")).model
    assert bool((model.pair_head.classifier.bias != 0).any())


def test_a_longer_sequence_than_the_context_is_cut(run, settings):
    run(objective="masked+next-sentence", steps=1, context_length=9)
    data = load_prepared(settings["out"] / "data")
    assert make_frame(data.tokenizer, 9).max_tokens == 9
    config = PretrainConfig(
        **(settings | {"objective": "masked+next-sentence", "context_length": 9})
    )
    batch = OBJECTIVES["masked+next-sentence"].batches(data, config)(0)
    assert batch.inputs.shape == (7, 9)
