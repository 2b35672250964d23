"""Pictures: every fact can be seen, and no question can be answered without looking."""

import math
from collections import Counter, defaultdict
from itertools import chain, combinations, product

import numpy as np
import pytest

from minillm.text.world import TinyWorld
from minillm.text.world.picture import SIZE, draw
from minillm.text.world.picture_questions import Wheel, marginal
from minillm.text.world.rng import SplitMix64
from minillm.text.world.sprites import BACKGROUND, COLORS, CONTAINERS, OBJECTS
from minillm.text.world.story import STORY

FACTS = {fact.name: fact for fact in STORY.facts}
TOP_CELLS = [(0, (0, 1)), (0, (10, 11)), (5, (5, 6))]  # row, columns where a drawing may begin
N = 2000


@pytest.fixture(scope="module")
def scenes():
    world = TinyWorld("en", seed=14)
    found = [world.document(number) for number in range(N)]
    return [(document, draw(document)) for document in found]


def mask(sprites):
    """Return which of the 16 × 16 pixels are covered: pairs of a drawing and its corner."""
    covered = np.zeros((SIZE, SIZE), bool)
    for sprite, row, column in sprites:
        for y, line in enumerate(sprite):
            for x, pixel in enumerate(line):
                covered[row + y, column + x] |= pixel == "#"
    return covered.tobytes()


def tops():
    """Map what may be seen at the top to the object and how many of it there are."""
    ways = [[None, *((row, column) for column in columns)] for row, columns in TOP_CELLS]
    for name, sprite in OBJECTS.items():
        for corners in product(*ways):
            shown = [(sprite, *corner) for corner in corners if corner]
            if shown:
                yield mask(shown), (name, str(len(shown)))


def test_every_fact_of_a_picture_can_be_seen(scenes):
    seen_at_top = dict(tops())
    seen_below = {
        mask([(sprite, 11, column)]): name
        for name, sprite in CONTAINERS.items()
        for column in range(12)
    }
    assert len(seen_below) == 12 * len(CONTAINERS)
    colors: dict[tuple[int, ...], str] = {color: name for name, color in COLORS.items()}
    for document, picture in scenes[:400]:
        pixels = picture.pixels
        assert pixels.shape == (16, 16, 3)
        assert pixels.dtype == np.uint8
        covered = (pixels != BACKGROUND).any(axis=2)
        top, below = covered.copy(), covered.copy()
        top[10:], below[:10] = False, False
        assert seen_at_top[top.tobytes()] == (document.fact("object"), document.fact("number"))
        assert seen_below[below.tobytes()] == document.fact("container")
        for part, fact in ((top, "color"), (below, "container_color")):
            (found,) = {tuple(map(int, pixel)) for pixel in pixels[part]}
            assert colors[found] == document.fact(fact)


def test_drawings_differ_wherever_they_stand():
    found = list(tops())
    assert len({key for key, _ in found}) == len(found)
    for table, facts in ((OBJECTS, "object"), (CONTAINERS, "container"), (COLORS, "color")):
        assert set(table) == set(FACTS[facts].values)
    for table in (OBJECTS, CONTAINERS):
        assert {len(line) for sprite in table.values() for line in sprite} == {5}
        for first, second in combinations(map("".join, table.values()), 2):
            assert sum(a != b for a, b in zip(first, second, strict=True)) >= 3
    for first, second in combinations([*COLORS.values(), BACKGROUND], 2):
        assert math.dist(first, second) > 60  # of 442 between black and white


def test_a_caption_names_what_is_seen():
    world, chinese = TinyWorld("en", 14), TinyWorld("zh", 14)
    for number in range(100):
        document = world.document(number)
        words = draw(document).caption.split()
        for fact in ("color", "container_color", "container"):
            assert document.fact(fact) in words
        count = {"1": ("a", "an"), "2": ("two",), "3": ("three",)}[document.fact("number")]
        assert words[0] in count
        assert (words[0] == "an") == (words[0] in ("a", "an") and words[1][0] in "aeiou")
        assert np.array_equal(draw(chinese.document(number)).pixels, draw(document).pixels)
    document = next(d for d in map(chinese.document, range(99)) if d.fact("number") == "2")
    assert draw(document).caption.startswith("两")


def test_answers_are_true_and_among_the_choices(scenes):
    for document, picture in scenes[:500]:
        for question in picture.questions:
            value = document.fact(question.kind)
            word = {"1": "one thing", "2": "two things", "3": "three things"}.get(value, value)
            assert question.answer in question.choices
            assert len(set(question.choices)) == 2
            if question.choices == ("no", "yes"):
                names_it = question.text.split(" at the ")[0].endswith(f" {word}")
                assert question.answer == ("yes" if names_it else "no"), question
            else:
                assert question.answer.endswith(word)
                assert all(choice in question.text for choice in question.choices)


@pytest.mark.parametrize("is_yes_no", [True, False])
def test_who_does_not_look_is_right_half_of_the_time(scenes, is_yes_no):
    """The best blind guesser knows, for every question's text, what was right more often."""
    questions = [
        [q for q in picture.questions if (q.choices == ("no", "yes")) == is_yes_no]
        for _, picture in scenes
    ]
    seen = defaultdict(Counter)
    for question in chain(*questions[: N // 2]):
        seen[question.text][question.answer] += 1
    right = Counter()
    asked = list(chain(*questions[N // 2 :]))
    for question in asked:
        answers = seen.get(question.text)
        guess = answers.most_common(1)[0][0] if answers else question.choices[0]
        right[question.kind] += guess == question.answer
    assert abs(right.total() - len(asked) / 2) < 4 * math.sqrt(len(asked)) / 2
    for kind, n_right in right.items():
        n = sum(question.kind == kind for question in asked)
        assert abs(n_right - n / 2) < 4 * math.sqrt(n) / 2
    assert set(right) == {"object", "color", "container", "container_color", "number"}


class Chosen(SplitMix64):
    """Stands in for random numbers: gives the one that a test chose."""

    def __init__(self, number):
        super().__init__(0)
        self.number = number

    def below(self, total):
        assert 0 <= self.number < total
        return self.number


def test_half_a_turn_of_the_wheel_is_symmetric():
    weights = (5, 3, 1, 4, 2)
    wheel, pairs = Wheel(weights), Counter()
    for value, weight in enumerate(weights):
        for stop in range(2 * weight):
            pairs[value, wheel.other(value, Chosen(stop))] += 1
    assert all(pairs[a, b] == pairs[b, a] for a, b in pairs)
    assert all(a != b for a, b in pairs)
    with pytest.raises(ValueError, match="more than half"):
        Wheel((3, 1, 1))


def test_marginals_sum_over_the_cause():
    topics = FACTS["topic"].weights[0]
    weights = marginal("object")
    for value, weight in enumerate(weights):
        rows = zip(topics, FACTS["object"].weights, strict=True)
        expected = sum(t / sum(topics) * row[value] / sum(row) for t, row in rows)
        assert weight / sum(weights) == pytest.approx(expected, rel=1e-12)
    assert marginal("color") == list(FACTS["color"].weights[0])
