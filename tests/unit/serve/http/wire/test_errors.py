"""The envelope, and the status of every error that the rooms can raise."""

import json
from collections.abc import Iterator

import pytest

from deployments.errors import (
    DeadlineMissed,
    GenerationFailed,
    InvalidValue,
    NotReady,
    OutOfMemory,
    Overloaded,
    RequestError,
)
from serve.http.wire.bodies import GenerationBody
from serve.http.wire.errors import STATUS, internal_error, refusal, validate


def subclasses(kind: type[RequestError]) -> Iterator[type[RequestError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def test_every_error_of_the_rooms_has_a_status() -> None:
    assert set(subclasses(RequestError)) == set(STATUS)


def test_the_envelope_is_openais() -> None:
    response = refusal(InvalidValue("n: too many", "n", "n_out_of_range"))

    assert response.status_code == 400
    assert json.loads(bytes(response.body)) == {
        "error": {
            "message": "n: too many",
            "type": "invalid_request_error",
            "param": "n",
            "code": "n_out_of_range",
        }
    }


def test_waiting_is_told_in_whole_seconds() -> None:
    assert refusal(Overloaded("busy", None, "queue_full", 1.2)).headers["retry-after"] == "2"
    assert int(refusal(NotReady("loading", None, "loading")).headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DeadlineMissed("late", "deadline_s", "deadline_missed"), "false"),
        (DeadlineMissed("late", None, "timeout"), "false"),
        (Overloaded("late", "deadline_s", "deadline_unreachable", 2.0), "false"),
        (OutOfMemory("too large", "size", "out_of_memory"), "false"),
        (GenerationFailed("failed", None, "generation_failed"), "false"),
        (Overloaded("busy", None, "queue_full", 2.0), None),
        (NotReady("loading", None, "model_loading"), None),
    ],
)
def test_clients_are_told_where_no_retry_helps(error: RequestError, told: str | None) -> None:
    assert refusal(error).headers.get("x-should-retry") == told


def test_a_fault_of_ours_says_nothing_of_itself() -> None:
    assert json.loads(bytes(internal_error().body))["error"]["code"] == "internal_error"


@pytest.mark.parametrize(
    ("data", "param", "says"),
    [
        ({}, "prompt", "required"),
        ({"prompt": "a", "promt": "b"}, "promt", "did you mean 'prompt'"),
        ({"prompt": "a", "xyz": 1}, "xyz", "unknown fields are refused"),
        ({"prompt": "a", "y" * 9000: 1}, "y" * 64 + "...", "unknown fields are refused"),
        ({"prompt": "a", "steps": 4}, "steps", "did you mean 'num_inference_steps'"),
        ({"prompt": "a", "cfg_scale": 4}, "cfg_scale", "did you mean 'guidance_scale'"),
        ({"prompt": "a", "size": "1:1"}, "size", "size: write WIDTHxHEIGHT, for example 256x256"),
        ({"prompt": "a", "background": "transparent"}, "background", "'auto' or 'opaque'"),
        ({"prompt": "a", "overlay": {"layers": 1}}, "overlay.layers", "list"),
        (
            {
                "prompt": "a",
                "overlay": {"layers": [{"type": "image", "kind": "logo", "image": "x"}]},
            },
            "overlay.layers.0.image",
            "data URL",
        ),
        ({"prompt": "a", "overlay": {"layers": [{"type": "clip"}]}}, "overlay.layers.0", "image"),
    ],
)
def test_pydantics_errors_name_the_field_and_the_fix(
    data: dict[str, object], param: str, says: str
) -> None:
    with pytest.raises(InvalidValue, match=says) as refused:
        validate(GenerationBody, data)

    assert refused.value.param == param
