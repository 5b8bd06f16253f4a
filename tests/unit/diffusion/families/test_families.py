"""SDXL and FLUX.1 in the engine: shared forwards, refusals, and what they leave as it was."""

import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import FAMILIES, load_family
from deployments.diffusion.profile import DiffusionProfile, Style
from deployments.diffusion.request.params import Terms
from deployments.diffusion.request.request import Row
from deployments.diffusion.request.work import Event, Preview
from deployments.diffusion.weights.components import ModelUnavailable
from deployments.errors import InvalidValue
from tests.tiny_checkpoint import tiny_profile
from tests.tiny_families import save_tiny_flux, save_tiny_sdxl
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine, ProfileOf
from tests.unit.diffusion.requests import image_to_image, inpaint, text_to_image
from tests.unit.diffusion.styles.lora_files import random_updates, write_lora

DEADLINE_S = 200
SCHEDULER, VAE = "scheduler/scheduler_config.json", "vae/config.json"
PROMPT_TOKENS = {"sdxl": 77, "flux": 32}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each variant."""
    root = tmp_path_factory.mktemp("families")
    sdxl = {name: save_tiny_sdxl(root / name, name) for name in ("base", "turbo", "trailing")}
    return sdxl | {name: save_tiny_flux(root / name, name) for name in ("dev", "schnell")}


def profile_of(folder: Path, dtype: str = "float32", **engine: int) -> DiffusionProfile:
    family = "flux" if folder.name in ("dev", "schnell") else "sdxl"
    limits = {"max_prompt_tokens": PROMPT_TOKENS[family], **engine}
    return tiny_profile(folder, dtype, family, **limits)


def held(family: str, gate: threading.Event) -> type:
    """The family, whose first forward waits for the gate once the engine is warm."""
    base: Any = FAMILIES[family]

    class Held(base):
        def velocity(self, rows: Sequence[Row]) -> list[torch.Tensor]:
            if rows[0].request.id != "warm-up":
                assert gate.wait(DEADLINE_S)
            velocities: list[torch.Tensor] = super().velocity(rows)
            return velocities

    return Held


@pytest.mark.parametrize("variant", ["base", "turbo", "dev"])
def test_requests_of_every_kind_share_forwards(
    folders: dict[str, Path], make_engine: MakeEngine, variant: str
) -> None:
    gate = threading.Event()
    profile = profile_of(folders[variant])
    engine: Engine = make_engine(profile, held(profile.model.family, gate))
    asked = {
        "text": text_to_image(num_inference_steps=6, guidance_scale=5.0),
        "image": image_to_image(num_inference_steps=8, seed=2),
        "inpaint": inpaint(num_inference_steps=8, seed=3, guidance_scale=2.0),
        "larger": text_to_image(num_inference_steps=6, width=96),
    }
    futures = {name: engine.submit(name, *one) for name, one in asked.items()}
    gate.set()
    together = {name: future.result(DEADLINE_S).pictures for name, future in futures.items()}
    state = engine.state()
    assert state.rows == 6 + 2 * _executed(profile.model.family) + 6
    # the first forward began before the others had come; the larger picture shares with none
    assert state.forwards <= 1 + 6 + 6
    assert state.shared_forwards >= 3
    for name, one in asked.items():
        alone = engine.submit("alone", *one).result(DEADLINE_S)
        assert_same_picture(together[name], alone.pictures)
    assert engine.state().shared_forwards == state.shared_forwards


@pytest.mark.parametrize("variant", ["base", "dev"])
def test_styled_rows_share_forwards(
    folders: dict[str, Path], make_engine: MakeEngine, tmp_path: Path, variant: str
) -> None:
    gate = threading.Event()
    profile = profile_of(folders[variant])
    part = "transformer" if profile.model.family == "flux" else "unet"
    module = load_family(profile).components.modules[part]
    layers = {n: m for n, m in module.named_modules() if isinstance(m, torch.nn.Linear)}
    write_lora(tmp_path / "alpine.safetensors", random_updates(layers, seed=1))
    style = Style(source=str(tmp_path), file="alpine.safetensors", licence="own", description="x")
    styled = profile.model_copy(update={"styles": {"alpine": style}})
    engine: Engine = make_engine(styled, held(profile.model.family, gate))
    asked = {
        "first": text_to_image(num_inference_steps=1),
        "plain": text_to_image(guidance_scale=5.0),
        "styled": text_to_image(guidance_scale=5.0, style="alpine"),
    }
    futures = {name: engine.submit(name, *one) for name, one in asked.items()}
    gate.set()
    together = {name: future.result(DEADLINE_S).pictures for name, future in futures.items()}
    assert engine.state().shared_forwards >= 3
    for name, one in asked.items():
        alone = engine.submit("alone", *one).result(DEADLINE_S)
        assert_same_picture(together[name], alone.pictures)
    assert np.abs(together["plain"].astype(int) - together["styled"].astype(int)).mean() > 1


def _executed(family: str) -> int:
    """Of 8 steps at strength 0.6: int(n * s), or n - int(n - n * s)."""
    return 4 if family == "sdxl" else 5


def test_picture_i_uses_seed_plus_i(folders: dict[str, Path], make_engine: MakeEngine) -> None:
    for variant in ("turbo", "dev"):
        engine = make_engine(profile_of(folders[variant]))
        three = engine.submit("3", *inpaint(n=3, seed=5)).result(DEADLINE_S).pictures
        params, given = inpaint(seed=5)
        for i in range(3):
            params, _ = inpaint(seed=5 + i)
            alone = engine.submit("1", params, given).result(DEADLINE_S).pictures
            assert_same_picture(three[i], alone[0])
        assert not np.array_equal(three[0], three[1])


def test_refusals_name_the_field(folders: dict[str, Path], make_engine: MakeEngine) -> None:
    guided = {"guidance_scale": 5.0, "negative_prompt": "a dog"}
    wrong: list[tuple[str, dict[str, Any], str, str]] = [
        ("base", {"negative_prompt": "a dog"}, "negative_prompt", "above 1"),
        ("base", {"negative_prompt": "a dog", "guidance_scale": 1.0}, "negative_prompt", "above 1"),
        ("base", {"guidance_scale": 0.5}, "guidance_scale", "above 1"),
        ("base", {"prompt": "red " * 30}, "prompt", "^prompt: 92 tokens are more than the 77"),
        (
            "base",
            {"negative_prompt": "red " * 30, "guidance_scale": 5.0},
            "negative_prompt",
            "^negative_prompt: 92 tokens are more than the 77",
        ),
        ("base", {"strength": 0.2}, "strength", "runs no step"),
        ("dev", guided, "negative_prompt", "reads none"),
        ("dev", {"negative_prompt": "a dog"}, "negative_prompt", "reads none"),
        ("dev", {"prompt": "red " * 32}, "prompt", "33 tokens are more than the 32"),
        ("schnell", {"guidance_scale": 3.5}, "guidance_scale", "without guidance"),
    ]
    engines = {name: make_engine(profile_of(folders[name])) for name in ("base", "dev", "schnell")}
    for variant, fields, field, says in wrong:
        with pytest.raises(InvalidValue, match=says) as caught:
            engines[variant].submit("1", *image_to_image(**fields)).result(DEADLINE_S)
        assert caught.value.param == field


def test_a_summary_that_is_cut_is_told(folders: dict[str, Path], make_engine: MakeEngine) -> None:
    engine = make_engine(profile_of(folders["dev"]))
    drawn = engine.submit("1", *text_to_image(prompt="beside " * 13)).result(DEADLINE_S)
    assert drawn.warnings == ("prompt: its summary is made of the first 77 of its 80 tokens",)
    drawn = engine.submit("2", *image_to_image(strength=1.0)).result(DEADLINE_S)
    assert "ignored" in drawn.warnings[0]


def test_encoding_in_float32_leaves_the_weights_alone(folders: dict[str, Path]) -> None:
    """SDXL's `force_upcast`: of weights held in bfloat16, not of the shared module."""
    family = load_family(profile_of(folders["base"], "bfloat16"))
    vae: Any = family.components.modules["vae"]
    before = {name: tensor.data_ptr() for name, tensor in vae.state_dict().items()}
    _, given = image_to_image()
    latents = family.latents_of(given.picture)
    assert {name: tensor.data_ptr() for name, tensor in vae.state_dict().items()} == before
    assert {tensor.dtype for tensor in vae.parameters()} == {torch.bfloat16}
    values = torch.from_numpy(given.picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    pixels = 2.0 * values - 1.0
    exact = vae.float().encode(pixels.bfloat16().float()).latent_dist.mode().bfloat16()
    assert torch.allclose(latents, exact * vae.config.scaling_factor, rtol=0, atol=1e-4)


def test_previews_show_no_ancestral_noise(
    folders: dict[str, Path], make_engine: MakeEngine
) -> None:
    """The two schedules differ by what is added after the step that the preview shows."""
    shown = {}
    for variant in ("turbo", "trailing"):
        events: list[Event] = []
        engine = make_engine(profile_of(folders[variant]))
        asked = text_to_image(num_inference_steps=2)
        engine.submit("1", *asked, Terms(previews=1), events.append).result(DEADLINE_S)
        (shown[variant],) = [event.pixels for event in events if isinstance(event, Preview)]
    difference = np.abs(shown["turbo"].astype(int) - shown["trailing"].astype(int))
    assert difference.max() <= 1


@pytest.mark.parametrize(
    ("family", "file", "entry", "value"),
    [
        ("sdxl", SCHEDULER, "use_beta_sigmas", True),
        ("sdxl", SCHEDULER, "prediction_type", "sample"),
        ("sdxl", SCHEDULER, "timestep_type", "continuous"),
        ("sdxl", SCHEDULER, "interpolation_type", "log_linear"),
        ("sdxl", SCHEDULER, "final_sigmas_type", "sigma_min"),
        ("sdxl", SCHEDULER, "trained_betas", []),
        ("sdxl", VAE, "latents_mean", [0.1] * 4),
        ("sdxl", VAE, "latents_std", [1.1] * 4),
        ("sdxl", VAE, "shift_factor", 0.1),
        *(
            (family, file, entry, value)
            for family in ("z-image", "flux")
            for file, entry, value in (
                (SCHEDULER, "use_beta_sigmas", True),
                (SCHEDULER, "stochastic_sampling", True),
                (SCHEDULER, "invert_sigmas", True),
                (SCHEDULER, "time_shift_type", "cubic"),
                (SCHEDULER, "shift_terminal", 1.0),
                (SCHEDULER, "shift", 0.0),
                (SCHEDULER, "num_train_timesteps", 500),
                (SCHEDULER, "base_shift", None),
                (VAE, "latents_mean", [0.1] * 16),
                (VAE, "latents_std", [1.1] * 16),
            )
        ),
    ],
)
def test_settings_that_are_not_built_are_refused(
    profiles: ProfileOf, tmp_path: Path, family: str, file: str, entry: str, value: object
) -> None:
    profile = changed(profiles[family](), tmp_path, file, {entry: value})
    with pytest.raises(ModelUnavailable, match=entry) as refused:
        load_family(profile)
    assert Path(file).name in refused.value.in_full


@pytest.mark.parametrize("file", [SCHEDULER, "model_index.json"])
@pytest.mark.parametrize("family", ["z-image", "sdxl", "flux"])
def test_another_solver_is_refused_wherever_it_is_named(
    profiles: ProfileOf, tmp_path: Path, family: str, file: str
) -> None:
    """diffusers goes by the index; a config of the class that it was made from lies beside it."""
    solver = "DPMSolverMultistepScheduler"
    index = {"scheduler": ["diffusers", solver]}
    profile = changed(profiles[family](), tmp_path, "model_index.json", index)
    if file == SCHEDULER:
        profile = changed(profile, tmp_path / "again", file, {"_class_name": solver})
    with pytest.raises(ModelUnavailable, match=f"_class_name: '{solver}' is not supported"):
        load_family(profile)


@pytest.mark.parametrize(
    ("scheduler", "entries"),
    [
        ("turbo", {"use_karras_sigmas": True}),
        ("turbo", {"use_exponential_sigmas": True}),
        ("turbo", {"rescale_betas_zero_snr": True}),
        ("base", {"use_karras_sigmas": True, "use_exponential_sigmas": True}),
    ],
)
def test_entries_that_exclude_each_other_are_refused(
    folders: dict[str, Path], tmp_path: Path, scheduler: str, entries: dict[str, bool]
) -> None:
    profile = changed(profile_of(folders[scheduler]), tmp_path, SCHEDULER, entries)
    with pytest.raises(ModelUnavailable, match=f"{[*entries][-1]}: True is not supported"):
        load_family(profile)


def changed(
    profile: DiffusionProfile, folder: Path, file: str, entries: dict[str, Any]
) -> DiffusionProfile:
    """The profile on a copy of its checkpoint, in which a file has other entries."""
    copy = folder / Path(profile.model.source).name
    shutil.copytree(profile.model.source, copy)
    (copy / file).write_text(json.dumps(json.loads((copy / file).read_text()) | entries))
    model = profile.model.model_copy(update={"source": str(copy)})
    return profile.model_copy(update={"model": model})


def test_checkpoints_that_need_another_loop_are_refused(tmp_path: Path) -> None:
    folder = save_tiny_sdxl(tmp_path / "base")
    with pytest.raises(ModelUnavailable, match=r"max_prompt_tokens: 78 .* the 77"):
        load_family(profile_of(folder, max_prompt_tokens=78))
    index = folder / "model_index.json"
    parts = json.loads(index.read_text())
    index.write_text(json.dumps(parts | {"text_encoder": [None, None]}))  # as the refiner's
    with pytest.raises(ModelUnavailable, match="without text_encoder"):
        load_family(profile_of(folder))
