"""Other arrangements of the same words: apart, inside, in other places, repeatable."""

from itertools import combinations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.postprocess.canvas.geometry import Rect, union
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.placing.arrange import NoOtherPlace
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.placements import PLACEMENTS, Output
from deployments.postprocess.schema.reports import Finished
from tests.unit.postprocess.pictures import disc, noise, plain

ROLES = ("headline", "sub", "price", "cta", "badge")
words = st.fixed_dictionaries(
    {
        "role": st.sampled_from(ROLES),
        "text": st.sampled_from(["여름 한정 신메뉴 출시", "₩8,900", "Fresh coffee", "지금 주문"]),
    }
)
specs = st.fixed_dictionaries(
    {
        "layers": st.lists(words, min_size=1, max_size=4).map(
            lambda layers: [*layers, {"role": "legal", "text": "While stocks last."}]
        )
    },
    optional={
        "position": st.sampled_from(["auto", "top", "left", "bottom_right"]),
        "copy_space": st.sampled_from(["left", "right", "top", "bottom"]),
        "protect": st.just([{"x": 0.4, "y": 0.3, "width": 0.3, "height": 0.3}]),
    },
).map(lambda spec: OverlaySpec.model_validate({**spec, "layouts": 3}))
pictures = st.one_of(
    st.builds(plain, st.integers(120, 300), st.integers(120, 300)),
    st.builds(noise, st.integers(120, 300), st.integers(120, 300), st.integers(0, 99)),
    st.builds(disc, centre=st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8))),
)
placements = st.sampled_from([None, "feed_square", "story", "banner"])


def made(picture: np.ndarray, spec: OverlaySpec, placement: str | None) -> list[Finished]:
    files = []
    for layout in range(3):
        try:
            files.append(
                finish_picture(picture, spec, placement, Output("jpeg"), {}, layout=layout)
            )
        except NoOtherPlace:
            break
    return files


def stack(file: Finished) -> Rect:
    """Around all that was placed freely: not the foot."""
    assert file.report is not None
    return union([Rect(*one.box) for one in file.report.layers if one.role != "legal"])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(picture=pictures, spec=specs, placement=placements)
def test_each_is_sound_and_no_two_are_in_one_place(
    picture: np.ndarray, spec: OverlaySpec, placement: str | None
) -> None:
    files = made(picture, spec, placement)
    assert files
    clear = PLACEMENTS[placement].clear if placement else 0
    for file in files:
        assert file.report is not None
        safe = Rect(*file.report.safe_area)
        assert safe.y >= clear
        drawn = [Rect(*layer.box) for layer in file.report.layers]
        assert all(safe.contains(rect, slack=2) for rect in drawn)
        for one, other in combinations(drawn, 2):
            assert not one.grow(-1).overlaps(other.grow(-1))
        assert len(drawn) == len(files[0].report.layers) if files[0].report else False
    for one, other in combinations(map(first, files), 2):
        shared = one.clip(other).area
        assert shared <= 0.75 * min(one.area, other.area) or one.area > 2 * other.area


def first(file: Finished) -> Rect:
    """Of the layer that leads: the most important that was placed freely."""
    assert file.report is not None
    return next(Rect(*one.box) for one in file.report.layers if one.role != "legal")


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(picture=pictures, spec=specs, placement=placements)
def test_they_do_not_depend_on_how_many_are_asked_for(
    picture: np.ndarray, spec: OverlaySpec, placement: str | None
) -> None:
    three = made(picture, spec, placement)
    alone = spec.model_copy(update={"layouts": 1})

    again = [
        finish_picture(picture.copy(), alone, placement, Output("jpeg"), {}, layout=layout).data
        for layout in range(len(three))
    ]

    assert [file.data for file in three] == again
