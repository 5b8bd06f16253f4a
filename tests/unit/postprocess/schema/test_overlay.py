"""The overlay's shape: strict, and every placement and output as promised."""

from typing import Any

import pytest
from pydantic import ValidationError

from deployments.errors import InvalidValue
from deployments.postprocess.placing.artwork import draw_qr
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.placements import PLACEMENTS, Output, find_placement

LAYER = {"role": "headline", "text": "여름"}


def test_the_least_spec_has_the_documented_defaults() -> None:
    spec = OverlaySpec.model_validate({"layers": [LAYER]})
    assert (spec.version, spec.position, spec.min_contrast) == (1, "auto", 4.5)
    assert (spec.on_problem, spec.ai_label) == ("warn", "none")
    layer = spec.layers[0]
    assert (layer.fit, layer.align, layer.fill, layer.backing) == ("shrink", "auto", "auto", "auto")


@pytest.mark.parametrize(
    "wrong",
    [
        {"layers": []},
        {"layers": [LAYER] * 13},
        {"layers": [LAYER], "version": 2},
        {"layers": [LAYER], "template": "sale", "position": "top"},
        {"layers": [LAYER], "position": "middle"},
        {"layers": [LAYER], "min_contrast": 22},
        {"layers": [LAYER], "min_contrast": float("nan")},
        {"layers": [LAYER], "safe_area": {"top": 0.5}},
        {"layers": [LAYER], "protect": [{"x": 0.6, "y": 0, "width": 0.5, "height": 0.1}]},
        {"layers": [{**LAYER, "text": ""}]},
        {"layers": [{**LAYER, "text": "x" * 301}]},
        {"layers": [{**LAYER, "role": "title"}]},
        {"layers": [{**LAYER, "fill": "red"}]},
        {"layers": [{**LAYER, "fill": "#12345"}]},
        {"layers": [{**LAYER, "weight": "bold"}]},
        {"layers": [{**LAYER, "size": {"min": 0.2, "max": 0.1}}]},
        {"layers": [{**LAYER, "lang": "한국어"}]},
        {"layers": [{**LAYER, "backing": "frost"}]},
        {"layers": [{**LAYER, "rotate": 31}]},
        {"layers": [{**LAYER, "spans": [{"text": "x"}]}]},
        {"layers": [{"role": "headline"}]},
        {"layers": [{"role": "headline", "spans": []}]},
        {"layers": [{"role": "headline", "spans": [{"text": "x" * 151}] * 2}]},
        {"layers": [{"role": "headline", "spans": [{"text": "x", "scale": 2.1}]}]},
        {"layers": [{**LAYER, "fill": {"from": "#000000"}}]},
        {"layers": [{**LAYER, "fill": {"type": "radial", "from": "#000000", "to": "#ffffff"}}]},
        {"layers": [{**LAYER, "stroke": {"width": 0.3}}]},
        {"layers": [{**LAYER, "shadows": [{}] * 4}]},
        {"layers": [{**LAYER, "shadows": [{"blur": 1.5}]}]},
        {"layers": [{"type": "qr", "text": "x"}]},
    ],
)
def test_what_is_not_understood_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OverlaySpec.model_validate(wrong)


def test_a_spec_survives_json() -> None:
    box = {"x": 0.1, "y": 0.1, "width": 0.5, "height": 0.2}
    gradient = {"from": "#000000", "to": "#ffffff"}
    rich = {
        "role": "price",
        "spans": [{"text": "₩1", "strike": True}, {"text": "₩2", "fill": gradient}],
        "fill": gradient,
        "stroke": {"width": 0.1},
        "shadows": [{"blur": 0.2}],
    }
    spec = OverlaySpec.model_validate(
        {"layers": [{**LAYER, "box": box}, rich], "position": box, "avoid": [box], "protect": [box]}
    )
    assert OverlaySpec.model_validate_json(spec.model_dump_json()) == spec


def test_placements_have_the_sizes_adverts_are_shown_in() -> None:
    sizes = {name: (placement.width, placement.height) for name, placement in PLACEMENTS.items()}
    assert sizes == {
        "feed_square": (1080, 1080),
        "feed_portrait": (1080, 1350),
        "story": (1080, 1920),
        "market": (1000, 1000),
        "video": (1920, 1080),
        "banner": (1200, 628),
        "a4": (2480, 3508),
    }
    assert PLACEMENTS["story"].clear == 250


def test_an_unknown_placement_names_those_that_exist() -> None:
    with pytest.raises(InvalidValue, match="feed_square, feed_portrait, story"):
        find_placement("poster")


def test_png_takes_no_compression_but_the_whole() -> None:
    assert Output("png", 100).compression == 100
    with pytest.raises(InvalidValue, match="jpeg, webp and avif") as caught:
        Output("png", 50)
    assert caught.value.param == "output_compression"
    with pytest.raises(InvalidValue, match="0 to 100"):
        Output("jpeg", 101)


IMAGE = {"type": "image", "kind": "logo", "image": "img_" + "0" * 44}
QR = {"type": "qr", "data": "https://example.com"}


def test_layers_are_told_apart_by_type_and_words_need_none() -> None:
    spec = OverlaySpec.model_validate({"layers": [LAYER, IMAGE, QR]})
    assert [layer.type for layer in spec.layers] == ["text", "image", "qr"]
    assert list(spec.image_layers) == [1]
    assert spec.kept_images == []
    assert OverlaySpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    "layer",
    [
        {**IMAGE, "type": "video"},
        {**IMAGE, "image": "https://example.com/logo.png"},
        {**IMAGE, "image": "/etc/passwd"},
        {**IMAGE, "image": "data:image/svg+xml;base64,PHN2Zz4="},
        {**IMAGE, "image": "sha256:" + "A" * 64},
        {**IMAGE, "kind": "photo"},
        {**IMAGE, "mask": IMAGE["image"]},
        {**IMAGE, "opacity": 0},
        {**IMAGE, "size": 0.2, "box": {"x": 0, "y": 0, "width": 0.5, "height": 0.5}},
        {**QR, "data": ""},
        {**QR, "data": "x" * 1001},
        {**QR, "data": "한" * 425, "error_correction": "high"},
        {**QR, "dark": "#ffffff", "light": "#000000"},
        {**QR, "dark": "#888888", "light": "#999999"},
        {**QR, "quiet_zone": 1},
        {**QR, "text": "x"},
        "logo",
    ],
)
def test_wrong_insets_are_refused(layer: Any) -> None:
    with pytest.raises(ValidationError):
        OverlaySpec.model_validate({"layers": [layer]})


def test_the_longest_data_of_every_level_fits() -> None:
    for level in ("low", "medium", "quartile", "high"):
        OverlaySpec.model_validate(
            {"layers": [{**QR, "data": "x" * 1000, "error_correction": level}]}
        )
    longest = {**QR, "data": "한" * 424 + "x", "error_correction": "high"}
    draw_qr(OverlaySpec.model_validate({"layers": [longest]}).layers[0])
