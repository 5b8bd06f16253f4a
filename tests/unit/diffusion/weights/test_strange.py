"""Checkpoints as people have them: read to the bit, or refused without running what they name."""

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.base import Family
from deployments.diffusion.families.load import load_family
from deployments.diffusion.profile import DiffusionProfile, ModelSource
from deployments.diffusion.weights.architecture import Architecture
from deployments.diffusion.weights.components import SharedComponents
from deployments.diffusion.weights.composition import COMPOSITIONS
from deployments.diffusion.weights.unavailable import ModelRefused, ModelUnavailable
from tests.polling import wait_until
from tests.unit.diffusion.conftest import ProfileOf
from tests.unit.diffusion.requests import text_to_image
from tests.unit.diffusion.weights.changed_folders import INDEX, edit, link, reweigh, weights, write

DEADLINE_S = 120
Tensors = dict[str, torch.Tensor]


def profile_at(folder: Path, profile: DiffusionProfile) -> DiffusionProfile:
    """The profile with its model in this folder."""
    model = profile.model.model_copy(update={"source": str(folder)})
    return profile.model_copy(update={"model": model})


def listing(**entries: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder / INDEX, lambda index: index.update(entries))


def prefixed(prefix: str, **more: torch.Tensor) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        before = dict(tensors)
        tensors.clear()
        tensors.update({f"{prefix}{key}": tensor for key, tensor in before.items()})
        tensors.update({key.replace("__", "."): tensor for key, tensor in more.items()})

    return change


def causal(folder: Path) -> None:
    listing(text_encoder=["transformers", "Qwen3ForCausalLM"])(folder)
    change = prefixed("model.", lm_head__weight=torch.ones(25, 32))
    reweigh(folder / "text_encoder/model.safetensors", change)


def whole_t5(folder: Path) -> None:
    change = prefixed("", decoder__final_layer_norm__weight=torch.ones(32))
    reweigh(folder / "text_encoder_2/model.safetensors", change)


def older_clip(folder: Path) -> None:
    stored = torch.arange(77)[None]
    for name in ("text_encoder", "text_encoder_2"):
        change = prefixed(
            "", text_model__embeddings__position_ids=stored, logit_scale=torch.ones(1)
        )
        reweigh(folder / name / "model.safetensors", change)


def older_vae(folder: Path) -> None:
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def change(tensors: Tensors) -> None:
        for key in [key for key in tensors if "attentions" in key]:
            for new, old in names.items():
                if f".{new}." in key:
                    tensors[key.replace(new, old)] = tensors.pop(key)

    reweigh(folder / "vae/diffusion_pytorch_model.safetensors", change)


def pickled(folder: Path) -> None:
    for file in list(folder.rglob("*.safetensors")):
        torch.save(
            load_file(file),
            file.with_name(
                file.name.replace("model", "pytorch_model", 1)
                .replace("diffusion_pytorch_pytorch_model", "diffusion_pytorch_model")
                .replace(".safetensors", ".bin")
            ),
        )
        file.unlink()


def linked(folder: Path) -> None:
    blobs = folder / "blobs"
    files = [file for file in folder.rglob("*") if file.is_file()]
    blobs.mkdir()
    for i, file in enumerate(files):
        file.rename(blobs / str(i))
        file.symlink_to(blobs / str(i))


def template_within(folder: Path) -> None:
    file = folder / "tokenizer/chat_template.jinja"
    template = file.read_text()
    file.unlink()
    edit(folder / "tokenizer/tokenizer_config.json", lambda c: c.update(chat_template=template))


READ = {
    "Qwen3ForCausalLM, with its head": ("z-image", causal),
    "a T5 with its decoder": ("flux", whole_t5),
    "CLIPs with what older versions stored": ("sdxl", older_clip),
    "a VAE with older names": ("sdxl", older_vae),
    "pickles": ("sdxl", pickled),
    "pickles of a T5": ("flux", pickled),
    "the hub's links": ("z-image", linked),
    "a template within": ("z-image", template_within),
    "saved from image-to-image": ("sdxl", listing(_class_name="StableDiffusionXLImg2ImgPipeline")),
    "saved from inpainting": ("flux", listing(_class_name="FluxInpaintPipeline")),
    "a safety checker that nobody reads": (
        "sdxl",
        listing(safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"]),
    ),
    "a null part": ("z-image", listing(siglip=[None, None])),
}


@pytest.mark.parametrize("name", READ)
def test_it_is_read_to_the_bit(profiles: ProfileOf, tmp_path: Path, name: str) -> None:
    family, change = READ[name]
    source = profiles[family]().model
    folder = link(Path(source.source), tmp_path / "model")
    change(folder)
    ours = SharedComponents.load(source.model_copy(update={"source": str(folder)}))
    plain = SharedComponents.load(source)
    assert ours.modules.keys() == plain.modules.keys()
    for part, module in ours.modules.items():
        whole = plain.modules[part].state_dict()
        assert module.state_dict().keys() == whole.keys()
        for key, tensor in module.state_dict().items():
            assert torch.equal(tensor, whole[key]), key


@pytest.mark.parametrize("dtype", [torch.float16, torch.float8_e4m3fn])
def test_weights_that_are_stored_smaller(
    profiles: ProfileOf, tmp_path: Path, dtype: torch.dtype
) -> None:
    source = profiles["z-image"]().model
    folder = link(Path(source.source), tmp_path / "model")
    file = folder / weights("z-image")["transformer"]
    reweigh(file, lambda t: t.update({key: tensor.to(dtype) for key, tensor in t.items()}))
    stored = load_file(file)
    ours = SharedComponents.load(source.model_copy(update={"source": str(folder)}))
    for key, tensor in ours.modules["transformer"].state_dict().items():
        assert torch.equal(tensor, stored[key].float())


@pytest.mark.parametrize("family", COMPOSITIONS)
def test_no_module_of_a_stranger_is_imported(
    profiles: ProfileOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Wherever model_index.json names it; a plan is made without it too."""
    (tmp_path / "stranger.py").write_text("class Thing: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    source = profiles[family]().model
    names = json.loads((Path(source.source) / INDEX).read_text())
    for name in [*(name for name, entry in names.items() if isinstance(entry, list)), "more"]:
        folder = link(Path(source.source), tmp_path / name)
        listing(**{name: ["stranger", "Thing"]})(folder)
        model = source.model_copy(update={"source": str(folder)})
        unread = name in ("scheduler", "feature_extractor", "image_encoder")
        refused = pytest.raises(ModelRefused, match=r"stranger\.Thing|lists 'more'")
        for read in (SharedComponents.load, Architecture.read):
            needless = name.startswith(("tokenizer", "processor")) and read == Architecture.read
            with nullcontext() if unread or needless else refused:
                read(model)
        assert "stranger" not in sys.modules


def test_a_pickle_runs_nothing(profiles: ProfileOf, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    source = profiles["sdxl"]().model
    folder = link(Path(source.source), tmp_path / "model")
    (folder / "vae/diffusion_pytorch_model.safetensors").unlink()
    file = folder / "vae/diffusion_pytorch_model.bin"
    for save in (
        lambda: torch.save({"a": Touch()}, file),
        lambda: file.write_bytes(pickle.dumps(Touch())),
    ):
        save()
        with pytest.raises(ModelUnavailable, match="its vae is cut short or damaged"):
            SharedComponents.load(source.model_copy(update={"source": str(folder)}))
    assert not (tmp_path / "ran").exists()


def test_weights_that_leave_the_dtype(profiles: ProfileOf, tmp_path: Path) -> None:
    """Finite in their file, and infinite as the profile has them."""
    source = profiles["z-image"]().model
    folder = link(Path(source.source), tmp_path / "model")
    file = folder / weights("z-image")["vae"]
    reweigh(file, lambda t: t["decoder.conv_in.weight"].fill_(torch.finfo(torch.float32).max))
    model = source.model_copy(update={"source": str(folder), "dtype": "bfloat16"})
    with pytest.raises(ModelRefused, match=r"its vae .* not finite in bfloat16"):
        SharedComponents.load(model)


def test_a_model_that_draws_no_numbers_is_refused(profiles: ProfileOf, tmp_path: Path) -> None:
    profile = profiles["z-image"]()
    folder = link(Path(profile.model.source), tmp_path / "model")
    file = folder / weights("z-image")["vae"]
    reweigh(file, lambda t: t["decoder.conv_out.weight"].fill_(1e38))
    engine = Engine(profile_at(folder, profile), partial(load_family, profile_at(folder, profile)))
    engine.settled.result(DEADLINE_S)
    state = engine.state()
    assert state.phase == "failed"
    assert "draws no numbers" in str(state.reason)
    assert "attempt" not in str(state.reason)
    engine.close(DEADLINE_S)


def test_what_is_missing_may_come_and_what_is_wrong_is_read_once(
    profiles: ProfileOf, tmp_path: Path
) -> None:
    base = profiles["z-image"](load_retry_s=1)
    limits = base.engine.model_copy(update={"load_retry_s": 0.05})
    base = base.model_copy(update={"engine": limits})
    loads: dict[str, int] = {"missing": 0, "wrong": 0}
    engines = {}
    for name in loads:
        profile = profile_at(link(Path(base.model.source), tmp_path / name), base)

        def load(reliefs: object, name: str = name, profile: DiffusionProfile = profile) -> Family:
            loads[name] += 1
            return load_family(profile)

        file = tmp_path / name / weights("z-image")["vae"]
        if name == "missing":
            file.unlink()
        else:
            listing(_class_name="ZImageOmniPipeline")(tmp_path / name)
        engines[name] = Engine(profile, load)
    wait_until(lambda: loads["missing"] > 2, DEADLINE_S)
    assert loads["wrong"] == 1
    whole = Path(base.model.source) / weights("z-image")["vae"]
    shutil.copyfile(whole, tmp_path / "missing.part")
    (tmp_path / "missing.part").rename(tmp_path / "missing" / weights("z-image")["vae"])
    wait_until(lambda: engines["missing"].state().phase == "ready", DEADLINE_S)
    engines["missing"].submit("1", *text_to_image()).result(DEADLINE_S)
    assert engines["wrong"].state().phase == "failed"
    assert engines["wrong"].fault() is None
    assert loads["wrong"] == 1
    for engine in engines.values():
        engine.close(DEADLINE_S)
        assert not engine._thread.is_alive()


def test_a_plan_is_refused_as_the_load_is(profiles: ProfileOf, tmp_path: Path) -> None:
    source = profiles["flux"]().model
    with pytest.raises(ModelRefused, match=r"is FLUX\.1 .* set model.family to flux"):
        Architecture.read(source.model_copy(update={"family": "sdxl"}))
    folder = link(Path(source.source), tmp_path / "model")
    listing(_class_name="FluxKontextPipeline")(folder)
    with pytest.raises(ModelRefused, match=r"FLUX\.1-Kontext, which edits by reference"):
        Architecture.read(source.model_copy(update={"source": str(folder)}))


def test_the_hubs_cache_is_surveyed_too(
    profiles: ProfileOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network: as it was fetched before, whole or not."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "pulled"))
    local = profiles["sdxl"]().model
    update = {"source": "someone/model", "revision": "0" * 40}
    hub = ModelSource.model_validate(local.model_dump() | update)
    with pytest.raises(ModelUnavailable, match="the hub did not deliver 'someone/model'"):
        SharedComponents.load(hub)
    snapshot = tmp_path / "models--someone--model" / "snapshots" / ("0" * 40)
    link(Path(local.source), snapshot)
    ours, plain = SharedComponents.load(hub), SharedComponents.load(local)
    for one, other in zip(ours.tensors(), plain.tensors(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ModelRefused, match=r"set model\.family to sdxl"):
        SharedComponents.load(hub.model_copy(update={"family": "flux"}))
    write(snapshot / weights("sdxl")["vae"], b"")
    with pytest.raises(ModelUnavailable, match="someone/model': its vae is empty"):
        SharedComponents.load(hub)
