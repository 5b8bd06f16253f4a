"""The bound to which two makings of one picture must agree."""

import numpy as np
from numpy.typing import NDArray


def assert_same_picture(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> None:
    """Within 1 grey level, on at most 0.1 % of values."""
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001
