"""Equal keys mean equal pictures: whatever decides a picture changes the key, nothing else does."""

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import profile_path
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request.identity import model_identity, request_key
from deployments.diffusion.request.params import GenerationParams
from serve.profiles import load_profile

EMBEDDED = load_profile("embedded")
PARAMS = GenerationParams("a red circle", 256, 256, 8, seed=1)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
KINDS = get_type_hints(GenerationParams)
PARAMETERS = st.builds(GenerationParams, **{name: st.from_type(KINDS[name]) for name in KINDS})
DIGESTS = st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex)


def as_text(params: GenerationParams) -> str:
    """Tells apart what is told apart: 1 and 1.0 too, as JSON does."""
    return repr(params)


@settings(deadline=None)
@given(PARAMETERS, PARAMETERS, DIGESTS, DIGESTS)
def test_keys_are_equal_only_for_equal_requests(
    one: GenerationParams, other: GenerationParams, digest: str | None, another: str | None
) -> None:
    same = as_text(one) == as_text(other) and digest == another
    assert (request_key("x", one, digest) == request_key("x", other, another)) == same


@pytest.mark.parametrize("field", [f.name for f in fields(GenerationParams)])
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_every_field_changes_the_key(field: str, data: st.DataObject) -> None:
    others = st.from_type(KINDS[field]).filter(lambda value: value != getattr(PARAMS, field))
    value = data.draw(others)

    changed = replace(PARAMS, **{field: value})

    assert request_key("x", changed, None) != request_key("x", PARAMS, None)


def test_another_drawer_or_picture_changes_the_key() -> None:
    keys = {
        request_key(drawer, PARAMS, digest) for drawer in ("x", "y") for digest in (None, "a", "b")
    }

    assert len(keys) == 6


def test_keys_are_the_same_in_every_process() -> None:
    program = (
        "from tests.property.diffusion.test_identity import *\n"
        "print(request_key(model_identity(EMBEDDED), PARAMS, 'a'))"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert keys == {request_key(model_identity(EMBEDDED) or "", PARAMS, "a")}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"model": {"source": "someone/a-model", "revision": "a" * 40}},
        {"model": {"dtype": "bfloat16"}},
        {"guidance": {"default": 1.0}},
    ],
)
def test_whatever_a_profile_says_changes_its_identity(change: dict[str, Any]) -> None:
    assert model_identity(changed(change)) not in (None, model_identity(EMBEDDED))


def test_a_revision_changes_the_identity() -> None:
    one, other = (
        changed({"model": {"source": "someone/a-model", "revision": revision * 40}})
        for revision in "ab"
    )

    assert model_identity(one) != model_identity(other)


def changed(change: dict[str, Any]) -> DiffusionProfile:
    data = EMBEDDED.model_dump()
    for name, value in change.items():
        data[name] = {**data[name], **value} if isinstance(value, dict) else value
    return DiffusionProfile.model_validate(data)


def test_weights_in_a_folder_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    profile = changed({"model": {"source": str(tmp_path / "weights")}})
    assert model_identity(profile) is None  # what is not there cannot be told apart

    file = tmp_path / "weights" / "vae" / "model.safetensors"
    file.parent.mkdir(parents=True)
    seen = set()
    for place in (0, 1_500_000, 2_999_999):
        weights = bytearray(3_000_000)
        weights[place] = 1
        file.write_bytes(weights)
        os.utime(file, ns=(0, 0))  # as some installers leave it
        seen.add(model_identity(profile))
    os.utime(file, ns=(1, 1))
    seen.add(model_identity(profile))

    assert len(seen) == 4
    assert None not in seen


def test_every_packaged_profile_has_an_identity() -> None:
    assert profile_path("z-image-turbo-24gb").is_file()
    assert model_identity(load_profile("z-image-turbo-24gb"))
