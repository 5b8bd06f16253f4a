"""OpenAI's own Python client works unchanged."""

import base64
import io

import numpy as np
import openai
import pytest
from PIL import Image

from serve.commands.local import Running

PROMPT = "a red circle on a yellow background"


@pytest.fixture(scope="module")
def images(service: Running) -> openai.resources.Images:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0).images


def pixels(answer: openai.types.ImagesResponse) -> np.ndarray:
    assert answer.data is not None
    (picture,) = answer.data
    assert picture.b64_json is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.b64_json))).convert("RGB"))


def test_generate(images: openai.resources.Images) -> None:
    answer = images.generate(prompt=PROMPT, size="256x320", n=1, extra_body={"seed": 5})

    assert pixels(answer).shape == (320, 256, 3)
    assert answer.size == "256x320"
    assert answer.output_format == "png"


def test_edit_keeps_the_given_size(images: openai.resources.Images, photo: bytes) -> None:
    answer = images.edit(
        image=("photo.png", photo), prompt=PROMPT, extra_body={"seed": 5, "strength": 0.5}
    )

    assert pixels(answer).shape == (256, 256, 3)
    assert answer.to_dict()["steps_executed"] == 4


def test_edit_with_a_mask_keeps_the_rest_bit_equal(
    images: openai.resources.Images, photo: bytes, mask: bytes
) -> None:
    answer = images.edit(
        image=[("photo.png", photo)],
        mask=("mask.png", mask),
        prompt=PROMPT,
        extra_body={"seed": 5, "strength": 1.0},
    )

    given = np.asarray(Image.open(io.BytesIO(photo)))
    assert np.array_equal(pixels(answer)[:, 128:], given[:, 128:])
    assert not np.array_equal(pixels(answer)[:, :128], given[:, :128])


def test_a_refusal_is_the_clients_own_error(images: openai.resources.Images) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        images.generate(prompt=PROMPT, n=11)

    assert refused.value.param == "n"
    assert refused.value.code == "n_out_of_range"
