"""Many files of one picture: made side by side, each the same as alone, each kept by its own id."""

import asyncio
import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.errors import InvalidValue
from deployments.handover import Drawn
from deployments.postprocess import job, keep_first, kept_pictures
from deployments.postprocess.deployment import PostProcessDeployment
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.intake.limits import IntakeLimits
from deployments.postprocess.library.blobs import BlobStore
from deployments.postprocess.library.library import Library
from deployments.postprocess.schema.delivery import Delivery, FinishSpec
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import Output
from deployments.postprocess.schema.reports import Finished
from tests.unit.postprocess.pictures import disc, noise

WORDS = OverlaySpec(layers=[TextLayer(role="headline", text="오늘만 이 가격")], layouts=2)
SMALL = ("market", "banner")
DRAWN = Drawn("", np.stack([disc(96, 96), noise(96, 96)]), seeds=(3, 4), steps_executed=8)


def spec(**changes: object) -> FinishSpec:
    asked = {"overlay": WORDS, "placements": SMALL, "output": Output("jpeg"), **changes}
    return FinishSpec(ids=(), **asked).of(2)  # type: ignore[arg-type]


def room(folder: Path, threads: int) -> PostProcessDeployment:
    """The room itself, without Ray around it."""
    limits = IntakeLimits(max_bytes=2**20, max_pixels=2**20)
    made: PostProcessDeployment = PostProcessDeployment.func_or_class(  # type: ignore[attr-defined]
        ((96, 96),), limits, str(folder), 2**28, threads=threads
    )
    return made


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(BlobStore(str(tmp_path)), 2**28)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_placement_and_layout_is_a_file(tmp_path: Path, threads: int) -> None:
    asked = spec()

    done: Delivery = asyncio.run(room(tmp_path, threads).finish(DRAWN, asked))

    assert done.ids == asked.ids
    assert done.drawn == tuple(part.picture for part in asked.parts)
    for one, part in zip(done.pictures, asked.parts, strict=True):
        assert (one.placement, one.layout) == (part.placement, part.layout)
    assert done.seeds == (3, 3, 3, 3, 4, 4, 4, 4)
    sizes = {"market": (1000, 1000), "banner": (1200, 628)}
    for one in done.pictures:
        assert Image.open(io.BytesIO(one.data)).size == sizes[one.placement or ""]
        assert one.report is not None
    assert done.pictures[0].report != done.pictures[1].report
    assert len(list((tmp_path / "pictures").iterdir())) == 8
    webps = [file for file in (tmp_path / "objects").rglob("*") if file.is_file()]
    assert len(webps) == 2  # the clean pictures, once each


def test_a_fetched_file_is_the_delivered_one(tmp_path: Path, library: Library) -> None:
    asked = spec(extension="colour")
    done = asyncio.run(room(tmp_path, 2).finish(DRAWN, asked))

    for picture_id, one in zip(done.ids, done.pictures, strict=True):
        assert kept_pictures.final_file(picture_id, library).data == one.data
        record = kept_pictures.find(picture_id, library)
        assert (record.placement, record.layout) == (one.placement, one.layout)
        assert record.report == one.report


def test_files_are_made_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2, timeout=20)  # passed only by two at once

    def finish(*asked: object, **more: object) -> Finished:
        together.wait()
        make: Callable[..., Finished] = finish_picture
        return make(*asked, **more)

    monkeypatch.setattr(job, "finish_picture", finish)

    done = asyncio.run(room(tmp_path, 2).finish(DRAWN, spec()))

    assert len(done.pictures) == 8


def test_fewer_layouts_than_asked_are_told_of(library: Library) -> None:
    fixed = WORDS.model_copy(update={"position": "top", "layouts": 3})
    asked = spec(overlay=fixed, placements=("banner",))
    begun = keep_first.begin(DRAWN, asked, None, library)

    done = keep_first.conclude(begun, [task() for task in begun.tasks()])

    assert [one.layout for one in done.pictures] == [0, 0]
    assert done.ids == (asked.ids[0], asked.ids[3])
    for one in done.pictures:
        assert one.warnings == ("layouts: 1 of 3; the words have no other good place",)
    assert kept_pictures.find(done.ids[0], library).warnings == done.pictures[0].warnings
    assert library.counters().pictures == 2


def test_a_refusal_names_the_placement_and_keeps_the_picture(tmp_path: Path) -> None:
    never = WORDS.model_copy(update={"min_contrast": 21.0, "on_problem": "fail", "layouts": 1})
    asked = spec(overlay=never)

    with pytest.raises(InvalidValue, match=r"^market: layer 0 .*contrast"):
        asyncio.run(room(tmp_path, 2).finish(DRAWN, asked))

    assert len(list((tmp_path / "pictures").iterdir())) == 4


def test_all_placements_of_a_kept_picture(tmp_path: Path) -> None:
    here = room(tmp_path, 2)

    async def again() -> tuple[Delivery, Delivery]:
        first = await here.finish(DRAWN, spec(overlay=None, placements=(None,)))
        more = FinishSpec((), WORDS, SMALL, Output("jpeg")).of(1)
        return first, await here.finish_kept(first.ids[1], more)

    first, more = asyncio.run(again())

    assert (first.cached, more.cached) == (False, True)
    assert [one.placement for one in more.pictures] == ["market", "market", "banner", "banner"]
    assert set(more.drawn) == {0}
    assert set(more.seeds) == {4}
    assert "recall" in more.timings_ms
