"""What a run of requests came to: pictures a second, latencies, shares."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's fate. began, ended, previewed: seconds of perf_counter.

    fault: why there was no picture. busy: it was refused with 429. previewed: when the first
    preview came, if any.
    """

    began: float
    ended: float
    fault: str | None = None
    busy: bool = False
    bulk: bool = False
    previewed: float | None = None

    @property
    def seconds(self) -> float:
        """From the request to the end of its answer."""
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class Tally:
    """The answers that count, of a run that took `seconds` without its warm-up."""

    answers: tuple[Answer, ...]
    seconds: float

    @property
    def pictures(self) -> list[Answer]:
        """Those with a picture."""
        return [one for one in self.answers if one.fault is None]

    @property
    def images_s(self) -> float:
        """Pictures a second."""
        return len(self.pictures) / self.seconds

    @property
    def busy(self) -> int:
        """Refused with 429."""
        return sum(one.busy for one in self.answers)

    @property
    def errors(self) -> Counter[str]:
        """Other faults, by what they say."""
        return Counter(one.fault for one in self.answers if one.fault and not one.busy)

    def percentile(self, share: float) -> float | None:
        """Seconds within which that share of the pictures came; None without pictures."""
        return percentile([one.seconds for one in self.pictures], share)

    def in_time(self, limit_s: float) -> float:
        """The share of all requests that had their picture within the limit."""
        met = sum(one.seconds <= limit_s for one in self.pictures)
        return met / max(1, len(self.answers))

    def of(self, bulk: bool) -> "Tally":
        """The answers of one priority alone."""
        return Tally(tuple(one for one in self.answers if one.bulk == bulk), self.seconds)

    def figures(self, limit_s: float) -> dict[str, Any]:
        """All figures, as JSON."""
        previews = [one.previewed - one.began for one in self.pictures if one.previewed is not None]
        return {
            "requests": len(self.answers),
            "pictures": len(self.pictures),
            "images_per_s": self.images_s,
            "p50_s": self.percentile(0.50),
            "p95_s": self.percentile(0.95),
            "p99_s": self.percentile(0.99),
            "first_preview_p50_s": percentile(previews, 0.50),
            "first_preview_p95_s": percentile(previews, 0.95),
            "limit_s": limit_s,
            "in_time": self.in_time(limit_s),
            "busy_429": self.busy,
            "errors": dict(self.errors),
        }


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that the share lies at or below; None of no values."""
    return float(np.quantile(values, share)) if values else None
