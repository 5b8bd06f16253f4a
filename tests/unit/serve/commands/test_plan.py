"""`signboard plan`: what it prints can be added up."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deployments.diffusion.sizes import parse_bytes
from serve.commands import cli
from serve.profiles import load_profile
from tests.tiny_checkpoint import tiny_profile
from tests.tiny_families import save_tiny_flux, save_tiny_sdxl


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["plan", *arguments]) == 0
    return capsys.readouterr().out


def numbers(line: str) -> list[int]:
    return [int(n.replace(",", "")) for n in re.findall(r"[│ ] +([\d,]+) (?=│)", line)]


def test_every_column_adds_up_and_stays_below_the_budget(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, "--budget", "700MiB", "--budget", "1GiB")

    assert text.count("working memory computed") == 4
    for mib in (700, 1024):
        tables = text.split("on the device at the peak of")[1:]
        one_pass, two_passes = (table for table in tables if f"{mib:,} MiB" in table)
        assert "hires" not in one_pass.split("┡")[0]
        assert two_passes.count("hires", 0, two_passes.index("┡")) == 3
        for table in (one_pass, two_passes):
            rows = [numbers(line) for line in table.splitlines() if re.match(r"│ \w", line)]
            *parts, sums = rows
            assert len(parts) == 10
            assert [sum(column) for column in zip(*parts, strict=True)] == sums
            assert max(sums) <= mib


def test_what_does_not_fit_says_what_would(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--budget", "100MiB")

    least = re.search(r"nothing: it takes ([\d,]+) MiB", text)
    assert least is not None
    assert 512 < int(least[1].replace(",", "")) < 700


@pytest.mark.parametrize(("family", "save"), [("sdxl", save_tiny_sdxl), ("flux", save_tiny_flux)])
def test_a_folder_of_any_family(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, family: str, save: Callable[[Path], Path]
) -> None:
    profile = tiny_profile(save(tmp_path / "model"), family=family, max_prompt_tokens=77)
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(profile.model_dump(mode="json")))

    text = printed(capsys, "--profile", str(file), "--budget", "1GiB")

    assert "text_encoder_2" in text
    assert text.count("working memory computed") == 2


def test_an_unknown_profile_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--profile", "nope"]) == 1
    assert "neither a file nor one of" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["22", "22.5", "22 GiB", "22gib", "-1GiB", "0GiB", "GiB", "1TB"])
def test_sizes_are_read_strictly(size: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["plan", f"--budget={size}"])


def test_sizes() -> None:
    assert parse_bytes("22.5GiB") == 24_159_191_040
    assert parse_bytes("24GB") == 24 * 10**9
    assert parse_bytes("512MiB") == 2**29


def test_a_relative_architecture_lies_beside_the_profile() -> None:
    named = load_profile("z-image-turbo-24gb").model.architecture

    assert named is not None
    assert named.endswith("configs/architectures/z-image-turbo.yaml")
    assert load_profile("embedded").model.architecture is None
