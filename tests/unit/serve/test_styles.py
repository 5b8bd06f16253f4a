"""The styles over HTTP, and the two that ship with the embedded model."""

from typing import Any

import numpy as np
import pytest

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import load_family
from deployments.diffusion.request.params import GenerationParams
from deployments.errors import InvalidValue
from serve.http.wire.bodies import EditBody, GenerationBody
from serve.profiles import load_profile
from tests.polling import wait_until

PROFILE = load_profile("embedded")


def params(**fields: Any) -> GenerationParams:
    body = GenerationBody.model_validate({"prompt": "a red heart on a yellow background", **fields})
    return body.params(PROFILE, (256, 256))


@pytest.mark.parametrize("openais", ["vivid", "natural"])
def test_openais_styles_are_refused_with_the_list_of_ours(openais: str) -> None:
    with pytest.raises(InvalidValue, match="the styles are night, ink") as refused:
        params(style=openais)
    assert (refused.value.param, refused.value.code) == ("style", "style_unknown")


@pytest.mark.parametrize("body", [GenerationBody, EditBody])
def test_a_style_is_asked_for_and_told(body: type[GenerationBody]) -> None:
    asked = body.model_validate({"prompt": "a cat", "style": "ink"})
    assert asked.params(PROFILE, (256, 256)).style == "ink"
    assert params().style is None


def test_the_shipped_styles_change_pictures_as_they_say() -> None:
    limits = PROFILE.engine.model_copy(update={"threads": 1})
    profile = PROFILE.model_copy(update={"engine": limits})
    engine = Engine(profile, lambda _: load_family(profile))
    try:
        wait_until(lambda: engine.state().phase in ("ready", "failed"), 120)
        assert engine.state().phase == "ready", engine.state().reason
        drawn = {
            style: engine.submit(style or "none", params(seed=1, style=style)).result(60).pictures
            for style in (None, "night", "ink")
        }
    finally:
        engine.close()
    ground = {style: picture[0, 16:48, 16:240].mean() for style, picture in drawn.items()}
    assert ground["night"] < 110
    assert ground["ink"] > 180
    blue = {style: picture[0, 16:48, 16:240, 2].mean() for style, picture in drawn.items()}
    assert blue["ink"] > blue[None] + 30  # yellow turned to paper
    for style in ("night", "ink"):
        assert np.abs(drawn[style].astype(int) - drawn[None]).mean() > 20
