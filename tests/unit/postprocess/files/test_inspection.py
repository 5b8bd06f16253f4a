"""What a file says is what was asked; a kept picture can be taken up again as it was."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.errors import NotFound, UnsupportedFile
from deployments.handover import Drawn, Given
from deployments.postprocess import kept_pictures
from deployments.postprocess.files import facts
from deployments.postprocess.files.formats import encode
from deployments.postprocess.files.inspection import inspect
from deployments.postprocess.library.blobs import BlobStore
from deployments.postprocess.library.library import Library
from deployments.postprocess.schema.delivery import FinishSpec
from deployments.postprocess.schema.image_reference import KeptVariant, new_id
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import MEDIA_TYPES, Output
from tests.unit.postprocess.jobs import deliver, finish_kept
from tests.unit.postprocess.pictures import as_file, disc, noise

ASKED: dict[str, Any] = {
    "prompt": "a disc\r\nat <noon>",
    "width": 96,
    "height": 64,
    "num_inference_steps": 8,
    "seed": 3,
    "n": 2,
    "strength": 0.6000000000000001,
    "guidance_scale": 1.5,
    "negative_prompt": "drizzle",
    "style": "ink",
    "hires": False,
}
WORDS = OverlaySpec(layers=[TextLayer(role="headline", text="오늘만 이 가격")], min_contrast=3)
SPEC = FinishSpec(
    ids=("", ""),
    overlay=WORDS,
    placements=("story",),
    output=Output("jpeg", 80),
    metadata={"model": "tiny", "signboard": "1.2"},
    asked=ASKED,
)
DRAWN = Drawn("", np.stack([disc(96, 64), noise(96, 64)]), seeds=(3, 4), steps_executed=5)
SIZES = ((96, 64),)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(BlobStore(str(tmp_path)), 2**26)


def spec(**changes: object) -> FinishSpec:
    return replace(SPEC, **{"ids": (new_id(), new_id()), **changes})


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_a_file_says_all_that_was_asked(name: str) -> None:
    one = spec(output=Output(name, None if name == "png" else 80))

    made = deliver(DRAWN, one, None, None)

    found = inspect(made.pictures[1].data)
    assert (found.format, found.width, found.height) == (name, 1080, 1920)
    making = dict(found.making)
    assert OverlaySpec.model_validate_json(json.dumps(making.pop("overlay"))) == WORDS
    compression = {} if name == "png" else {"output_compression": 80}
    assert making == {
        **ASKED,
        **compression,
        "model": "tiny",
        "signboard": "1.2",
        "id": one.ids[1],
        "seed": 4,
        "index": 1,
        "placement": "story",
        "output_format": name,
    }
    assert found.credentials is None
    assert found.warnings == ()


def test_prompts_are_left_out_for_good(library: Library) -> None:
    one, other = spec(prompt_in_file=False), new_id()
    made = deliver(DRAWN, one, None, library)
    finish_kept(one.ids[0], replace(SPEC, ids=(other,), asked={}, metadata={}), library)

    files = [
        made.pictures[0].data,
        kept_pictures.final_file(one.ids[0], library).data,
        kept_pictures.clean_file(one.ids[0], library).data,
        kept_pictures.final_file(other, library).data,
    ]

    assert files[0] == files[1]
    for file in files:
        assert b"noon" not in file
        assert b"drizzle" not in file
        assert inspect(file).making["seed"] == 3
    assert kept_pictures.inspect_file(files[0], library)["making"]["prompt"] == ASKED["prompt"]
    assert kept_pictures.inspect_file(files[0], library)["kept"]
    assert not kept_pictures.inspect_file(files[0], None)["kept"]
    kept_pictures.forget(one.ids[0], library)
    assert "prompt" not in kept_pictures.inspect_file(files[0], library)["making"]


@pytest.mark.parametrize("masked", [False, True])
def test_what_an_edit_started_from_comes_back_as_it_was(library: Library, masked: bool) -> None:
    mask = np.where(noise(96, 64)[..., 0] > 128, 255, 0).astype(np.uint8) if masked else None
    one = spec()
    deliver(DRAWN, one, Given(noise(96, 64, 5), mask), library)
    other = new_id()
    finish_kept(one.ids[0], replace(SPEC, ids=(other,)), library)
    kept_pictures.forget(one.ids[0], library)

    for picture_id in (one.ids[1], other):
        given = kept_pictures.fit_kept(
            KeptVariant(picture_id, "source"), 96, 64, "crop", SIZES, library
        )
        assert np.array_equal(given.picture, noise(96, 64, 5))
        assert (given.mask is not None) == masked
        assert mask is None or np.array_equal(given.mask, mask)
    clean = kept_pictures.fit_kept(KeptVariant(other, "clean"), None, None, "crop", SIZES, library)
    assert np.array_equal(clean.picture, DRAWN.pictures[0])


def test_a_source_that_is_not_there(library: Library) -> None:
    one = spec()
    deliver(DRAWN, one, None, library)
    with pytest.raises(NotFound, match="no edit"):
        kept_pictures.fit_kept(KeptVariant(one.ids[0], "source"), 96, 64, "crop", SIZES, library)
    with pytest.raises(NotFound, match="no picture"):
        kept_pictures.fit_kept(KeptVariant(new_id(), "clean"), 96, 64, "crop", SIZES, library)


def test_an_id_in_a_file_is_not_followed_out_of_the_library(library: Library) -> None:
    for name in ("../../etc/passwd", "", "img_1"):
        file = encode(disc(16, 16), Output("png"), {"id": name})
        assert not kept_pictures.inspect_file(file, library)["kept"]


def test_facts_that_are_none(library: Library) -> None:
    for damaged in ("{", "[" * 100_000, "NaN of"):
        found = inspect(encode(disc(16, 16), Output("png"), {"seed": damaged}))
        assert found.making == {}
        assert "'seed' is damaged" in found.warnings[0]
    for odd in ("[1]", "{}", "3"):  # a number is no id
        file = encode(disc(16, 16), Output("png"), {"id": "img", "width": odd})
        assert not kept_pictures.inspect_file(file, library)["kept"]


def test_files_of_others() -> None:
    found = inspect(as_file(disc(32, 16), "JPEG"))
    assert (found.format, found.width, found.digital_source_type) == ("jpeg", 32, None)
    assert found.making == {}
    for data in (b"", b"no picture", as_file(disc(8, 8), "GIF"), as_file(disc(8, 8))[:20]):
        with pytest.raises(UnsupportedFile):
            inspect(data)


def test_values_are_read_as_they_were_written() -> None:
    texts = facts.of_picture(
        {}, ASKED, "img", 4, facts.Finish(None, None, "auto", 0, Output("png"))
    )
    assert facts.values(texts).items() >= {**ASKED, "seed": 4}.items()
    assert "placement" not in texts
