"""The application's arguments and the profiles that they name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from configs import profile_path
from serve.profiles import load_profile
from serve.settings import AppArgs, find_brands


@pytest.fixture
def data() -> dict[str, Any]:
    profile: dict[str, Any] = yaml.safe_load(profile_path("embedded").read_text(encoding="utf-8"))
    return profile


def write(folder: Path, data: dict[str, Any]) -> str:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return str(path)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(ValidationError, match="profil\n"):
        AppArgs.model_validate({"profil": "embedded"})


@pytest.mark.parametrize("library", ["pictures", "bogus://bucket/pictures"])
def test_a_library_that_cannot_be_opened_is_refused(library: str) -> None:
    with pytest.raises(ValidationError, match=library):
        AppArgs(library=library)


@pytest.mark.parametrize("library", [None, "/srv/pictures", "~/pictures", "file:///srv/pictures"])
def test_a_library_may_be_a_folder_a_url_or_none(library: str | None) -> None:
    assert AppArgs(library=library).library == library


def test_a_profile_by_path(tmp_path: Path, data: dict[str, Any]) -> None:
    assert load_profile(write(tmp_path, {**data, "name": "own"})).name == "own"


def test_a_relative_model_folder_lies_beside_the_profile(
    tmp_path: Path, data: dict[str, Any]
) -> None:
    data["model"]["source"] = "./weights"

    profile = load_profile(write(tmp_path, data))

    assert profile.model.source == str(tmp_path.resolve() / "weights")


def test_a_relative_folder_of_a_style_lies_beside_the_profile(
    tmp_path: Path, data: dict[str, Any]
) -> None:
    data["styles"]["ink"]["source"] = "./own"

    styles = load_profile(write(tmp_path, data)).styles

    assert styles["ink"].source == str(tmp_path.resolve() / "own")
    assert styles["night"].source == "embedded"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"source": "someone/some-lora"}, "revision: pin the hub model"),
        ({"file": "night.bin"}, "file"),
        ({"scale": 1.0}, "scale"),
        ({"licence": ""}, "licence"),
    ],
)
def test_an_unsound_style_is_refused(
    tmp_path: Path, data: dict[str, Any], fields: dict[str, object], reason: str
) -> None:
    data["styles"]["ink"] |= fields

    with pytest.raises(ValidationError, match=reason):
        load_profile(write(tmp_path, data))


def test_a_profile_that_is_not_there_is_refused_by_naming_those_that_are() -> None:
    with pytest.raises(ValueError, match="'tiny' is neither a file nor one of embedded"):
        load_profile("tiny")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("sizes", "default", "250x250"),
        ("steps", "default", 99),
        ("engine", "max_runing", 4),
        ("model", "source", "someone/some-model"),
    ],
)
def test_an_unsound_profile_is_refused(
    tmp_path: Path, data: dict[str, Any], section: str, key: str, value: object
) -> None:
    data[section][key] = value

    with pytest.raises(ValidationError):
        load_profile(write(tmp_path, data))


def test_brand_kits_are_the_packaged_ones_and_those_of_a_folder(tmp_path: Path) -> None:
    assert set(find_brands(AppArgs())) == {"harbor", "volt"}
    kit = "colours: {ink: '#000000', ground: '#ffffff', accent: '#00ff00'}"
    (tmp_path / "harbor.yaml").write_text(kit, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(kit, encoding="utf-8")
    found = find_brands(AppArgs(brands=tmp_path))
    assert set(found) == {"harbor", "mine", "volt"}
    assert found["harbor"].colours.accent == "#00ff00"
    with pytest.raises(ValidationError, match="brands: there is no folder"):
        AppArgs(brands=tmp_path / "none")
