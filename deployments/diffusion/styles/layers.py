"""The layers that a style may act on, by all the names that files have for them.

A file's key is a prefix, which says what it is a part of, a name, and an ending, which says what
the tensor is. Trainers agree on nothing but that; kohya even writes every dot as an underscore. So
names are compared with underscores alone, and all that a model's layers are called is listed once.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from deployments.diffusion.styles.updates import Layer

DENOISER = re.compile(
    r"(base_model\.model\.|(model\.)?diffusion_model\.|transformer\.|unet\."
    r"|lora_unet_|lora_transformer_|lycoris_)*"
)
"""What peft, ComfyUI, diffusers, kohya, OneTrainer and LyCORIS write before a denoiser's layer."""


class Half(NamedTuple):
    """The first (0) or the second (1) half of a layer's outputs."""

    layer: str
    half: int


Names = Mapping[str, tuple[str | Half, ...]]
"""From what others call a matrix to the layers that it is, from its first row to its last.

A `{i}` stands for every number that the layers have there.
"""


class Part(NamedTuple):
    """The rows of a file's matrix that are a layer's, in the layer's order."""

    layer: str
    rows: tuple[slice, ...]


class Found(NamedTuple):
    """key: in `StyledLayers.parts`. name: of the layer in its component, as the file has it."""

    key: str
    component: str
    name: str


@dataclass(frozen=True, slots=True)
class StyledLayers:
    """modules: by component and name (transformer.layers.0.attention.to_q).

    parts: of what a file may call by a component and a name with underscores alone; nothing of
    what is never read. prefixes: the components of what reads prompts, by what stands before its
    names.
    """

    modules: Mapping[str, Layer]
    parts: Mapping[str, tuple[Part, ...]]
    prefixes: Mapping[str, str]
    denoiser: str

    @classmethod
    def of(
        cls,
        components: Mapping[str, nn.Module],
        denoiser: str,
        names: Names,
        encoders: Mapping[str, Sequence[str]],
        unread: Mapping[str, Collection[str]] | None = None,
    ) -> "StyledLayers":
        """The layers of some components, which are given by name.

        names: other names of the denoiser's layers. encoders: what may stand before the names of
        each component that reads prompts, beside its own. unread: layers of those, by name, that
        are gone, since nothing depends on them.
        """
        modules: dict[str, Layer] = {}
        parts: dict[str, tuple[Part, ...]] = {}
        for component in (denoiser, *encoders):
            for name, module in components[component].named_modules():
                if not isinstance(module, Layer):
                    continue
                whole = f"{component}.{name}"
                modules[whole] = module
                for spelt in _spellings(name):
                    parts[_plain(f"{component}.{spelt}")] = (Part(whole, (slice(None),)),)
        for name, of in _numbered(names, denoiser, modules):
            parts[_plain(f"{denoiser}.{name}")] = _cut(of, denoiser, modules)
        for component, gone in (unread or {}).items():
            for spelt in (spelt for name in gone for spelt in _spellings(name)):
                parts[_plain(f"{component}.{spelt}")] = ()
        prefixes = {
            prefix: component
            for component, others in encoders.items()
            for prefix in (f"{component}.", *others)
        }
        return cls(modules, parts, prefixes, denoiser)

    def find(self, stem: str) -> Found | None:
        """What a file's name, without its ending, means here; None if that is nothing."""
        component, prefix = self.denoiser, DENOISER.match(stem)
        name = stem.removeprefix(prefix[0] if prefix else "")
        for before, reader in self.prefixes.items():
            if stem.startswith(before):
                component, name = reader, stem.removeprefix(before)
        key = _plain(f"{component}.{name}")
        return Found(key, component, name) if key in self.parts else None


def _spellings(name: str) -> Iterator[str]:
    """A layer's name, and how versions of diffusers and transformers have changed it."""
    wholes = [name]
    if name.startswith("text_model."):
        wholes.append(name.removeprefix("text_model."))
    elif name.startswith(("encoder.layers.", "layers.")):
        wholes += [f"text_model.{name}", f"model.{name}"]
    for whole in wholes:
        yield whole
        block, _, last = whole.rpartition(".")
        if last in ("to_q", "to_k", "to_v"):
            yield f"{block}.processor.{last}_lora"
        elif whole.endswith(".to_out.0"):
            yield f"{whole.removesuffix('.to_out.0')}.processor.to_out_lora"
        elif block.endswith(".self_attn"):  # of a text encoder
            yield f"{block}.to_{last.removesuffix('_proj')}_lora"


def _plain(name: str) -> str:
    return name.replace(".", "_")


def _numbered(
    names: Names, denoiser: str, modules: Mapping[str, nn.Module]
) -> Iterator[tuple[str, tuple[str | Half, ...]]]:
    """The names with every number that they have in this model, those that it has."""
    for name, of in names.items():
        counts = range(len(modules)) if "{i}" in name else (0,)
        for i in counts:
            filled = tuple(
                Half(one.layer.replace("{i}", str(i)), one.half)
                if isinstance(one, Half)
                else one.replace("{i}", str(i))
                for one in of
            )
            if not all(f"{denoiser}.{_layer(one)}" in modules for one in filled):
                break
            yield name.replace("{i}", str(i)), filled


def _cut(of: Sequence[str | Half], denoiser: str, modules: Mapping[str, Layer]) -> tuple[Part, ...]:
    """Each layer's rows of a matrix that is several layers', or one in another order."""
    rows: dict[str, dict[int, slice]] = {}
    begin = 0
    for one in of:
        whole = f"{denoiser}.{_layer(one)}"
        width = outputs(modules[whole])
        index = 0
        if isinstance(one, Half):
            width, index = width // 2, one.half
        rows.setdefault(whole, {})[index] = slice(begin, begin + width)
        begin += width
    return tuple(Part(layer, tuple(own[i] for i in sorted(own))) for layer, own in rows.items())


def _layer(one: str | Half) -> str:
    return one.layer if isinstance(one, Half) else one


def outputs(layer: Layer) -> int:
    """The rows of a layer's matrix."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
