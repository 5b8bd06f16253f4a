"""What was used last is at hand; the bound holds."""

import numpy as np
import pytest

from deployments.postprocess.library.library import Pixels, Recent
from tests.unit.postprocess.pictures import plain


def never() -> Pixels:
    raise AssertionError("it is at hand")


def test_the_last_used_stay_within_the_bound() -> None:
    one = plain(10, 10)  # 300 bytes
    recent = Recent(700)
    for name in ("a", "b"):
        recent.get(name, one.copy)
    recent.get("a", never)

    recent.get("c", one.copy)

    assert np.array_equal(recent.get("a", never), one)
    recent.get("c", never)
    with pytest.raises(AssertionError):
        recent.get("b", never)


def test_what_is_too_large_to_keep_is_made_each_time() -> None:
    recent = Recent(100)

    for _ in range(2):
        assert recent.get("a", lambda: plain(10, 10)).shape == (10, 10, 3)
    with pytest.raises(AssertionError):
        recent.get("a", never)


def test_they_are_not_to_be_written_to() -> None:
    pixels = Recent(1000).get("a", lambda: plain(10, 10))

    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0
