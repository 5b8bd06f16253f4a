"""The mask that the demo repaints by, and the table that it ends with."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from serve.commands.demo import Shot, middle_mask
from serve.commands.terminal import summary


def test_the_middle_is_repainted() -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 32)).save(out, "PNG")

    mask = np.asarray(Image.open(io.BytesIO(middle_mask(out.getvalue()))))

    assert mask.shape == (32, 64)
    assert (mask[8:24, 16:48] == 255).all()
    assert (mask == 255).sum() == 16 * 32


def test_the_table_tells_steps_stages_and_weights() -> None:
    shots = [
        Shot("prompt", Path("a.png"), answer(8, {"steps": 812.4})),
        Shot("advert", Path("b.png"), answer(8, {"steps": 790.0, "overlay": 31.0})),
    ]
    console = Console(width=80, record=True, file=io.StringIO())

    console.print(summary(shots, held_bytes=32_000_000, held_twice_bytes=0))

    text = console.export_text()
    assert "812" in text
    assert "overlay, ms" in text
    assert "32,000,000 bytes" in text
    assert "(none)" in text


def answer(steps: int, timings: dict[str, float]) -> dict[str, object]:
    return {"size": "256x256", "steps_executed": steps, "timings_ms": timings}
