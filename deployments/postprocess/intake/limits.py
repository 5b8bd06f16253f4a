"""What whoever runs Signboard sets of intake: how much a file may hold, which model finds subjects.

Nothing here needs OpenCV: the command and the ingress read their settings by it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from deployments.errors import TooLarge

Share = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What one uploaded file may hold: bytes as sent, and pixels as its header declares."""

    max_bytes: int
    max_pixels: int

    def check_bytes(self, number: int, param: str) -> None:
        """Raise TooLarge with `param` for a file of more bytes."""
        if number > self.max_bytes:
            raise TooLarge(
                f"The {param} has {number} bytes; at most {self.max_bytes} are taken.",
                param,
                "too_many_bytes",
            )

    def check_pixels(self, width: int, height: int, param: str) -> None:
        """Raise TooLarge with `param` for a picture of more pixels."""
        if width * height > self.max_pixels:
            raise TooLarge(
                f"The {param} is {width}x{height}; at most {self.max_pixels} pixels are taken.",
                param,
                "too_many_pixels",
            )


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

    @property
    def file(self) -> Path:
        """Raises ValueError where there is none."""
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise ValueError(f"segmentation_model: path: there is no file {path}")
        return path
