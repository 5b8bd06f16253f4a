"""What a model is made of, without its weights: to weigh it, or to fill it with random ones."""

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.components import DTYPES, SharedComponents
from deployments.diffusion.weights.unavailable import ModelUnavailable, without_paths

WORDS = ("[pad]", "[unk]", "[user]", "[end]", "[assistant]", "a")
CHAT = "{% for m in messages %}[user] {{ m['content'] }} [end]{% endfor %} [assistant]"


@dataclass(frozen=True, slots=True)
class Architecture:
    """The classes and configs of a model's components.

    components: by name, each with `library`, `class` and `config`, as model_index.json and the
    folders beside it have them. A tokenizer is not among them.
    """

    components: Mapping[str, Mapping[str, Any]]
    dtype: torch.dtype

    @classmethod
    def read(cls, source: ModelSource) -> "Architecture":
        """From the configs in a local checkpoint, else from the file that the profile names.

        Raises ModelUnavailable when there is neither.
        """
        dtype = DTYPES[source.dtype]
        if source.is_local:
            return cls(_from_checkpoint(Path(source.location)), dtype)
        if source.architecture is None:
            raise ModelUnavailable(
                f"model.architecture: what {source.title!r} is made of is known only once it is "
                "loaded; name a file that says it, as configs/z-image-turbo-24gb.yaml does"
            )
        try:
            text = Path(source.architecture).read_text(encoding="utf-8")
        except OSError as error:
            name = Path(source.architecture).name
            raise ModelUnavailable(
                f"model.architecture: {name!r}: {without_paths(error)}"
            ) from error
        return cls(yaml.safe_load(text), dtype)

    @classmethod
    def of(cls, components: SharedComponents) -> "Architecture":
        """Of a model that is loaded."""
        entries: dict[str, dict[str, Any]] = {
            name: {
                "library": type(module).__module__.partition(".")[0],
                "class": type(module).__name__,
                "config": _config_of(module),
            }
            for name, module in components.modules.items()
        }
        schedule = components.scheduler_config
        entries["scheduler"] = {"class": schedule["_class_name"], "config": schedule}
        return cls(entries, components.dtype)

    def build(self, device: torch.device) -> SharedComponents:
        """Modules with random weights, made on `device` and in their dtype from the start.

        The tokenizer knows a handful of words and has a chat template: enough to fill a prompt.
        """
        modules: dict[str, torch.nn.Module] = {}
        scheduler_config: Mapping[str, Any] = {}
        for name, entry in self.components.items():
            if name == "scheduler":
                scheduler_config = {**entry["config"], "_class_name": entry["class"]}
                continue
            with torch.device(device), _default_dtype(self.dtype):
                module = _build(entry["library"], entry["class"], entry["config"])
            modules[name] = module.eval().requires_grad_(False)
        return SharedComponents(
            modules=modules,
            tokenizers={"tokenizer": stand_in_tokenizer()},
            scheduler_config=scheduler_config,
            settings={},
            device=device,
            dtype=self.dtype,
        )


def stand_in_tokenizer() -> PreTrainedTokenizerFast:
    """A real tokenizer of six words."""
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[unk]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[pad]", unk_token="[unk]", chat_template=CHAT
    )


def _from_checkpoint(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        components = {}
        for name, entry in index.items():
            if name.startswith(("_", "tokenizer")) or not isinstance(entry, list):
                continue
            file = "scheduler_config.json" if name == "scheduler" else "config.json"
            config = json.loads((folder / name / file).read_text(encoding="utf-8"))
            components[name] = {"library": entry[0], "class": entry[1], "config": config}
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"model.source: {folder.name!r}: {without_paths(error)}") from error
    return components


def _build(library: str, class_name: str, config: Mapping[str, Any]) -> torch.nn.Module:
    kind: Any = getattr(importlib.import_module(library), class_name)
    if library == "transformers":
        module: torch.nn.Module = kind(kind.config_class.from_dict(dict(config)))
        return module
    built: torch.nn.Module = kind.from_config(dict(config))
    return built


def _config_of(module: Any) -> dict[str, Any]:
    config = module.config
    return dict(config) if isinstance(config, Mapping) else config.to_dict()


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
