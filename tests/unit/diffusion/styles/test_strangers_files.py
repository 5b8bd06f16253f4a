"""A stranger's file as a style: refused by what is wrong with it, soon, and in little memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.styles import lora_file
from deployments.diffusion.styles.added import StyleFolder
from deployments.errors import InvalidValue
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.requests import text_to_image
from tests.unit.diffusion.styles.adding import DEADLINE_S, add, engine_of, with_room
from tests.unit.diffusion.styles.lora_files import random_lora, write_lora

Q = "transformer.layers.0.attention.to_q"
GOOD = {f"{Q}.lora_A.weight": torch.ones(4, 64), f"{Q}.lora_B.weight": torch.ones(64, 4)}
LONG = 400_000  # so many rows and columns: multiplied out, 640 GB
SLOW = json.dumps({"r": 4, "lora_alpha": 4, "alpha_pattern": {"(.|..|...)*[A-Z]": 1}})


def lokr(**matrices: Tensor) -> bytes:
    return save({f"{Q}.lokr_{name}": matrix for name, matrix in matrices.items()})


def about(told: object) -> bytes:
    return save(
        GOOD, {"lora_adapter_metadata": told if isinstance(told, str) else json.dumps(told)}
    )


def header(text: bytes, data: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text + data


ONE = {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}
FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "file:"),
    "a pickle": (b"\x80\x02}q\x00.", "file:"),
    "a header longer than the file": ((2**62).to_bytes(8, "little"), "file:"),
    "a header that is no JSON": (header(b"{]"), "file:"),
    "a header that is nested": (header(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), "file:"),
    "a tensor larger than the file": (header(json.dumps({Q: ONE}).encode(), bytes(8)), "file:"),
    "cut short": (save(GOOD)[:-9], "file:"),
    "no numbers": (save({**GOOD, f"{Q}.lora_A.weight": torch.full((4, 64), torch.nan)}), "finite"),
    "whole numbers": (save({f"{Q}.lora_A.weight": torch.ones(4, 64, dtype=torch.int8)}), "numbers"),
    "strangers": (save({"a.b.c": torch.ones(2, 2)}), "no layer for 'a.b.c'"),
    "a scalar": (save({**GOOD, f"{Q}.lora_A.weight": torch.tensor(1.0)}), "does not fit"),
    "no rows": (save({**GOOD, f"{Q}.lora_A.weight": torch.ones(0, 64)}), "does not fit"),
    "settings that are a list": (about([1]), "no object"),
    "settings that are no JSON": (about("{"), "file:"),
    "settings that are nested": (about("[" * 50_000), "file:"),
    "settings of the wrong kind": (about({"transformer.r": "four"}), "r: "),
    "a pattern that is none": (about({"transformer.rank_pattern": {"(": 4}}), "expression"),
    "long factors": (
        lokr(w1_a=torch.ones(LONG, 1), w1_b=torch.ones(1, LONG), w2=torch.ones(8, 8)),
        "does not fit",
    ),
    "long second factors": (
        lokr(w1=torch.ones(8, 8), w2_a=torch.ones(LONG, 1), w2_b=torch.ones(1, LONG)),
        "does not fit",
    ),
    "long factors of a core": (
        lokr(
            w1=torch.ones(8, 8),
            w2_a=torch.ones(1, LONG),
            w2_b=torch.ones(1, LONG),
            t2=torch.ones(1, 1, 1, 1),
        ),
        "does not fit",
    ),
    "a factor that is missing": (lokr(w1_a=torch.ones(8, 1), w2=torch.ones(8, 8)), "lacks one"),
    "a second that is missing": (
        lokr(w1=torch.ones(8, 8), w2_a=torch.ones(8, 1), t2=torch.ones(1, 1, 1, 1)),
        "file:",
    ),
    "a middle without end": (
        save(
            {
                f"{Q}.lora_down.weight": torch.ones(1, 64),
                f"{Q}.lora_up.weight": torch.ones(64, 1),
                f"{Q}.lora_mid.weight": torch.ones(LONG, 1, 1, 1),
            }
        ),
        "does not fit",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StyleFolder:
    return StyleFolder(tmp_path_factory.mktemp("added"))


@pytest.fixture(scope="module")
def engine(checkpoint: Path, folder: StyleFolder) -> Iterator[Engine]:
    engine = engine_of(with_room(tiny_profile(checkpoint)), folder)
    yield engine
    engine.close()


def refused(engine: Engine, folder: StyleFolder, path: Path, **told: Any) -> InvalidValue:
    with pytest.raises(InvalidValue) as error:
        add(engine, folder, "late", path, **told)
    assert error.value.param == "file"
    assert str(path.parent) not in error.value.message
    assert str(folder.path) not in error.value.message
    assert folder.records() == {}
    assert list(folder.path.glob(".half*")) == []
    assert engine.fault() is None
    return error.value


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_style_is_refused(
    engine: Engine, folder: StyleFolder, tmp_path: Path, name: str
) -> None:
    data, reason = FILES[name]
    path = tmp_path / "style"
    path.write_bytes(data)
    before = engine.state().held_bytes
    assert reason in refused(engine, folder, path).message
    assert engine.state().held_bytes == before


def test_the_engine_draws_on(engine: Engine) -> None:
    assert engine.submit("one", *text_to_image()).result(DEADLINE_S).pictures.std() > 1


def test_a_pattern_that_takes_for_ever_is_given_up(
    engine: Engine, folder: StyleFolder, tmp_path: Path
) -> None:
    path = tmp_path / "style"
    path.write_bytes(save(GOOD))
    assert "takes too long" in refused(engine, folder, path, settings=SLOW).message


def test_more_tensors_than_any_adapter_has(
    engine: Engine, folder: StyleFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora_file, "MOST_TENSORS", 1)
    path = tmp_path / "style"
    path.write_bytes(save(GOOD))
    assert "it holds 2 tensors" in refused(engine, folder, path).message


def test_pefts_settings_that_come_with_a_file_are_read(
    checkpoint: Path, engine: Engine, folder: StyleFolder, tmp_path: Path
) -> None:
    path = write_lora(tmp_path / "a.safetensors", random_lora(checkpoint, 1))
    drawn = {}
    for alpha in (4, 8):
        settings = json.dumps({"r": 4, "lora_alpha": alpha})
        style = add(engine, folder, f"alpha-{alpha}", path, settings=settings, weight=4 / alpha)
        params, _ = text_to_image(style=style.name, added_styles=(style,))
        drawn[alpha] = engine.submit("one", params).result(DEADLINE_S).pictures
    one, other = folder.records().values()
    assert one.digest != other.digest
    assert abs(drawn[4].astype(int) - drawn[8]).max() <= 1  # twice as strong, worn half
    for name in folder.records():
        folder.remove(name)
