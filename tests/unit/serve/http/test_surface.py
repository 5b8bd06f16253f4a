"""What every route has in common: methods, the envelope, its description, other origins, addresses.

The API is the whole one, within its layers; nothing that is asked here needs a room behind it.
"""

import asyncio
import functools
import json
import re
from typing import Any, cast

import httpx
import pytest
from starlette.types import ASGIApp

from serve.http.ingress import create_api, surround
from serve.http.rooms import Rooms
from serve.profiles import load_profile
from serve.settings import AppArgs

PROFILE = load_profile("embedded")
PICTURE = "/v1/images/img_" + "0" * 44
PAGE = "https://shop.example"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}


@functools.cache
def application(args: str) -> ASGIApp:
    """The application with these arguments, in JSON; made once."""
    settings = AppArgs(library=None, **json.loads(args))
    rooms = Rooms(cast(Any, None), cast(Any, None), 1)
    return surround(create_api(rooms, PROFILE, settings, None, {}), settings)


def ask(
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    peer: str = "127.0.0.1",
    **args: Any,
) -> httpx.Response:
    """The answer of an application with `args` to a request that came from `peer`."""
    transport = httpx.ASGITransport(application(json.dumps(args)), client=(peer, 1))

    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://inside:8000") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(answer())


@pytest.mark.parametrize("path", ["/health/live", "/v1/models", "/docs", "/openapi.json", "/"])
def test_head_is_get_without_the_body(path: str) -> None:
    got, head = ask("GET", path), ask("HEAD", path)

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers == got.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", PICTURE, "GET, HEAD, DELETE"),
        ("GET", f"{PICTURE}/overlays", "POST"),
        ("HEAD", f"{PICTURE}/overlays", "POST"),
        ("DELETE", "/v1/images", "GET, HEAD"),
        ("GET", "/v1/images/generations", "POST"),
        ("POST", "/docs", "GET, HEAD"),
        ("POST", "/docs/assets/swagger-ui.css", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_allowed_is_told_all_that_are(
    method: str, path: str, allowed: str
) -> None:
    refused = ask(method, path)
    told = ask("OPTIONS", path)

    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert method == "HEAD" or refused.json()["error"]["code"] == "method_not_allowed"
    assert (told.status_code, told.headers["allow"], told.content) == (204, allowed, b"")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("OPTIONS", "/nothing", 404, "not_found"),
        ("GET", "/docs/assets/nothing.css", 404, "not_found"),
        ("PATCH", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/capabilities", 500, "internal_error"),  # there is no room to ask
    ],
)
def test_the_application_itself_answers_in_the_envelope(
    method: str, path: str, status: int, code: str
) -> None:
    refused = ask(method, path)

    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert set(refused.json()["error"]) == {"message", "type", "param", "code"}


def test_every_refusal_is_described_and_none_that_never_comes() -> None:
    described = ask("GET", "/openapi.json").json()

    for path, operations in described["paths"].items():
        for operation in operations.values():
            answers = operation["responses"]
            assert "422" not in answers
            assert {"408", "429", "431", "500", "503"} <= set(answers)
            for status in set(answers) - {"200", "206", "304"}:
                (content,) = answers[status]["content"].items()
                assert content[0] == "application/json"
                assert "ErrorAnswer" in str(content[1]), (path, status)
    assert not {"HTTPValidationError", "ValidationError"} & set(described["components"]["schemas"])


def test_the_documentation_needs_no_network() -> None:
    page = ask("GET", "/docs").text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert len(assets) >= 3
    for asset in assets:
        assert asset.startswith("/docs/assets/")
        assert ask("GET", asset).status_code == 200


def test_the_bare_address_leads_to_the_documentation() -> None:
    assert ask("GET", "/").headers["location"] == "/docs"
    public = ask("GET", "/", public_url="https://ads.example/studio")
    assert public.headers["location"] == "/studio/docs"


def test_other_origins_may_not_ask_unless_configured() -> None:
    answer = ask("GET", "/v1/models", {"Origin": PAGE})
    preflight = ask("OPTIONS", "/v1/images/generations", PREFLIGHT)

    assert "access-control-allow-origin" not in {*answer.headers, *preflight.headers}


def test_a_configured_origin_may_ask() -> None:
    asked = {**PREFLIGHT, "Access-Control-Request-Headers": "content-type, x-request-id"}
    preflight = ask("OPTIONS", "/v1/images/generations", asked, cors_origins=[PAGE])
    answer = ask("GET", "/v1/models", {"Origin": PAGE}, cors_origins=[PAGE])

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "X-Signboard-Seed" in answer.headers["access-control-expose-headers"]


def test_another_origin_is_refused_in_the_envelope() -> None:
    refused = ask("OPTIONS", "/v1/models", PREFLIGHT, cors_origins=["https://other.example"])

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "cors")
    assert "access-control-allow-origin" not in refused.headers


def test_any_origin_may_ask_without_its_credentials() -> None:
    answer = ask("GET", "/v1/models", {"Origin": PAGE}, cors_origins=["*"])

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_faults_and_refusals_can_be_read_by_a_configured_origin() -> None:
    for path in ("/nothing", "/v1/capabilities"):
        refused = ask("GET", path, {"Origin": PAGE}, cors_origins=[PAGE])
        assert refused.headers["access-control-allow-origin"] == PAGE


def location(**asked: Any) -> str:
    """Where a redirection leads, which is made as the addresses of pictures are."""
    redirected = ask("GET", "/v1/capabilities/", **asked)
    assert redirected.status_code == 307
    return str(redirected.headers["location"])


def test_a_public_address_is_what_addresses_begin_with() -> None:
    headers = {"X-Forwarded-Host": "evil.example", "Host": "inside"}

    assert location() == "http://inside:8000/v1/capabilities"
    found = location(public_url="https://ads.example/", headers=headers)
    assert found == "https://ads.example/v1/capabilities"
    found = location(public_url="https://ads.example:8443/studio", headers=headers)
    assert found == "https://ads.example:8443/studio/v1/capabilities"


X = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "ads.example"}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (X, "https://ads.example"),
        ({**X, "X-Forwarded-Proto": "HTTPS"}, "https://ads.example"),
        ({**X, "X-Forwarded-Host": "evil.example, ads.example"}, "https://ads.example"),
        ({**X, "X-Forwarded-Host": "ads.example/evil"}, "https://inside:8000"),
        ({**X, "X-Forwarded-Proto": "gopher"}, "http://ads.example"),
        ({"X-Forwarded-Proto": "https"}, "https://inside:8000"),
        ({"Forwarded": "for=1.2.3.4;proto=https;host=ads.example"}, "https://ads.example"),
        ({"Forwarded": 'host=evil.example, Host="ads.example:8443";proto=https'},
         "https://ads.example:8443"),
        ({"Forwarded": "for=1.2.3.4"}, "http://inside:8000"),
    ],
)  # fmt: skip
def test_a_trusted_proxy_may_say_the_address(headers: dict[str, str], found: str) -> None:
    trusted = {"trusted_proxies": ["10.0.0.0/8"], "headers": headers}

    assert location(peer="10.1.2.3", **trusted) == f"{found}/v1/capabilities"
    assert location(peer="::ffff:10.1.2.3", **trusted) == f"{found}/v1/capabilities"
    for stranger in ("11.1.2.3", "127.0.0.1", "::1", "unknown"):
        assert location(peer=stranger, **trusted) == "http://inside:8000/v1/capabilities"


@pytest.mark.parametrize(
    "args",
    [
        {"public_url": "ads.example"},
        {"public_url": "ftp://ads.example"},
        {"public_url": "https://ads.example/?a=b"},
        {"public_url": "https://"},
        {"cors_origins": ["shop.example"]},
        {"cors_origins": ["https://shop.example/"]},
        {"trusted_proxies": ["proxy.internal"]},
    ],
)
def test_settings_that_would_do_nothing_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(args))):
        AppArgs(**args)
