"""Rounds A B C ... then C B A, and what is read from them: medians, and ratios within the same round.

Whatever else a machine does while it measures comes and goes in seconds. Two cases that are measured side by side meet
the same of it, so their ratio holds where neither of their times does.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Spread", "differences", "interleave", "order", "ratios", "spread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of some values, and the quartiles beside it."""

    low: float
    median: float
    high: float


def order(names: Sequence[str], number: int) -> Iterator[str]:
    """The names for a round: forwards in even rounds, backwards in odd ones, so that no case always follows the same other."""
    return iter(names) if number % 2 == 0 else reversed(names)


def interleave(blocks: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each block answers, round by round. One round more is made first, and thrown away: it warms up."""
    values: dict[str, list[float]] = {name: [] for name in blocks}
    for number in range(rounds + 1):
        for name in order(list(blocks), number):
            value = blocks[name]()
            if number:
                values[name].append(value)
    return values


def ratios(values: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Each value beside the baseline of its own round. Raises ValueError where the rounds are not the same ones."""
    return [value / base for value, base in zip(values, baseline, strict=True)]


def differences(values: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Each value less that of the baseline in its own round. Raises ValueError where the rounds are not the same ones."""
    return [value - base for value, base in zip(values, baseline, strict=True)]


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles. Raises StatisticsError where there is no value."""
    if len(values) < 2:
        return Spread(low=min(values), median=statistics.median(values), high=max(values))
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low=low, median=median, high=high)
