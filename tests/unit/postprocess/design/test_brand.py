"""Brand kits: reading them, and what they change on an advert."""

from pathlib import Path

import numpy as np
import pytest

from deployments.errors import InvalidValue
from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.design.brand import Brand, Colours, find_brand, load_brands
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.colour import parse_hex
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import Output
from deployments.postprocess.schema.reports import OverlayReport
from tests.unit.postprocess.artworks import LIMITS, mark
from tests.unit.postprocess.pictures import as_file, noise, plain

KIT = Brand(colours=Colours(ink="#14213d", ground="#fdf6e9", accent="#c2541b"))
LAYERS = [
    TextLayer(role="headline", text="Slow mornings"),
    TextLayer(role="cta", text="Order now"),
]


def draw(picture: np.ndarray, brand: Brand | None) -> tuple[np.ndarray, OverlayReport]:
    height, width = picture.shape[:2]
    canvas = Canvas(picture, Rect(0, 0, width, height))
    pixels, report, _ = set_words(canvas, OverlaySpec(layers=LAYERS), brand=brand)
    return pixels, report


def test_the_ink_is_the_brands_where_it_reads() -> None:
    _, light = draw(plain(600, 600, (230, 232, 235)), KIT)
    _, dark = draw(plain(600, 600, (20, 30, 40)), KIT)
    assert light.layers[0].fill == "#14213d"
    assert dark.layers[0].fill == "#fdf6e9"


def test_where_it_does_not_read_the_contrast_still_holds() -> None:
    middling = plain(600, 600, (120, 120, 120))
    faint = Brand(colours=Colours(ink="#444444", ground="#d0d0d0", accent="#7a7a7a"))
    for picture in (middling, noise(600, 600, 4)):
        _, report = draw(picture, faint)
        assert min(layer.contrast_p10 for layer in report.layers) >= 4.5


def test_the_button_is_of_the_accent() -> None:
    pixels, report = draw(plain(600, 600, (240, 240, 240)), KIT)
    left, top, width, height = report.layers[1].box
    pill = pixels[top + height // 2, left + width // 20]
    assert tuple(pill) == parse_hex("#c2541b")


def test_the_tone_sets_the_weight_of_large_words() -> None:
    calm = KIT.model_copy(update={"tone": "calm"})
    assert calm.weight("headline", 800) == 600
    assert calm.weight("legal", 400) == 400
    assert KIT.model_copy(update={"tone": "bold"}).weight("headline", 850) == 900
    assert not np.array_equal(draw(plain(600, 600), calm)[0], draw(plain(600, 600), KIT)[0])


def test_an_unknown_brand_is_refused_with_all_that_exist() -> None:
    with pytest.raises(InvalidValue, match="harbor, volt"):
        find_brand("none", {"harbor": KIT, "volt": KIT})
    spec = OverlaySpec(layers=LAYERS, brand="none")
    with pytest.raises(InvalidValue, match="none is configured"):
        finish_picture(plain(), spec, None, Output("png"), {})


def test_kits_are_read_by_file_name_and_later_folders_win(tmp_path: Path) -> None:
    kit = "colours: {ink: '#000000', ground: '#ffffff', accent: '%s'}\nlogo: mark.png\n"
    for folder, accent in (("a", "#111111"), ("b", "#222222")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shop.yaml").write_text(kit % accent)
        (tmp_path / folder / "mark.png").write_bytes(as_file(mark()))
    brands = load_brands((tmp_path / "a", tmp_path / "b"), LIMITS)
    assert brands["shop"].colours.accent == "#222222"
    assert brands["shop"].logo == str(tmp_path / "b" / "mark.png")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colours: {ink: '#000000', ground: '#222222', accent: '#ff0000'}", "contrast"),
        ("colours: {ink: black, ground: '#ffffff', accent: '#ff0000'}", "ink"),
        ("colors: {}", "colors"),
        ("colours: {ink: '#000000', ground: '#ffffff', accent: '#ff0000'}\nlogo: no.png", "no.png"),
        ("colours: [", "shop.yaml"),
    ],
)
def test_an_unsound_kit_is_refused_by_its_file(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "shop.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"shop\.yaml") as refused:
        load_brands((tmp_path,), LIMITS)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("logo", "said"),
    [
        (b"<svg/>", "no picture of an accepted format"),
        (as_file(mark())[:200], "damaged or cut short"),
        (as_file(plain(3000, 1500)), "at most 4000000 pixels"),
    ],
    ids=["svg", "cut short", "large"],
)
def test_a_logo_that_cannot_be_shown_is_refused_at_the_start(
    tmp_path: Path, logo: bytes, said: str
) -> None:
    kit = "colours: {ink: '#000000', ground: '#ffffff', accent: '#ff0000'}\nlogo: mark.png\n"
    (tmp_path / "shop.yaml").write_text(kit)
    (tmp_path / "mark.png").write_bytes(logo)
    with pytest.raises(ValueError, match=rf"shop\.yaml: logo: .*mark\.png: .*{said}"):
        load_brands((tmp_path,), LIMITS)
