"""Images and QR codes on adverts, and subjects that are kept, over HTTP."""

import base64
import io
import json
from typing import Any

import cv2
import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.unit.postprocess.artworks import cut_out_product, data_url, mark, url
from tests.unit.postprocess.pictures import as_file, disc

PROMPT = "a red circle on a yellow background"
PRODUCT = cut_out_product(150, 210)
LAYERS: list[dict[str, Any]] = [
    {"role": "headline", "text": "지금 주문하세요"},
    {"type": "image", "kind": "logo", "image": url(mark())},
    {"type": "image", "kind": "product", "image": url(PRODUCT), "shadow": "none"},
    {"type": "qr", "data": "https://example.com/주문"},
]


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def region(file: bytes, box: list[int]) -> NDArray[np.uint8]:
    left, top, width, height = box
    return pixels(file)[top : top + height, left : left + width]


def test_an_advert_with_a_logo_a_product_and_a_code(client: httpx.Client) -> None:
    body = {
        "prompt": PROMPT,
        "overlay": {"layers": LAYERS},
        "placement": "feed_portrait",
        "output_format": "png",
    }
    answer = client.post("/v1/images/generations", json=body)
    assert answer.status_code == 200, answer.text
    (told,) = answer.json()["data"]
    insets = {one["kind"]: one for one in told["overlay"]["insets"]}
    assert list(insets) == ["logo", "product", "qr"]
    file = base64.b64decode(told["b64_json"])

    code = np.ascontiguousarray(region(file, insets["qr"]["box"])[..., ::-1])
    assert cv2.QRCodeDetector().detectAndDecode(code)[0] == LAYERS[3]["data"]
    rows, columns = np.nonzero(PRODUCT[..., 3])
    trimmed = PRODUCT[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    size = tuple(insets["product"]["box"][2:])
    drawn = np.asarray(Image.fromarray(trimmed).resize(size, Image.Resampling.LANCZOS))
    inside = drawn[..., 3] == 255
    assert np.array_equal(region(file, insets["product"]["box"])[inside], drawn[..., :3][inside])

    fetched = client.get(f"/v1/images/{told['id']}")
    assert fetched.content == file
    record = client.get(f"/v1/images/{told['id']}/metadata").json()
    names = [layer.get("image", "") for layer in record["overlay"]["layers"]]
    assert [name.partition(":")[0] for name in names] == ["", "sha256", "sha256", ""]

    layers = [{**LAYERS[0], "text": "오늘만 반값"}, *record["overlay"]["layers"][1:]]
    again = client.post(
        f"/v1/images/{told['id']}/overlays",
        json={"overlay": {"layers": layers}, "placement": "feed_portrait"},
    )
    assert again.status_code == 200, again.text
    (other,) = again.json()["data"]
    assert [one["kind"] for one in other["overlay"]["insets"]] == ["logo", "product", "qr"]
    assert client.delete(f"/v1/images/{told['id']}").status_code == 200
    kept = client.get(f"/v1/images/{other['id']}")  # holds the images now
    assert kept.content == base64.b64decode(other["b64_json"])


def test_images_that_cannot_be_used_are_refused_before_a_step(client: httpx.Client) -> None:
    forwards = client.get("/v1/capabilities").json()["engine"]["forwards"]
    for image, status in ((data_url(b"GIF89a"), 415), ("img_" + "0" * 44, 400), ("x", 400)):
        layers = [LAYERS[0], {**LAYERS[1], "image": image}]
        body = {"prompt": PROMPT, "overlay": {"layers": layers}}
        refused = client.post("/v1/images/generations", json=body)
        assert refused.status_code == status, refused.text
        assert refused.json()["error"]["param"] == "overlay.layers.1.image"
    assert client.get("/v1/capabilities").json()["engine"]["forwards"] == forwards


def test_a_kept_subject_stands_bit_equal_on_new_ground(client: httpx.Client) -> None:
    photo = disc(256, 256, radius=0.3)
    large = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    badge = {"type": "image", "kind": "badge", "image": url(large)}  # beyond 256 KiB of text
    fields = {
        "prompt": "a cyan background",
        "keep": "subject",
        "seed": "4",
        "overlay": json.dumps({"layers": [{**badge, "anchor": "top_left", "size": 0.1}]}),
    }
    files = {"image": ("photo.png", as_file(photo))}
    answer = client.post("/v1/images/edits", data=fields, files=files)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["warnings"] == []
    assert told["steps_executed"] == 8
    clean = client.get(f"/v1/images/{told['id']}", params={"variant": "clean"})
    drawn = pixels(clean.content)
    inside = cv2.erode((photo[..., 1] < 80).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert inside.sum() > 10_000
    assert np.array_equal(drawn[inside], photo[inside])
    around = photo[..., 1] > 230
    assert (drawn[around] != photo[around]).any(axis=-1).mean() > 0.9
    mask = client.post(
        "/v1/images/edits",
        data={"prompt": "a cyan background", "keep": "subject"},
        files={**files, "mask": ("mask.png", as_file(photo))},
    )
    assert mask.status_code == 400
    assert mask.json()["error"]["param"] == "keep"
