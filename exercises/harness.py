"""How a check works: it runs your function on small inputs and says what it found.

A check never compares with a solution. It knows values worked out by hand, other people's
functions, and properties such as "the future does not change the past". When a result is wrong, it
tries the usual mistakes on the same input, and if one of them gives the same result, names it.
"""

from __future__ import annotations

import linecache
import math
import re
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from dis import opmap
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

TOLERANCE = {
    torch.float64: 1e-10,
    torch.float32: 1e-5,
    torch.bfloat16: 2e-2,
}  # relative and absolute
_PYTHON_FLOAT_TOLERANCE = 1e-6  # of float results: they may have passed through float32
_MAX_SHOWN = 200  # characters of an input or a result; more is a wall of digits
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|$#])")
_NOT_THE_STUDENTS = ("<frozen", __file__, *sysconfig.get_paths().values())
Mistakes = Mapping[str, Callable[..., Any]]  # what it does wrong, in words → the wrong formula


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Example:
        >>> Verdict("causal mean", passed=True, attempted=True, n_checks=6)
        ✓ causal mean: all 6 checks passed
        >>> Verdict("causal mean", passed=False, attempted=False)
        ○ causal mean: not attempted yet
    """

    exercise: str
    passed: bool
    attempted: bool
    n_checks: int = 0
    message: str = ""
    shown: tuple[tuple[str, str], ...] = ()  # what to look at: ("input", "[1.0, 2.0]"), …

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self.shown), default=0)
        lines = [f"    {name:<{width}}  {value}" for name, value in self.shown]
        return "\n".join([f"{self._mark} {self.exercise}: {self._finding}", *lines])

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        first, *lines = str(self).splitlines()
        block = "\n".join(["\n", "```text", *lines, "```"]) if lines else ""
        _, _, finding = first.partition(": ")
        return f"{self._mark} **{_escaped(self.exercise)}**: {_escaped(finding)}{block}"

    @property
    def _mark(self) -> str:
        return "✓" if self.passed else "✗" if self.attempted else "○"

    @property
    def _finding(self) -> str:
        if self.passed:
            return f"all {self.n_checks} checks passed"
        return self.message or "not attempted yet"


class Check(Protocol):
    """What a notebook calls: a student's function in, a verdict out."""

    __name__: str

    def __call__(self, function: Callable[..., Any], *, seed: int = 0) -> Verdict:
        """Check ``function``; the seed draws other random inputs."""
        ...


def exercise(title: str) -> Callable[[Callable[[Attempt, torch.Generator], None]], Check]:
    """Make a check out of a function that puts an attempt through its cases, one after the other.

    Args:
        title: what the student writes, in a few words; every verdict begins with it.

    Example:
        >>> @exercise("double")
        ... def check_double(attempt, generator):
        ...     mistakes = {"it squares": lambda number: number**2}
        ...     attempt.equals("two", (2,), 4, mistakes)
        ...     attempt.equals("three", (3,), 6, mistakes)
        >>> check_double(lambda number: 2 * number)
        ✓ double: all 2 checks passed
        >>> check_double(lambda number: number * number)
        ✗ double: three: it squares
            input     3
            expected  6
            got       9
    """

    def make_check(cases: Callable[[Attempt, torch.Generator], None]) -> Check:
        def check(function: Callable[..., Any], *, seed: int = 0) -> Verdict:
            attempt = Attempt(function)
            try:
                cases(attempt, torch.Generator().manual_seed(seed))
            except _Stop as stop:
                return Verdict(title, False, stop.attempted, attempt.n_checks, *stop.args)
            return Verdict(title, True, True, attempt.n_checks)

        check.__name__ = check.__qualname__ = cases.__name__
        check.__doc__, check.__module__ = cases.__doc__, cases.__module__
        return check

    return make_check


class _Stop(Exception):
    """The first case that fails ends a check; ``args`` are the message and what to show."""

    def __init__(self, message: str, *shown: tuple[str, str], attempted: bool = True) -> None:
        super().__init__(message, shown)
        self.attempted = attempted


class Attempt:
    """A student's function under examination."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Take the function; anything else is refused with the next call."""
        self._function = function
        self._refuted: set[str] = set()  # mistakes that an earlier, right result has ruled out
        self.n_checks = 0

    def __call__(self, *arguments: Any) -> Any:
        """Run the function on copies of the arguments; an error or a changed one ends the check."""
        if not callable(self._function):
            raise _Stop(f"give the check the function itself, not {_kind(self._function)}")
        given = _copied(arguments)
        try:
            result = self._function(*given)
        except NotImplementedError as error:
            if _is_stub(error):
                raise _Stop("", attempted=False) from None
            raise _Stop(_crash(error), _input(arguments)) from None
        except (Exception, SystemExit) as error:
            raise _Stop(_crash(error), _input(arguments)) from None
        if result is None or result is ...:
            raise _Stop(f"not attempted yet: it returns {result!r}", attempted=False)
        if _frozen(given) != _frozen(arguments):
            what = "it changes its input in place, which its caller still needs"
            raise _Stop(what, ("input before", _shown(arguments)), ("input after", _shown(given)))
        return result

    def equals(
        self, what: str, arguments: tuple[Any, ...], expected: Any, mistakes: Mistakes | None = None
    ) -> None:
        """Ask for a result of the same type, shape and dtype, and the same numbers up to rounding.

        Args:
            what: what this case is about, in words.
            arguments: of the student's function.
            expected: from hand, from torch or from a slow loop: never from a solution.
            mistakes: the usual ones, each with the words that tell a student what was done.
        """
        result = self(*arguments)
        if (got := _kind(result)) != (wanted := _kind(expected)):
            message = f"{what}: it returns {got}, expected {wanted}"
            raise _Stop(message, _input(arguments))
        # What an earlier result has ruled out is tried last: two mistakes may look alike here.
        usual = dict(sorted((mistakes or {}).items(), key=lambda item: item[0] in self._refuted))
        if not same(result, expected):
            message = f"{what}: {_diagnosis(result, expected, arguments, usual)}"
            numbers = ("expected", _shown(expected)), ("got", _shown(result))
            raise _Stop(message, _input(arguments), *numbers)
        for name, formula in usual.items():  # who is right here has not made them
            if name not in self._refuted and not same(formula(*_copied(arguments)), expected):
                self._refuted.add(name)
        self.n_checks += 1

    def holds(self, what: str, condition: bool, mistake: str, **shown: Any) -> None:
        """Ask for a property; ``mistake`` says in words what its absence means."""
        if not condition:
            numbers = ((name.replace("_", " "), _shown(value)) for name, value in shown.items())
            raise _Stop(f"{what}: {mistake}", *numbers)
        self.n_checks += 1


def plain(value: Any) -> Any:
    """Turn tensors and containers into nested lists of plain numbers and strings.

    Plain numbers are compared as what they are; an object of the student's can claim to equal
    everything. What is no data, such as a generator, becomes its type's name.

    Example:
        >>> plain((torch.tensor([1.0, 2.0]), "a"))
        [[1.0, 2.0], 'a']
    """
    if type(value) in (Tensor, nn.Parameter):
        return value.detach().tolist()
    if type(value) in (int, float, bool, str, bytes):
        return value
    if isinstance(value, float):  # numpy's float64 is one
        return float(value)
    if type(value) in (list, tuple):
        return [plain(item) for item in value]
    if type(value) in (set, frozenset):
        return sorted((plain(item) for item in value), key=repr)
    if type(value) is dict:
        return [[plain(key), plain(item)] for key, item in value.items()]
    if is_dataclass(value) and not isinstance(value, type):
        return [plain(getattr(value, field.name)) for field in fields(value)]
    return type(value).__name__


def same(left: Any, right: Any) -> bool:
    """Say whether two values hold the same numbers, up to the rounding of their dtype.

    Example:
        >>> same(torch.tensor([0.1 + 0.2]), torch.tensor([0.3])), same([1], [2])
        (True, False)
    """
    dtypes = [value.dtype for value in (left, right) if isinstance(value, Tensor)]
    tolerance = max((TOLERANCE.get(d, 0.0) for d in dtypes), default=_PYTHON_FLOAT_TOLERANCE)
    return _close(plain(left), plain(right), tolerance)


def _close(left: Any, right: Any, tolerance: float) -> bool:
    """Compare nested lists; integers and strings exactly. NaN equals NaN, to recognize mistakes."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            _close(a, b, tolerance) for a, b in zip(left, right, strict=True)
        )
    if isinstance(left, float) and isinstance(right, float):
        both_nan = math.isnan(left) and math.isnan(right)
        return both_nan or math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    return type(left) is type(right) and left == right


def _diagnosis(result: Any, expected: Any, arguments: tuple[Any, ...], mistakes: Mistakes) -> str:
    """Name the usual mistake that gives this result; one that is right here explains nothing."""
    for name, formula in mistakes.items():
        wrong = formula(*_copied(arguments))
        if same(wrong, result) and not same(wrong, expected):
            return name
    return "the numbers are wrong"


def _copied(value: Any) -> Any:
    """Copy tensors and containers; gradients still reach the original."""
    if isinstance(value, Tensor):
        return value.clone()
    if type(value) in (list, tuple):
        return type(value)(_copied(item) for item in value)
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    return value


def _frozen(value: Any) -> Any:
    """Return what changes when the data do; bytes, because NaN is not equal to itself."""
    if type(value) in (Tensor, nn.Parameter):
        data = value.detach().reshape(-1).view(torch.uint8)
        return str(value.dtype), tuple(value.shape), data.numpy().tobytes()
    if type(value) in (list, tuple):
        return [_frozen(item) for item in value]
    return repr(plain(value))


def _kind(value: Any) -> str:
    """Describe what a value is, without its numbers."""
    if type(value) in (Tensor, nn.Parameter):
        dtype = str(value.dtype).removeprefix("torch.")
        return f"a {dtype} tensor of shape {tuple(value.shape)}"
    kind = type(value)
    if kind.__module__ == "builtins" or issubclass(kind, float):
        name = "float" if issubclass(kind, float) else kind.__name__
        return f"an {name}" if name[0] in "aeiou" else f"a {name}"
    return f"a {kind.__module__.partition('.')[0]}.{kind.__name__}"


def _input(arguments: tuple[Any, ...]) -> tuple[str, str]:
    return "input", _shown(arguments)


def _shown(value: Any) -> str:
    """Write numbers short enough to be read; the arguments of a call without its parentheses."""
    if type(value) is tuple:
        return ", ".join(map(_shown, value))
    text = repr(_rounded(plain(value)))
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + " …"


def _rounded(value: Any) -> Any:
    """Keep five significant digits of each number in nested lists."""
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _frames(error: BaseException) -> list[TracebackType]:
    """List the frames of an error, outermost first."""
    frames, frame = [], error.__traceback__
    while frame is not None:
        frames.append(frame)
        frame = frame.tb_next
    return frames


def _is_students(frame: TracebackType) -> bool:
    return not frame.tb_frame.f_code.co_filename.startswith(_NOT_THE_STUDENTS)


def _is_stub(error: NotImplementedError) -> bool:
    """Tell ``raise NotImplementedError`` in a stub from torch's "not implemented for 'Long'"."""
    last = _frames(error)[-1]
    is_raise = last.tb_frame.f_code.co_code[last.tb_lasti] == opmap["RAISE_VARARGS"]
    return is_raise and _is_students(last)


def _crash(error: BaseException) -> str:
    """Name an error and the student's line it came from, in place of a traceback."""
    text = str(error).strip().partition("\n")[0][:_MAX_SHOWN]
    message = f"it stops with {type(error).__name__}" + (f": {text}" if text else "")
    own = [frame for frame in _frames(error) if _is_students(frame)]
    if not own:  # called with arguments that the function does not take
        return message
    code, number = own[-1].tb_frame.f_code, own[-1].tb_lineno
    line = linecache.getline(code.co_filename, number).strip()
    return f"{message} (line {number}{f': {line}' if line else ''})"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
