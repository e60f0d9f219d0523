"""How sure a measured mean is: Student's t, for what was measured in pairs."""

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that holds the true one with the probability asked for."""

    mean: float
    low: float
    high: float


def t_cdf(t: float, freedom: int) -> float:
    """The probability of a value up to t >= 0 under Student's t with that many degrees of freedom.

    By the substitution t = sqrt(freedom) * tan(angle) the density becomes a power of a cosine on a
    finite range, which Simpson's rule integrates exactly enough.
    """
    steps = 2000
    width = math.atan(t / math.sqrt(freedom)) / steps
    values = [math.cos(number * width) ** (freedom - 1) for number in range(steps + 1)]
    integral = (values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])) * width / 3
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    return 0.5 + scale * integral


def t_quantile(probability: float, freedom: int) -> float:
    """The t whose t_cdf is `probability`, which is at least one half and under one."""
    if freedom < 1 or not 0.5 <= probability < 1:
        raise ValueError(f"no quantile for probability {probability} and {freedom} degrees of freedom")
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < probability:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, freedom) < probability else (low, middle)
    return high


def of_mean(values: list[float], confidence: float = 0.95) -> Interval:
    """The interval of the mean; one value alone says nothing about its error."""
    if len(values) < 2:
        raise ValueError("an interval wants two values at least")
    mean = statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = t_quantile((1 + confidence) / 2, len(values) - 1) * error
    return Interval(mean, mean - half, mean + half)


def of_ratio(pairs: list[tuple[float, float]], confidence: float = 0.95) -> Interval:
    """Of first / second, geometric: each pair's ratio counts alike, and A/B is the inverse of B/A.

    What disturbs both halves of a pair, which follow each other at once, cancels out.
    """
    logs = of_mean([math.log(first / second) for first, second in pairs], confidence)
    return Interval(math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high))
