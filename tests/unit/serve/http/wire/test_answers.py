"""Which answer the Accept header prefers, and what JSON tells."""

import json

import pytest

from deployments.postprocess.schema import Delivery, Finished
from serve.http.wire.answers import as_bytes, images_answer, picture_wanted
from serve.profiles import load_profile

JAVA = "text/html, image/gif, image/jpeg, */*; q=0.2"
BROWSER = "text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8"


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
        ("image/png; Q=0.2, application/json; Q=0.9", None),
        ("Image/PNG ; q=0.5, */*;q=0.1", "png"),
        (JAVA, None),
        (BROWSER, None),
    ],
)
def test_picture_wanted(accept: str | None, wanted: str | None) -> None:
    assert picture_wanted(accept) == wanted


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("image/png", "png"),
        ("image/jpeg, */*; q=0.2", None),
        ("image/png, application/json;q=0.1", None),
        ("image/png, application/json;q=0", "png"),
        ("image/*, text/event-stream", None),
    ],
)
def test_json_wins_where_it_is_allowed_and_the_body_asks_for_it(
    accept: str, wanted: str | None
) -> None:
    assert picture_wanted(accept, asks_for_json=True) == wanted


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


def test_several_styles_are_told() -> None:
    file = Finished(b"x", "image/png", 256, 256)
    styles = ({"name": "ink", "weight": 0.5}, {"name": "night", "weight": None})
    delivery = Delivery(
        ("img_1",), (file,), (0,), (7,), (256, 256), 4, 4, {}, (), styles=styles, kept=True
    )
    steps = load_profile("embedded").steps

    told = images_answer(
        delivery, model="embedded", steps=steps, output_format="png", url_of="http://a/{}".format
    )

    assert told["styles"] == [{"name": "ink", "weight": 0.5}, {"name": "night"}]
    in_header = json.loads(as_bytes(delivery).headers["X-Signboard-Styles"])
    assert in_header == told["styles"]
