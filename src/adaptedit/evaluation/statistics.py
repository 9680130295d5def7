"""How sure a mean is: bootstrap intervals over samples, paired where two editors are compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95
SEED = 0  # of the resampling: the same scores give the same interval

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """values: float64 (samples, columns), a row for each of `ids`; NaN where a column does not apply."""

    ids: tuple[str, ...]
    values: Values


@dataclass(frozen=True)
class Estimate:
    """A mean over `count` samples and its 95 % interval [low, high]."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def sign(self) -> int:
        """1 or -1 if the whole interval lies on that side of 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def means(scores: Scores) -> list[Estimate | None]:
    """For each column its mean and the bootstrap's percentile interval (Efron 1979); None without values.

    A resample draws as many samples as there are, the same ones for all columns, and averages those to which
    the column applies. Samples are taken as independent, which the turns of one session are only roughly.
    """
    values = scores.values
    if not len(values):
        return [None] * values.shape[1]
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    origin = np.where(there, values, np.inf).min(axis=0)  # equal values then average to exactly themselves
    distance = np.where(there, values - origin, 0.0)
    drawn = _draws(len(values))
    with np.errstate(invalid="ignore"):  # 0 / 0 where a resample has no sample of a rare column
        resampled = (drawn @ distance) / (drawn @ there)
    tail = 50 * (1 - LEVEL)
    return [
        None
        if not count[i]
        else Estimate(
            float(origin[i] + distance[:, i].sum() / count[i]),
            float(origin[i] + np.nanpercentile(resampled[:, i], tail)),
            float(origin[i] + np.nanpercentile(resampled[:, i], 100 - tail)),
            int(count[i]),
        )
        for i in range(values.shape[1])
    ]


def deltas(ours: Scores, baseline: Scores) -> list[Estimate | None]:
    """`means` of ours - baseline, sample by sample, over those that both have."""
    row = {one: i for i, one in enumerate(baseline.ids)}
    both = [i for i, one in enumerate(ours.ids) if one in row]
    theirs = [row[ours.ids[i]] for i in both]
    return means(Scores(tuple(ours.ids[i] for i in both), ours.values[both] - baseline.values[theirs]))


def _draws(count: int) -> Values:
    """(RESAMPLES, count): how often a resample has each sample."""
    generator = np.random.default_rng(SEED)
    return generator.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)
