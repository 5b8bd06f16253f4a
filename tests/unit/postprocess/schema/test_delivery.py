"""Which files a request comes to, in which order, and how many it may be."""

import pytest

from deployments.errors import InvalidValue
from deployments.postprocess.schema.delivery import MAX_FILES, FinishSpec
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import PLACEMENTS, Output


def spec(placements: tuple[str | None, ...] = (None,), layouts: int = 1) -> FinishSpec:
    words = OverlaySpec(layers=[TextLayer(role="headline", text="x")], layouts=layouts)
    return FinishSpec((), words, placements, Output())


def test_parts_go_picture_by_picture_then_placement_by_placement() -> None:
    asked = spec(("story", "banner"), layouts=2).of(2)

    assert [(part.picture, part.placement, part.layout) for part in asked.parts] == [
        (0, "story", 0), (0, "story", 1), (0, "banner", 0), (0, "banner", 1),
        (1, "story", 0), (1, "story", 1), (1, "banner", 0), (1, "banner", 1),
    ]  # fmt: skip
    assert [part.id for part in asked.parts] == list(asked.ids)
    assert len(set(asked.ids)) == 8
    assert asked.id == asked.ids[0]


def test_without_words_there_is_one_layout() -> None:
    bare = FinishSpec((), None, (None, "story"), Output()).of(1)

    assert [part.placement for part in bare.parts] == [None, "story"]


def test_too_many_files_are_refused() -> None:
    assert len(spec(("story", "banner"), layouts=2).of(8).ids) == MAX_FILES
    with pytest.raises(InvalidValue, match=r"8 pictures x 2 placements x 3 layouts are 48") as no:
        spec(("story", "banner"), layouts=3).of(8)
    assert (no.value.param, no.value.code) == ("placements", "too_many_files")


def test_too_many_pixels_are_refused() -> None:
    assert spec(tuple(PLACEMENTS)).of(4)
    assert spec(("a4",)).of(8)
    with pytest.raises(InvalidValue, match="209 megapixels in all are more than the 80") as no:
        spec(("a4",), layouts=3).of(8)
    assert (no.value.param, no.value.code) == ("placements", "too_many_pixels")
