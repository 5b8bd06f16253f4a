"""How long other words on a kept picture take over HTTP, against the stage's own time.

A picture of 1024x1024 lies in the library of a server: drawn at the profile's largest square and
enlarged. Then its price is changed over HTTP, a different one each time, and the same words are set
on the same pixels by `finish` in this process, turn by turn; JPEG both. Over HTTP the answer is
JSON with base64, or the bare file. The server counts forwards of the model, of which there may be
none.
"""

import io
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import (
    Cell,
    Figure,
    Report,
    Say,
    Table,
    engines,
    in_turn,
    median,
    ratio,
    serving,
)
from deployments.handover import Drawn
from deployments.postprocess import keep_first
from deployments.postprocess.finish import finish_picture
from deployments.postprocess.library import BlobStore, Library
from deployments.postprocess.schema import FinishSpec, Output, OverlaySpec
from deployments.postprocess.typesetting import engine

SIDE = 1024
ROUNDS, WARM_UP = 30, 5
BOUND = 4.0
ANSWER_WITHIN_S = 120.0
NOTE = (
    "The picture of 1024x1024 is kept; only its price changes, another one each time. The server "
    "counted no forward of the model meanwhile."
)
PROMPT = "a red apple on a yellow background"
JPEG = Output("jpeg")
LIBRARY_BYTES = 10 * 2**30  # of the server's own default, which nothing here comes near


def words(price: int) -> dict[str, Any]:
    """The words of one advert of four layers."""
    layers = [
        {"role": "headline", "text": "아침을 깨우는 사과 한 알"},
        {"role": "sub", "text": "오늘 새벽에 땄습니다"},
        {"role": "price", "text": f"₩{price:,}"},
        {"role": "cta", "text": "지금 주문하기"},
    ]
    return {"layers": layers}


def keep_picture(client: httpx.Client, library: Path) -> str:
    """The id of a picture of 1024x1024 in the server's library."""
    hires = client.get("/v1/capabilities").raise_for_status().json()["hires"]["sizes"]
    small = fetch(client, draw(client, size=hires["default"], hires=True)["id"])
    pixels = np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return put(pixels, library)


def draw(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """A picture of a prompt."""
    body = {"prompt": PROMPT, **fields}
    answer = client.post("/v1/images/generations", json=body).raise_for_status()
    facts: dict[str, Any] = answer.json()
    return facts


def fetch(client: httpx.Client, picture_id: str) -> NDArray[np.uint8]:
    """A kept picture without words, uint8 (H, W, 3)."""
    answer = client.get(f"/v1/images/{picture_id}", params={"variant": "clean"}).raise_for_status()
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def put(pixels: NDArray[np.uint8], library: Path) -> str:
    """Keep a picture in the library's folder; its id."""
    drawn = Drawn("", pixels[None], seeds=(0,), steps_executed=0)
    spec = FinishSpec((), None, (None,), JPEG, metadata={"prompt": PROMPT}).of(1)
    job = keep_first.begin(drawn, spec, None, Library(BlobStore(str(library)), LIBRARY_BYTES))
    if job.lost:
        raise RuntimeError(f"nothing could be kept in {library}")
    return spec.id


def measure(quick: bool, say: Say) -> Report:
    """The stage, and each kind of answer over HTTP, with a new price each time."""
    with tempfile.TemporaryDirectory(prefix="signboard-bench-") as folder:
        say("a server starts")
        with (
            serving.signboard(engines.embedded(), Path(folder)) as url,
            httpx.Client(base_url=url, timeout=ANSWER_WITHIN_S) as client,
        ):
            return compared(client, Path(folder), 2 if quick else ROUNDS, say)


def compared(client: httpx.Client, library: Path, rounds: int, say: Say) -> Report:
    """What a server with that library tells. Raises RuntimeError if its model ran meanwhile."""
    picture_id = keep_picture(client, library)
    pixels = fetch(client, picture_id)
    engine.warm()
    prices = iter(range(1000 + secrets.randbelow(1000), 10**6, 7))

    def stage() -> None:
        finish_picture(pixels, OverlaySpec.model_validate(words(next(prices))), None, JPEG, {})

    def over_http(accept: str) -> None:
        body = {"overlay": words(next(prices)), "output_format": "jpeg"}
        answer = client.post(
            f"/v1/images/{picture_id}/overlays", json=body, headers={"Accept": accept}
        )
        answer.raise_for_status()

    ways: dict[str, Callable[[], None]] = {
        "stage": stage,
        "JSON": lambda: over_http("application/json"),
        "file": lambda: over_http("image/jpeg"),
    }
    before = serving.engine_state(client)["forwards"]
    say(f"{rounds} new prices by {len(ways)} ways")
    times = in_turn(ways, rounds, WARM_UP)
    if ran := serving.engine_state(client)["forwards"] - before:
        raise RuntimeError(f"the model ran {ran} forwards while only words changed")
    figures = []
    for way in ("JSON", "file"):
        spread = ratio(times[way], times["stage"])
        figures.append(
            Figure(
                name=f"a new price on a kept picture over HTTP, answered as {way}",
                value=spread.value,
                low=spread.low,
                high=spread.high,
                bound=BOUND,
                baseline="the stage in process",
            )
        )
    rows: list[list[Cell]] = [[way, 1000 * median(seconds).value] for way, seconds in times.items()]
    table = Table(title="Median of a new price", columns=["", "ms"], rows=rows)
    return Report(figures=figures, tables=[table], notes=[NOTE], data={"seconds": times})
