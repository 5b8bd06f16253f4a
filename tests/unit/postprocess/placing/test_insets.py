"""Logos, badges, products and QR codes on adverts: where they stand, and what is painted."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deployments.errors import InvalidValue
from deployments.postprocess.canvas.contrast import luminance
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.design.names import template_names
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.schema.placements import Output
from tests.unit.postprocess.artworks import adopted, advert, bottle, cut_out_product, mark, url
from tests.unit.postprocess.pictures import disc, noise, plain

WORDS = [
    {"role": "headline", "text": "여름 한정 신메뉴 출시"},
    {"role": "sub", "text": "Fresh coffee, every morning"},
    {"role": "cta", "text": "지금 주문하기"},
]
LOGO = {"type": "image", "kind": "logo", "image": url(mark())}
BADGE = {"type": "image", "kind": "badge", "image": url(mark(100, 100, (200, 30, 40)))}
PRODUCT = {"type": "image", "kind": "product", "image": url(cut_out_product())}
QR = {"type": "qr", "data": "https://example.com/여름?q=1"}


def region(pixels: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    left, top, width, height = box
    return pixels[top : top + height, left : left + width]


def scanned(pixels: NDArray[np.uint8], box: tuple[int, int, int, int]) -> str:
    code = np.ascontiguousarray(region(pixels, box)[..., ::-1])
    return cv2.QRCodeDetector().detectAndDecode(code)[0]


def test_a_logo_takes_a_corner_that_the_words_leave_free_and_does_not_move_them() -> None:
    picture = disc(600, 600, centre=(0.6, 0.55), radius=0.2)
    _, bare = advert(picture, WORDS)
    _, made = advert(picture, [*WORDS, LOGO])
    assert made.report.layers == bare.report.layers
    (logo,) = made.report.insets
    rect, safe = Rect(*logo.box), Rect(*made.report.safe_area)
    assert (logo.index, logo.type, logo.kind) == (3, "image", "logo")
    assert logo.box[2] / logo.box[3] == pytest.approx(3, rel=0.05)
    assert safe.contains(rect)
    edges = abs(rect.x - safe.x) < 2, abs(rect.right - safe.right) < 2
    assert any(edges)
    assert abs(rect.y - safe.y) < 2 or abs(rect.bottom - safe.bottom) < 2
    assert not any(Rect(*layer.box).overlaps(rect) for layer in made.report.layers)


@pytest.mark.parametrize("anchor", ["top_left", "top", "bottom_right", "center"])
def test_an_anchored_logo_stands_there_and_the_words_beside_it(anchor: str) -> None:
    _, made = advert(plain(600, 600), [*WORDS, {**LOGO, "anchor": anchor}], position="top_left")
    logo, safe = Rect(*made.report.insets[0].box), Rect(*made.report.safe_area)
    assert made.warnings == ()
    assert (abs(logo.y - safe.y) < 2) is anchor.startswith("top")
    assert (abs(logo.right - safe.right) < 2) is anchor.endswith("right")
    assert not any(Rect(*layer.box).overlaps(logo) for layer in made.report.layers)


def test_an_image_in_a_box_fills_it_as_far_as_its_proportions_go() -> None:
    box = {"x": 0.5, "y": 0.5, "width": 0.4, "height": 0.4}
    _, made = advert(plain(500, 500), [{**LOGO, "box": box}])
    assert made.report.insets[0].box == (250, 316, 200, 67)


def test_what_has_no_room_is_left_out_and_said_so() -> None:
    everywhere = {"x": 0, "y": 0, "width": 1, "height": 1}
    _, made = advert(plain(300, 300), [LOGO, QR], protect=[everywhere])
    assert made.report.insets == ()
    assert [warning.split(":")[0] for warning in made.warnings] == [
        "layer 0 (logo)",
        "layer 1 (qr)",
    ]
    with pytest.raises(InvalidValue, match="no room"):
        advert(plain(300, 300), [LOGO], protect=[everywhere], on_problem="fail")


def test_clear_space_keeps_words_away() -> None:
    tight, wide = (
        advert(plain(600, 600), [*WORDS, {**LOGO, "anchor": "left", "clear_space": share}])[1]
        for share in (0.0, 2.0)
    )
    logo = Rect(*wide.report.insets[0].box)
    kept = logo.grow(2.0 * logo.height - 1)
    assert not any(Rect(*layer.box).overlaps(kept) for layer in wide.report.layers)
    assert tight.report.insets == wide.report.insets


def test_a_logo_that_would_not_be_seen_gets_a_plate() -> None:
    pixels, made = advert(plain(500, 500, (250, 250, 250)), [LOGO])
    (logo,) = made.report.insets
    assert logo.plate == "#111111"
    assert 0 < logo.plate_alpha < 1
    assert logo.contrast >= 2
    shown = luminance(region(pixels, logo.box))
    assert (shown.max() + 0.05) / (shown.min() + 0.05) >= 2
    _, dark = advert(plain(500, 500, (20, 30, 60)), [LOGO])
    assert dark.report.insets[0].plate is None


def test_a_logo_that_no_plate_helps_is_a_warning() -> None:
    striped = np.zeros((90, 90, 4), np.uint8)  # a checkerboard of white and black discs
    for index in range(81):
        colour = (255, 255, 255, 255) if index % 2 else (0, 0, 0, 255)
        cv2.circle(striped, (5 + 10 * (index % 9), 5 + 10 * (index // 9)), 4, colour, -1)
    _, made = advert(noise(400, 400), [{**LOGO, "image": url(striped), "opacity": 0.3}])
    assert "hard to tell" in made.warnings[0]


def test_resampled_edges_take_no_colour_from_what_is_transparent() -> None:
    logo = mark(720, 240)  # white, over black that is wholly transparent
    pixels, made = advert(
        plain(400, 400, (254, 254, 254)),
        [{**LOGO, "image": url(logo), "size": 0.2, "anchor": "top"}],
    )
    assert made.report.insets[0].plate is not None
    pixels, made = advert(
        plain(400, 400, (200, 200, 200)),
        [{**LOGO, "kind": "badge", "image": url(logo), "size": 0.2, "anchor": "top"}],
    )
    assert region(pixels, made.report.insets[0].box).min() >= 198


def test_opacity_mixes() -> None:
    opaque = np.full((40, 40, 3), (200, 100, 0), np.uint8)
    layer = {**BADGE, "image": url(opaque), "opacity": 0.5, "anchor": "center", "size": 0.1}
    pixels, made = advert(plain(400, 400, (0, 100, 200)), [layer])
    assert made.report.insets[0].box == (180, 180, 40, 40)
    assert np.array_equal(region(pixels, made.report.insets[0].box), plain(40, 40, (100, 100, 100)))


def test_an_enlarged_image_is_a_warning_that_never_fails() -> None:
    _, made = advert(plain(900, 900), [{**LOGO, "size": 0.6}], on_problem="fail")
    assert "enlarged" in made.warnings[0]


def test_a_product_at_its_own_size_is_the_upload_bit_for_bit() -> None:
    product = cut_out_product(120, 180)
    rows, columns = np.nonzero(product[..., 3])
    shown = product[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = shown.shape[:2]
    box = {"x": 200 / 500, "y": 250 / 500, "width": width / 500, "height": height / 500}
    layers = [*WORDS, {"type": "image", "kind": "product", "image": url(product), "box": box}]
    pixels, made = advert(noise(500, 500), layers, position="top")
    (report,) = made.report.insets
    assert report.box == (200, 250, width, height)
    assert report.scale == 1.0
    inside = shown[..., 3] == 255
    assert inside.mean() > 0.6
    assert np.array_equal(region(pixels, report.box)[inside], shown[..., :3][inside])


@pytest.mark.parametrize("placement", ["feed_portrait", "banner", "story", None])
def test_a_product_keeps_its_pixels_at_any_scale_and_words_avoid_it(placement: str | None) -> None:
    product = cut_out_product(300, 240, seed=3)
    layers = [*WORDS, {**PRODUCT, "image": url(product)}]
    pixels, made = advert(noise(400, 500, 8), layers, placement)
    (report,) = made.report.insets
    rows, columns = np.nonzero(product[..., 3])
    shown = product[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    resampled = np.asarray(Image.fromarray(shown).resize(report.box[2:], Image.Resampling.LANCZOS))
    inside = resampled[..., 3] == 255
    assert inside.mean() > 0.5
    assert np.array_equal(region(pixels, report.box)[inside], resampled[..., :3][inside])
    rect = Rect(*report.box)
    assert Rect(*made.report.safe_area).contains(rect, slack=1)
    assert not any(Rect(*layer.box).overlaps(rect) for layer in made.report.layers)
    assert {layer.index for layer in made.report.layers} == {0, 1, 2}
    assert rect.area > 0.08 * made.width * made.height


@pytest.mark.parametrize("shadow", ["contact", "soft"])
def test_a_shadow_darkens_the_ground_near_the_product_alone(shadow: str) -> None:
    ground = plain(400, 400, (210, 200, 190))
    layer = {**PRODUCT, "anchor": "center", "size": 0.3}
    bare, made = advert(ground, [{**layer, "shadow": "none"}])
    shaded, _ = advert(ground, [{**layer, "shadow": shadow}])
    rows, columns = np.nonzero((bare != shaded).any(axis=-1))
    rect = Rect(*made.report.insets[0].box)
    assert (shaded <= bare).all()
    assert rows.max() > rect.bottom
    near = rect.grow(0.35 * rect.height)
    assert near.contains(Rect(columns.min(), rows.min(), np.ptp(columns), np.ptp(rows)))
    if shadow == "contact":
        assert rows.min() > rect.y + rect.height / 2
        default, _ = advert(ground, [layer])
        assert np.array_equal(default, shaded)


def test_a_product_on_plain_ground_is_cut_out() -> None:
    photo, inside = bottle()
    ground = plain(700, 700, (60, 20, 120))
    layer = {"type": "image", "kind": "product", "image": url(photo), "shadow": "none"}
    rows, columns = np.nonzero(inside)
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    box = {"x": 0.1, "y": 0.1, "width": width / 700, "height": height / 700}
    pixels, made = advert(ground, [{**layer, "box": box}])
    assert made.warnings == ()
    shown = (region(pixels, made.report.insets[0].box).astype(int) - (60, 20, 120)) != 0
    assert shown.any(axis=-1).mean() == pytest.approx(inside.sum() / (height * width), abs=0.05)
    assert made.report.insets[0].scale == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("level", ["low", "medium", "quartile", "high"])
@pytest.mark.parametrize("data", ["https://example.com/a", "여름 한정 ☕ 메뉴", "01234567", "A-B"])
def test_a_code_is_read_from_the_final_jpeg(data: str, level: str) -> None:
    layers = [*WORDS, {**QR, "data": data, "error_correction": level}]
    pixels, made = advert(noise(600, 600), layers, "feed_square", Output("jpeg"))
    (code,) = made.report.insets
    assert code.scale == int(code.scale) >= 3
    assert code.contrast == pytest.approx(21, abs=0.01)
    assert scanned(pixels, code.box) == data


def test_a_code_in_colours_is_read_too() -> None:
    layer = {**QR, "dark": "#7a1020", "light": "#ffe9c0", "anchor": "top_left", "size": 0.3}
    pixels, made = advert(plain(700, 700), [layer], output=Output("jpeg"))
    assert scanned(pixels, made.report.insets[0].box) == QR["data"]
    assert pixels[made.report.insets[0].box[1] + 3, made.report.insets[0].box[0] + 3].min() > 150


def test_a_code_of_small_modules_is_a_problem() -> None:
    layer = {**QR, "data": "x" * 600, "size": 0.12}
    _, made = advert(plain(700, 700), [layer])
    assert "hard to scan" in made.warnings[0]
    with pytest.raises(InvalidValue, match="hard to scan"):
        advert(plain(700, 700), [layer], on_problem="fail")


def test_everything_at_once_hangs_apart() -> None:
    layers = [*WORDS, LOGO, BADGE, QR, PRODUCT, {"role": "legal", "text": "일부 품목 제외"}]
    for placement in ("feed_square", "feed_portrait", "story", "video", "banner"):
        _, made = advert(noise(500, 400, 2), layers, placement, ai_label="visible")
        boxes = [Rect(*one.box) for one in (*made.report.layers, *made.report.insets)]
        assert len(boxes) == 9, made.warnings
        for index, one in enumerate(boxes):
            assert not any(one.grow(-1).overlaps(two) for two in boxes[:index])


@pytest.mark.parametrize("template", template_names())
def test_a_template_leaves_what_hangs_alone(template: str) -> None:
    words = [*WORDS, {"role": "price", "text": "₩8,900"}, {"role": "legal", "text": "일부 제외"}]
    layers = [*words, LOGO, QR, PRODUCT]
    for placement in ("feed_portrait", "banner"):
        pixels, made = advert(disc(500, 400), layers, placement, template=template)
        insets = [Rect(*one.box) for one in made.report.insets]
        warned = {warning.split(":")[0] for warning in made.warnings}
        assert len(insets) == 3 or any(name.startswith("layer ") for name in warned)
        for rect in insets:
            assert not any(Rect(*layer.box).grow(-1).overlaps(rect) for layer in made.report.layers)
        for one in made.report.insets:
            if one.kind == "qr":
                assert scanned(pixels, one.box) == QR["data"]


def test_other_layouts_keep_off_what_hangs_too() -> None:
    spec = adopted([*WORDS, LOGO, {**QR, "anchor": "bottom_right"}])
    boxes = []
    for index in range(2):
        made = finish_picture(
            plain(600, 600), spec.overlay, None, Output("png"), {}, images=spec.images, layout=index
        )
        insets = [Rect(*one.box) for one in made.report.insets]
        texts = [Rect(*layer.box) for layer in made.report.layers]
        assert len(insets) == 2
        assert not any(one.overlaps(text) for one in insets for text in texts)
        boxes.append(texts)
    assert boxes[0] != boxes[1]
