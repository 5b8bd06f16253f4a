"""What the engine says of a request that it draws otherwise than it was asked."""

from pathlib import Path

import numpy as np
import pytest

from deployments.errors import InvalidValue
from tests.tiny_checkpoint import save_tiny_checkpoint, tiny_profile
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import image_to_image, text_to_image

DEADLINE_S = 200


def test_a_long_prompt_is_refused_where_every_word_can_be_spelled(
    tmp_path: Path, make_engine: MakeEngine
) -> None:
    engine = make_engine(tiny_profile(save_tiny_checkpoint(tmp_path, spells=True)))
    with pytest.raises(InvalidValue, match="tokens are more than the 512"):
        engine.submit("long", *text_to_image(prompt="cat " * 200)).result(DEADLINE_S)


def test_of_a_long_prompt_the_words_that_are_known_are_drawn(
    checkpoint: Path, make_engine: MakeEngine
) -> None:
    engine = make_engine(tiny_profile(checkpoint, max_prompt_tokens=16))
    short = engine.submit("1", *text_to_image(prompt="a red cat")).result(DEADLINE_S)
    noise = "a " + "zebra " * 9 + "red " + "yak " * 9 + "cat"
    among = engine.submit("2", *text_to_image(prompt=noise)).result(DEADLINE_S)
    long = engine.submit("3", *text_to_image(prompt="red " * 40)).result(DEADLINE_S)
    whole = engine.submit("4", *text_to_image(prompt="red " * 13)).result(DEADLINE_S)

    assert np.array_equal(among.pictures, short.pictures)
    assert among.warnings == (
        "prompt: the model does not know 'yak', 'zebra'",
        "prompt: more than the 16 tokens that the model reads; 3 of the 3 words that it knows "
        "were drawn",
    )
    assert np.array_equal(long.pictures, whole.pictures)
    assert "13 of the 40 words" in long.warnings[0]
    assert not whole.warnings


def test_of_many_unknown_words_some_are_named(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    many = " ".join(f"zebra{number:02}" for number in range(30))
    drawn = engine.submit("1", *text_to_image(prompt=many)).result(DEADLINE_S)
    assert drawn.warnings[0].endswith("'zebra11' and 18 more")


def test_warnings_name_unknown_words_and_ignored_pictures(
    checkpoint: Path, make_engine: MakeEngine
) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    drawn = engine.submit("1", *text_to_image(prompt="a zebra and 고양이")).result(DEADLINE_S)
    assert drawn.warnings == ("prompt: the model does not know 'zebra', '고양이'",)
    asked = text_to_image(negative_prompt="a zebra and 고양이", guidance_scale=2.0)
    drawn = engine.submit("1", *asked).result(DEADLINE_S)
    assert drawn.warnings == ("negative_prompt: the model does not know 'zebra', '고양이'",)
    drawn = engine.submit("2", *image_to_image(strength=0.9)).result(DEADLINE_S)
    assert "ignored" in drawn.warnings[0]
    assert not engine.submit("3", *image_to_image(strength=0.7)).result(DEADLINE_S).warnings
