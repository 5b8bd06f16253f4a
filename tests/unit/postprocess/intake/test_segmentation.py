"""A segmentation model of the user's own: read, checked, and cutting subjects out."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from deployments.errors import InvalidValue
from deployments.postprocess.adopt_images import adopt
from deployments.postprocess.intake.cutout import cut_out
from deployments.postprocess.intake.fit import fit_upload
from deployments.postprocess.intake.limits import SegmentationModel
from deployments.postprocess.intake.segmentation import Segmenter
from deployments.postprocess.schema.delivery import FinishSpec
from deployments.postprocess.schema.overlay import ImageLayer, OverlaySpec
from serve.settings import AppArgs
from tests.unit.postprocess.artworks import LIMITS, PNG, url
from tests.unit.postprocess.intake.onnxmaker import blue_model, constant_model
from tests.unit.postprocess.pictures import as_file, noise

SIDE = 64


def model(folder: Path, data: bytes, side: int = SIDE) -> SegmentationModel:
    (folder / "model.onnx").write_bytes(data)
    return SegmentationModel(path=str(folder / "model.onnx"), side=side)


def busy() -> tuple[np.ndarray, np.ndarray]:
    """A blue box before a wall of red and green, where colour alone finds no subject; and where
    it is."""
    picture = noise(300, 200)
    picture[..., 2] = 0
    inside = np.zeros((200, 300), np.bool_)
    inside[50:150, 60:180] = True
    picture[inside] = (20, 30, 240)
    return picture, inside


@pytest.mark.parametrize("side", [SIDE, "side"], ids=["fixed", "free"])
def test_the_models_subject_is_cut_out_of_a_busy_picture(tmp_path: Path, side: int | str) -> None:
    picture, inside = busy()
    segmenter = Segmenter(model(tmp_path, blue_model(side)))
    by_model = cut_out(picture, segmenter)
    assert cut_out(picture) is None
    assert by_model is not None
    assert by_model.doubt is None
    found = by_model.alpha > 127
    assert (found & inside).sum() / (found | inside).sum() > 0.95


def test_channels_come_in_order_less_mean_over_deviation(tmp_path: Path) -> None:
    """Blue alone counts, and of it what lies above the mean that was named."""
    file = model(tmp_path, blue_model(SIDE))
    picture = np.zeros((90, 120, 3), np.uint8)
    picture[:, :40], picture[:, 40:80], picture[:, 80:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    seen = Segmenter(file).saliency(picture)
    assert seen.shape == (90, 120)
    assert seen[:, :70].max() < 0.1
    assert seen[:, 90:].min() > 0.9
    dimmer = file.model_copy(update={"mean": (0.0, 0.0, 2.0)})
    assert Segmenter(dimmer).saliency(picture).max() < 0.1


def test_its_first_output_counts(tmp_path: Path) -> None:
    picture, _ = busy()
    one = Segmenter(model(tmp_path, blue_model(SIDE))).saliency(picture)
    first_of_two = Segmenter(model(tmp_path, blue_model(SIDE, second_output=True)))
    assert np.array_equal(first_of_two.saliency(picture), one)


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    segmenter = Segmenter(model(tmp_path, blue_model(SIDE)))
    pictures = [noise(128, 96, seed) for seed in range(8)]
    alone = [segmenter.saliency(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(segmenter.saliency, pictures * 4))
    assert all(np.array_equal(a, b) for a, b in zip(alone * 4, together, strict=True))


def test_products_and_kept_subjects_are_cut_out_by_it(tmp_path: Path) -> None:
    picture, inside = busy()
    segmenter = Segmenter(model(tmp_path, blue_model(SIDE)))
    layer = ImageLayer(type="image", kind="product", image=url(picture))
    asked = FinishSpec(("",), OverlaySpec(layers=[layer]), (None,), PNG)
    assert adopt(asked, None, LIMITS, segmenter=segmenter).warnings == ()
    with pytest.raises(InvalidValue, match="no product can be told"):
        adopt(asked, None, LIMITS)
    file = as_file(picture)
    fitted = fit_upload(file, None, 300, 200, "crop", (), LIMITS, "subject", segmenter)
    assert fitted.mask is not None
    assert ((fitted.mask >= 128) == ~inside).mean() > 0.98
    assert fitted.warnings == ()


@pytest.mark.parametrize(
    ("data", "side", "said"),
    [
        (b"not a model", SIDE, "is no ONNX model"),
        (constant_model((1, 1, SIDE, SIDE), 7.0), SIDE, "from 7.00 to 7.00, not from 0 to 1"),
        (constant_model((1, 1000), 0.5), SIDE, "its first output is 1x1000, not 1x1x64x64"),
        (constant_model((1, 1, SIDE, SIDE), 0.5), 96, "not 1x1x96x96; set side"),
        (constant_model((1, 1, SIDE, SIDE), 0.5, side=SIDE), 96, "does not take 1x3x96x96"),
    ],
    ids=["garbage", "logits", "classifier", "output", "input"],
)
def test_what_is_no_such_model_is_refused_at_the_start(
    tmp_path: Path, data: bytes, side: int, said: str
) -> None:
    file = model(tmp_path, data, side)
    with pytest.raises(ValidationError, match=r"(?s)segmentation_model.*" + said):
        AppArgs(segmentation_model=file)


def test_a_sound_one_is_taken_and_a_missing_one_refused(tmp_path: Path) -> None:
    file = model(tmp_path, blue_model(SIDE))
    assert AppArgs(segmentation_model=file.model_dump()).segmentation_model == file
    with pytest.raises(ValidationError, match=r"there is no file .*none\.onnx"):
        AppArgs(segmentation_model={"path": str(tmp_path / "none.onnx"), "side": SIDE})
    with pytest.raises(ValidationError, match="side"):
        AppArgs(segmentation_model={"path": file.path})
