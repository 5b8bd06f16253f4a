"""A segmentation model of the user's own, an ONNX file that OpenCV runs: where the subject is."""

from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.intake.limits import SegmentationModel

_SLACK = 0.01  # beyond 0 and 1, of rounding


class Segmenter:
    """Finds subjects. For any thread.

    Raises ValueError where the file cannot be read, or is no such model.
    """

    def __init__(self, model: SegmentationModel) -> None:
        self._model = model
        path = model.file
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
