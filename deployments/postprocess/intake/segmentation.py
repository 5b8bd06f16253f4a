"""A segmentation model of the user's own, an ONNX file that OpenCV runs: where the subject is."""

from pathlib import Path
from threading import Lock
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0)]
_SLACK = 0.01  # beyond 0 and 1, of rounding


class SegmentationModel(BaseModel):
    """A model of saliency (U2-Net, IS-Net, RMBG and their like) and how its input is made.

    path: of the ONNX file, the same on every machine. It takes float32 (1, 3, side, side), the
    picture squeezed into a square, RGB, and its first output is float32 (1, 1, side, side), for
    each pixel how surely it is the subject's, 0 to 1. mean, std: of the channels from 0 to 1,
    which come less the one and over the other; usually ImageNet's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    side: int = Field(ge=32, le=2048)
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[Share, Share, Share] = (0.229, 0.224, 0.225)


class Segmenter:
    """Finds subjects. For any thread.

    Raises ValueError where the file cannot be read, or is no such model.
    """

    def __init__(self, model: SegmentationModel) -> None:
        self._model = model
        path = Path(model.path).expanduser()
        if not path.is_file():
            raise ValueError(f"segmentation_model: path: there is no file {path}")
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise ValueError(f"segmentation_model: path: {path} is no ONNX model") from error
        self._turn = Lock()  # a net holds what it works on
        self._check()

    def saliency(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How surely each pixel of `picture`, uint8 (H, W, 3), is the subject's: float32 (H, W),
        0 to 1."""
        small = np.clip(self._run(picture)[0, 0], 0, 1)
        size = picture.shape[1::-1]
        return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.float32)

    def _run(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        side = self._model.side
        square = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        levels = (square.astype(np.float32) / 255 - self._model.mean) / self._model.std
        with self._turn:
            self._net.setInput(np.ascontiguousarray(levels.transpose(2, 0, 1)[None], np.float32))
            outputs = self._net.forward(self._net.getUnconnectedOutLayersNames())
        return np.array(outputs[0], np.float32)

    def _check(self) -> None:
        side = self._model.side
        wanted = (1, 1, side, side)
        random = np.random.default_rng(0)
        try:
            given = self._run(random.integers(0, 256, (side, side, 3), np.uint8))
        except cv2.error as error:
            raise ValueError(
                f"segmentation_model: it does not take 1x3x{side}x{side}; set side to its own"
            ) from error
        if given.shape != wanted:
            shapes = ["x".join(map(str, shape)) for shape in (given.shape, wanted)]
            raise ValueError(
                f"segmentation_model: its first output is {shapes[0]}, not {shapes[1]}; set side "
                "to its own, or export a model of saliency"
            )
        if not (given.min() >= -_SLACK and given.max() <= 1 + _SLACK):
            raise ValueError(
                f"segmentation_model: its first output goes from {given.min():.2f} to "
                f"{given.max():.2f}, not from 0 to 1; export it with its sigmoid"
            )
