"""One set of weights for every kind of request: loaded once, all or nothing, counted by storage."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import BaseImageProcessor, PreTrainedTokenizerBase

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.styles import Adapters
from deployments.diffusion.weights.audit import unique_storages
from deployments.diffusion.weights.mapped import (
    Shell,
    load_by_library,
    load_mapped,
    require_finite,
)
from deployments.diffusion.weights.on_disk import pulled
from deployments.diffusion.weights.survey import Survey, fetch_weights, surveyed
from deployments.diffusion.weights.unavailable import Fault, ModelUnavailable
from deployments.diffusion.weights.vocabulary import load_processor, load_tokenizer
from deployments.diffusion.weights.weight_files import WeightFiles

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class SharedComponents:
    """The modules of one model, shared by every request that the engine steps.

    modules: by their names in the checkpoint (transformer, text_encoder, vae), in eval mode, on
    `device`, in `dtype`. tokenizers: likewise (tokenizer, tokenizer_2). scheduler_config: the
    checkpoint's own; no scheduler object is kept. settings: what else model_index.json says.
    processors: of pictures that a text encoder sees, by name. adapters: of the profile's styles.
    """

    modules: Mapping[str, torch.nn.Module]
    tokenizers: Mapping[str, PreTrainedTokenizerBase]
    scheduler_config: Mapping[str, Any]
    settings: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype
    processors: Mapping[str, BaseImageProcessor] = field(default_factory=dict)
    adapters: Adapters = field(default_factory=Adapters)

    @classmethod
    def load(cls, source: ModelSource, on_host: Collection[str] = ()) -> "SharedComponents":
        """Load every component or none; those named by `on_host` stay in host memory for now.

        Raises ModelUnavailable when the folder, a file of it, or the device is missing, and
        ModelRefused where what is there can never be served.
        """
        survey = surveyed(source)
        device = pick_device(source.device)
        dtype = DTYPES[source.dtype]
        variant = None if pulled(source) else source.variant  # a pulled one has plain names
        try:
            tokenizers = {
                name: load_tokenizer(survey, name) for name in survey.composition.tokenizers
            }
            processors = {
                name: load_processor(survey, name) for name in survey.composition.processors
            }
            fetch_weights(source, survey)
            files = survey.weight_files(variant)
            shells = {name: _shell(survey, name, one, dtype) for name, one in files.items()}
            modules: dict[str, torch.nn.Module] = {}
            for name in list(shells):
                lies = torch.device("cpu") if name in on_host else device
                modules[name] = _load(shells.pop(name), lies, dtype)
        except Fault as fault:
            raise fault.told(source.title) from fault
        return cls(
            modules=modules,
            tokenizers=tokenizers,
            scheduler_config=survey.configs["scheduler"],
            settings=survey.settings,
            device=device,
            dtype=dtype,
            processors=processors,
        )

    def config(self, name: str) -> Any:
        """What the checkpoint says of one module."""
        return self.modules[name].config

    def tensors(self) -> Iterable[torch.Tensor]:
        """Every parameter and buffer of every module."""
        for module in (*self.modules.values(), self.adapters):
            yield from module.parameters()
            yield from module.buffers()

    def to_host(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy in host memory, pinned for CUDA; on a CPU one too, so that the two differ."""
        pinned = self.device.type == "cuda"
        return torch.empty_like(tensor, device="cpu", pin_memory=pinned).copy_(tensor)

    def to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        """A copy on the device, in the order of its stream."""
        return tensor.to(self.device, copy=True, non_blocking=True)

    @property
    def held_bytes(self) -> int:
        """Bytes of the weights, each storage counted once."""
        return sum(s.nbytes() for s in unique_storages(self.tensors()).values())


def kept_in_float32(module: Any) -> set[torch.nn.Module]:
    """The parts of a model that it wants in float32, not in float16, whose range they leave."""
    names = set(module._keep_in_fp32_modules or ())
    return {part for name, part in module.named_modules() if names & set(name.split("."))}


def pick_device(wanted: str) -> torch.device:
    """The device of a profile: "auto" is CUDA where there is one, else the CPU."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelUnavailable("model.device: this machine has no CUDA device; use auto or cpu")
    return torch.device(wanted)


def _shell(survey: Survey, name: str, files: WeightFiles, dtype: torch.dtype) -> Shell:
    component = survey.composition.components[name]
    return Shell.of(name, component, survey.folder / name, files, dtype)


def _load(shell: Shell, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    try:
        module = (load_mapped if shell.mapped else load_by_library)(shell, device, dtype)
    except (Fault, RuntimeError, MemoryError):  # the last two: others know the device's
        raise
    except Exception as error:  # whatever a library says of files that it does not know
        fix = "see to the disk, or fetch it again"
        raise Fault(shell.part, "cannot be read", fix, shell.folder, detail=repr(error)) from error
    require_finite(shell, module)
    return module.eval().requires_grad_(False)
