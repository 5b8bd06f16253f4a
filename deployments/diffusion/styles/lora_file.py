"""A LoRA file taken apart: its tensors by the layers that they are of, however they are called.

What is not computed is refused by its name, with what to do about it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from safetensors import safe_open
from torch import Tensor

from deployments.diffusion.styles.layers import Found, StyledLayers
from deployments.diffusion.styles.peft_settings import (
    PeftSettings,
    settings_beside,
    settings_in,
)

NAMED = 3  # of a file's faults, in the message
MOST_TENSORS = 50_000

ENDINGS = {
    "lora_A": "down", "lora_down": "down", "lora.down": "down", "lora_linear_layer.down": "down",
    "lora_B": "up", "lora_up": "up", "lora.up": "up", "lora_linear_layer.up": "up",
    "down": "down", "up": "up",  # XLabs, and diffusers before it used peft
    "lora_mid": "mid", "alpha": "alpha", "lora_B.bias": "bias", "lora_up.bias": "bias",
    "dora_scale": "magnitude", "lora_magnitude_vector": "magnitude",
    **{f"lokr_{one}": one for one in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")},
}  # fmt: skip
KEY = re.compile(rf"(.+?)\.({'|'.join(map(re.escape, ENDINGS))})(?:\.default)?(?:\.weight)?")
PEFTS = re.compile(r"lora_A|^base_model\.model\..*\.lokr_")  # what peft itself writes


class Kind(NamedTuple):
    """What is not computed. neutral: whether it does nothing where it is all zeros."""

    keys: re.Pattern[str]
    name: str
    instead: str
    neutral: bool = False


EXTRACT = "extract a LoRA from it, as kohya's and LyCORIS's scripts do"
MERGE = "merge it into the model's weights, and serve these"
NOT_COMPUTED = (
    Kind(re.compile(r"\.hada_[wt]\d"), "LoHa", EXTRACT),
    Kind(re.compile(r"\.(boft?|oft)_"), "OFT", MERGE),
    Kind(re.compile(r"\.(ia3_l|on_input)$"), "(IA)³", MERGE),
    Kind(re.compile(r"\.vera_lambda_"), "VeRA", MERGE),
    Kind(re.compile(r"\.[ab][12]\.weight$"), "GLoRA", EXTRACT),
    Kind(re.compile(r"\.(diff|diff_b|set_weight)$"), "a whole change of weights", EXTRACT, True),
    Kind(re.compile(r"\.[wb]_norm$"), "a change of norms", "save it without train_norm", True),
    Kind(
        re.compile(r"norm\.(query|key)_norm\.scale$|^lora_controlnet$"),
        "a control LoRA, which needs a picture beside the prompt",
        "use one that changes pictures alone",
    ),
    Kind(
        re.compile(r"^bundle_emb\.|string_to_param|^emb_params$|lora_embedding_[AB]"),
        "a trained word (textual inversion)",
        "save it without, since words are not added here",
    ),
)
LOOKS = (  # names that tell of which model a file is
    (re.compile(r"single_transformer_blocks|(double|single)_blocks[._]\d"), "FLUX"),
    (re.compile(r"joint_blocks[._]\d"), "SD 3"),
    (re.compile(r"transformer_blocks[._]\d+[._](img|txt)_(mlp|mod)"), "Qwen-Image"),
    (re.compile(r"blocks[._]\d+[._](self|cross)_attn"), "Wan"),
    (re.compile(r"input_blocks[._][12][._]1|down_blocks[._]0[._]attentions"), "SD 1 or 2"),
    (re.compile(r"(input|output|down|up)_blocks?[._]\d|mid(dle)?_block[._]"), "SDXL"),
    (re.compile(r"layers[._]\d+[._](attention|feed_forward)"), "Z-Image"),
)


@dataclass(slots=True)
class Told:
    """What a file tells of one matrix, under which of its keys."""

    found: Found
    tensors: dict[str, Tensor] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)


class LoraFile(NamedTuple):
    """told: by the keys of `StyledLayers.parts`. settings: peft's, by component; "" is any."""

    told: dict[str, Told]
    settings: dict[str, PeftSettings]

    def settings_of(self, told: Told) -> PeftSettings:
        """Peft's settings of a matrix, which may say nothing."""
        for component in (told.found.component, ""):
            if component in self.settings:
                return self.settings[component]
        return PeftSettings()


def read_lora(path: Path, beside: Callable[[], str | None], layers: StyledLayers) -> LoraFile:
    """The file taken apart. beside: finds the text of peft's settings, if there is one.

    Raises ValueError for what has no place in the model, what is told twice, what is not computed.
    """
    with safe_open(path, framework="pt") as file:
        settings = settings_in(file.metadata() or {})
        keys = list(file.keys())
        if len(keys) > MOST_TENSORS:
            raise ValueError(f"it holds {len(keys)} tensors, and no LoRA {MOST_TENSORS} of them")
        tensors = {key: file.get_tensor(key) for key in keys}
    if not settings and any(PEFTS.search(key) for key in tensors) and (found := beside()):
        settings = settings_beside(found)
    return LoraFile(_by_matrix(tensors, layers), settings)


def _by_matrix(tensors: Mapping[str, Tensor], layers: StyledLayers) -> dict[str, Told]:
    told: dict[str, Told] = {}
    strangers: list[str] = []
    faults: list[str] = []
    for key, tensor in tensors.items():
        if tensor.dtype.itemsize == 1 and tensor.is_floating_point():
            tensor = tensor.float()  # float8, which nothing is computed in
        if _is_not_computed(key, tensor):
            continue
        match = KEY.fullmatch(key)
        found = match and layers.find(match[1])
        if not match or not found:
            strangers.append(key)
            continue
        one = told.setdefault(found.key, Told(found))
        part = ENDINGS[match[2]]
        if part != "alpha" and not tensor.is_floating_point():
            faults.append(f"{key!r} holds {tensor.dtype}, which are no LoRA's numbers")
        elif part in one.tensors and not one.tensors[part].equal(tensor):
            faults.append(f"{one.keys[part]!r} and {key!r} are one matrix, told twice differently")
        one.tensors[part], one.keys[part] = tensor, key
    if strangers:
        faults = [*(f"no layer for {key!r}" for key in strangers), *faults]
        refuse(faults, _made_for(tensors, layers))
    refuse(faults)
    if not told:
        raise ValueError("it holds no adapter")
    return told


def _is_not_computed(key: str, tensor: Tensor) -> bool:
    """Whether it is of a kind that is not computed and does nothing. Raises ValueError for one that
    does something."""
    for kind in NOT_COMPUTED:
        if kind.keys.search(key):
            if kind.neutral and not tensor.float().any():
                return True
            raise ValueError(f"{key!r} is {kind.name}, which is not computed here: {kind.instead}")
    return False


def _made_for(tensors: Iterable[str], layers: StyledLayers) -> str:
    """A hint at the model that a file is made for, where that is not ours."""
    theirs, ours = _look(tensors), _look(layers.modules)
    return f"; it looks like one for {theirs}" if theirs and theirs != ours else ""


def _look(names: Iterable[str]) -> str | None:
    every = "\n".join(names)
    return next((model for pattern, model in LOOKS if pattern.search(every)), None)


def refuse(faults: Iterable[str], hint: str = "") -> None:
    """Raise ValueError with the first of the faults, if there are any."""
    found = list(faults)
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise ValueError(", ".join(found[:NAMED]) + more + hint)
