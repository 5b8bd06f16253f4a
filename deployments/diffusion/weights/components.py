"""One set of weights for every kind of request: loaded once, all or nothing, counted by storage."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from transformers import PreTrainedTokenizerBase

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.adapters import Adapters
from deployments.diffusion.weights.audit import unique_storages
from deployments.diffusion.weights.checkpoint import fetch_weights, surveyed
from deployments.diffusion.weights.mapped import (
    Shell,
    load_by_library,
    load_mapped,
    require_finite,
)
from deployments.diffusion.weights.survey import OWN_FILES, Survey
from deployments.diffusion.weights.unavailable import Fault, ModelUnavailable, Wrong

PROBE = "red"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


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

        Raises ModelUnavailable when the folder, a file of it, or the device is missing, and
        ModelRefused where what is there can never be served.
        """
        survey = surveyed(source)
        device = pick_device(source.device)
        dtype = DTYPES[source.dtype]
        fetch_weights(source, survey)
        try:
            tokenizers = {name: _tokenizer(survey, name) for name in survey.composition.tokenizers}
            shells = {name: _shell(survey, name, dtype) for name in survey.composition.components}
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


def pick_device(wanted: str) -> torch.device:
    """The device of a profile: "auto" is CUDA where there is one, else the CPU."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelUnavailable("model.device: this machine has no CUDA device; use auto or cpu")
    return torch.device(wanted)


def _tokenizer(survey: Survey, name: str) -> PreTrainedTokenizerBase:
    kind = getattr(transformers, survey.index[name][1])
    folder, vocabulary = survey.folder / name, survey.composition.tokenizers[name]
    try:
        tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(folder, local_files_only=True)
        tokenizer(PROBE)
        core = type(tokenizer.backend_tokenizer.model).__name__
        said = [{"role": "user", "content": PROBE}]
        chat = survey.composition.chat and tokenizer.apply_chat_template(said, tokenize=False)
    except Exception as error:  # whatever a library says of files that it does not know
        raise Wrong(name, "cannot be read", OWN_FILES, folder, detail=repr(error)) from error
    if chat is not False and PROBE not in chat:
        raise Wrong(name, "has a chat template that leaves the prompt out", OWN_FILES, folder)
    known = survey.configs[vocabulary.encoder]["vocab_size"]
    if len(tokenizer) > known or core != (vocabulary.core or core):
        what = (
            f"has {len(tokenizer)} tokens ({core}), not those that its {vocabulary.encoder} reads"
        )
        raise Wrong(name, what, OWN_FILES, folder)
    return tokenizer


def _shell(survey: Survey, name: str, dtype: torch.dtype) -> Shell:
    component = survey.composition.components[name]
    return Shell.of(name, component, survey.folder / name, survey.weight_files(name), dtype)


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
