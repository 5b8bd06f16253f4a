"""Templates as data, and what filling one does."""

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from deployments.errors import InvalidValue
from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.cost_map import map_costs
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.design.items import prepare_items
from deployments.postprocess.design.names import find_template, template_names
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.placing.arrange import NoOtherPlace
from deployments.postprocess.placing.templates import place_template
from deployments.postprocess.schema.overlay import Box, OverlaySpec, Size, TextLayer
from deployments.postprocess.schema.placements import Output
from deployments.postprocess.schema.reports import OverlayReport
from tests.unit.postprocess.pictures import disc, plain

ROLES = ("headline", "sub", "price", "cta", "legal", "badge")
WORDS = {
    "badge": "New",
    "headline": "Slow mornings",
    "sub": "Roasted the day before you drink it.",
    "price": "$4.50",
    "cta": "Order now",
    "legal": "At participating cafes",
}
LAYERS = [TextLayer(role=role, text=WORDS[role]) for role in ROLES]
SIZES = ((1080, 1350), (1080, 1920), (1200, 628))


def draw(
    width: int, height: int, template: str, asked: list[TextLayer] = LAYERS, **spec: object
) -> tuple[np.ndarray, OverlayReport, tuple[str, ...]]:
    canvas = Canvas(plain(width, height), Rect(0, 0, width, height))
    return set_words(canvas, OverlaySpec(layers=asked, template=template, **spec))


def test_there_are_eight_by_name() -> None:
    named = {"sale", "menu", "event", "opening", "quote", "story", "banner", "poster"}
    assert named == set(template_names())
    assert len({find_template(name).about for name in named}) == 8


def test_an_unknown_template_is_refused_with_all_that_exist() -> None:
    with pytest.raises(InvalidValue, match="sale") as refused:
        find_template("flyer")
    assert all(name in str(refused.value) for name in template_names())
    spec = OverlaySpec(layers=LAYERS, template="flyer")
    with pytest.raises(InvalidValue, match="flyer"):
        finish_picture(plain(), spec, "story", Output("png"), {})


def test_a_template_and_a_position_contradict_each_other() -> None:
    with pytest.raises(ValidationError, match="position"):
        OverlaySpec(layers=LAYERS, template="sale", position="top")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", template_names())
def test_every_role_has_its_place_without_a_warning(name: str, size: tuple[int, int]) -> None:
    _, report, warnings = draw(*size, name)
    assert warnings == ()
    assert sorted(layer.role for layer in report.layers) == sorted(ROLES)
    sizes = {layer.role: layer.font_size_px for layer in report.layers}
    assert sizes["headline"] == max(sizes.values())
    assert sizes["legal"] == min(sizes.values())


@pytest.mark.parametrize("size", SIZES)
def test_templates_look_different(size: tuple[int, int]) -> None:
    pictures = [draw(*size, name)[0].astype(int) for name in template_names()]
    for index, one in enumerate(pictures):
        for other in pictures[:index]:
            assert np.mean(np.abs(one - other).max(axis=-1) > 24) > 0.04


@pytest.mark.parametrize("name", template_names())
def test_a_role_that_no_group_names_stands_with_the_first(name: str) -> None:
    template = find_template(name)
    bare = [
        layout.model_copy(update={"groups": (group.model_copy(update={"roles": ("headline",)}),)})
        for layout in template.layouts
        for group in layout.groups[:1]
    ]
    bare = [layout.model_copy(update={"shapes": ()}) for layout in bare]
    items, _, _ = prepare_items(OverlaySpec(layers=LAYERS), template.styles)
    canvas = Rect(0, 0, 1080, 1350)
    cost = map_costs(plain(1080, 1350))
    poor = template.model_copy(update={"layouts": tuple(bare)})
    placed = place_template(
        poor, items, OverlaySpec(layers=LAYERS, template=name), cost, canvas, []
    )
    roles = {text.item.role for one in placed.arrangement.stacks for text in one.texts}
    assert roles == set(ROLES)


def test_what_a_layer_says_of_itself_wins() -> None:
    own = TextLayer(
        role="price", text="$4.50", box=Box(x=0.1, y=0.1, width=0.3, height=0.1),
        size=Size(min=0.03, max=0.03), fill="#ffffff",
    )  # fmt: skip
    _, report, _ = draw(1000, 1000, "sale", [*LAYERS[:2], own])
    price = next(layer for layer in report.layers if layer.role == "price")
    assert price.font_size_px == 30
    left, top, width, height = price.box
    assert left >= 99
    assert top >= 99
    assert left + width <= 401
    assert top + height <= 201


@pytest.mark.parametrize("name", template_names())
def test_neither_words_nor_shapes_cover_protected_boxes(name: str) -> None:
    guarded = Box(x=0.05, y=0.35, width=0.9, height=0.3)
    pixels, report, _ = draw(1000, 1000, name, protect=[guarded])
    assert report.layers
    inside = pixels[352:648, 52:948]
    assert np.array_equal(inside, plain(1000, 1000)[352:648, 52:948])


def test_words_from_right_to_left_mirror_the_layout() -> None:
    ltr = find_template("sale").variants_for(1200, 628)[0]
    rtl = ltr.mirrored()
    for one, other in zip(ltr.groups, rtl.groups, strict=True):
        assert other.box[0] == pytest.approx(1 - one.box[0] - one.box[2])
    assert rtl.mirrored().groups[0].anchors == ltr.groups[0].anchors
    assert rtl.shapes != ltr.shapes


def test_words_that_a_layout_cannot_hold_are_stacked_without_it_and_said_so() -> None:
    long = "many words " * 24
    asked = [
        TextLayer(role=role, text=long.strip()) for role in ("headline", "sub", "legal", "cta")
    ]
    _, report, warnings = draw(1000, 1000, "sale", asked)
    assert [layer.index for layer in report.layers] == [0, 1, 2, 3]
    assert any(warning.startswith("template: sale has no room") for warning in warnings)


def test_a_picture_is_framed_for_what_the_panel_leaves() -> None:
    picture = disc(600, 600, centre=(0.5, 0.5), radius=0.3)
    spec = OverlaySpec(layers=LAYERS, template="menu")
    framed = finish_picture(picture, spec, "banner", Output("png"), {})
    assert framed.report is not None
    pixels = decoded(framed.data)
    red = (pixels[..., 0] > 180) & (pixels[..., 1] < 100)
    _, _, blobs, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
    left, _, width, height, _ = max(blobs[1:], key=lambda blob: blob[4])
    assert left > 0.42 * 1200  # the whole disc stands beside the panel
    assert width == pytest.approx(height, rel=0.02)


def decoded(data: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), 1), cv2.COLOR_BGR2RGB)


def test_other_layouts_of_a_template_stand_elsewhere_until_there_are_no_more() -> None:
    canvas = Canvas(plain(1000, 1000), Rect(0, 0, 1000, 1000))
    spec = OverlaySpec(layers=LAYERS, template="event", layouts=3)
    first, second = (set_words(canvas, spec, index=index)[1] for index in (0, 1))
    assert first.layers[0].box != second.layers[0].box
    with pytest.raises(NoOtherPlace):
        set_words(canvas, spec, index=2)


@pytest.mark.parametrize("placement", ["feed_portrait", "story", "banner"])
@pytest.mark.parametrize("template", ["sale", "opening"])
def test_a_seal_leaves_a_subject_on_plain_ground_whole(template: str, placement: str) -> None:
    """As many blue pixels show with the price in its seal as without any price."""
    picture = disc(320, 256, centre=(0.5, 0.55), radius=0.3, colour=(20, 60, 220))

    def blue(roles: set[str]) -> int:
        asked = [layer for layer in LAYERS if layer.role in roles]
        made = finish_picture(
            picture, OverlaySpec(layers=asked, template=template), placement, Output("png"), {}
        )
        assert made.warnings == ()
        pixels = decoded(made.data).astype(int)
        return int((np.abs(pixels - (20, 60, 220)).max(axis=2) < 8).sum())

    assert blue({"headline", "price"}) == blue({"headline"}) > 10_000
