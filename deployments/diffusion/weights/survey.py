"""What a checkpoint's folder holds, told before a byte of its weights is read.

Wrong families, strange classes, incomplete folders and damaged files end here, by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.diffusion.weights.composition import (
    COMPOSITIONS,
    NO_PART,
    Component,
    Composition,
    Configs,
    described,
    family_of_pipeline,
)
from deployments.diffusion.weights.unavailable import Fault, ModelRefused, ModelUnavailable, Wrong
from deployments.diffusion.weights.weight_files import (
    STEMS,
    UNQUANTISED,
    WeightFiles,
    read_json,
    require_whole,
)

INDEX = "model_index.json"
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
TEMPLATES = ("chat_template.jinja", "chat_template.json")
SINGLE = (".safetensors", ".gguf", ".ckpt", ".pt", ".pth", ".bin")
COMPLETE = "complete the folder"
OWN_FILES = "give the part's own files"
OWN_CONFIG = "give the part's own config.json"


@dataclass(frozen=True, slots=True)
class Survey:
    """A folder whose index and configs are a family's own.

    index: model_index.json. configs: of each component and of the scheduler, by name.
    """

    folder: Path
    composition: Composition
    index: Mapping[str, Any]
    configs: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, folder: Path, family: str) -> "Survey":
        """Raises Fault for what is missing or not the family's, ModelRefused for another's."""
        composition = COMPOSITIONS[family]
        index = read_json(INDEX, folder / INDEX)
        _require_family(folder, index, family)
        _require_entries(folder / INDEX, index, composition)
        configs = {
            name: _config(folder, name, component)
            for name, component in composition.components.items()
        }
        scheduler = folder / "scheduler" / "scheduler_config.json"
        configs["scheduler"] = read_json("scheduler", scheduler)
        for name in composition.tokenizers:
            _require_tokenizer(folder / name, name, composition, configs)
        for name, what in composition.misfits(configs):
            fix = f"give a checkpoint as the {composition.title} pipelines of diffusers read it"
            raise Wrong(name, what, fix, folder / name / "config.json")
        return cls(folder, composition, index, configs)

    def weight_files(self, name: str) -> WeightFiles:
        """Of one component. Raises Fault, naming the file that is not whole."""
        library = self.composition.components[name].library
        return WeightFiles.found(name, self.folder / name, library)

    @property
    def weight_patterns(self) -> tuple[str, ...]:
        """Of the files that hold the weights, without other variants of them."""
        stems = {
            name: STEMS[component.library][0].removesuffix(".safetensors")
            for name, component in self.composition.components.items()
        }
        ends = (".safetensors", "-*.safetensors", ".safetensors.index.json")
        return tuple(f"{name}/{stem}{end}" for name, stem in stems.items() for end in ends)

    @property
    def settings(self) -> dict[str, Any]:
        """What model_index.json says besides its components."""
        return {key: entry for key, entry in self.index.items() if not isinstance(entry, list)}


def require_folder(folder: Path) -> None:
    """Raise ModelUnavailable where this is no folder with a model_index.json, saying what it is."""
    name = folder.name
    if folder.is_file():
        raise ModelRefused(
            f"model.source: {name!r} is a single file; {_unpacked(folder.suffix)} and give the "
            "folder"
        )
    if not folder.is_dir():
        raise ModelUnavailable(f"model.source: there is no model folder {name!r}")
    if (folder / INDEX).exists() or (folder / INDEX).is_symlink():
        return
    if (folder / "snapshots").is_dir():
        raise ModelRefused(
            f"model.source: {name!r} is the hub's cache of a model; give the folder of one "
            "revision, within snapshots"
        )
    if (folder / "config.json").is_file() and (folder.parent / INDEX).is_file():
        raise ModelRefused(
            f"model.source: {name!r} is one part of a checkpoint; give the folder that holds it"
        )
    single = sorted(file.name for file in folder.iterdir() if file.suffix in SINGLE)
    if single:
        raise ModelRefused(
            f"model.source: the folder {name!r} holds no {INDEX}, but the single file "
            f"{single[0]!r}; {_unpacked(Path(single[0]).suffix)} and give that folder"
        )
    raise ModelUnavailable(
        f"model.source: the folder {name!r} holds no {INDEX}; give the folder of a diffusers "
        "checkpoint"
    )


def _unpacked(suffix: str) -> str:
    """How to make a folder of a single file."""
    if suffix == ".gguf":
        return (
            "GGUF is quantised and holds one part of a model: give the checkpoint that it was made "
            "of (model.memory_budget lets Signboard store that in fp8),"
        )
    return (
        "unpack it with diffusers, from_single_file(FILE) of the model's pipeline class, then "
        "save_pretrained(FOLDER),"
    )


def _require_family(folder: Path, index: Mapping[str, Any], family: str) -> None:
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        raise Wrong(INDEX, "names no pipeline (_class_name)", COMPLETE, folder / INDEX)
    whose = family_of_pipeline(pipeline)
    if whose == family:
        return
    title = COMPOSITIONS[family].title
    if whose is None:
        raise ModelRefused(
            f"model.source: {folder.name!r} is {described(pipeline)}, which is not served; "
            f"family {family} serves {title} as {COMPOSITIONS[family].pipelines[0]} draws it"
        )
    raise ModelRefused(
        f"model.family: {folder.name!r} is {COMPOSITIONS[whose].title} ({pipeline}), not {title}; "
        f"set model.family to {whose}, or give another checkpoint"
    )


def _require_entries(file: Path, index: Mapping[str, Any], composition: Composition) -> None:
    """That the index lists the family's parts, each of a class that reads it, and no others."""
    known: dict[str, tuple[str, tuple[str, ...]]] = {
        name: (one.library, (one.reads, *one.named)) for name, one in composition.components.items()
    }
    known |= {name: ("transformers", one.named) for name, one in composition.tokenizers.items()}
    title = composition.title
    missing = sorted(name for name in {*known, "scheduler"} if not _lists(index, name))
    if missing:
        what = f"is without {', '.join(missing)}, which {title} reads"
        raise Wrong(INDEX, what, "give a whole checkpoint: no refiner, no single part", file)
    for name, entry in index.items():
        if name.startswith("_") or name in (*NO_PART, "scheduler") or not _lists(index, name):
            continue
        if name not in known:
            what = f"lists {name!r}, which {title} has not"
            raise Wrong(INDEX, what, "take the entry out, or give a plain checkpoint", file)
        library, kinds = known[name]
        if entry[0] != library or entry[1] not in kinds:
            what = f"names {entry[0]}.{entry[1]} as its {name}; {title} reads {kinds[0]}"
            raise Wrong(INDEX, what, f"give the checkpoint with a {kinds[0]} of {library}", file)


def _lists(index: Mapping[str, Any], name: str) -> bool:
    """Whether the index has the part; [null, null] marks an optional one that is not there."""
    entry = index.get(name)
    return isinstance(entry, list) and len(entry) == 2 and entry[0] is not None


def _config(folder: Path, name: str, component: Component) -> dict[str, Any]:
    """A component's config. Raises Fault where it is another's, or incomplete, or quantised."""
    file = folder / name / "config.json"
    config = read_json(name, file)
    if config.get("quantization_config"):
        settings = config["quantization_config"]
        method = settings.get("quant_method") if isinstance(settings, dict) else settings
        raise Wrong(name, f"is quantised by {method}", UNQUANTISED, file, "quantization_config")
    if component.library == "diffusers":
        says, wanted = config.get("_class_name"), {component.reads, *component.named}
    else:
        says, wanted = config.get("model_type"), {component.kind.config_class.model_type}
    if says not in wanted:
        what = f"has the config of {says!r}, not of {component.reads}"
        raise Wrong(name, what, OWN_CONFIG, file)
    for entry, kind in component.needs.items():
        value = config.get(entry)
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            what = f"has a config whose {entry} is {value!r}"
            raise Wrong(name, what, OWN_CONFIG, file, entry)
    return config


def _require_tokenizer(folder: Path, name: str, composition: Composition, configs: Configs) -> None:
    vocabulary, file = composition.tokenizers[name], folder / "tokenizer_config.json"
    config = read_json(name, file)
    says = config.get("tokenizer_class")
    if says is not None and says not in vocabulary.named:
        what = f"is a {says}; {composition.title} reads a {vocabulary.named[0]}"
        raise Wrong(name, what, OWN_FILES, file)
    if vocabulary.padded:
        most, read = config.get("model_max_length"), configs[vocabulary.encoder]
        positions = read["max_position_embeddings"]
        if not isinstance(most, int) or not 1 < most <= positions:
            what = f"makes prompts {most} tokens long (model_max_length), of {positions} read"
            raise Wrong(name, what, OWN_FILES, file, "model_max_length")
    whole = [all((folder / one).exists() for one in files) for files in VOCABULARIES]
    if not any(whole):
        raise Fault(name, "has no vocabulary", COMPLETE, folder / VOCABULARIES[0][0])
    for one in VOCABULARIES[whole.index(True)]:
        require_whole(name, folder / one)
        if one.endswith(".json"):
            read_json(name, folder / one)
    if composition.chat and not config.get("chat_template"):
        for template in TEMPLATES:
            if (folder / template).exists():
                require_whole(name, folder / template)
                return
        fix = f"put the {TEMPLATES[0]} of the text encoder's own model beside it"
        raise Fault(name, "has no chat template", fix, folder / TEMPLATES[0])
