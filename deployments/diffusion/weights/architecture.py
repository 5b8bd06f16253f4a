"""What a model is made of, without its weights: to weigh it, or to fill it with random ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2VLImageProcessorPil

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.components import DTYPES, SharedComponents, kept_in_float32
from deployments.diffusion.weights.composition import class_of
from deployments.diffusion.weights.on_disk import pulled
from deployments.diffusion.weights.survey import surveyed
from deployments.diffusion.weights.unavailable import ModelRefused, ModelUnavailable, without_paths

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
        """From the configs in the checkpoint's folder or, of a hub's model that is not pulled, from
        the file that the profile names, else from the hub, which has them in a few kilobytes.

        Raises ModelUnavailable when there is none of these.
        """
        dtype = DTYPES[source.dtype]
        if source.is_local or pulled(source) is not None or source.architecture is None:
            return cls(_from_checkpoint(source), dtype)
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

        Each text encoder's tokenizer knows a handful of words and has a chat template: enough to
        fill a prompt. Pictures are seen as their processor's class has it by itself.
        """
        modules: dict[str, torch.nn.Module] = {}
        scheduler_config: Mapping[str, Any] = {}
        for name, entry in self.components.items():
            if name == "scheduler":
                scheduler_config = {**entry["config"], "_class_name": entry["class"]}
                continue
            with torch.device(device), _default_dtype(self.dtype):
                module = _build(entry["library"], entry["class"], entry["config"], self.dtype)
            if self.dtype == torch.float16:
                for part in kept_in_float32(module):
                    part.float()
            modules[name] = module.eval().requires_grad_(False)
        encoders = {name: one for name, one in modules.items() if name.startswith("text_encoder")}
        return SharedComponents(
            modules=modules,
            tokenizers={
                name.replace("text_encoder", "tokenizer"): stand_in_tokenizer(
                    _config_of(encoder).get("max_position_embeddings")
                )
                for name, encoder in encoders.items()
            },
            scheduler_config=scheduler_config,
            settings={},
            device=device,
            dtype=self.dtype,
            processors={"processor": Qwen2VLImageProcessorPil()},
        )


def stand_in_tokenizer(most: int | None = None) -> PreTrainedTokenizerFast:
    """A real tokenizer of six words. most: tokens that its encoder reads, None for any number."""
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[unk]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[pad]",
        unk_token="[unk]",
        chat_template=CHAT,
        model_max_length=most,
    )


def _from_checkpoint(source: ModelSource) -> dict[str, dict[str, Any]]:
    survey = surveyed(source)
    components: dict[str, dict[str, Any]] = {
        name: {"library": one.library, "class": one.reads, "config": survey.configs[name]}
        for name, one in survey.composition.components.items()
    }
    schedule = survey.configs["scheduler"]
    return {**components, "scheduler": {"class": schedule["_class_name"], "config": schedule}}


def _build(
    library: str, class_name: str, config: Mapping[str, Any], dtype: torch.dtype
) -> torch.nn.Module:
    kind = class_of(library, class_name)
    try:
        if library == "transformers":  # whose configs name the dtype of the files
            named = {**config, "dtype": dtype}
            module: torch.nn.Module = kind(kind.config_class.from_dict(named))
        else:
            module = kind.from_config(dict(config))
    except Exception as error:  # whatever a library says of values that it does not know
        if isinstance(error, RuntimeError):  # a device's, or its memory's
            raise
        raise ModelRefused(
            f"model.source: the config of its {class_name} builds none; the log says why"
        ) from error
    return module


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
