"""The experiments of notebook 01 measure what they say."""

import math
import re

import numpy as np
import pytest
import torch

from exercises.leaks_01 import (
    MESS,
    TOKENIZER,
    bits_per_byte,
    counted,
    exposure,
    lines_of,
    plant_copies,
)
from exercises.words_01 import CHANGES, Words, word_costs

PAGE = [f"w{i}" for i in range(40)]


def test_copies_differ_in_as_many_words_as_asked():
    pages = [" ".join(PAGE), "\n".join(PAGE[::-1]), "- ".join(PAGE[::2] * 2)]
    planted = plant_copies(pages, (0, 1, 7), 2, np.random.default_rng(5))
    assert len(pages) == 3 + 3 * 2
    for n_changed, pairs in planted.items():
        assert len({original for original, _ in pairs}) == 2
        for original, copy in pairs:
            words = [re.findall(r"\w+", pages[i]) for i in (original, copy)]
            assert sum(a != b for a, b in zip(*words, strict=True)) == n_changed


def test_lines_are_all_of_the_text():
    assert lines_of(["a\n\nb", " \nc\n"]) == ["a\n", "b", "c\n"]


def test_every_file_of_the_folder_is_another_case():
    assert len(set(MESS.values())) == len(MESS)


def test_bits_per_byte_charges_every_byte_and_the_end():
    model = counted(["ab", "ac"], 1)  # of order 1: what stands before changes nothing
    log_probs = model.next_log_probs(torch.tensor([[TOKENIZER.bos_id]]))[0][0]
    paid = -(log_probs[97] + log_probs[98] + log_probs[TOKENIZER.eos_id]).item() / math.log(2)
    assert bits_per_byte(model, ["ab"]) == pytest.approx(paid / 2)


def test_exposure_is_the_rank_among_all_numbers():
    model = counted(["is 41.", "is 41.", "is 40.", "is 73."], 4)
    scores = {}
    for x in range(100):
        state, total = [*b"is "], 0.0
        for digit in f"{x:02d}".encode():
            total += model.next_log_probs(torch.tensor([state]))[0][0, digit].item()
            state.append(digit)
        scores[x] = total
    for secret in (41, 40, 73, 12):
        above = sum(score > scores[secret] + 1e-6 for score in scores.values())
        equal = sum(abs(score - scores[secret]) <= 1e-6 for score in scores.values())
        expected = math.log2(100 / (above + (equal + 1) / 2))
        assert exposure(model, "is ", f"{secret:02d}") == pytest.approx(expected, abs=1e-6)


def test_fair_costs_divide_by_what_is_no_stop_word():
    pages = [["the", "cat", "is", "on", "the", "mat"], ["a", "dog", "saw", "the", "cat"]] * 3
    held_out = [["the", "dog", "is", "on", "a", "mat"]]
    words = Words(["the", "cat", "is", "on", "mat", "a", "dog", "saw"])
    for change in CHANGES.values():
        costs = word_costs(words, pages, held_out, change=change, order=3)
        row = words.ids(held_out, change)
        for t, target in enumerate(row[1:]):
            log_probs, _ = costs.model.next_log_probs(torch.from_numpy(row[None, : t + 1]))
            probs = log_probs[0].exp().double()
            p = probs[target] / (1 if words.is_stop[target] else probs[~words.is_stop].sum())
            assert costs.bits[t].item() == pytest.approx(-math.log2(probs[target]), abs=1e-4)
            assert costs.fair_bits[t].item() == pytest.approx(-math.log2(p), abs=1e-4)
        assert costs.targets.tolist() == row[1:].tolist()


def test_ids_and_kinds_of_words():
    words = Words(["the", "cat"])
    assert words.ids([["the", "dog"]], CHANGES["each one blanked"]).tolist() == [4, 2, 3, 5]
    assert [words.names[i] for i in torch.nonzero(words.is_stop).flatten()] == ["the", "·"]
    assert [words.names[i] for i in torch.nonzero(words.is_content).flatten()] == ["cat"]
    assert CHANGES["without stop words"]("the") == ""
