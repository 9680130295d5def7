"""Means and paired differences against hand computation, their intervals against a plain bootstrap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from adaptedit.evaluation.statistics import RESAMPLES, Estimate, Scores, deltas, means

NAN = math.nan


def scores(*columns: Sequence[float], ids: str | None = None) -> Scores:
    """A value a sample in each column; ids: a letter a sample."""
    count = len(columns[0])
    names = tuple(ids) if ids is not None else tuple(f"s{i}" for i in range(count))
    return Scores(names, np.array(columns, dtype=np.float64).reshape(len(columns), count).T)


def only(found: list[Estimate | None]) -> Estimate:
    (one,) = found
    assert one is not None
    return one


def bootstrap(values: NDArray[np.float64], resamples: int = 20_000) -> tuple[float, float]:
    """Draws samples one by one, and averages those of a resample that have a value."""
    drawn = values[np.random.default_rng(99).integers(0, len(values), (resamples, len(values)))]
    there = ~np.isnan(drawn).all(axis=1)
    low, high = np.percentile(np.nanmean(drawn[there], axis=1), [2.5, 97.5])
    return float(low), float(high)


def test_a_mean_is_over_the_samples_that_have_the_column() -> None:
    first, second, third = means(scores([1, 2, 6], [NAN, 4, 5], [NAN, NAN, NAN]))
    assert first is not None and second is not None
    assert (first.mean, first.count) == (3, 3)
    assert (second.mean, second.count) == (4.5, 2)
    assert third is None


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    draw = np.random.default_rng(5)
    for values in (draw.exponential(3, 30), np.where(draw.random(40) < 0.7, NAN, draw.normal(8, 2, 40))):
        found, (low, high) = only(means(scores(list(values)))), bootstrap(values)
        noise = 0.06 * (high - low)  # of 2000 resamples: about three standard errors of a tail's percentile
        assert found.low == pytest.approx(low, abs=noise)
        assert found.high == pytest.approx(high, abs=noise)
        assert found.mean == pytest.approx(np.nanmean(values))


def test_95_of_100_intervals_hold_the_true_mean() -> None:
    sets = np.random.default_rng(1).normal(0.3, 1, (60, 1000))  # each column a set of 60 samples
    found = [one for one in means(Scores(tuple(map(str, range(60))), sets)) if one is not None]
    covered = np.mean([one.low <= 0.3 <= one.high for one in found])
    assert 0.92 < covered < 0.97


def test_the_same_scores_have_the_same_interval_whatever_stands_beside_them() -> None:
    values = [0.3, 0.9, 0.1, 0.4, 0.7]
    alone = only(means(scores(values)))
    assert only(means(scores(values))) == alone and alone.low < alone.mean < alone.high
    beside = means(scores([1, NAN, 3, NAN, 5], values))[1]
    assert beside is not None and beside.mean == alone.mean
    assert (beside.low, beside.high) == pytest.approx((alone.low, alone.high), rel=1e-12)


def test_equal_values_have_an_interval_without_width() -> None:
    assert only(means(scores([0.1] * 7))) == Estimate(0.1, 0.1, 0.1, 7)
    assert only(means(scores([0.7]))) == Estimate(0.7, 0.7, 0.7, 1)


def test_a_difference_is_between_the_same_samples() -> None:
    ours = scores([5, 7, 0, 100], [2, 1, NAN, 1], ids="bacx")
    baseline = scores([1, 2, 3, 1000], [0, NAN, 0, 0], ids="abcy")
    first, second = deltas(ours, baseline)
    assert first is not None and (first.mean, first.count) == ((3 + 6 - 3) / 3, 3)
    assert second is not None and (second.mean, second.count) == (1, 1)  # of the three both have, only a


def test_a_paired_interval_is_not_widened_by_what_the_editors_share() -> None:
    draw = np.random.default_rng(2)
    hard = draw.normal(0, 50, 80)
    ours, theirs = scores(list(hard + draw.normal(1, 0.1, 80))), scores(list(hard))
    found = only(deltas(ours, theirs))
    assert found.high - found.low < 0.1 and found.sign == 1
    assert only(means(ours)).sign == 0


def test_there_is_no_number_without_samples() -> None:
    assert means(scores([], [])) == [None, None]
    assert deltas(scores([1.0], [2.0], ids="a"), scores([1.0], [2.0], ids="b")) == [None, None]


@pytest.mark.parametrize("low, high, sign", [(0.1, 0.2, 1), (-0.2, -0.1, -1), (-0.1, 0.1, 0), (0, 0.1, 0)])
def test_a_sign_is_sure_only_if_the_whole_interval_has_it(low: float, high: float, sign: int) -> None:
    assert Estimate((low + high) / 2, low, high, 9).sign == sign


def test_a_rare_column_that_some_resamples_miss_still_has_an_interval() -> None:
    values = [NAN] * 39 + [2.0]
    assert (39 / 40) ** 40 * RESAMPLES > 100  # so many resamples draw none of it
    assert only(means(scores(values))) == Estimate(2, 2, 2, 1)
