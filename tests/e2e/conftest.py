"""A client, a picture and a mask for it."""

import io
import secrets
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image, ImageDraw

from serve.commands.local import Running
from tests.e2e.watch import Watch


@pytest.fixture(scope="session")
def client(service: Running) -> Iterator[httpx.Client]:
    """A plain HTTP client of the application."""
    with httpx.Client(base_url=service.url, timeout=120) as client:
        yield client


@pytest.fixture
def watch(client: httpx.Client) -> Watch:
    return Watch(client)


@pytest.fixture
def seed() -> int:
    """One that nothing was drawn with before."""
    return secrets.randbelow(2**40)


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A PNG of 256x256: a red disc on a yellow ground."""
    image = Image.new("RGB", (256, 256), (250, 215, 50))
    ImageDraw.Draw(image).ellipse((70, 70, 186, 186), fill=(220, 40, 40))
    return png(image)


@pytest.fixture(scope="session")
def mask() -> bytes:
    """As OpenAI has it: the left half transparent, so that it is repainted."""
    image = Image.new("RGBA", (256, 256), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 128, 256))
    return png(image)


def png(image: Image.Image) -> bytes:
    """The image as PNG bytes."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
