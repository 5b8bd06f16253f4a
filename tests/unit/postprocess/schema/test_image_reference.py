"""Ids of pictures: ordered, not to be guessed, known by their looks."""

import re
import time

from deployments.postprocess.schema.image_reference import PICTURE_ID, created_s, new_id


def test_ids_are_in_the_order_of_their_making_and_cannot_be_guessed() -> None:
    before = time.time()
    ids = [new_id() for _ in range(100)]

    assert all(re.fullmatch(PICTURE_ID, one) for one in ids)
    assert len({one[-32:] for one in ids}) == 100
    assert [one[:16] for one in ids] == sorted(one[:16] for one in ids)
    assert before - 0.001 <= created_s(ids[0]) <= time.time()
