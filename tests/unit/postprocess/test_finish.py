"""The whole way: a picture always comes out, and at the size asked for."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

from deployments.errors import InvalidValue
from deployments.postprocess import finish as finishing
from deployments.postprocess.files import xmp
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import Output
from tests.unit.postprocess.pictures import disc

SPEC = OverlaySpec(layers=[TextLayer(role="headline", text="오늘만 이 가격")])


def test_no_words_and_no_placement_leave_the_pixels_alone() -> None:
    picture = disc(96, 64)
    done = finish_picture(picture, None, None, Output("png"), {"prompt": "a disc"})
    assert (done.width, done.height, done.media_type) == (96, 64, "image/png")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(done.data))), picture)
    assert xmp.read(done.data).facts == {"prompt": "a disc"}
    assert done.report is None
    assert set(done.timings_ms) == {"place", "file"}


def test_words_are_drawn_at_the_placements_resolution() -> None:
    done = finish_picture(disc(), SPEC, "story", Output("jpeg"), {})
    assert (done.width, done.height) == (1080, 1920)
    assert Image.open(io.BytesIO(done.data)).size == (1080, 1920)
    assert done.report is not None
    _, top, _, height = done.report.layers[0].box
    assert top >= 250
    assert top + height <= 1920 - 250
    assert done.report.layers[0].font_size_px >= 0.08 * 1080


def test_a_read_only_picture_is_fine_and_stays_untouched() -> None:
    picture = disc()
    before = picture.copy()
    picture.setflags(write=False)
    finish_picture(picture, SPEC, None, Output("webp"), {})
    assert np.array_equal(picture, before)


def test_an_unknown_placement_is_refused() -> None:
    with pytest.raises(InvalidValue, match="no 'billboard'"):
        finish_picture(disc(), SPEC, "billboard", Output(), {})


@pytest.mark.parametrize("size", [(512, 512), (64, 64), (1792, 1024), (64, 4096), (4096, 64)])
def test_a_size_is_a_placement_too(size: tuple[int, int]) -> None:
    for spec in (SPEC, None):
        done = finish_picture(disc(), spec, "{}x{}".format(*size), Output("jpeg"), {})
        assert (done.width, done.height) == size
        assert Image.open(io.BytesIO(done.data)).size == size


@pytest.mark.parametrize("size", ["63x64", "64x4097", "99999x64", "0512x512", "512x512 "])
def test_a_size_that_is_none_or_too_large_is_refused(size: str) -> None:
    with pytest.raises(InvalidValue, match="of 64 to 4096 pixels") as refused:
        finish_picture(disc(), None, size, Output(), {})
    assert refused.value.param == "placement"


def test_a_fault_in_the_words_never_costs_the_picture(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(finishing, "set_words", broken)
    picture = disc()
    with caplog.at_level(logging.ERROR):
        done = finish_picture(picture, SPEC, None, Output("png"), {})
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(done.data))), picture)
    assert "without them" in done.warnings[0]
    assert "a fault of ours" in caplog.text
    failing = SPEC.model_copy(update={"on_problem": "fail"})
    with pytest.raises(ZeroDivisionError):
        finish_picture(picture, failing, None, Output("png"), {})
