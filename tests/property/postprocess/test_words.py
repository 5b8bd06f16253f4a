"""Random specs on random pictures: inside, apart, legible or said so, and repeatable."""

from itertools import combinations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.placements import Output
from tests.legibility import measured_p10
from tests.unit.postprocess.pictures import disc, noise, plain

fractions = st.floats(0, 1, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def boxes(draw: st.DrawFn) -> dict[str, float]:
    x, y = draw(st.floats(0, 0.8)), draw(st.floats(0, 0.8))
    width, height = draw(st.floats(0.05, 1 - x)), draw(st.floats(0.05, 1 - y))
    return {"x": x, "y": y, "width": width, "height": height}


words = st.one_of(
    st.sampled_from(
        [
            "여름 한정 신메뉴 출시, 지금 바로!",
            "₩8,900",
            "Fresh coffee",
            "오늘만 50% OFF",
            "夏の新メニュー登場",
        ]
    ),
    st.text("가나다라 마바사 ABC xyz 012 ,.!%", min_size=1, max_size=120),
    st.text(min_size=1, max_size=30),
)
colours = st.sampled_from(["#ffffff", "#000000", "#e03030", "#808080"])
gradients = st.fixed_dictionaries(
    {"from": colours, "to": colours}, optional={"angle": st.sampled_from([0.0, 45.0, 180.0])}
)
fills = st.one_of(st.just("auto"), colours, gradients)
spans = st.fixed_dictionaries(
    {"text": st.one_of(words, st.sampled_from([" ", "한", " \u0301", "خصم "]))},
    optional={
        "scale": st.floats(0.3, 2),
        "weight": st.integers(100, 900),
        "fill": fills,
        "strike": st.booleans(),
        "underline": st.booleans(),
    },
)
copy = st.one_of(
    words.map(lambda text: {"text": text}),
    st.lists(spans, min_size=1, max_size=4)
    .filter(lambda parts: sum(len(part["text"]) for part in parts) <= 300)
    .map(lambda parts: {"spans": parts}),
)
shadows = st.fixed_dictionaries(
    {},
    optional={
        "x": st.floats(-0.5, 0.5),
        "y": st.floats(-0.5, 0.5),
        "blur": st.floats(0, 1),
        "colour": colours,
        "alpha": st.floats(0.1, 1),
    },
)
layout = st.fixed_dictionaries(
    {"role": st.sampled_from(["headline", "sub", "price", "cta", "legal", "badge", "custom"])},
    optional={
        "fit": st.sampled_from(["shrink", "clamp", "strict"]),
        "align": st.sampled_from(["start", "center", "end"]),
        "backing": st.sampled_from(
            ["auto", "none", "shadow", "outline", "scrim", "plate", "glass"]
        ),
        "fill": fills,
        "stroke": st.fixed_dictionaries(
            {}, optional={"colour": colours, "width": st.floats(0.01, 0.2)}
        ),
        "shadows": st.lists(shadows, max_size=2),
        "rotate": st.floats(-30, 30),
        "max_lines": st.integers(1, 4),
        "box": boxes(),
    },
)
layers = st.builds(lambda text, rest: text | rest, copy, layout)
specs = st.fixed_dictionaries(
    {"layers": st.lists(layers, min_size=1, max_size=6)},
    optional={
        "position": st.one_of(st.sampled_from(["top", "left", "bottom_right", "center"]), boxes()),
        "protect": st.lists(boxes(), max_size=2),
        "avoid": st.lists(boxes(), max_size=2),
        "safe_area": st.fixed_dictionaries({"top": st.floats(0, 0.3), "left": st.floats(0, 0.3)}),
        "min_contrast": st.sampled_from([3.0, 4.5, 7.0]),
        "ai_label": st.sampled_from(["none", "visible"]),
    },
).map(OverlaySpec.model_validate)
pictures = st.one_of(
    st.builds(
        plain, st.integers(64, 300), st.integers(64, 300), st.tuples(*[st.integers(0, 255)] * 3)
    ),
    st.builds(noise, st.integers(64, 300), st.integers(64, 300), st.integers(0, 99)),
    st.builds(disc, centre=st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8))),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(picture=pictures, spec=specs)
def test_words_stay_inside_apart_and_legible_or_a_warning_stands(
    picture: np.ndarray, spec: OverlaySpec
) -> None:
    done = finish_picture(picture, spec, None, Output("png"), {})
    assert done.report is not None, done.warnings
    height, width = picture.shape[:2]
    safe = Rect(*done.report.safe_area)
    drawn = [Rect(*layer.box) for layer in done.report.layers]
    for rect in drawn:
        assert safe.contains(rect, slack=2)
    for one, other in combinations(drawn, 2):
        assert not one.grow(-1).overlaps(other.grow(-1))
    for box in spec.protect:
        guarded = Rect(box.x * width, box.y * height, box.width * width, box.height * height)
        assert not any(rect.grow(-1).overlaps(guarded) for rect in drawn)
    for layer in done.report.layers:
        said = any(w.startswith(f"layer {layer.index} ") and "contrast" in w for w in done.warnings)
        assert layer.contrast_p10 >= spec.min_contrast or said
    indices = {layer.index for layer in done.report.layers}
    for index in range(len(spec.layers)):
        assert index in indices or any(w.startswith(f"layer {index} ") for w in done.warnings)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(picture=pictures, spec=specs)
def test_the_same_input_gives_the_same_bytes(picture: np.ndarray, spec: OverlaySpec) -> None:
    first = finish_picture(picture, spec, None, Output("jpeg"), {"seed": "1"})
    again = finish_picture(picture.copy(), spec, None, Output("jpeg"), {"seed": "1"})
    assert first.data == again.data
    assert first.report == again.report


large_pictures = st.one_of(
    st.builds(plain, st.integers(360, 512), st.integers(360, 512)),
    st.builds(noise, st.integers(360, 512), st.integers(360, 512), st.integers(0, 99)),
    st.builds(
        disc, st.just(400), st.just(480), st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8))
    ),
)
simple_layers = st.builds(
    lambda role, text, rest: {"role": role, **text, **rest},
    st.sampled_from(["headline", "sub", "price", "cta", "legal", "badge", "custom"]),
    words.map(lambda text: {"text": text}),
    st.fixed_dictionaries(
        {},
        optional={
            "align": st.sampled_from(["start", "center", "end"]),
            "backing": st.sampled_from(
                ["auto", "none", "shadow", "outline", "scrim", "plate", "glass"]
            ),
            "fill": st.sampled_from(["#ffffff", "#000000"]),
            "box": boxes(),
        },
    ),
)
simple_specs = st.fixed_dictionaries(
    {"layers": st.lists(simple_layers, min_size=1, max_size=5)},
    optional={
        "position": st.sampled_from(["top", "left", "bottom_right", "center"]),
        "min_contrast": st.sampled_from([3.0, 4.5, 7.0]),
    },
).map(OverlaySpec.model_validate)
PLAIN_INKS = 235, 40  # every channel above, or below: what a backing takes the ground away from
SEEN = 20  # pixels of font size, below which few pixels show a letter or its ground alone
SOFT = 0.75  # of a shadow, which is weaker beside its letters
ALLOWED = 0.85  # the stage samples and the proof looks beside the letters, not under them


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(picture=large_pictures, spec=simple_specs)
def test_the_contrast_told_is_seen_in_the_pixels(picture: np.ndarray, spec: OverlaySpec) -> None:
    height, width = picture.shape[:2]
    canvas = Canvas(picture, Rect(0, 0, width, height))
    pixels, report, _ = set_words(canvas, spec)
    for layer in report.layers:
        channels = [int(layer.fill[i : i + 2], 16) for i in (1, 3, 5)]
        plain_ink = min(channels) >= PLAIN_INKS[0] or max(channels) <= PLAIN_INKS[1]
        if layer.font_size_px < SEEN or not plain_ink:
            continue
        seen = measured_p10(
            pixels, picture, layer.box, layer.fill, layer.font_size_px, layer.backing != "none"
        )
        least = min(spec.min_contrast, layer.contrast_p10)
        allowed = SOFT if layer.backing == "shadow" else ALLOWED
        assert seen is None or seen >= allowed * least, (layer, seen)
