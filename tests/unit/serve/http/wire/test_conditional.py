"""A kept picture as caches and players ask for it."""

import json

import pytest
from fastapi import Response
from starlette.datastructures import Headers

from serve.http.wire.conditional import as_asked

DATA = bytes(range(100))
TAG = as_asked(DATA, "image/png", Headers()).headers["etag"]


def ask(**headers: str) -> Response:
    return as_asked(
        DATA, "image/png", Headers({name.replace("_", "-"): v for name, v in headers.items()})
    )


def test_a_whole_file_may_be_kept_and_asked_for_in_parts() -> None:
    whole = ask()

    assert (whole.status_code, whole.body) == (200, DATA)
    assert whole.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["etag"].startswith('"')
    assert as_asked(DATA + b"!", "image/png", Headers()).headers["etag"] != TAG


@pytest.mark.parametrize("tags", [TAG, f"W/{TAG}", f'"other", {TAG}', "*"])
def test_what_is_known_is_not_sent_again(tags: str) -> None:
    same = ask(if_none_match=tags, range="bytes=0-9")

    assert (same.status_code, same.body) == (304, b"")
    assert (same.headers["etag"], same.headers.get("content-type")) == (TAG, None)


def test_what_is_not_known_is_sent() -> None:
    assert ask(if_none_match='"other"').status_code == 200


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, 100),
        ("bytes=-5", 95, 100),
        ("bytes=-500", 0, 100),
        ("Bytes=99-99999999999999", 99, 100),
        ("bytes= 0-0 ", 0, 1),
    ],
)
def test_a_part(asked: str, start: int, stop: int) -> None:
    part = ask(range=asked)

    assert (part.status_code, part.body) == (206, DATA[start:stop])
    assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/100"
    assert part.headers["content-length"] == str(stop - start)
    assert part.headers["etag"] == TAG


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=-0", "bytes=200-300"])
def test_a_part_that_there_is_not(asked: str) -> None:
    refused = ask(range=asked)

    assert refused.status_code == 416
    assert refused.headers["content-range"] == "bytes */100"
    assert json.loads(bytes(refused.body))["error"]["code"] == "range_not_satisfiable"


@pytest.mark.parametrize(
    "asked", ["bytes=9-0", "bytes=-", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", f"bytes={9**99}-"]
)
def test_what_is_no_single_range_gets_the_whole(asked: str) -> None:
    assert (ask(range=asked).status_code, ask(range=asked).body) == (200, DATA)


def test_a_part_of_another_file_is_not_mixed_in() -> None:
    assert ask(range="bytes=0-9", if_range=TAG).status_code == 206
    for other in ('"other"', f"W/{TAG}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert ask(range="bytes=0-9", if_range=other).status_code == 200
