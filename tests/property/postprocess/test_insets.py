"""Random images, codes and words on random pictures: inside, apart, or said so; repeatable."""

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.schema.placements import Output
from tests.property.postprocess.test_words import boxes, pictures
from tests.property.postprocess.test_words import layers as words
from tests.unit.postprocess.artworks import adopted, url

ANCHORS = ["top_left", "top", "right", "center", "bottom", "bottom_right"]
places = st.one_of(
    st.just({}),
    boxes().map(lambda box: {"box": box}),
    st.fixed_dictionaries(
        {}, optional={"anchor": st.sampled_from(ANCHORS), "size": st.floats(0.02, 1)}
    ),
)


@st.composite
def images(draw: st.DrawFn) -> dict[str, Any]:
    """Noise of any proportions under any alpha, but for its middle, which is opaque."""
    width, height = draw(st.integers(2, 90)), draw(st.integers(2, 90))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[height // 4 : height // 4 * 3 + 1, width // 4 : width // 4 * 3 + 1, 3] = 255
    pixels[0, 0, 3] = draw(st.sampled_from([0, 128]))
    layer = {
        "type": "image",
        "kind": draw(st.sampled_from(["logo", "badge", "product"])),
        "image": url(pixels),
        "opacity": draw(st.sampled_from([1.0, 0.3])),
        "shadow": draw(st.sampled_from(["auto", "none", "soft", "contact"])),
    }
    if draw(st.booleans()):
        layer["clear_space"] = draw(st.floats(0, 2))
    return layer | draw(places)


codes = st.builds(
    lambda data, level, place: {"type": "qr", "data": data, "error_correction": level} | place,
    st.text(min_size=1, max_size=60),
    st.sampled_from(["low", "high"]),
    places,
)
specs = st.fixed_dictionaries(
    {
        "layers": st.lists(st.one_of(images(), codes, words), min_size=1, max_size=6),
    },
    optional={
        "position": st.one_of(st.sampled_from(["top_left", "bottom", "center"]), boxes()),
        "protect": st.lists(boxes(), max_size=2),
        "safe_area": st.fixed_dictionaries({"top": st.floats(0, 0.4), "left": st.floats(0, 0.4)}),
        "ai_label": st.sampled_from(["none", "visible"]),
    },
)
relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@settings(relaxed, max_examples=80)
@given(picture=pictures, spec=specs)
def test_insets_stay_inside_and_off_words_and_protected_boxes(
    picture: np.ndarray, spec: dict[str, Any]
) -> None:
    asked = adopted(**spec)
    assert asked.overlay is not None
    made = finish_picture(picture, asked.overlay, None, Output("png"), {}, images=asked.images)
    assert made.report is not None, made.warnings
    height, width = picture.shape[:2]
    safe = Rect(*made.report.safe_area)
    texts = [Rect(*layer.box) for layer in made.report.layers]
    insets = {one.index: Rect(*one.box) for one in made.report.insets}
    boxed = {index for index in insets if asked.overlay.layers[index].box is not None}
    for index, rect in insets.items():
        assert safe.contains(rect, slack=1)
        assert not any(rect.overlaps(text.grow(-1)) for text in texts)
        for box in asked.overlay.protect:
            guarded = Rect(box.x * width, box.y * height, box.width * width, box.height * height)
            assert not rect.grow(-1).overlaps(guarded)
        others = [other for n, other in insets.items() if n != index and not {n, index} & boxed]
        assert not any(rect.overlaps(other) for other in others)
    for one in made.report.insets:
        assert one.type != "qr" or one.scale == int(one.scale) >= 1
    named = {*insets, *(layer.index for layer in made.report.layers)}
    for index in range(len(asked.overlay.layers)):
        assert index in named or any(w.startswith(f"layer {index} ") for w in made.warnings)


@settings(relaxed, max_examples=8)
@given(picture=pictures, spec=specs)
def test_the_same_advert_has_the_same_bytes(picture: np.ndarray, spec: dict[str, Any]) -> None:
    first, second = (
        finish_picture(picture, asked.overlay, None, Output("jpeg"), {}, images=asked.images)
        for asked in (adopted(**spec), adopted(**spec))
    )
    assert first.data == second.data
    assert first.report == second.report
