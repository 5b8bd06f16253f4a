"""What adapters compute, against the whole matrices that they stand for."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deployments.diffusion.request.params import Worn
from deployments.diffusion.styles.adapters import Adapters
from deployments.diffusion.styles.reading import StyleUnfit
from tests.tiny_checkpoint import tiny_profile
from tests.tiny_families import save_tiny_flux, save_tiny_sdxl
from tests.unit.diffusion.styles.test_layouts import probe, read

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from deployments.diffusion.families.load import load_family

    folder = save_tiny_sdxl(tmp_path_factory.mktemp("sdxl"))
    return load_family(tiny_profile(folder, family="sdxl", max_prompt_tokens=77))


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from deployments.diffusion.families.load import load_family

    folder = save_tiny_flux(tmp_path_factory.mktemp("flux"))
    return load_family(tiny_profile(folder, family="flux", max_prompt_tokens=32))


LINEAR = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "down_blocks.1.resnets.0.conv1"
DOWN = "down_blocks.0.downsamplers.0.conv"  # with a stride


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))) * 0.3


def layer_of(family: Any, name: str) -> nn.Linear | nn.Conv2d:
    part = family.uses["forward"][0]
    return family.components.modules[part].get_submodule(name)


def worn(family: Any, tensors: Tensors, folder: Path, name: str, weight: float = 1.0) -> Tensor:
    """What a layer gives for the probe, its second row alone wearing the file."""
    layer = layer_of(family, name)
    adapters = Adapters()
    adapters.add("it", read(family, tensors, folder))
    x = probe(layer).repeat(2, *[1] * (probe(layer).dim() - 1)).unsqueeze(0).flatten(0, 1)[:2]
    with adapters.worn([(), (Worn("it", weight),)]):
        given = layer(x)
    assert torch.equal(given[0], layer(x)[0])
    assert torch.equal(layer(x), plain(layer, x, layer.weight))
    return given[1]


def plain(layer: nn.Linear | nn.Conv2d, x: Tensor, weight: Tensor) -> Tensor:
    """The layer's outputs with another weight."""
    if isinstance(layer, nn.Conv2d):
        return nn.functional.conv2d(x, weight, layer.bias, layer.stride, layer.padding)
    return nn.functional.linear(x, weight, layer.bias)


def with_weight(family: Any, name: str, weight: Tensor) -> Tensor:
    """The second row of the layer's outputs with another weight."""
    layer = layer_of(family, name)
    x = probe(layer).repeat(2, *[1] * (probe(layer).dim() - 1))[:2]
    return plain(layer, x, weight)[1]


def same(ours: Tensor, theirs: Tensor) -> None:
    assert not torch.allclose(theirs, torch.zeros_like(theirs))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def stem(name: str) -> str:
    return f"lora_unet_{name.replace('.', '_')}"


def low_rank(layer: nn.Linear | nn.Conv2d, rank: int = 4) -> tuple[Tensor, Tensor]:
    out, *inputs = layer.weight.shape
    return random(rank, *inputs), random(out, rank, *[1] * len(inputs[1:]))


def product(down: Tensor, up: Tensor) -> Tensor:
    """up @ down, as the weight of a layer."""
    return (up.flatten(1) @ down.flatten(1)).reshape(len(up), *down.shape[1:])


@pytest.mark.parametrize("name", [LINEAR, CONV, DOWN])
def test_low_rank(sdxl: Any, tmp_path: Path, name: str) -> None:
    layer = layer_of(sdxl, name)
    down, up = low_rank(layer)
    at = stem(name)
    tensors = {f"{at}.lora_down.weight": down, f"{at}.lora_up.weight": up,
               f"{at}.alpha": torch.tensor(8)}  # fmt: skip
    changed = layer.weight + 0.7 * 8 / 4 * product(down, up)
    same(worn(sdxl, tensors, tmp_path, name, 0.7), with_weight(sdxl, name, changed))


def test_tuckers_middle_matrix(sdxl: Any, tmp_path: Path) -> None:
    layer = layer_of(sdxl, CONV)
    down, mid, up = random(3, 16, 1, 1), random(2, 3, 3, 3), random(32, 2, 1, 1)
    at = stem(CONV)
    tensors = {f"{at}.lora_down.weight": down, f"{at}.lora_mid.weight": mid,
               f"{at}.lora_up.weight": up, f"{at}.alpha": torch.tensor(1.5)}  # fmt: skip
    x = probe(layer).repeat(2, 1, 1, 1)
    conv = nn.functional.conv2d
    through = conv(conv(conv(x, down), mid, None, layer.stride, layer.padding), up)
    same(worn(sdxl, tensors, tmp_path, CONV), (layer(x) + 0.5 * through)[1])


def test_a_convolution_of_one_pixel_may_be_written_as_either(sdxl: Any, tmp_path: Path) -> None:
    for name, flat in ((LINEAR, False), ("down_blocks.1.resnets.0.conv_shortcut", True)):
        layer = layer_of(sdxl, name)
        out, inside = layer.weight.shape[:2]
        down, up = random(4, inside), random(out, 4)
        written = (down, up) if flat else (down[..., None, None], up[..., None, None])
        at = stem(name)
        tensors = dict(
            zip((f"{at}.lora_down.weight", f"{at}.lora_up.weight"), written, strict=True)
        )
        changed = layer.weight + (up @ down).reshape(layer.weight.shape)
        same(worn(sdxl, tensors, tmp_path, name), with_weight(sdxl, name, changed))


FACTORS = [
    ({"w1": (4, 4)}, {"w2": (8, 8)}, LINEAR),
    ({"w1_a": (4, 2), "w1_b": (2, 8)}, {"w2": (8, 4)}, LINEAR),
    ({"w1": (2, 2)}, {"w2_a": (16, 3), "w2_b": (3, 16)}, LINEAR),
    ({"w1": (4, 4)}, {"w2": (8, 4, 3, 3)}, CONV),
    ({"w1": (4, 4)}, {"w2_a": (8, 2), "w2_b": (2, 4 * 9)}, CONV),
    ({"w1": (4, 4)}, {"t2": (2, 3, 3, 3), "w2_a": (2, 8), "w2_b": (3, 4)}, CONV),
]


@pytest.mark.parametrize(("first", "second", "name"), FACTORS)
def test_lokr_is_lycoris_kronecker_product(
    sdxl: Any, tmp_path: Path, first: dict[str, Any], second: dict[str, Any], name: str
) -> None:
    """Two whole factors act as they are; a factor of a rank is scaled by alpha / rank."""
    layer = layer_of(sdxl, name)
    made = {part: random(*shape) for part, shape in (first | second).items()}
    tensors = {f"{stem(name)}.lokr_{part}": one for part, one in made.items()}
    tensors[f"{stem(name)}.alpha"] = torch.tensor(1.0)
    w1 = made["w1"] if "w1" in made else made["w1_a"] @ made["w1_b"]
    if "t2" in made:
        w2 = torch.einsum("ijkl,jr,ip->prkl", made["t2"], made["w2_b"], made["w2_a"])
        w2 = w2.contiguous()
    else:
        w2 = made["w2"] if "w2" in made else made["w2_a"] @ made["w2_b"]
    if w2.dim() == 2 and isinstance(layer, nn.Conv2d):
        w2 = w2.reshape(len(w2), -1, 3, 3)
    ranks = [len(made[part]) for part in ("w1_b", "w2_b") if part in made]
    whole = torch.kron(w1.reshape(*w1.shape, *[1] * (w2.dim() - 2)), w2) / (ranks or [1])[-1]
    same(worn(sdxl, tensors, tmp_path, name), with_weight(sdxl, name, layer.weight + whole))


@pytest.mark.parametrize("name", [LINEAR, CONV, DOWN])
@pytest.mark.parametrize("by_inputs", [False, True])
@pytest.mark.parametrize("weight", [1.0, 0.6])
def test_dora_gives_rows_or_columns_their_lengths(
    sdxl: Any, tmp_path: Path, name: str, by_inputs: bool, weight: float
) -> None:
    layer = layer_of(sdxl, name)
    down, up = low_rank(layer)
    changed = layer.weight + 0.5 * product(down, up)
    across = [dim for dim in range(changed.dim()) if dim != int(by_inputs)]
    lengths = torch.linalg.vector_norm(changed, dim=across, keepdim=True)
    magnitude = lengths * (1 + random(*lengths.shape))
    tensors = {f"{stem(name)}.lora_down.weight": down, f"{stem(name)}.lora_up.weight": up,
               f"{stem(name)}.alpha": torch.tensor(2.0),
               f"{stem(name)}.dora_scale": magnitude}  # fmt: skip
    whole = layer.weight + weight * (magnitude / lengths * changed - layer.weight)
    same(worn(sdxl, tensors, tmp_path, name, weight), with_weight(sdxl, name, whole))


def test_pefts_magnitude_of_a_square_convolution_is_of_its_outputs(
    sdxl: Any, tmp_path: Path
) -> None:
    name = "mid_block.resnets.0.conv1"
    layer = layer_of(sdxl, name)
    down, up = low_rank(layer)
    changed = layer.weight + product(down, up)
    lengths = torch.linalg.vector_norm(changed, dim=(1, 2, 3)).reshape(1, -1, 1, 1)
    magnitude = lengths * (1 + random(*lengths.shape))
    at = f"unet.{name}"
    tensors = {f"{at}.lora_A.weight": down, f"{at}.lora_B.weight": up,
               f"{at}.lora_magnitude_vector": magnitude}  # fmt: skip
    whole = changed * (magnitude / lengths).reshape(-1, 1, 1, 1)
    same(worn(sdxl, tensors, tmp_path, name), with_weight(sdxl, name, whole))


def fused(flux: Any) -> tuple[list[str], Tensor]:
    names = [f"single_transformer_blocks.0.{one}" for one in
             ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")]  # fmt: skip
    return names, torch.cat([layer_of(flux, name).weight for name in names])


@pytest.mark.parametrize("by_inputs", [False, True])
def test_dora_and_lokr_of_a_fused_matrix_are_split_exactly(
    flux: Any, tmp_path: Path, by_inputs: bool
) -> None:
    names, weight = fused(flux)
    out, inside = weight.shape
    first, second = random(2, 4), random(out // 2, inside // 4)
    changed = weight + torch.kron(first, second)
    lengths = changed.norm(dim=0 if by_inputs else 1, keepdim=True)
    magnitude = lengths * (1 + random(*lengths.shape))
    at = "lora_unet_single_blocks_0_linear1"
    tensors = {f"{at}.lokr_w1": first, f"{at}.lokr_w2": second}
    for more, whole in (({}, changed), ({"dora_scale": magnitude}, magnitude / lengths * changed)):
        every = tensors | {f"{at}.{part}": one for part, one in more.items()}
        rows = itertools.accumulate((len(layer_of(flux, name).weight) for name in names), initial=0)
        for name, (begin, end) in zip(names, itertools.pairwise(rows), strict=True):
            same(worn(flux, every, tmp_path, name), with_weight(flux, name, whole[begin:end]))


def test_fused_matrices_share_what_they_share(flux: Any, tmp_path: Path) -> None:
    _, weight = fused(flux)
    down, up = random(4, weight.shape[1]), random(len(weight), 4)
    at = "lora_unet_single_blocks_0_linear1"
    adapter = read(flux, {f"{at}.lora_down.weight": down, f"{at}.lora_up.weight": up}, tmp_path)
    assert len(adapter.layers) == 4
    assert adapter.nbytes == adapter.placed(torch.device("cpu")).nbytes == down.nbytes + up.nbytes


def test_a_bias_takes_part(sdxl: Any, tmp_path: Path) -> None:
    layer = layer_of(sdxl, LINEAR)
    down, up = low_rank(layer)
    bias, x = random(32), probe(layer)
    at = f"unet.{LINEAR}"
    tensors = {f"{at}.lora_A.weight": down, f"{at}.lora_B.weight": up, f"{at}.lora_B.bias": bias}
    same(worn(sdxl, tensors, tmp_path, LINEAR), (layer(x) + x @ down.T @ up.T + bias)[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_files_of_any_dtype_are_read(sdxl: Any, tmp_path: Path, dtype: torch.dtype) -> None:
    layer = layer_of(sdxl, LINEAR)
    down, up = (one.to(dtype) for one in low_rank(layer))
    at = stem(LINEAR)
    tensors = {f"{at}.lora_down.weight": down, f"{at}.lora_up.weight": up}
    changed = layer.weight + up.float() @ down.float()
    same(worn(sdxl, tensors, tmp_path, LINEAR), with_weight(sdxl, LINEAR, changed))


def misfit(how: str, layer: nn.Linear | nn.Conv2d) -> Tensors:
    down, up = low_rank(layer)
    at, out = stem(LINEAR), len(up)
    tensors = {f"{at}.lora_down.weight": down, f"{at}.lora_up.weight": up}
    changes: dict[str, Tensors] = {
        "turned": {f"{at}.lora_up.weight": up.T},
        "integers": {f"{at}.lora_up.weight": up.int()},
        "flat": {f"{at}.lora_up.weight": up.flatten()},
        "magnitude": {f"{at}.dora_scale": torch.ones(3)},
        "bias": {f"{at}.lora_up.bias": torch.ones(3)},
        "no rank": {f"{at}.lora_down.weight": down[:0], f"{at}.lora_up.weight": up[:, :0]},
        "conv": {f"{at}.lora_down.weight": torch.ones(4, 32, 3, 3)},
        "spelt twice": {f"unet.{LINEAR}.lora_A.weight": down, f"unet.{LINEAR}.lora_B.weight": -up},
        "norm": {f"{at}.diff_b": torch.ones(out)},
    }
    if how == "factors":
        return {f"{at}.lokr_w1": torch.ones(3, 4), f"{at}.lokr_w2": torch.ones(8, 8)}
    if how == "half of lokr":
        return {f"{at}.lokr_w1": torch.ones(3, 4)}
    if how == "ranks":
        return {f"{at}.lokr_w1": torch.ones(4, 4), f"{at}.lokr_w2_a": torch.ones(8, 2),
                f"{at}.lokr_w2_b": torch.ones(3, 8)}  # fmt: skip
    return tensors | changes[how]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("turned", "does not fit"),
        ("integers", "int32, which are no LoRA's numbers"),
        ("flat", "does not fit"),
        ("magnitude", "does not fit"),
        ("bias", "does not fit"),
        ("no rank", "does not fit"),
        ("conv", "does not fit"),
        ("factors", "does not fit"),
        ("ranks", "to_q"),
        ("half of lokr", "lacks one of its two matrices"),
        ("spelt twice", "lora_down.weight' and .*lora_A.weight' are one matrix, told twice"
         "|lora_A.weight' and .*lora_down.weight' are|lora_up.weight' and|lora_B.weight' and"),
        ("norm", "a whole change of weights"),
    ],
)  # fmt: skip
def test_what_is_no_adapter_of_the_layer_is_refused(
    sdxl: Any, tmp_path: Path, how: str, reason: str
) -> None:
    with pytest.raises(StyleUnfit, match=reason):
        read(sdxl, misfit(how, layer_of(sdxl, LINEAR)), tmp_path)


def test_a_change_that_is_none_is_no_reason_to_refuse(sdxl: Any, tmp_path: Path) -> None:
    tensors = misfit("turned", layer_of(sdxl, LINEAR))
    down, up = low_rank(layer_of(sdxl, LINEAR))
    tensors = {f"{stem(LINEAR)}.lora_down.weight": down, f"{stem(LINEAR)}.lora_up.weight": up,
               f"{stem(LINEAR)}.diff_b": torch.zeros(32)}  # fmt: skip
    assert len(read(sdxl, tensors, tmp_path).layers) == 1
