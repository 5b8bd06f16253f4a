"""Which answer the Accept header prefers."""

import pytest

from serve.http.wire.answers import picture_wanted


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, None),
        ("", None),
        ("*/*", None),
        ("application/json", None),
        ("image/png", "png"),
        ("IMAGE/WEBP", "webp"),
        ("image/*", "any"),
        ("image/gif", None),
        ("application/json, image/png", None),
        ("image/png, application/json", "png"),
        ("application/json;q=0.5, image/jpeg;q=0.9", "jpeg"),
        ("image/png;q=0, */*", None),
        ("image/png;q=x, image/avif;q=0.1", "avif"),
    ],
)
def test_picture_wanted(accept: str | None, wanted: str | None) -> None:
    assert picture_wanted(accept) == wanted
