"""The strip and the table of strengths; the table in the documentation is the family's own."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from deployments.diffusion.families.base import Family
from deployments.diffusion.families.load import load_family
from deployments.diffusion.request.params import GenerationParams
from deployments.handover import Given
from serve.commands import cli
from serve.commands.strength import STRENGTHS, TABLE_STEPS, beginning, table
from serve.profiles import load_profile
from tests.tiny_checkpoint import save_tiny_checkpoint, tiny_profile

PROFILE = load_profile("embedded")
DOCUMENT = Path(__file__).parents[4] / "docs" / "strength.md"


@pytest.fixture(scope="module")
def family() -> Family:
    return load_family(PROFILE)


def test_the_documented_table_is_the_familys(family: Family) -> None:
    assert table(family, PROFILE) in DOCUMENT.read_text(encoding="utf-8")


def test_the_table_says_where_an_edit_begins(family: Family) -> None:
    given = Given(np.zeros((256, 256, 3), np.uint8))
    for steps in TABLE_STEPS:
        for strength in STRENGTHS[::3]:
            params = GenerationParams("a cat", 256, 256, steps, seed=1, strength=strength)
            (start,) = family.start(params, given)
            told = beginning(family, PROFILE, steps, strength)
            assert told is not None
            assert told.executed == len(start.sigmas) - 1
            assert told.sigma == start.sigmas[0].item()
            assert told.ignored == (told.sigma == 1) == (strength > 1 - 1 / steps)


def test_a_strip(tmp_path: Path) -> None:
    profile = tiny_profile(save_tiny_checkpoint(tmp_path / "tiny"))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(profile.model_dump(mode="json")))
    photo = Image.new("RGB", (64, 64), (250, 215, 50))
    photo.paste((220, 40, 40), (16, 16, 48, 48))
    photo.save(tmp_path / "photo.png")
    out = tmp_path / "strip.png"

    command = ["strength", str(tmp_path / "photo.png"), "--out", str(out)]
    assert cli.main([*command, "--profile", str(tmp_path / "tiny.yaml")]) == 0

    sheet = np.asarray(Image.open(out)).astype(int)
    assert sheet.shape == (2 * (64 + 8), 6 * 64, 3)
    cells = [sheet[i // 6 * 72 :, i % 6 * 64 :][:64, :64] for i in range(11)]
    captions = [sheet[i // 6 * 72 + 64 :, i % 6 * 64 :][:8, :64] for i in range(11)]
    assert np.array_equal(cells[0], np.asarray(photo))
    executed = (1, 1, 2, 2, 2, 3, 3, 4, 4, 4)  # of four steps
    for i, j in pairwise(range(10)):
        alike = np.abs(cells[i + 1] - cells[j + 1]).max() <= 1
        assert alike == (executed[i] == executed[j])
    assert all(caption.min() < 255 for caption in captions)
    assert (sheet[72:, 5 * 64 :] == 255).all()


@pytest.mark.parametrize("content", [b"no picture", None])
def test_what_is_no_photo_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    photo = tmp_path / "photo.png"
    if content is not None:
        photo.write_bytes(content)
    assert cli.main(["strength", str(photo), "--out", str(tmp_path / "strip.png")]) == 1
    assert "signboard:" in capsys.readouterr().out
    assert not (tmp_path / "strip.png").exists()
