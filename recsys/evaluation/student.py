"""Student's t distribution with any number of degrees of freedom, also a broken or an infinite one."""

from functools import lru_cache
from math import erfc, exp, inf, lgamma, log, log1p, sqrt

__all__ = ["t_p_value", "t_quantile"]

NEARLY_NORMAL = 1e7
"""Degrees of freedom from which on the normal distribution is as good; the two differ by their inverse."""
_TINY = 1e-300


def t_p_value(t: float, freedom: float) -> float:
    """Return the probability that a value of Student's distribution lies further from 0 than t.

    >>> round(t_p_value(4.303, 2), 3), round(t_p_value(1.96, inf), 3)
    (0.05, 0.05)
    """
    if freedom > NEARLY_NORMAL:
        return erfc(abs(t) / sqrt(2))
    # 1 - x in place of x, where the difference would cancel.
    return _incomplete_beta(freedom / (freedom + t * t), t * t / (freedom + t * t), freedom / 2, 0.5)


@lru_cache(maxsize=1024)
def t_quantile(freedom: float, p_value: float = 0.05) -> float:
    """Return the t beyond which, on both sides, the share `p_value` of Student's distribution lies.

    >>> round(t_quantile(2), 3), round(t_quantile(9), 3), round(t_quantile(inf), 3)
    (4.303, 2.262, 1.96)
    """
    low, high = 0.0, 1.0
    while t_p_value(high, freedom) > p_value:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if t_p_value(middle, freedom) > p_value else (low, middle)
    return middle


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function of x = 1 - rest (Abramowitz and Stegun, 26.5.8)."""
    if x == 0 or rest == 0:
        return float(rest == 0)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1.0 - _incomplete_beta(rest, x, b, a)
    log_x, log_rest = (log(x), log1p(-x)) if x < rest else (log1p(-rest), log(rest))
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log_x + b * log_rest) / a
    return front / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction 1 + d1 / (1 + d2 / (1 + ...)) by Lentz's method."""
    value, c, d, step = 1.0, 1.0, 0.0, 0
    change = inf
    while abs(change - 1) > 1e-15 and step < 10_000:
        step += 1
        half = step // 2
        factor = (
            half * (b - half) * x / ((a + step - 1) * (a + step))
            if step % 2 == 0
            else -(a + half) * (a + b + half) * x / ((a + step - 1) * (a + step))
        )
        d = 1 / (1 + factor * d or _TINY)
        c = 1 + factor / c or _TINY
        change = c * d
        value *= change
    return value
