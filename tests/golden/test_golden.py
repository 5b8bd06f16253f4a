"""Today's adverts against the kept ones; see README.md for the tolerance and how to renew them."""

import numpy as np
import pytest
from PIL import Image

from tests.golden.adverts import ADVERTS, FOLDER, drawn


@pytest.mark.parametrize("name", sorted(ADVERTS))
def test_an_advert_looks_as_it_did(name: str) -> None:
    kept = np.asarray(Image.open(FOLDER / f"{name}.png").convert("RGB")).astype(int)
    difference = np.abs(drawn(name).astype(int) - kept)
    assert difference.mean() <= 0.5
    assert (difference > 24).mean() <= 0.005
