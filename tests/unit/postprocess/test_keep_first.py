"""Kept first, then finished; found instead of drawn; a library that fails costs no picture."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deployments.errors import InvalidValue, NotFound
from deployments.handover import Drawn, Given
from deployments.postprocess import keep_first, kept_pictures
from deployments.postprocess.files import xmp
from deployments.postprocess.library.blobs import BlobStore
from deployments.postprocess.library.library import Library
from deployments.postprocess.library.references import digest
from deployments.postprocess.schema.delivery import FinishSpec
from deployments.postprocess.schema.image_reference import new_id
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import Output
from tests.unit.postprocess.jobs import deliver, done, recall
from tests.unit.postprocess.pictures import disc, noise, plain

WORDS = OverlaySpec(layers=[TextLayer(role="headline", text="오늘만 이 가격")])
SPEC = FinishSpec(
    ids=("", ""),
    overlay=WORDS,
    placements=(None,),
    output=Output("png"),
    metadata={"model": "tiny"},
    asked={"prompt": "a disc", "seed": 3},
    key=digest(b"a request"),
)
DRAWN = Drawn(
    id="",
    pictures=np.stack([disc(96, 64), noise(96, 64)]),
    seeds=(3, 4),
    steps_executed=8,
    timings_ms={"steps": 250.0, "decode": 40.0},
    warnings=("a word is not known",),
)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(BlobStore(str(tmp_path)), 2**26)


def spec(**changes: object) -> FinishSpec:
    return replace(SPEC, **{"ids": (new_id(), new_id()), **changes})


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_the_same_request_again_comes_from_the_library(library: Library) -> None:
    first, second = spec(), spec()
    assert recall(first, library) is None
    drawn = deliver(DRAWN, first, None, library)
    again = recall(second, library)

    assert again is not None
    assert [one.data for one in again.pictures] != [one.data for one in drawn.pictures]  # ids
    for one, other in zip(drawn.pictures, again.pictures, strict=True):
        assert np.array_equal(pixels(one.data), pixels(other.data))
    assert (drawn.cached, again.cached) == (False, True)
    assert drawn.kept
    assert again.kept
    assert again.ids == second.ids
    assert again.seeds == (3, 4)
    assert again.steps_executed == 8
    assert again.drawn_size == (96, 64)
    assert again.warnings[0] == "a word is not known"
    assert set(drawn.timings_ms) == {"steps", "decode", "keep", "place", "overlay", "file"}
    assert set(again.timings_ms) == {"recall", "keep", "place", "overlay", "file"}


def test_other_words_find_the_same_pictures(library: Library) -> None:
    deliver(DRAWN, spec(), None, library)

    bare = recall(spec(overlay=None), library)

    assert bare is not None
    assert np.array_equal(pixels(bare.pictures[1].data), DRAWN.pictures[1])


def test_without_a_key_it_is_kept_but_not_found(library: Library) -> None:
    one = spec(key=None)
    deliver(DRAWN, one, None, library)

    assert library.record(one.ids[0]) is not None
    assert recall(spec(), library) is None
    assert recall(spec(key=None), library) is None


def test_the_files_of_a_kept_picture(library: Library) -> None:
    one = spec()
    drawn = deliver(DRAWN, one, None, library)

    for index, picture_id in enumerate(one.ids):
        clean = kept_pictures.clean_file(picture_id, library)
        assert np.array_equal(pixels(clean.data), DRAWN.pictures[index])
        assert clean.media_type == "image/png"
        assert xmp.read(clean.data).facts["id"] == picture_id
        assert kept_pictures.final_file(picture_id, library).data == drawn.pictures[index].data


def test_the_record_tells_how_it_was_made(library: Library) -> None:
    one = spec()
    drawn = deliver(DRAWN, one, Given(plain(96, 64)), library)

    record = kept_pictures.find(one.ids[1], library)
    again = spec()
    recall(again, library)

    assert kept_pictures.find(again.ids[1], library).report == record.report
    assert record.seed == 4
    assert record.drawing.asked == {"prompt": "a disc", "seed": 3}
    assert record.overlay == WORDS
    assert record.report == drawn.pictures[1].report
    assert record.drawing.source is not None
    source = library.file(record.drawing.source)
    assert source is not None
    assert np.array_equal(pixels(source), plain(96, 64))


def test_words_that_are_refused_do_not_lose_the_picture(library: Library) -> None:
    never = WORDS.model_copy(update={"min_contrast": 21.0, "on_problem": "fail"})
    with pytest.raises(InvalidValue, match="contrast"):
        deliver(DRAWN, spec(overlay=never), None, library)

    before = library.counters().pictures
    with pytest.raises(InvalidValue, match="contrast"):
        recall(spec(overlay=never), library)

    assert library.counters().pictures == before  # nothing was at stake
    assert recall(spec(), library) is not None


def test_other_words_on_a_kept_picture_have_an_id_of_their_own(library: Library) -> None:
    one, other = spec(), new_id()
    drawn = deliver(DRAWN, one, Given(plain(96, 64)), library)
    bare = replace(SPEC, ids=(other,), overlay=None, metadata={}, key=None)

    again = done(kept_pictures.take_up(one.ids[0], bare, library))

    assert again.cached
    assert again.ids == (other,)
    assert np.array_equal(pixels(again.pictures[0].data), DRAWN.pictures[0])
    kept_pictures.forget(one.ids[0], library)
    kept_pictures.forget(one.ids[1], library)
    record = kept_pictures.find(other, library)
    assert record.drawing.asked == SPEC.asked
    assert record.drawing.source is not None
    assert library.file(record.drawing.source) is not None
    assert xmp.read(kept_pictures.final_file(other, library).data).facts["prompt"] == "a disc"
    assert drawn.pictures[0].report is not None


@pytest.mark.parametrize(
    "read",
    [kept_pictures.find, kept_pictures.clean_file, kept_pictures.final_file, kept_pictures.forget],
)
def test_a_picture_that_is_not_there(library: Library, read: object) -> None:
    assert callable(read)
    with pytest.raises(NotFound, match="no picture img_"):
        read(new_id(), library)


def test_a_library_that_fails_costs_a_warning(library: Library, tmp_path: Path) -> None:
    deliver(DRAWN, spec(), None, library)
    for folder in ("objects", "holds", "pictures", "half"):
        (tmp_path / folder).rename(tmp_path / f"{folder} is lost")
        (tmp_path / folder).write_text("a file where a folder is wanted")

    assert recall(spec(), library) is None
    drawn = deliver(DRAWN, spec(), None, library)

    assert Image.open(io.BytesIO(drawn.pictures[0].data)).size == (96, 64)
    assert not drawn.kept
    assert keep_first.NOT_KEPT in drawn.warnings


def test_no_library_keeps_nothing() -> None:
    drawn = deliver(DRAWN, spec(), None, None)

    assert not drawn.kept
    assert keep_first.NOT_KEPT not in drawn.warnings
    assert "keep" not in drawn.timings_ms
