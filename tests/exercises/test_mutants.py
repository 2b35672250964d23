"""Every check knows a right answer when it sees one, and names what is wrong with the others."""

import importlib
import inspect
import pkgutil

import pytest
import torch

import exercises
import exercises.attempts

N_WRONG, N_RIGHT, SEEDS = 5, 2, (0, 1, 2)


def modules(package, prefix):
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]
    return [
        importlib.import_module(f"{package.__name__}.{name}")
        for name in names
        if name.startswith(prefix)
    ]


PLANTED = [p for module in modules(exercises.attempts, "attempts_") for p in module.PLANTED]
CHECKS = {
    name: value
    for module in modules(exercises, "checks_")
    for name, value in vars(module).items()
    if name.startswith("check_") and inspect.getmodule(value) is module
}
RIGHT = [pytest.param(p, f, id=f.__name__) for p in PLANTED for f in p.right]
WRONG = [pytest.param(p, f, m, id=f.__name__) for p in PLANTED for f, m in p.wrong.items()]
planted = pytest.mark.parametrize("planted", PLANTED, ids=lambda p: p.check.__name__)


def form(value):
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape
    return type(value), [form(item) for item in value] if isinstance(value, tuple) else None


def copies(arguments):
    return [a.clone() if isinstance(a, torch.Tensor) else a for a in arguments]


def test_every_check_has_its_attempts():
    assert len(CHECKS) >= 2
    assert sorted(p.check.__name__ for p in PLANTED) == sorted(CHECKS)


@planted
def test_attempts_are_many_and_differ(planted):
    assert len(planted.right) >= N_RIGHT
    assert len(planted.wrong) >= N_WRONG
    codes = [f.__code__.co_code for f in (*planted.right, *planted.wrong)]
    assert len(set(codes)) > len(codes) // 2


def raises_not_implemented(*arguments):
    raise NotImplementedError


def raises_with_a_message(*arguments):
    raise NotImplementedError("your turn")


@planted
@pytest.mark.parametrize(
    "stub",
    [raises_not_implemented, raises_with_a_message, lambda *a: None, lambda *a: ...],
    ids=["raises", "says", "None", "..."],
)
def test_an_untouched_stub_is_not_attempted(planted, stub):
    verdict = planted.check(stub)
    assert not verdict.attempted
    assert not verdict.passed
    assert "not attempted yet" in repr(verdict)


@pytest.mark.parametrize(("planted", "function"), RIGHT)
@pytest.mark.parametrize("seed", SEEDS)
def test_right_answers_pass(planted, function, seed):
    verdict = planted.check(function, seed=seed)
    assert verdict.passed, verdict
    assert verdict.attempted
    assert verdict.n_checks >= 5


@pytest.mark.parametrize(("planted", "function", "misconception"), WRONG)
@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_answers_are_told_their_misconception(planted, function, misconception, seed):
    verdict = planted.check(function, seed=seed)
    assert verdict.attempted
    assert not verdict.passed
    assert misconception in verdict.message


@pytest.mark.parametrize(("planted", "function", "_"), WRONG)
def test_wrong_answers_would_pass_a_test_of_shapes(planted, function, _):
    wrong, right = (f(*copies(planted.arguments)) for f in (function, planted.right[0]))
    assert form(wrong) == form(right)
