"""Which answer the Accept header prefers, and what JSON tells."""

import pytest

from deployments.postprocess.schema import Delivery, Finished
from serve.http.wire.answers import images_answer, picture_wanted
from serve.profiles import load_profile


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


@pytest.mark.parametrize("by_url", [True, False])
def test_what_there_is_not_is_absent(by_url: bool) -> None:
    file = Finished(b"x", "image/png", 256, 256)
    delivery = Delivery(("img_1",), (file,), (0,), (7,), (256, 256), 4, 4, {}, (), kept=True)
    steps = load_profile("embedded").steps
    url_of = "http://a/{}".format if by_url else None

    told = images_answer(
        delivery, model="embedded", steps=steps, output_format="png", url_of=url_of
    )

    (picture,) = told["data"]
    assert "style" not in told
    assert told["quality"] == "low"
    assert {"url", "b64_json"} & set(picture) == ({"url"} if by_url else {"b64_json"})
    assert not {"placement", "overlay"} & set(picture)
