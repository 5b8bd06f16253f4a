"""One set of weights for every kind of request: loaded once, all or nothing, counted by storage."""

import importlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.styles import Adapters
from deployments.diffusion.weights.audit import unique_storages
from deployments.diffusion.weights.mapped import load_mapped
from deployments.diffusion.weights.on_disk import pulled
from deployments.diffusion.weights.unavailable import ModelUnavailable
from deployments.diffusion.weights.variants import files_by_part, variants_of
from deployments.diffusion.weights.vocabulary import load_tokenizer, require_embedded

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class SharedComponents:
    """The modules of one model, shared by every request that the engine steps.

    modules: by their names in the checkpoint (transformer, text_encoder, vae), in eval mode, on
    `device`, in `dtype`. tokenizers: likewise (tokenizer, tokenizer_2). scheduler_config: the
    checkpoint's own; no scheduler object is kept. settings: what else model_index.json says.
    adapters: of the profile's styles.
    """

    modules: Mapping[str, torch.nn.Module]
    tokenizers: Mapping[str, PreTrainedTokenizerBase]
    scheduler_config: Mapping[str, Any]
    settings: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype
    adapters: Adapters = field(default_factory=Adapters)

    @classmethod
    def load(cls, source: ModelSource, on_host: Collection[str] = ()) -> "SharedComponents":
        """Load every component or none; those named by `on_host` stay in host memory for now.

        Raises ModelUnavailable when the folder, a file of it, or the device is missing.
        """
        if source.is_local:
            _require_checkpoint(Path(source.location))
        device = pick_device(source.device)
        dtype = DTYPES[source.dtype]
        place = str(pulled(source) or source.location)
        location = {"pretrained_model_name_or_path": place, "revision": source.revision}
        part = "model_index.json"
        try:
            index = DiffusionPipeline.load_config(**location)
            asked = None if pulled(source) else source.variant
            variants = variants_of(files_by_part(Path(place), index), asked)
            loaded: dict[str, Any] = {}
            for name, entry in index.items():
                if name.startswith("_") or not isinstance(entry, list):
                    continue
                library, class_name = entry
                if library is None:  # [null, null] marks an optional part that is not there
                    continue
                lies = torch.device("cpu") if name in on_host else device
                part = name
                variant = variants.get(name, asked)
                loaded[name] = _load(name, library, class_name, location, lies, dtype, variant)
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelUnavailable(
                f"model.source: {source.title!r}: its {part} cannot be loaded; the log says why"
            ) from error
        modules = {k: v for k, v in loaded.items() if isinstance(v, torch.nn.Module)}
        tokenizers = {k: v for k, v in loaded.items() if isinstance(v, PreTrainedTokenizerBase)}
        require_embedded(tokenizers, modules)
        return cls(
            modules=modules,
            tokenizers=tokenizers,
            scheduler_config=loaded["scheduler"],
            settings={k: v for k, v in index.items() if not isinstance(v, list)},
            device=device,
            dtype=dtype,
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


def _require_checkpoint(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelUnavailable(f"model.source: there is no model folder {folder.name!r}")
    if not (folder / "model_index.json").is_file():
        raise ModelUnavailable(
            f"model.source: the folder {folder.name!r} holds no model_index.json; give the folder "
            "of a diffusers checkpoint"
        )


def _load(
    name: str,
    library: str,
    class_name: str,
    location: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype,
    variant: str | None,
) -> Any:
    kind = getattr(importlib.import_module(library), class_name)
    where = {**location, "subfolder": name}
    if name == "scheduler":
        return {**kind.load_config(**where), "_class_name": class_name}  # the index's word counts
    folder = Path(location["pretrained_model_name_or_path"]) / name
    if issubclass(kind, PreTrainedTokenizerBase) and folder.is_dir():
        return load_tokenizer(kind, folder)
    if not issubclass(kind, torch.nn.Module):  # what prepares pictures
        return kind.from_pretrained(**where)
    module = None
    if folder.is_dir():
        module = load_mapped(kind, library, folder, device, dtype, variant)
    if module is not None:
        return module.eval().requires_grad_(False)
    # Both libraries build on meta and, through accelerate, read safetensors straight to `device`.
    dtype_name = "dtype" if library == "transformers" else "torch_dtype"
    module = kind.from_pretrained(
        **where,
        **{dtype_name: dtype},
        variant=variant,
        low_cpu_mem_usage=True,
        device_map={"": device},
    )
    return module.eval().requires_grad_(False)
