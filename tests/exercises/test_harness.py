"""The harness compares plain numbers, never raises, and says what it saw."""

import numpy as np
import pytest
import torch

from exercises.harness import Verdict, exercise, plain, same

VALUES = torch.tensor([[1.0, 2.0, 4.0]])


@exercise("doubling")
def check_double(attempt, generator):
    """Check that a tensor is doubled."""
    mistakes = {"it squares": lambda values: values**2}
    attempt.equals("a row", (VALUES,), torch.tensor([[2.0, 4.0, 8.0]]), mistakes)
    numbers = torch.rand(3, generator=generator)
    result = attempt(numbers)
    attempt.holds("zero", same(result - numbers, numbers), "it adds something", result=result)


class EqualsEverything:
    __hash__ = None

    def __eq__(self, other):
        return True

    def __float__(self):
        return 2.0


class TensorEqualsEverything(torch.Tensor):
    def __eq__(self, other):
        return True

    def tolist(self):
        return [[2.0, 4.0, 8.0]]


def changes_its_input(values):
    values *= 2
    return values.clone()


def changes_a_view(values):
    values[:, :1].data.zero_()
    return 2 * values


def missing_kernel(values):
    return torch.softmax(values.long(), -1)


def deep_error(values):
    return torch.stack([values, values[:, 0]])


DEEP_LINE = deep_error.__code__.co_firstlineno + 1


def test_a_right_answer_passes():
    verdict = check_double(lambda values: values + values)
    assert (verdict.passed, verdict.attempted, verdict.n_checks) == (True, True, 2)
    assert str(verdict) == "✓ doubling: all 2 checks passed"
    assert verdict._repr_markdown_() == "✓ **doubling**: all 2 checks passed"


def test_a_known_mistake_is_named_and_shown():
    verdict = check_double(lambda values: values * values)
    assert str(verdict).splitlines() == [
        "✗ doubling: a row: it squares",
        "    input     [[1.0, 2.0, 4.0]]",
        "    expected  [[2.0, 4.0, 8.0]]",
        "    got       [[1.0, 4.0, 16.0]]",
    ]
    assert verdict._repr_markdown_().splitlines() == [
        "✗ **doubling**: a row: it squares",
        "",
        "```text",
        *str(verdict).splitlines()[1:],
        "```",
    ]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda v: 2 * v.numpy(), "returns a numpy.ndarray, expected a float32 tensor"),
        (lambda v: (2 * v).tolist(), "returns a list, expected a float32 tensor of shape (1, 3)"),
        (lambda v: (2 * v).double(), "returns a float64 tensor of shape (1, 3)"),
        (lambda v: (2 * v)[0], "returns a float32 tensor of shape (3,), expected"),
        (lambda v: 5.0, "returns a float, expected"),
        (lambda v: np.float64(5), "returns a float, expected"),
        (lambda v: 5, "returns an int, expected"),
        (lambda v: EqualsEverything(), "EqualsEverything, expected a float32 tensor"),
        (lambda v: v.as_subclass(TensorEqualsEverything), "TensorEqualsEverything, expected"),
        (lambda v: 3 * v, "a row: the numbers are wrong"),
        (lambda v: v * torch.nan, "a row: the numbers are wrong"),
        (lambda v: torch.cat([v * 2, v])[:1] + 1e-4, "a row: the numbers are wrong"),
        (lambda v: v.clamp(min=1) + v, "zero: it adds something"),
        (changes_its_input, "changes its input in place"),
        (changes_a_view, "changes its input in place"),
        (missing_kernel, "stops with NotImplementedError: "),
        (deep_error, f"line {DEEP_LINE}: return torch.stack([values, values[:, 0]]))"),
        (lambda: 1, "stops with TypeError: "),
        (lambda v: exit(2), "stops with SystemExit: 2"),
        (lambda v: 1 / 0, "stops with ZeroDivisionError: division by zero (line"),
        (VALUES, "give the check the function itself, not a float32 tensor of shape (1, 3)"),
    ],
)
def test_wrong_answers_become_verdicts(function, message):
    verdict = check_double(function)
    assert verdict.attempted
    assert not verdict.passed
    assert message in str(verdict)
    assert "\n" not in verdict.message


def test_an_interrupt_is_not_swallowed():
    def interrupted(values):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_double(interrupted)


def test_the_seed_draws_other_inputs():
    def seen(values):
        inputs.append(values.tolist())
        return 2 * values

    inputs = []
    for seed in (0, 0, 1):
        check_double(seen, seed=seed)
    assert inputs[:2] == inputs[2:4]
    assert inputs[3] != inputs[5]


def test_a_check_is_documented_and_deterministic():
    assert check_double.__doc__ == "Check that a tensor is doubled."
    assert check_double.__name__ == "check_double"
    assert repr(check_double(deep_error)) == repr(check_double(deep_error))


def test_a_mistake_that_is_right_here_explains_nothing():
    @exercise("identity")
    def check_identity(attempt, generator):
        attempt.equals("one", (1.0,), 1.0, {"it squares": lambda number: number**2})

    verdict = check_identity(lambda number: 1.0 + 2e-6)
    assert verdict.message == "one: the numbers are wrong"


def test_gradients_reach_the_arguments():
    @exercise("gradient")
    def check_gradient(attempt, generator):
        values = torch.ones(2, requires_grad=True)
        (gradient,) = torch.autograd.grad(attempt(values).sum(), values)
        attempt.holds("gradient", same(gradient, torch.full((2,), 3.0)), "it is not 3")

    assert check_gradient(lambda values: 3 * values).passed
    assert not check_gradient(lambda values: 2 * values).passed


def test_plain_numbers():
    assert plain((torch.tensor([True]), {"a": np.float64(1)}, {2, 1})) == [
        [True],
        [["a", 1.0]],
        [1, 2],
    ]
    assert plain([None, torch.Generator()]) == ["NoneType", "Generator"]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1.0, 1.0 + 1e-9, True),
        (1.0, 1.1, False),
        (1, 1.0, False),
        (True, 1, False),
        ("a", "a", True),
        ([1.0], [1.0, 2.0], False),
        (float("inf"), float("inf"), True),
        (float("inf"), -float("inf"), False),
        (torch.ones(1), torch.ones(1) + 1e-4, False),
        (torch.ones(1).double(), torch.ones(1).double() + 1e-8, False),
        (torch.ones(1).bfloat16(), torch.ones(1).bfloat16() + 0.01, True),
        (torch.tensor([3]), torch.tensor([4]), False),
    ],
)
def test_same_up_to_rounding(left, right, expected):
    assert same(left, right) is expected
    assert same(right, left) is expected


def test_long_inputs_are_cut_and_markdown_is_escaped():
    @exercise("long_name")
    def check_long(attempt, generator):
        attempt.equals("a *long* row", (torch.rand(999, generator=generator),), 1.0)

    verdict = check_long(lambda values: 2.0)
    assert max(map(len, str(verdict).splitlines())) < 230
    assert verdict._repr_markdown_().startswith(r"✗ **long\_name**: a \*long\* row: the numbers")


def test_a_verdict_is_frozen():
    with pytest.raises(AttributeError):
        Verdict("x", passed=False, attempted=True).passed = True
