"""The search space in Hydra's sweep syntax; the meaning is that of Hydra's Optuna sweeper.

Understood are `choice(a, b)`, `interval(low, high)`, `int(interval(low, high))`, `range(start, stop, step)`
(stop left out, as in Hydra) and `tag(log, ...)` around an interval.
"""

import math
import re
from dataclasses import dataclass, replace

Scalar = bool | int | float | str
TOKEN = re.compile(r"\s*(?:(?P<quoted>'[^']*'|\"[^\"]*\")|(?P<word>[^\s,()'\"]+)|(?P<mark>[(),]))")
FORMS = (
    "choice(a, b), interval(low, high), int(interval(low, high)), range(start, stop[, step]), tag(log, ...)"
)


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Interval:
    """A number between two bounds, both included."""

    low: float
    high: float
    integer: bool = False
    log: bool = False


@dataclass(frozen=True)
class Range:
    """start, start + step, ... below stop."""

    start: float
    stop: float
    step: float

    @property
    def integer(self) -> bool:
        return all(isinstance(number, int) for number in (self.start, self.stop, self.step))

    @property
    def last(self) -> float:
        count = math.ceil((self.stop - self.start) / self.step - 1e-9)
        return self.start + (count - 1) * self.step


Dimension = Choice | Interval | Range


def parse_dimension(text: str) -> Dimension:
    """Parse one sweep expression; raises ValueError with what is allowed."""
    tokens = _tokens(text)
    dimension, rest = _expression(tokens, text)
    if rest:
        raise ValueError(f"{text!r}: {rest[0]!r} stands behind the end; allowed: {FORMS}")
    return dimension


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"{text!r}: cannot read {text[place:]!r}; allowed: {FORMS}")
        tokens.append(match.group().strip())
        place = match.end()
    return tokens


def _expression(tokens: list[str], text: str) -> tuple[Dimension, list[str]]:
    """The dimension at the head of `tokens`, and the tokens behind it."""
    if len(tokens) < 2 or tokens[1] != "(":
        raise ValueError(f"{text!r}: not a sweep; allowed: {FORMS}")
    name, rest = tokens[0], tokens[2:]
    if name == "int":
        inner, rest = _expression(rest, text)
        if not isinstance(inner, Interval) or inner.log or inner.low % 1 or inner.high % 1:
            raise ValueError(f"{text!r}: int() takes an interval with whole bounds")
        return replace(inner, integer=True), _closed(rest, text)
    if name == "tag":
        if rest[:2] != ["log", ","]:
            raise ValueError(f"{text!r}: the only tag is log: tag(log, interval(low, high))")
        inner, rest = _expression(rest[2:], text)
        if not isinstance(inner, Interval) or inner.low <= 0:
            raise ValueError(f"{text!r}: tag(log, ...) takes an interval above 0")
        return replace(inner, log=True), _closed(rest, text)
    arguments, rest = _arguments(rest, text)
    if name == "choice":
        values = tuple(_scalar(argument) for argument in arguments)
        if len(values) < 2 or len(set(map(repr, values))) < len(values):
            raise ValueError(f"{text!r}: a choice needs two different values or more")
        return Choice(values), rest
    if name not in ("interval", "range"):
        raise ValueError(f"{text!r}: unknown {name}(); allowed: {FORMS}")
    numbers = [_number(argument, text) for argument in arguments]
    if name == "interval":
        if len(numbers) != 2 or numbers[0] >= numbers[1]:
            raise ValueError(f"{text!r}: an interval needs two numbers, the lower one first")
        return Interval(numbers[0], numbers[1]), rest
    if len(numbers) == 1:
        numbers.insert(0, 0)
    if len(numbers) not in (2, 3) or numbers[0] >= numbers[1] or (numbers[2:] and numbers[2] <= 0):
        raise ValueError(f"{text!r}: a range needs start < stop and a step above 0")
    return Range(numbers[0], numbers[1], numbers[2] if numbers[2:] else 1), rest


def _arguments(tokens: list[str], text: str) -> tuple[list[str], list[str]]:
    """Comma-separated values up to the closing parenthesis."""
    found: list[str] = []
    while len(tokens) >= 2 and tokens[0] not in ("(", ")", ","):
        found.append(tokens[0])
        if tokens[1] == ")":
            return found, tokens[2:]
        if tokens[1] != ",":
            raise ValueError(f"{text!r}: a comma is missing before {tokens[1]!r}")
        tokens = tokens[2:]
    raise ValueError(f"{text!r}: a value or the closing parenthesis is missing; allowed: {FORMS}")


def _closed(tokens: list[str], text: str) -> list[str]:
    if not tokens or tokens[0] != ")":
        raise ValueError(f"{text!r}: the closing parenthesis is missing")
    return tokens[1:]


def _scalar(token: str) -> Scalar:
    if token[0] in "'\"":
        return token[1:-1]
    if token.lower() in ("true", "false"):
        return token.lower() == "true"
    for kind in (int, float):
        try:
            return kind(token)
        except ValueError:
            continue
    return token


def _number(token: str, text: str) -> int | float:
    value = _scalar(token)
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ValueError(f"{text!r}: {token} is not a number")
    return value
