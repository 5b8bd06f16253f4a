"""What only the real proxies show: requests byte for byte, bounds, and what caches ask for."""

import json
import socket
import struct

import httpx

from serve.commands.local import Running

OFFER = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
)
JSON = b"Content-Type: application/json\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=XX\r\n"
PROMPT = "a red square on a green background"
ASKED = {"prompt": PROMPT, "num_inference_steps": 1}


def send(service: Running, path: str, headers: bytes, body: bytes) -> tuple[int, bytes]:
    """Status and all that is answered; the server closes the connection."""
    url = httpx.URL(service.url)
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % (path.encode(), len(body))
    with socket.create_connection((url.host, url.port or 80), timeout=60) as line:
        line.sendall(head + headers + b"\r\n" + body)
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.endswith((b"}", b"0\r\n\r\n")):
            data = line.recv(65536)
            if not data:
                break
            answer += data
    return int(answer.split()[1]), answer


def test_an_offer_of_http_2_does_not_lose_the_body(service: Running, photo: bytes) -> None:
    path = "/v1/images/generations"
    drawn, _ = send(service, path, JSON + OFFER, json.dumps(ASKED).encode())
    part = b'--XX\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    form = part % (b"prompt", b"", PROMPT.encode())
    form += part % (b"num_inference_steps", b"", b"1")
    form += part % (b"image", b'; filename="a.png"', photo) + b"--XX--\r\n"
    edited, _ = send(service, "/v1/images/edits", FORM + OFFER, form)

    assert (drawn, edited) == (200, 200)


def test_large_headers_are_refused_at_the_door(service: Running) -> None:
    headers = b"".join(b"X-%d: %s\r\n" % (index, b"a" * 1000) for index in range(200))
    status, answer = send(service, "/v1/images/generations", headers, b"{}")

    assert status == 431
    assert b'"code": "headers_too_large"' in answer


def test_java_and_browsers_get_json(client: httpx.Client) -> None:
    for accept in ("text/html, image/gif, image/jpeg, */*; q=0.2", "text/html,image/avif,*/*;q=.8"):
        answer = client.post("/v1/images/generations", json=ASKED, headers={"Accept": accept})
        assert answer.json()["data"][0]["b64_json"]


def test_a_stranger_cannot_say_what_the_address_is(client: httpx.Client) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    body = {**ASKED, "response_format": "url"}
    answer = client.post("/v1/images/generations", json=body, headers=headers)

    assert answer.json()["data"][0]["url"].startswith(str(client.base_url))


def test_a_kept_picture_is_what_caches_ask_for(client: httpx.Client) -> None:
    answer = client.post("/v1/images/generations", json={**ASKED, "response_format": "url"})
    url = answer.json()["data"][0]["url"]
    whole = client.get(url)
    tag = whole.headers["etag"]
    head = client.head(url)
    part = client.get(url, headers={"Range": "bytes=16-23", "If-Range": tag})

    assert "immutable" in whole.headers["cache-control"]
    assert struct.unpack(">II", part.content) == (256, 256)  # of a PNG's header
    assert (part.status_code, part.headers["content-length"]) == (206, "8")
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(url, headers={"Range": "bytes=99999999-"}).status_code == 416
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
    assert head.headers["content-length"] == str(len(whole.content))
    clean = client.get(url, params={"variant": "clean"})
    assert (clean.status_code, clean.headers["accept-ranges"]) == (200, "bytes")


def test_two_request_ids_are_none(client: httpx.Client) -> None:
    named = [("X-Request-ID", "campaign-42"), ("X-Request-ID", "not sane")]
    (told,) = client.get("/health/live", headers=named).headers.get_list("x-request-id")

    assert told not in ("campaign-42", "not sane")


def test_health_by_its_short_name(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"state": "ready", "reason": None}
    assert client.get("/", follow_redirects=True).headers["content-type"].startswith("text/html")
