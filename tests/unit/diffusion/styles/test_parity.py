"""Styles against peft's arithmetic in diffusers' own pipelines, in the models' dtypes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from deployments.diffusion.profile import DiffusionProfile, Style
from deployments.diffusion.request.params import NO_HURRY, AskedStyle
from deployments.diffusion.request.request import Request
from deployments.errors import InvalidValue
from tests.unit.diffusion.comparison import assert_same_picture
from tests.unit.diffusion.conftest import MakeEngine, ProfileOf
from tests.unit.diffusion.requests import text_to_image
from tests.unit.diffusion.styles.layouts import A_B, CLIP, Pairs, dotted, spell

DEADLINE_S = 200
PIPELINES = {
    "z-image": diffusers.ZImagePipeline,
    "sdxl": diffusers.StableDiffusionXLPipeline,
    "flux": diffusers.FluxPipeline,
    "qwen-image": diffusers.QwenImagePipeline,
    "qwen-image-edit": diffusers.QwenImagePipeline,
}
QWEN = ("transformer_blocks.", "img_in", "txt_in", "time_text_embed", "norm_out", ".proj_out")
STYLED = {
    "z-image": {"transformer": (".layers.", "refiner.", "all_x_embedder", "cap_embedder",
                                "all_final_layer", "t_embedder"),
                "text_encoder": ("layers.0.", "layers.1.")},
    "sdxl": {"unet": (".attentions.", ".resnets.", "samplers", "conv_", "time_emb",
                      "add_embedding"),
             "text_encoder": CLIP, "text_encoder_2": CLIP},
    "flux": {"transformer": ("transformer_blocks.", "x_embedder", "context_embedder",
                             "time_text_embed", "norm_out", ".proj_out"),
             "text_encoder": CLIP, "text_encoder_2": (".SelfAttention.", ".DenseReluDense.")},
    "qwen-image": {"transformer": QWEN},
    "qwen-image-edit": {"transformer": QWEN},
}  # fmt: skip


Worn = list[tuple[Mapping[str, Pairs], float]]
"""What is worn, with by how much it is multiplied."""


class Peft(nn.Module):
    """A layer with adapters as peft adds them: in the layer's dtype, scaled last."""

    def __init__(self, layer: Any, added: list[tuple[Tensor, Tensor, float]]) -> None:
        super().__init__()
        self.layer = layer
        self.added = [(down.to(layer.weight), up.to(layer.weight), by) for down, up, by in added]

    def __getattr__(self, name: str) -> Any:
        own = self._modules.get(name)
        return own if own is not None else getattr(self._modules["layer"], name)

    def forward(self, x: Tensor) -> Tensor:
        result = self.layer(x)
        for down, up, scaling in self.added:
            if isinstance(self.layer, nn.Conv2d):
                low = nn.functional.conv2d(x, down, None, self.layer.stride, self.layer.padding)
                more = nn.functional.conv2d(low, up)
            else:
                more = nn.functional.linear(nn.functional.linear(x, down), up)
            result = result + more * scaling
        return result


def random_pairs(profile: DiffusionProfile, seed: int) -> dict[str, Pairs]:
    """Matrices for the layers of every component that a style may act on."""
    pipeline = PIPELINES[profile.model.family].from_pretrained(profile.model.source)
    made = torch.Generator().manual_seed(seed)
    pairs: dict[str, Pairs] = {}
    for component, words in STYLED[profile.model.family].items():
        for name, layer in getattr(pipeline, component).named_modules():
            told = any(word in f".{name}" for word in words)
            if not told or not isinstance(layer, nn.Linear | nn.Conv2d):
                continue
            out, *inputs = layer.weight.shape
            down = torch.randn(4, *inputs, generator=made) * 0.4 / np.prod(inputs) ** 0.5
            up = torch.randn(out, 4, *[1] * len(inputs[1:]), generator=made) * 0.4
            pairs.setdefault(component, {})[name] = (down, up)
    return pairs


def written(pairs: Mapping[str, Pairs], path: Path, alpha: float) -> Path:
    tensors: dict[str, Tensor] = {}
    for component, own in pairs.items():
        tensors |= spell(own, dotted(f"{component}."), A_B, alpha)
    save_file(tensors, path)
    return path


def styled(profile: DiffusionProfile, files: Mapping[str, tuple[Path, float]]) -> DiffusionProfile:
    styles = {
        name: Style(source=str(path.parent), file=path.name, weight=weight, licence="own",
                    description="a test")
        for name, (path, weight) in files.items()
    }  # fmt: skip
    return profile.model_copy(update={"styles": styles})


def theirs(profile: DiffusionProfile, worn: Worn, guidance: float) -> np.ndarray:
    """The picture of diffusers' pipeline, wearing these with such scales."""
    dtype = getattr(torch, profile.model.dtype)
    pipeline: Any = PIPELINES[profile.model.family].from_pretrained(
        profile.model.source, torch_dtype=dtype
    )
    pipeline.set_progress_bar_config(disable=True)
    for component in STYLED[profile.model.family]:
        module = getattr(pipeline, component)
        for name in {name for pairs, _ in worn for name in pairs[component]}:
            own = [(pairs[component], by) for pairs, by in worn]
            added = [(*every[name], by) for every, by in own if name in every]
            parent, _, last = name.rpartition(".")
            holder = module.get_submodule(parent)
            setattr(holder, last, Peft(getattr(holder, last), added))
    params, _ = text_to_image()
    more = {"max_sequence_length": 32} if profile.model.family == "flux" else {}
    with torch.inference_mode():
        drawn = pipeline(
            params.prompt, height=64, width=64, num_inference_steps=4, guidance_scale=guidance,
            generator=torch.Generator().manual_seed(params.seed), output_type="np", **more,
        )  # fmt: skip
    return np.round(drawn.images[0] * 255).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["z-image", "sdxl", "flux"])
def test_a_style_of_every_layer_is_drawn_as_peft_draws_it(
    profiles: ProfileOf, make_engine: MakeEngine, tmp_path: Path, family: str, dtype: str
) -> None:
    profile = profiles[family](dtype=dtype)
    pairs = random_pairs(profile, seed=1)
    path = written(pairs, tmp_path / "one.safetensors", alpha=8.0)
    engine = make_engine(styled(profile, {"one": (path, 0.7)}))
    guidance = {"z-image": 2.0, "sdxl": 3.0, "flux": 2.0}[family]
    params, _ = text_to_image(style="one", guidance_scale=guidance)
    ours = engine.submit("one", params).result(DEADLINE_S).pictures[0]
    plain, _ = text_to_image(guidance_scale=guidance)
    bare = engine.submit("two", plain).result(DEADLINE_S).pictures[0]
    assert_same_picture(ours, theirs(profile, [(pairs, 0.7 * 8 / 4)], guidance))
    assert np.abs(ours.astype(int) - bare).mean() > 2


def test_rows_of_one_forward_wear_their_own_mixes(
    profiles: ProfileOf, make_engine: MakeEngine, tmp_path: Path
) -> None:
    profile = profiles["sdxl"]()
    pairs = {name: random_pairs(profile, seed) for seed, name in enumerate(("ink", "old"))}
    files = {
        name: (written(one, tmp_path / f"{name}.safetensors", alpha=4.0), 1.0)
        for name, one in pairs.items()
    }
    engine = make_engine(styled(profile, files))
    mixes = {
        "plain": (),
        "ink": (("ink", 0.5),),
        "more ink": (("ink", 1.5),),
        "both": (("ink", 0.5), ("old", -0.8)),
        "other way": (("old", -0.8), ("ink", 0.5)),
    }
    before = engine.state().shared_forwards
    asked = {
        name: text_to_image(styles=tuple(AskedStyle(*one) for one in mix) or None)[0]
        for name, mix in mixes.items()
    }
    futures = {name: engine.submit(name, params) for name, params in asked.items()}
    together = {name: one.result(DEADLINE_S).pictures[0] for name, one in futures.items()}
    assert engine.state().shared_forwards > before
    for name, mix in mixes.items():
        worn: Worn = [(pairs[one], weight) for one, weight in sorted(mix)]
        assert_same_picture(together[name], theirs(profile, worn, 0.0))
    assert_same_picture(together["both"], together["other way"])
    pictures = list(together.values())[:4]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one.astype(int) - other).mean() > 1


@pytest.mark.parametrize(
    ("fields", "message", "code"),
    [
        ({"style": "ink", "styles": (AskedStyle("ink"),)}, "style names one too", "contradiction"),
        ({"styles": ()}, "0 are not within 1..4", "styles_out_of_range"),
        ({"styles": (AskedStyle("ink"),) * 5}, "5 are not within 1..4", "styles_out_of_range"),
        ({"styles": (AskedStyle("ink", 1), AskedStyle("ink", 2))}, "for twice", "style_twice"),
        ({"styles": (AskedStyle("ink", 4.1),)}, "4.1 of 'ink' is not within -4..4",
         "style_weight_out_of_range"),
        ({"styles": (AskedStyle("ink", float("nan")),)}, "not within", "style_weight_out_of_range"),
        ({"styles": (AskedStyle("old"),)}, "no 'old' here; the styles are ink", "style_unknown"),
    ],
)  # fmt: skip
def test_styles_that_cannot_be_worn_together_are_refused(
    profiles: ProfileOf, tmp_path: Path, fields: dict[str, Any], message: str, code: str
) -> None:
    profile = styled(profiles["sdxl"](), {"ink": (tmp_path / "one.safetensors", 1.0)})
    with pytest.raises(InvalidValue, match=message) as refused:
        text_to_image(**fields)[0].check(profile)
    assert (refused.value.param, refused.value.code) == ("styles", code)


def test_the_triggers_of_all_styles_stand_before_the_prompt(profiles: ProfileOf) -> None:
    profile = styled(profiles["z-image"](), {name: (Path("x.safetensors"), 1.0) for name in "ab"})
    triggered = {
        name: style.model_copy(update={"trigger": f"the {name}"})
        for name, style in profile.styles.items()
    }
    params, _ = text_to_image(styles=(AskedStyle("b"), AskedStyle("a")))
    request = Request("one", params, None, NO_HURRY, (), params.mix(triggered))
    assert request.prompt == "the b, the a, a red cat"
