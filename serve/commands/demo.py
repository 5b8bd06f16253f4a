"""A tour over HTTP, as a user would take it: three pictures and a finished advert."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw

DRAWN = "a car on a cyan background"
RESTYLED = "a car on a yellow background"
REPAINTED = "a panda on a cyan background"
ADVERTISED = "a car on a cyan background, at the bottom"
SEED = 7
ADVERT_SEED = 5

COPY = [
    {"role": "headline", "text": "이번 주말, 떠나볼까요?", "lang": "ko"},
    {"role": "sub", "text": "Keys at your door by eight", "lang": "en"},
    {"role": "price", "text": "₩49,000", "lang": "ko"},
    {"role": "cta", "text": "지금 예약하기", "lang": "ko"},
]


class DemoFailed(RuntimeError):
    """A request of the tour was refused; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of the tour: what it shows, where it was written, what its answer said."""

    kind: str
    path: Path
    answer: dict[str, Any]

    @property
    def data(self) -> bytes:
        """The picture's bytes, as answered."""
        return base64.b64decode(self.answer["data"][0]["b64_json"])

    @property
    def warnings(self) -> list[str]:
        """What the server warned of."""
        warnings: list[str] = self.answer["warnings"]
        return warnings


class Tour:
    """Asks for one picture after the other and writes them into `folder`."""

    def __init__(self, url: str, folder: Path, on_shot: Callable[[Shot], None]) -> None:
        self.url = url
        self.folder = folder
        self.on_shot = on_shot
        self.client = httpx.Client(base_url=url, timeout=120)

    def run(self) -> list[Shot]:
        """The whole tour. Raises DemoFailed at the first refusal."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.client:
            drawn = self._generate("prompt", "1-prompt.png", prompt=DRAWN)
            restyled = self._edit("image", "2-image.png", drawn, prompt=RESTYLED, strength="0.85")
            repainted = self._edit(
                "inpaint",
                "3-inpaint.png",
                drawn,
                mask=middle_mask(drawn.data),
                prompt=REPAINTED,
                strength="1",
            )
            advert = {
                "prompt": ADVERTISED,
                "seed": ADVERT_SEED,
                "placement": "feed_portrait",
                "overlay": {"layers": COPY},
            }
            png = self._generate("advert", "4-advert.png", **advert)
            jpeg = self._generate("as JPEG", "4-advert.jpeg", output_format="jpeg", **advert)
        return [drawn, restyled, repainted, png, jpeg]

    def weights(self) -> dict[str, int]:
        """`held_bytes` and `held_twice_bytes` of the served model."""
        answer: dict[str, int] = httpx.get(
            f"{self.url}/v1/models/embedded/weights", timeout=60
        ).json()
        return answer

    def _generate(self, kind: str, name: str, **body: Any) -> Shot:
        answer = self.client.post("/v1/images/generations", json={"seed": SEED, **body})
        return self._keep(kind, name, answer)

    def _edit(
        self, kind: str, name: str, given: Shot, mask: bytes | None = None, **fields: str
    ) -> Shot:
        files = {"image": ("given.png", given.data, "image/png")}
        if mask is not None:
            files["mask"] = ("mask.png", mask, "image/png")
        answer = self.client.post(
            "/v1/images/edits", data={"seed": str(SEED), **fields}, files=files
        )
        return self._keep(kind, name, answer)

    def _keep(self, kind: str, name: str, answer: httpx.Response) -> Shot:
        if answer.is_error:
            raise DemoFailed(f"{name}: {answer.status_code} {answer.text}")
        shot = Shot(kind, self.folder / name, answer.json())
        shot.path.write_bytes(shot.data)
        self.on_shot(shot)
        return shot


def middle_mask(picture: bytes) -> bytes:
    """A PNG of the picture's size whose middle is to be repainted (white)."""
    with Image.open(io.BytesIO(picture)) as given:
        width, height = given.size
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).rectangle(
        (width // 4, height // 4, 3 * width // 4 - 1, 3 * height // 4 - 1), fill=255
    )
    out = io.BytesIO()
    mask.save(out, "PNG")
    return out.getvalue()
