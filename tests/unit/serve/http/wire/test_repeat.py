"""From a file's facts to the request that makes it again."""

from dataclasses import asdict
from typing import Any

import pytest

from deployments.errors import InvalidValue
from deployments.postprocess.files import facts
from deployments.postprocess.schema.image_reference import new_id
from deployments.postprocess.schema.overlay import OverlaySpec, TextLayer
from deployments.postprocess.schema.placements import Output
from serve.http.wire.bodies import GenerationBody, KeptEditBody
from serve.http.wire.finishing import prompt_in_file
from serve.http.wire.repeat import EDITS, GENERATIONS, inspection_answer, repeat_of
from serve.profiles import load_profile

PROFILE = load_profile("embedded")
WORDS = OverlaySpec(layers=[TextLayer(role="headline", text="지금")], ai_label="both")


def making(
    body: GenerationBody, strength: float | None, index: int = 0, layout: int = 0
) -> dict[str, Any]:
    """What the file of one picture of a request says."""
    params = body.params(PROFILE, (256, 320), strength)
    output = Output(body.output_format or "png", body.output_compression)
    how = facts.Finish(body.overlay, body.placement, body.extend, layout, output)
    maker, seed = {"model": "embedded"}, params.seed + index
    texts = facts.of_picture(maker, asdict(params), new_id(), seed, how)
    return facts.values(texts)


def test_a_generation_is_asked_for_once_more() -> None:
    asked = GenerationBody(
        prompt="a cat", n=3, seed=7, guidance_scale=2.0, negative_prompt="rain", style="ink",
        overlay=WORDS, placement="story", output_format="webp", output_compression=70,
    )  # fmt: skip

    again = repeat_of(making(asked, None, index=2))

    assert (again.route, again.index) == (GENERATIONS, 2)
    body = GenerationBody.model_validate(again.body)
    assert body.params(PROFILE, (256, 320)) == asked.params(PROFILE, (256, 320))
    assert (body.size, body.overlay, body.placement) == ("256x320", WORDS, "story")
    assert (body.output_format, body.output_compression) == ("webp", 70)


def test_several_styles_are_asked_for_once_more() -> None:
    styles = [{"name": "ink", "weight": 0.5}, {"name": "night"}]
    asked = GenerationBody.model_validate({"prompt": "a cat", "seed": 7, "styles": styles})

    again = repeat_of(making(asked, None))

    body = GenerationBody.model_validate(again.body)
    assert body.params(PROFILE, (256, 320)) == asked.params(PROFILE, (256, 320))
    assert [(one.name, one.weight) for one in body.styles or ()] == [("ink", 0.5), ("night", None)]


def test_another_layout_is_found_among_all_files_of_the_answer() -> None:
    words = WORDS.model_copy(update={"layouts": 3})
    asked = GenerationBody(
        prompt="a cat", n=2, seed=7, overlay=words, placement="story", extend="blur"
    )

    again = repeat_of(making(asked, None, index=1, layout=2))

    assert again.index == 1 * 3 + 2
    assert GenerationBody.model_validate(again.body).extend == "blur"


def test_an_edit_names_its_kept_source() -> None:
    asked = GenerationBody(prompt="a cat", seed=7)
    told = making(asked, 0.45)

    again = repeat_of(told)

    assert (again.route, again.index) == (EDITS, 0)
    body = KeptEditBody.model_validate(again.body)
    assert (body.image.image_id, body.image.variant) == (told["id"], "source")
    assert body.params(PROFILE, (256, 320), body.strength) == asked.params(
        PROFILE, (256, 320), 0.45
    )


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": None},
        {"seed": None},
        {"index": None},
        {"seed": "7"},
        {"width": [1]},
        {"prompt": 3},
        {"overlay": {"layers": []}},
        {"output_format": "gif"},
        {"strength": 0.5, "id": "img_1"},
    ],
)
def test_facts_that_make_no_request(change: dict[str, Any]) -> None:
    told = {**making(GenerationBody(prompt="a cat", seed=7), None), **change}
    told = {name: value for name, value in told.items() if value is not None}

    with pytest.raises(InvalidValue):
        repeat_of(told)
    read = {"format": "png", "width": 1, "height": 1, "digital_source_type": None,
            "description": None, "making": told, "credentials": None, "warnings": ()}  # fmt: skip
    answer = inspection_answer(read, kept=False)
    assert answer.repeat is None
    assert answer.warnings


def test_who_may_leave_the_prompt_out() -> None:
    assert prompt_in_file(None, True)
    assert prompt_in_file("full", True)
    assert not prompt_in_file("no_prompt", True)
    assert not prompt_in_file(None, False)
    with pytest.raises(InvalidValue, match="metadata"):
        prompt_in_file("full", False)
