"""Images of an overlay: read once, refused by name, kept with the advert and gone with it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from deployments.errors import InvalidValue, NotFound, RequestError, TooLarge, UnsupportedFile
from deployments.handover import Drawn
from deployments.postprocess import kept_pictures
from deployments.postprocess.adopt_images import adopt
from deployments.postprocess.design.brand import Brand, Colours
from deployments.postprocess.intake.limits import IntakeLimits
from deployments.postprocess.library.blobs import BlobStore
from deployments.postprocess.library.library import Library
from deployments.postprocess.placing.artwork import open_file
from deployments.postprocess.schema.delivery import FinishSpec
from deployments.postprocess.schema.image_reference import new_id
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.placements import Output
from tests.unit.postprocess.artworks import (
    LIMITS,
    adopted,
    bottle,
    cut_out_product,
    data_url,
    mark,
    url,
)
from tests.unit.postprocess.colour_files import PROFILES, judged, patches
from tests.unit.postprocess.jobs import deliver, finish_kept, recall
from tests.unit.postprocess.pictures import as_file, disc, image_file, noise, plain

LOGO = {"type": "image", "kind": "logo", "image": url(mark())}
PRODUCT = {**LOGO, "kind": "product"}
GONE = "img_" + "0" * 44
NOTHING = np.zeros((9, 9, 4), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def library(folder: Path) -> Library:
    return Library(BlobStore(str(folder)), 2**26)


def delivered(library: Library, picture: np.ndarray, spec: FinishSpec) -> str:
    rows = Drawn(id="", pictures=picture[None], seeds=(1,), steps_executed=1)
    spec = replace(spec, ids=(new_id(),))
    assert deliver(rows, spec, None, library).kept
    return spec.id


def bare(picture: np.ndarray, library: Library) -> str:
    return delivered(library, picture, FinishSpec((), None, (None,), Output("png")))


def test_an_image_is_named_for_its_pixels_whatever_its_file() -> None:
    webp = url(mark(), "WEBP", lossless=True)
    spec = adopted([LOGO, {**LOGO, "image": webp, "kind": "badge"}])
    assert spec.overlay is not None
    first, second = spec.overlay.layers
    assert first.image == second.image
    assert first.image.startswith("sha256:")
    (file,) = spec.images.values()
    assert np.array_equal(open_file(file)[..., 3], mark()[..., 3])
    assert spec.overlay.kept_images == [*spec.images] * 2


def test_transparent_margins_are_cut_off() -> None:
    padded = np.pad(mark(), ((30, 10), (5, 50), (0, 0)))
    assert adopted([{**LOGO, "image": url(padded)}]).images == adopted([LOGO]).images


def test_a_wide_image_is_brought_to_what_placements_show() -> None:
    (file,) = adopted([{**LOGO, "image": url(plain(9000, 40))}]).images.values()
    assert open_file(file).shape == (18, 4096, 4)


def test_a_mask_cuts_a_product_out() -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[10:50, 20:80] = 255
    photo = noise(96, 64)
    layer = {**PRODUCT, "image": url(photo), "mask": url(mask)}
    spec = adopted([layer])
    (file,) = spec.images.values()
    assert np.array_equal(open_file(file)[..., :3], photo[10:50, 20:80])
    assert spec.overlay is not None
    assert spec.overlay.layers[0].mask is None
    assert spec.warnings == ()


def test_a_doubtful_cut_is_told() -> None:
    spec = adopted([LOGO, {**PRODUCT, "image": url(data.coffee())}])
    assert spec.warnings
    assert spec.warnings[0].startswith("layer 1 (product): ")


def truncated() -> str:
    whole = data_url(b"")
    return whole + url(noise(90, 90)).removeprefix(whole)[:1000]


@pytest.mark.parametrize(
    ("layer", "error", "field", "code"),
    [
        ({**LOGO, "image": data_url(b"GIF89a")}, UnsupportedFile, "image", "unsupported_file"),
        ({**LOGO, "image": data_url(b"")}, UnsupportedFile, "image", "empty_file"),
        ({**LOGO, "image": truncated()}, UnsupportedFile, "image", "damaged_file"),
        ({**LOGO, "image": data_url(b"") + "%%"}, InvalidValue, "image", "invalid_base64"),
        ({**LOGO, "image": data_url(b"x" * 4_100_000)}, TooLarge, "image", "too_many_bytes"),
        ({**LOGO, "image": url(plain(3000, 3000))}, TooLarge, "image", "too_many_pixels"),
        ({**LOGO, "image": url(NOTHING)}, InvalidValue, "image", "empty_image"),
        ({**LOGO, "image": GONE}, InvalidValue, "image", "library_off"),
        ({**PRODUCT, "image": url(plain())}, InvalidValue, "image", "no_subject"),
        ({**PRODUCT, "mask": url(plain(9, 9))}, InvalidValue, "mask", "mask_size_mismatch"),
        ({**PRODUCT, "mask": url(plain(240, 80, (0, 0, 0)))}, InvalidValue, "image", "empty_image"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused_by_its_field(
    layer: dict[str, Any], error: type[RequestError], field: str, code: str
) -> None:
    with pytest.raises(error) as caught:
        adopted([{"role": "sub", "text": "x"}, layer])
    assert caught.value.param == f"overlay.layers.1.{field}"
    assert caught.value.code == code


def test_a_kept_picture_is_an_image_and_stays_while_an_advert_shows_it(library: Library) -> None:
    logo = bare(disc(80, 80), library)
    spec = adopted([{**LOGO, "image": logo}], library)
    record = library.record(logo)
    assert record is not None
    assert [*spec.images] == [record.clean]  # nothing is kept twice
    one = delivered(library, plain(), spec)
    whole = kept_pictures.final_file(one, library)
    library.remove(logo)
    assert kept_pictures.final_file(one, library) == whole
    library.remove(one)
    assert library.file(record.clean) is None
    with pytest.raises(InvalidValue, match="there is no"):
        adopted([{**LOGO, "image": logo}], library)


def test_a_kept_picture_is_cut_out_as_a_product(library: Library) -> None:
    photo, inside = bottle()
    spec = adopted([{**PRODUCT, "image": bare(photo, library)}], library)
    (file,) = spec.images.values()
    shown = open_file(file)[..., 3] > 127
    assert shown.sum() == pytest.approx(inside.sum(), rel=0.03)
    assert (
        adopted(
            [{**PRODUCT, "image": spec.overlay.layers[0].image}], library=_with(library, spec)
        ).images
        == spec.images
    )


def _with(library: Library, spec: FinishSpec) -> Library:
    delivered(library, plain(), spec)
    return library


def test_an_advert_is_made_anew_from_its_record(library: Library, folder: Path) -> None:
    words = {"role": "headline", "text": "오늘만"}
    layers = [words, LOGO, {**PRODUCT, "image": url(cut_out_product())}]
    spec = replace(adopted(layers), output=Output("jpeg"), placements=("feed_square",))
    rows = Drawn(id="", pictures=plain()[None], seeds=(1,), steps_executed=1)
    spec = replace(spec, ids=(new_id(),))
    made = deliver(rows, spec, None, library)
    assert kept_pictures.final_file(spec.id, library).data == made.pictures[0].data
    record = library.record(spec.id)
    assert record is not None
    assert record.report == made.pictures[0].report
    assert set(spec.images) < set(record.objects)
    again = adopted([layer.model_dump() for layer in record.overlay.layers], library)
    other = replace(again, ids=(new_id(),), output=Output("jpeg"), placements=("feed_square",))
    same = finish_kept(spec.id, other, library)
    assert same.pictures[0].report == made.pictures[0].report
    for picture_id in (spec.id, other.id):
        assert library.remove(picture_id)
    assert not [path for path in folder.rglob("*") if path.is_file() and "half" not in path.parts]


def test_an_advert_whose_image_is_damaged_is_missing(library: Library, folder: Path) -> None:
    spec = adopted([LOGO])
    one = delivered(library, plain(), spec)
    (name,) = spec.images
    (folder / "objects" / name[:2] / name).write_bytes(b"damaged")
    with pytest.raises(NotFound):
        kept_pictures.final_file(one, library)


def test_a_clients_name_removes_nothing(library: Library, folder: Path) -> None:
    spec = replace(adopted([LOGO]), key="a" * 64)
    delivered(library, plain(), spec)
    with pytest.raises(InvalidValue):
        adopted([{**LOGO, "image": "sha256:" + "a" * 64}], library)
    assert recall(replace(spec, ids=(new_id(),)), library) is not None


def test_the_brands_logo_joins_an_advert_that_has_none(tmp_path: Path) -> None:
    (tmp_path / "mark.png").write_bytes(as_file(mark()))
    colours = {"ink": "#000000", "ground": "#ffffff", "accent": "#c02020"}
    kit = Brand.model_validate({"colours": colours, "logo": str(tmp_path / "mark.png")})
    words = [{"role": "sub", "text": "x"}]

    def layers(layers: list[Any]) -> tuple[list[Any], FinishSpec]:
        overlay = OverlaySpec.model_validate({"layers": layers, "brand": "shop"})
        spec = FinishSpec((), overlay, (None,), Output("png"))
        branded = adopt(spec, None, LIMITS, {"shop": kit})
        return list(branded.overlay.layers), branded

    shown, branded = layers(words)
    assert [layer.type for layer in shown] == ["text", "image"]
    assert shown[1].image == adopted([LOGO]).overlay.layers[0].image
    assert set(branded.images) == set(adopted([LOGO]).images)
    assert len(layers([*words, {**LOGO, "anchor": "top"}])[0]) == 2
    full, warned = layers(words * 12)
    assert len(full) == 12
    assert "brand" in warned.warnings[0]


def test_an_images_colours_are_those_of_its_profile() -> None:
    pixels = patches(4)
    pixels[..., 3] = 255
    pixels[:40, :40, 3] = 0
    icc = PROFILES["Display P3"]
    layer = {**LOGO, "image": url(pixels, "WEBP", lossless=True, icc_profile=icc)}
    (file,) = adopted([layer]).images.values()
    shown = open_file(file)
    right = judged(Image.fromarray(pixels[..., :3]), icc)
    seen = shown[..., 3] == 255
    assert np.abs(shown[seen][:, :3].astype(int) - right[pixels[..., 3] == 255]).max() <= 1
    broken = adopted([{**LOGO, "image": url(pixels, "WEBP", lossless=True, icc_profile=b"no")}])
    assert any("colour profile cannot be read" in warning for warning in broken.warnings)


def test_the_images_of_one_overlay_share_their_pixels() -> None:
    large = url(plain(1990, 1990))
    files = adopted([{**LOGO, "image": large}, *[{**LOGO, "kind": "badge", "image": large}] * 11])
    (file,) = files.images.values()
    height, width = open_file(file).shape[:2]
    assert 12 * height * width <= 2**24 * 1.01
    (alone,) = adopted([{**LOGO, "image": large}]).images.values()
    assert open_file(alone).shape[:2] == (1990, 1990)


def test_more_pixels_than_one_request_may_send_are_refused() -> None:
    large = data_url(image_file(Image.new("L", (3000, 3000), 200), "PNG"))
    layers = [{**PRODUCT, "image": large, "mask": large}] * 6
    spec = FinishSpec((), OverlaySpec.model_validate({"layers": layers}), (None,), Output("png"))
    with pytest.raises(TooLarge, match="100 megapixels") as caught:
        adopt(spec, None, IntakeLimits(max_bytes=2**22, max_pixels=9_000_000))
    assert caught.value.param == "overlay.layers.5.image"


def most_memory(code: str) -> int:
    """Megabytes that a process takes at most on its way."""
    peak = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\n{peak}"], capture_output=True, check=True
    )
    return int(told.stdout) // 1024


def test_a_photograph_of_25_megapixels_is_cut_out_in_bounded_memory(tmp_path: Path) -> None:
    photo = disc(5000, 5000, radius=0.4)
    file = tmp_path / "photo.jpg"
    file.write_bytes(as_file(photo, "JPEG"))
    load = (
        "import cv2, pathlib; cv2.setNumThreads(1)\n"
        "from tests.unit.postprocess.test_adopt_images import *\n"
        f"image = data_url(pathlib.Path({str(file)!r}).read_bytes())\n"
        "layers = [{**PRODUCT, 'image': image}] * 2\n"
        "overlay = OverlaySpec.model_validate({'layers': layers})\n"
        "spec = FinishSpec((), overlay, (None,), Output('png'))\n"
    )
    work = "adopt(spec, None, IntakeLimits(max_bytes=2**24, max_pixels=25_000_000))"
    assert most_memory(load + work) - most_memory(load) < 400


def test_a_mark_on_a_wide_clear_ground_keeps_its_pixels() -> None:
    wide = np.zeros((100, 9000, 4), np.uint8)
    wide[:64, 4000:4064] = noise(64, 64)[..., [0, 1, 2, 0]]
    wide[:64, 4000:4064, 3] = 200
    (file,) = adopted([{**LOGO, "image": url(wide)}]).images.values()
    assert open_file(file).shape == (64, 64, 4)


def test_a_brands_logo_that_is_gone_costs_a_warning(tmp_path: Path) -> None:
    colours = Colours(ink="#000000", ground="#ffffff", accent="#cc0000")
    brands = {"ours": Brand(colours=colours, logo=str(tmp_path / "gone.png"))}
    overlay = OverlaySpec.model_validate(
        {"layers": [{"role": "headline", "text": "Fresh"}], "brand": "ours"}
    )
    spec = adopt(FinishSpec((), overlay, (None,), Output("png")), None, LIMITS, brands)
    assert spec.images == {}
    assert "the logo of ours cannot be read" in spec.warnings[0]
