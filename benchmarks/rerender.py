"""How long other words on a kept picture take over HTTP, against the stage's own time.

    signboard serve --library /tmp/library &
    python -m benchmarks.rerender --url http://127.0.0.1:8000 --library /tmp/library [--out FILE]

A picture of 1024x1024 is kept: drawn at that size by a server whose profile can; else drawn at the
profile's largest square, enlarged, and put into the server's library (its --library). Then its
price is changed over HTTP, a different one each time, and the same words are set on the same pixels
by `finish` in this process, turn by turn; JPEG both. Over HTTP the answer is JSON with base64, or
the bare file. The server counts forwards of the model, of which there may be none.
"""

import argparse
import io
import json
import secrets
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.machine import machine
from deployments.handover import Drawn
from deployments.postprocess import keeping, render
from deployments.postprocess.delivery import FinishSpec
from deployments.postprocess.finish import finish
from deployments.postprocess.library import Library
from deployments.postprocess.spec import Output, OverlaySpec
from deployments.postprocess.store import Store

SIDE = 1024
ROUNDS, WARM_UP = 30, 5
GOAL = 4.0
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


def keep_picture(client: httpx.Client, library: str | None) -> str:
    """The id of a picture of 1024x1024 in the server's library. Raises SystemExit."""
    told = client.get("/v1/capabilities").raise_for_status().json()
    sizes = told["sizes"]
    if sizes["max_side"] >= SIDE and sizes["max_pixels"] >= SIDE**2:
        return str(draw(client, size=f"{SIDE}x{SIDE}")["id"])
    if library is None:
        raise SystemExit(
            f"--library: {told['model']} draws nothing as large as {SIDE}x{SIDE}; name the folder "
            "that the server keeps its pictures in, so that one can be put there"
        )
    large = told["hires"]["sizes"] if told["hires"] else sizes
    answer = draw(client, size=large["default"], hires=bool(told["hires"]))
    small = fetch(client, answer["id"])
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


def put(pixels: NDArray[np.uint8], library: str) -> str:
    """Keep a picture at the library's address; its id."""
    drawn = Drawn("", pixels[None], seeds=(0,), steps_executed=0)
    spec = FinishSpec((), None, (None,), JPEG, metadata={"prompt": PROMPT}).of(1)
    job = keeping.begin(drawn, spec, None, Library(Store(library), LIBRARY_BYTES))
    if job.lost:
        raise SystemExit(f"--library: nothing could be kept at {library}")
    return spec.id


def forwards(client: httpx.Client) -> int:
    """Forward passes of the model so far."""
    told: int = client.get("/v1/capabilities").raise_for_status().json()["engine"]["forwards"]
    return told


def timed(task: Callable[[], object]) -> float:
    """Milliseconds that `task` takes."""
    began = time.perf_counter()
    task()
    return (time.perf_counter() - began) * 1e3


def measure(client: httpx.Client, library: str | None) -> dict[str, Any]:
    """Milliseconds of the stage, and of each kind of answer over HTTP, with a new price each."""
    picture_id = keep_picture(client, library)
    pixels = fetch(client, picture_id)
    render.warm()
    prices = iter(range(1000 + secrets.randbelow(1000), 10**6, 7))

    def stage() -> None:
        finish(pixels, OverlaySpec.model_validate(words(next(prices))), None, JPEG, {})

    def over_http(accept: str) -> None:
        body = {"overlay": words(next(prices)), "output_format": "jpeg"}
        answer = client.post(
            f"/v1/images/{picture_id}/overlays", json=body, headers={"Accept": accept}
        )
        answer.raise_for_status()

    ways: dict[str, Callable[[], None]] = {
        "stage": stage,
        "json": lambda: over_http("application/json"),
        "file": lambda: over_http("image/jpeg"),
    }
    for _ in range(WARM_UP):
        for way in ways.values():
            way()
    before = forwards(client)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            taken[name].append(timed(way))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    ratios = {name: medians[name] / medians["stage"] for name in ("json", "file")}
    steps = forwards(client) - before
    return {
        "picture": f"{pixels.shape[1]}x{pixels.shape[0]}",
        "milliseconds": taken,
        "medians_ms": medians,
        "ratios": ratios,
        "goal": GOAL,
        "forwards": steps,
        "holds": max(ratios.values()) <= GOAL and steps == 0,
    }


def main() -> None:
    """Measure and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", required=True, help="where a server runs")
    arguments.add_argument("--library", help="where that server keeps its pictures")
    arguments.add_argument("--out", type=Path, help="JSON file to write")
    options = arguments.parse_args()
    with httpx.Client(base_url=options.url, timeout=120) as client:
        result = {"machine": machine(), **measure(client, options.library)}
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
