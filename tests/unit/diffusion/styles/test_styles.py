"""Styles: one forward for all of them, the base model untouched, unfit files refused at start."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from diffusers import ZImageTransformer2DModel
from safetensors.torch import save_file
from torch import Tensor

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import load_family
from deployments.diffusion.families.z_image import ZImage
from deployments.diffusion.profile import DiffusionProfile, Style
from deployments.diffusion.request.params import Worn
from deployments.diffusion.request.request import Row
from deployments.diffusion.styles.reading import load_style
from deployments.diffusion.weights.audit import live_storage_bytes
from deployments.diffusion.weights.components import ModelUnavailable
from deployments.errors import InvalidValue
from deployments.handover import Drawn
from tests.polling import wait_until
from tests.tiny_checkpoint import save_tiny_checkpoint, tiny_profile
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import image_to_image, inpaint, text_to_image
from tests.unit.diffusion.styles.lora_files import (
    RANK,
    Spelling,
    comfy,
    kohya,
    peft,
    random_lora,
    write_lora,
)

DEADLINE_S = 200
PLAIN = (Worn("none", 0.0),)
SEEDS = {"alpine": 1, "baroque": 2}  # of the two styles' files


class Gated(ZImage):
    """Steps only as often as the test permits; open until the engine is warm."""

    permits: ClassVar[threading.Semaphore]
    batches: ClassVar[list[set[str]]]

    def velocity(self, rows: Sequence[Row]) -> list[Tensor]:
        if rows[0].request.id != "warm-up":
            assert self.permits.acquire(timeout=DEADLINE_S)
            self.batches.append({worn.name for row in rows for worn in row.mix or PLAIN})
        return super().velocity(rows)


def style_of(path: Path, **fields: object) -> Style:
    made = {"source": str(path.parent), "file": path.name, "licence": "own", "description": "test"}
    return Style.model_validate({**made, **fields})


def styled(profile: DiffusionProfile, folder: Path, **fields: object) -> DiffusionProfile:
    """The profile with the styles of SEEDS, whose files are in `folder`."""
    styles = {
        name: style_of(folder / f"{name}.safetensors", **fields) for name in SEEDS
    }  # fmt: skip
    return profile.model_copy(update={"styles": styles})


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the files of the two styles."""
    made = tmp_path_factory.mktemp("styles")
    for name, seed in SEEDS.items():
        write_lora(made / f"{name}.safetensors", random_lora(checkpoint, seed))
    return made


def draw(engine: Engine, *request: object, **fields: object) -> np.ndarray:
    params, given = request or text_to_image(**fields)
    return engine.submit("one", params, given).result(DEADLINE_S).pictures  # type: ignore[arg-type]


def test_styles_share_forwards_and_equal_those_made_alone(
    checkpoint: Path, folder: Path, make_engine: MakeEngine
) -> None:
    Gated.permits, Gated.batches = threading.Semaphore(0), []
    engine = make_engine(styled(tiny_profile(checkpoint), folder), Gated)
    asked = {
        "none": text_to_image(),
        "a": text_to_image(style="alpine"),
        "b": text_to_image(style="baroque"),
        "edit": image_to_image(style="alpine", prompt="a dog on the sea, a big tree"),
        "inpaint": inpaint(style="baroque", width=96),
        "guided": text_to_image(style="alpine", guidance_scale=3.0, negative_prompt="a blue dog"),
        "guided none": text_to_image(guidance_scale=3.0, negative_prompt="a blue dog"),
    }
    futures: dict[str, Future[Drawn]] = {
        name: engine.submit(name, *request) for name, request in asked.items()
    }
    Gated.permits.release(1000)
    together = {name: future.result(DEADLINE_S).pictures for name, future in futures.items()}
    assert {"none", "alpine", "baroque"} in Gated.batches
    for name, request in asked.items():
        assert_same_picture(together[name], draw(engine, *request))
    for styled_, plain in (("a", "none"), ("b", "none"), ("a", "b"), ("guided", "guided none")):
        apart = np.abs(together[styled_].astype(int) - together[plain].astype(int))
        assert apart.mean() > 3, f"{styled_} and {plain}"


def test_a_style_equals_the_model_with_the_adapter_in_its_weights(
    checkpoint: Path, folder: Path, tmp_path: Path, make_engine: MakeEngine
) -> None:
    weight, alpha = 0.7, 2.0
    lora = random_lora(checkpoint, SEEDS["alpine"])
    write_lora(tmp_path / "alpine.safetensors", lora, alpha=alpha)
    profile = tiny_profile(checkpoint)
    style = style_of(tmp_path / "alpine.safetensors", weight=weight)
    ours = make_engine(profile.model_copy(update={"styles": {"alpine": style}}))

    merged = save_tiny_checkpoint(tmp_path / "merged")
    transformer = ZImageTransformer2DModel.from_pretrained(checkpoint, subfolder="transformer")
    for name, (down, up) in lora.items():
        layer = transformer.get_submodule(name)
        layer.weight.data += weight * alpha / RANK * up @ down
    transformer.save_pretrained(merged / "transformer")
    theirs = make_engine(tiny_profile(merged))

    guided = {"guidance_scale": 2.0, "negative_prompt": "a small house"}
    for fields in ({}, guided, {"prompt": "the blue sky", "seed": 3, "height": 96}):
        assert_same_picture(draw(ours, style="alpine", **fields), draw(theirs, **fields))
    assert_same_picture(draw(ours, *inpaint(style="alpine")), draw(theirs, *inpaint()))


def test_the_base_model_stays_itself(
    checkpoint: Path, folder: Path, make_engine: MakeEngine
) -> None:
    bare = make_engine(tiny_profile(checkpoint))
    engine = make_engine(styled(tiny_profile(checkpoint), folder))
    first = draw(engine)
    assert np.array_equal(first, draw(bare))
    assert not np.array_equal(first, draw(engine, style="alpine"))
    names = (*SEEDS, None)
    for i in range(100):
        draw(engine, style=names[i % 3], num_inference_steps=1)
    assert np.array_equal(first, draw(engine))
    components, bare_components = engine._loaded.family.components, bare._loaded.family.components
    for name, module in components.modules.items():
        theirs = bare_components.modules[name].state_dict()
        assert all(torch.equal(ours, theirs[key]) for key, ours in module.state_dict().items())


def test_nothing_is_worn_after_a_forward_that_fails(checkpoint: Path, folder: Path) -> None:
    adapters = load_family(styled(tiny_profile(checkpoint), folder)).components.adapters
    (layer, *_) = adapters._by_name["alpine"].layers
    x = torch.randn(2, 3, layer.in_features)
    plain = layer(x)
    mixes = [(), (Worn("alpine", 1.0),)]
    with adapters.worn(mixes):
        worn = layer(x)
    with pytest.raises(RuntimeError, match="shapes"), adapters.worn(mixes):
        layer(x[..., 1:])
    assert torch.equal(worn[0], plain[0])
    assert not torch.allclose(worn[1], plain[1])
    assert torch.equal(layer(x), plain)


@pytest.mark.parametrize("spelling", [peft, comfy, kohya])
def test_files_of_all_trainers_are_read(
    checkpoint: Path, folder: Path, tmp_path: Path, spelling: Spelling
) -> None:
    family = load_family(tiny_profile(checkpoint))
    layers = family.styled_layers()
    lora = random_lora(checkpoint, SEEDS["alpine"])
    path = write_lora(tmp_path / "other.safetensors", lora, spelling, alpha=8.0)
    expected = load_style(style_of(folder / "alpine.safetensors"), layers, torch.float32)
    got = load_style(style_of(path), layers, torch.float32)
    assert got.layers == expected.layers
    for ours, theirs in zip(got.updates, expected.updates, strict=True):
        torch.testing.assert_close(ours.matrix(), 2 * theirs.matrix())


def unfit(lora: dict[str, tuple[Tensor, Tensor]], how: str) -> dict[str, Tensor]:
    """The tensors of a file that is wrong in one way."""
    tensors = {}
    for layer, (down, up) in lora.items():
        down_key, up_key, _ = peft(layer)
        tensors |= {down_key: down, up_key: up}
    if how == "half":
        del tensors["transformer.layers.0.attention.to_q.lora_B.weight"]
    elif how == "stranger":
        tensors["transformer.layers.9.attention.to_q.lora_A.weight"] = torch.ones(RANK, 64)
    elif how == "wide":
        tensors["transformer.layers.0.attention.to_q.lora_A.weight"] = torch.ones(RANK, 65)
    elif how == "infinite":
        tensors["transformer.layers.0.attention.to_q.lora_A.weight"][0, 0] = torch.inf
    elif how == "alphas":
        tensors["transformer.layers.0.attention.to_q.alpha"] = torch.ones(2)
    elif how == "empty":
        tensors.clear()
    return tensors


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("missing", "there is no such file"),
        ("garbage", "'own.safetensors'"),
        ("empty", "holds no adapter"),
        ("half", "'layers.0.attention.to_q' lacks one of its two matrices"),
        ("infinite", "'layers.0.attention.to_q' holds values that are not finite"),
        ("alphas", "the alpha of 'layers.0.attention.to_q' is no number"),
        ("stranger", "no layer for 'transformer.layers.9.attention.to_q.lora_A.weight'"),
        ("wide", r"'layers.0.attention.to_q' is 64x64, which \(64, 4\) by \(4, 65\) does not fit"),
    ],
)
def test_a_style_that_is_missing_or_unfit_fails_the_start(
    checkpoint: Path, folder: Path, tmp_path: Path, how: str, reason: str
) -> None:
    path = tmp_path / "own.safetensors"
    if how == "garbage":
        path.write_bytes(b"no tensors here")
    elif how != "missing":
        save_file(unfit(random_lora(checkpoint, 1), how), path)
    profile = styled(tiny_profile(checkpoint), folder)
    profile = profile.model_copy(update={"styles": {**profile.styles, "own": style_of(path)}})
    match = f"styles.own: .*{reason}.*take the style out"
    with pytest.raises(ModelUnavailable, match=match) as refused:
        load_family(profile)
    assert str(tmp_path) not in str(refused.value)


def test_the_failed_start_is_a_phase_with_its_reason_and_holds_nothing(
    checkpoint: Path, tmp_path: Path
) -> None:
    styles = {"own": style_of(tmp_path / "own.safetensors")}
    profile = tiny_profile(checkpoint).model_copy(update={"styles": styles})
    before = live_storage_bytes()
    engine = Engine(profile, lambda _: load_family(profile))
    wait_until(lambda: engine.state().phase == "failed", DEADLINE_S)
    assert "styles.own: 'own.safetensors'" in (engine.state().reason or "")
    assert engine.fault() is None
    engine.close()
    assert live_storage_bytes() <= before


def test_an_unknown_style_is_refused_by_naming_ours(
    checkpoint: Path, folder: Path, make_engine: MakeEngine
) -> None:
    profile = styled(tiny_profile(checkpoint), folder)
    with pytest.raises(InvalidValue, match="no 'vivid' here; the styles are alpine, baroque") as no:
        text_to_image(style="vivid")[0].check(profile)
    assert no.value.param == "style"
    with pytest.raises(InvalidValue, match="the styles are none: leave it out"):
        text_to_image(style="alpine")[0].check(tiny_profile(checkpoint))


def test_a_trigger_stands_before_the_prompt(
    checkpoint: Path, folder: Path, make_engine: MakeEngine
) -> None:
    engine = make_engine(styled(tiny_profile(checkpoint), folder, trigger="blue sea"))
    draw(engine)
    before = engine.state()
    by_trigger = draw(engine, style="alpine")
    assert engine.state().encodes == before.encodes + 1  # not the embedding of the bare prompt
    spelt_out = draw(engine, style="alpine", prompt="blue sea, a red cat")
    assert engine.state().encodes == before.encodes + 1
    assert np.array_equal(by_trigger, spelt_out)
    plain = draw(engine, style="baroque", prompt="blue sea, a red cat")
    assert not np.array_equal(by_trigger, plain)


def test_adapters_count_among_the_held_bytes(
    checkpoint: Path, folder: Path, make_engine: MakeEngine
) -> None:
    bare = make_engine(tiny_profile(checkpoint)).state().held_bytes
    engine = make_engine(styled(tiny_profile(checkpoint), folder))
    lora = random_lora(checkpoint, 1)
    adapter = sum(4 * (down.numel() + up.numel()) for down, up in lora.values())
    assert engine.state().held_bytes - bare == len(SEEDS) * adapter
