"""Other clients' names and words: what is taken of them, and what is said of it."""

from typing import Any

import pytest

from deployments.errors import InvalidValue
from serve.http.wire.bodies import EditBody, GenerationBody
from serve.http.wire.errors import validate
from serve.http.wire.finishing import FinishBody
from serve.http.wire.habits import MEANT, UNREAD, WORDS, Habits
from serve.http.wire.uploads import FILE_NAMES
from serve.profiles import load_profile

PROFILE = load_profile("embedded")
STRICT = Habits(PROFILE)
LAPTOP = Habits(PROFILE, aliases=("gpt-image-1", "dall-e-3", "Qwen/Qwen-Image"), nearest_sizes=True)


def take(
    habits: Habits = LAPTOP, *, accept: str | None = None, **sent: Any
) -> tuple[dict[str, Any], list[str]]:
    fields, warnings = habits.take(sent, GenerationBody.model_fields, accept)
    validate(GenerationBody, {"prompt": "a pear", **fields})
    return fields, list(warnings)


def test_the_list_names_nothing_of_ours_as_another_servers() -> None:
    known = {*EditBody.model_fields, *FinishBody.model_fields, *FILE_NAMES}
    assert not known & set(UNREAD)
    assert not known & set(MEANT)
    assert set(MEANT.values()) <= known
    assert set(WORDS) <= known


@pytest.mark.parametrize(
    ("sent", "taken", "says"),
    [
        ({"quality": "standard"}, {"quality": "auto"}, "quality: 'standard' was taken as 'auto'"),
        ({"quality": "HD"}, {"quality": "high"}, "quality: 'hd' was taken as 'high'"),
        ({"style": "vivid"}, {}, "style: 'vivid' is none of ours"),
        ({"style": "natural"}, {}, "style: 'natural' is none of ours"),
        ({"moderation": "low"}, {}, "moderation: not read; no moderation policy"),
        ({"input_fidelity": "high"}, {}, "input_fidelity: not read"),
        ({"user": "u-1"}, {}, "user: not read"),
        ({"bot_task": "think"}, {}, "bot_task: not read"),
        ({"return_stage_metrics": True}, {}, "return_stage_metrics: not read; timings_ms"),
        ({"model": "gpt-image-1"}, {"model": "embedded"}, "model: 'gpt-image-1' is drawn by"),
        ({"model": "Qwen/Qwen-Image"}, {"model": "embedded"}, "is drawn by 'embedded' here"),
        ({"size": "512x512"}, {"size": "256x256", "placement": "512x512"}, "brought to 512x512"),
        ({"size": "1792x1024"}, {"size": "320x192", "placement": "1792x1024"}, "320x192 was drawn"),
        ({"size": "1024x1024", "placement": "story"}, {"size": "256x256", "placement": "story"},
         "256x256 was drawn"),
    ],
)  # fmt: skip
def test_what_is_taken_is_told(sent: dict[str, Any], taken: dict[str, Any], says: str) -> None:
    fields, warnings = take(**sent)
    assert fields == taken
    assert len(warnings) == 1
    assert says in warnings[0]


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        ({"negative_prompt": ""}, {}),
        ({"style": ""}, {}),
        ({"user": None}, {}),
        ({"output_format": "PNG"}, {"output_format": "png"}),
        ({"output_format": "JPG"}, {"output_format": "jpeg"}),
        ({"size": "256X256"}, {"size": "256x256"}),
        ({"size": "256*320"}, {"size": "256x320"}),
        ({"size": "auto"}, {"size": "auto"}),
        ({"style": "night"}, {"style": "night"}),
        ({"model": "embedded"}, {"model": "embedded"}),
        ({"partial_images": 0}, {"partial_images": 0}),
        ({"size": "512x512", "hires": True}, {"size": "512x512", "hires": True}),
    ],
)
def test_what_means_the_same_is_taken_without_a_word(
    sent: dict[str, Any], taken: dict[str, Any]
) -> None:
    assert take(**sent) == (taken, [])


def test_dall_e_answers_by_url_as_its_clients_expect() -> None:
    assert take(model="dall-e-3")[0]["response_format"] == "url"
    assert take(model="dall-e-3", response_format="b64_json")[0]["response_format"] == "b64_json"
    assert "response_format" not in take(model="gpt-image-1")[0]
    assert "response_format" not in take(model="dall-e-3", accept="image/png")[0]
    homeless = Habits(PROFILE, aliases=("dall-e-3",), by_url=False)
    assert "response_format" not in take(homeless, model="dall-e-3")[0]


@pytest.mark.parametrize(
    "sent",
    [
        {"bogus": 1},
        {"bogus": None},
        {"size": "1:1"},
        {"size": "99999x99999"},
        {"size": 512},
        {"quality": "best"},
        {"quality": ["hd"]},
        {"style": ["vivid"]},
        {"response_format": "file"},
    ],
)
def test_the_rest_is_left_for_the_check_that_refuses_it(sent: dict[str, Any]) -> None:
    assert LAPTOP.take(sent, GenerationBody.model_fields) == (sent, ())
    if sent != {"size": "99999x99999"}:  # which the profile refuses
        with pytest.raises(InvalidValue):
            take(**sent)


def test_nothing_but_what_is_harmless_is_taken_where_no_setting_allows_it() -> None:
    sent = {"model": "dall-e-3", "size": "512x512"}
    assert take(STRICT, **sent) == (sent, [])


def test_unknown_fields_may_be_left_unread() -> None:
    lenient = Habits(PROFILE, unknown="warn")
    fields, warnings = take(lenient, bogus=1, steps=4, seed=7)
    assert fields == {"seed": 7}
    assert warnings == ["unknown fields were left unread: bogus, steps"]
    many = dict.fromkeys(["x" * 1000, *(f"field{number:02}" for number in range(30))])
    (warning,) = take(lenient, **many)[1]
    assert len(warning) < 300
    assert warning.endswith("field10 and 19 more")


def test_a_kept_pictures_words_have_no_size_to_change() -> None:
    sent = {"size": "512x512", "output_format": "PNG"}
    fields, _ = LAPTOP.take(sent, FinishBody.model_fields)
    assert fields == {"size": "512x512", "output_format": "png"}
    with pytest.raises(InvalidValue, match="size: not a field"):
        validate(FinishBody, fields)
