"""Styles: from LoRA files, as trainers write them, to adapters that fit the model."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import RemoteEntryNotFoundError
from safetensors import SafetensorError

from deployments.diffusion.profile import Style
from deployments.diffusion.styles.adapters import Adapter
from deployments.diffusion.styles.layers import StyledLayers
from deployments.diffusion.styles.lora_file import LoraFile, read_lora, refuse
from deployments.diffusion.styles.matrices import Matrix
from deployments.diffusion.styles.peft_settings import BESIDE
from deployments.diffusion.styles.updates import Decomposed, Update

PEFTS_OWN = "adapter_model.safetensors"
SAME = 1e-3  # of the largest value: how far two tellings of one change may lie apart


class StyleUnfit(Exception):
    """The file is none that can be worn; the message says what of it, and names no path."""


def load_style(style: Style, layers: StyledLayers, dtype: torch.dtype) -> Adapter:
    """The style's adapter in `dtype`, in host memory.

    Raises OSError for a file that is missing or cannot be read, StyleUnfit for one that is no LoRA
    or does not fit.
    """
    try:
        path = _path(style)
    except ValueError as error:
        raise StyleUnfit(str(error)) from error
    return read_adapter(path, partial(_beside, style, path), layers, dtype)


def read_adapter(
    path: Path, beside: Callable[[], str | None], layers: StyledLayers, dtype: torch.dtype
) -> Adapter:
    """The same of a file that is here. beside: finds the text of peft's settings, if there is one.

    Raises as `load_style` does.
    """
    try:
        updates = _updates(read_lora(path, beside, layers), layers, dtype)
    except (ValueError, SafetensorError) as error:
        raise StyleUnfit(str(error)) from error
    reads = any(not layer.startswith(f"{layers.denoiser}.") for layer in updates)
    return Adapter({layers.modules[at]: update for at, update in updates.items()}, reads=reads)


def _path(style: Style) -> Path:
    if not style.is_local:
        return Path(hf_hub_download(style.source, style.file, revision=style.revision))
    path = Path(style.location) / style.file
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _beside(style: Style, path: Path) -> str | None:
    """Peft's settings, from where the file is; a hub is asked for them beside peft's own file."""
    if style.is_local:
        beside = path.with_name(BESIDE)
        return beside.read_text(encoding="utf-8") if beside.is_file() else None
    if path.name != PEFTS_OWN:
        return None
    name = (Path(style.file).parent / BESIDE).as_posix()
    try:
        found = Path(hf_hub_download(style.source, name, revision=style.revision))
        return found.read_text(encoding="utf-8")
    except RemoteEntryNotFoundError:
        return None


def _updates(file: LoraFile, layers: StyledLayers, dtype: torch.dtype) -> dict[str, Update]:
    """What the file adds to each layer, by name. Raises ValueError for what does not fit."""
    updates: dict[str, Update] = {}
    names: dict[str, str] = {}  # by which the file tells of each layer
    faults: list[str] = []
    for key, told in file.told.items():
        parts, settings, name = layers.parts[key], file.settings_of(told), told.found.name
        matrix = Matrix(told, parts, layers.modules, settings, dtype)
        try:
            for layer, update in matrix.updates():
                if layer not in updates:
                    updates[layer], names[layer] = update, name
                elif not _same(updates[layer], update):
                    both = f"as {names[layer]!r} and as {name!r}"
                    faults.append(f"{layer!r} is told twice, differently: {both}")
        except ValueError as error:
            faults.append(str(error))
        except RuntimeError as error:  # of tensors that cannot be multiplied
            faults.append(f"{name!r}: {error}")
    refuse(faults)
    if not updates:
        raise ValueError("it holds no adapter")
    return updates


def _same(one: Update, other: Update) -> bool:
    """Whether two tellings of one layer's change agree, up to how they were rounded."""
    if isinstance(one, Decomposed) or isinstance(other, Decomposed):
        return False
    first, second = one.matrix(), other.matrix()
    return bool((first - second).abs().max() <= SAME * first.abs().max())
