"""What bodies accept, and what they ask the engine for."""

from typing import Any

import pytest
from pydantic import ValidationError

from deployments.errors import InvalidValue
from serve.http.routes.images import finish_spec
from serve.http.wire.bodies import FORM_TYPES, EditBody, GenerationBody, form_value
from serve.http.wire.errors import ModelNotFound
from serve.profiles import load_profile

PROFILE = load_profile("embedded")
WORDS = {"layers": [{"role": "headline", "text": "x"}]}


def body(**fields: Any) -> GenerationBody:
    return GenerationBody.model_validate({"prompt": "a cat", **fields})


def test_defaults_are_the_profiles() -> None:
    params = body().params(PROFILE, (256, 256))

    assert params.num_inference_steps == PROFILE.steps.default
    assert params.guidance_scale == PROFILE.guidance.default
    assert params.n == 1
    assert params.strength is None


def test_a_large_picture_is_asked_for_but_not_of_an_edit() -> None:
    assert body(hires=True).params(PROFILE, (512, 640)).hires
    with pytest.raises(InvalidValue, match="does not enlarge"):
        body(hires=True).params(PROFILE, (256, 256))
    with pytest.raises(InvalidValue, match="from a prompt alone"):
        body(hires=True).params(PROFILE, (512, 512), strength=0.5)


def test_seeds_are_random_but_safe_in_every_clients_numbers() -> None:
    seeds = {body().params(PROFILE, (256, 256)).seed for _ in range(8)}

    assert len(seeds) == 8
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_seed_zero_is_a_seed() -> None:
    assert body(seed=0).params(PROFILE, (256, 256)).seed == 0


@pytest.mark.parametrize("field", [{"partial_images": 1}, {"progress": True}])
def test_what_only_streams_tell_is_refused_elsewhere(field: dict[str, Any]) -> None:
    (name,) = field
    assert body(**field, stream=True).terms()
    with pytest.raises(InvalidValue, match="set stream to true") as refused:
        body(**field).terms()
    assert refused.value.param == name


@pytest.mark.parametrize("fields", [{"n": True}, {"n": 1.0}, {"seed": "1"}, {"prompt": 3}])
def test_nothing_is_coerced(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        body(**fields)


def test_null_is_absent_but_not_for_unknown_fields() -> None:
    assert body(n=None, overlay=None).n == 1
    with pytest.raises(ValidationError, match="bogus"):
        body(bogus=None)


def test_quality_and_steps_contradict_each_other() -> None:
    with pytest.raises(InvalidValue, match="quality"):
        body(quality="high", num_inference_steps=4).steps(PROFILE)


def test_another_model_is_not_found() -> None:
    body(model="embedded").check_model(PROFILE)
    with pytest.raises(ModelNotFound, match="'embedded'"):
        body(model="gpt-image-1").check_model(PROFILE)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("prompt", "1", "1"),
        ("n", "2", 2),
        ("n", "two", "two"),
        ("strength", "0.5", 0.5),
        ("strength", ".5", 0.5),
        ("stream", "True", True),
        ("stream", "false", False),
        ("hires", "true", True),
        ("progress", "true", True),
        ("seed", "null", None),
        ("seed", "7" * 5000, "7" * 5000),
        ("overlay", '{"layers": []}', {"layers": []}),
        ("placements", '["story"]', ["story"]),
        ("placements", "story", ["story"]),
    ],
)
def test_a_forms_text_becomes_the_value_of_a_json_body(name: str, text: str, value: Any) -> None:
    assert form_value(name, text) == value


@pytest.mark.parametrize("text", ["[" * 100_000, '{"layers": [', '{"a": NaN}', "{\ud800}"])
def test_a_forms_json_that_is_broken_names_its_field(text: str) -> None:
    with pytest.raises(InvalidValue, match="overlay: not") as refused:
        form_value("overlay", text)
    assert refused.value.param == "overlay"


def test_every_field_that_is_no_text_has_a_type_in_a_form() -> None:
    texts = {
        name
        for name, field in EditBody.model_fields.items()
        if "str" in str(field.annotation) or "Literal" in str(field.annotation)
    }

    assert set(FORM_TYPES) - {"placements"} == set(EditBody.model_fields) - texts


@pytest.mark.parametrize("name", ["n", "seed", "num_inference_steps", "partial_images"])
def test_numbers_beyond_counting_are_refused_before_they_are_printed(name: str) -> None:
    for value in (10**5000, -(10**5000), float("inf")):
        with pytest.raises(ValidationError, match=name):
            body(**{name: value})


def test_an_edits_form_knows_strength_and_fit() -> None:
    edit = EditBody.model_validate({"prompt": "a cat", "strength": 1, "fit": "pad"})

    assert (edit.strength, edit.fit) == (1.0, "pad")


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (1.0, (256, 256)),
        (0.8, (256, 320)),
        (9 / 16, (192, 320)),
        (16 / 9, (320, 192)),
        (9, (320, 192)),
    ],
)
def test_the_nearest_size(aspect: float, size: tuple[int, int]) -> None:
    assert PROFILE.sizes.nearest(aspect) == size


@pytest.mark.parametrize(
    ("accept", "output_format", "chosen"),
    [
        (None, None, "png"),
        (None, "webp", "webp"),
        ("image/jpeg", None, "jpeg"),
        ("image/*", "avif", "avif"),
        ("image/*", None, "png"),
    ],
)
def test_the_format_of_the_file(accept: str | None, output_format: str | None, chosen: str) -> None:
    spec = finish_spec(body(output_format=output_format), accept)

    assert spec.output.format == chosen


def test_one_placement_or_several() -> None:
    assert body().formats == (None,)
    assert body(placement="story").formats == ("story",)
    assert body(placements=["story", "a4"]).formats == ("story", "a4")
    assert body(placement="640x480").formats == ("640x480",)


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"placement": "story", "placements": ["a4"]}, "placement", "give one of them"),
        ({"placements": ["a4", "a4"]}, "placements", "once"),
        ({"placements": ["a4", "wall"]}, "placements", "feed_square"),
        ({"placement": "wall"}, "placement", "feed_square"),
    ],
)
def test_placements_that_are_none(fields: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(InvalidValue, match=says) as refused:
        finish_spec(body(**fields), None)
    assert refused.value.param == param


@pytest.mark.parametrize("placements", [[], ["story"] * 8, "story"])
def test_placements_are_a_list_of_one_to_all(placements: Any) -> None:
    with pytest.raises(ValidationError, match="placements"):
        body(placements=placements)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"placements": ["story", "a4"]}, "placements"),
        ({"overlay": {**WORDS, "layouts": 2}}, "overlay.layouts"),
    ],
)
def test_raw_bytes_hold_one_file(fields: dict[str, Any], param: str) -> None:
    assert finish_spec(body(placements=["story"]), "image/png").placements == ("story",)
    with pytest.raises(InvalidValue, match="one file") as refused:
        finish_spec(body(**fields), "image/png")
    assert (refused.value.param, refused.value.code) == (param, "raw_needs_one")


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"stream": True},
        {"response_format": "url"},
        {"response_format": "b64_json"},
        {"placements": ["story", "a4"]},
        {"overlay": {**WORDS, "layouts": 2}},
    ],
)
def test_a_body_that_asks_for_json_gets_it_wherever_it_is_allowed(fields: dict[str, Any]) -> None:
    assert body(**fields).raw("image/jpeg, */*; q=0.2") is None
    assert finish_spec(body(**fields), "image/jpeg, */*; q=0.2").output.format == "png"
    assert body(**fields).raw("image/jpeg") == "jpeg"


def test_any_other_body_gets_what_the_header_prefers() -> None:
    for asked in (body(), body(n=1), body(response_format=None), body(placements=["story"])):
        assert asked.raw("image/jpeg, */*; q=0.2") == "jpeg"
