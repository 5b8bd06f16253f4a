"""What a checkpoint's folder holds, told before a byte of its weights is read.

Wrong families, strange classes, incomplete folders and damaged files end here, by name.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import HTTPError
from huggingface_hub import snapshot_download

from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights.composition import (
    COMPOSITIONS,
    NO_PART,
    Component,
    Composition,
    Configs,
    described,
    family_of_pipeline,
)
from deployments.diffusion.weights.on_disk import INDEX, pulled
from deployments.diffusion.weights.unavailable import (
    Fault,
    ModelRefused,
    ModelUnavailable,
    Wrong,
    without_paths,
)
from deployments.diffusion.weights.variants import files_by_part, inserted, variants_of
from deployments.diffusion.weights.weight_files import (
    STEMS,
    UNQUANTISED,
    WeightFiles,
    read_json,
    require_whole,
)

CONFIGS = (INDEX, *(f"*/*.{end}" for end in ("json", "txt", "jinja", "model")))
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
TEMPLATES = ("chat_template.jinja", "chat_template.json")
SINGLE = (".safetensors", ".gguf", ".ckpt", ".pt", ".pth", ".bin")
COMPLETE = "complete the folder"
OWN_FILES = "give the part's own files"
OWN_CONFIG = "give the part's own config.json"


@dataclass(frozen=True, slots=True)
class Survey:
    """A folder whose index and configs are a family's own: enough to plan by.

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
        schedule = read_json("scheduler", scheduler)
        configs["scheduler"] = {**schedule, "_class_name": index["scheduler"][1]}  # its word counts
        for name, what in composition.misfits(configs):
            fix = f"give a checkpoint as the {composition.title} pipelines of diffusers read it"
            raise Wrong(name, what, fix, folder / name / "config.json")
        return cls(folder, composition, index, configs)

    def require_tokenizer(self, name: str) -> None:
        """Raise Fault where one of the family's tokenizers is missing, another's, or not whole."""
        composition, file = self.composition, self.folder / INDEX
        _require_listed(file, self.index, [name], composition.title)
        kinds = composition.tokenizers[name].named
        _require_class(file, self.index, name, "transformers", kinds, composition.title)
        _require_tokenizer(self.folder / name, name, composition, self.configs)

    def require_processor(self, name: str) -> None:
        """Raise Fault where one of the family's processors is missing, or another's."""
        composition, file = self.composition, self.folder / INDEX
        _require_listed(file, self.index, [name], composition.title)
        kinds = composition.processors[name].named
        _require_class(file, self.index, name, "transformers", kinds, composition.title)
        found = [one for one in PROCESSORS if (self.folder / name / one).exists()]
        if not found:
            raise Fault(name, "has no settings", COMPLETE, self.folder / name / PROCESSORS[0])
        read_json(name, self.folder / name / found[0])

    def weight_files(self, variant: str | None) -> dict[str, WeightFiles]:
        """Of each component, in this variant where it has one, None for the plain files.

        Raises Fault, naming the file that is not whole, and ModelRefused("model.variant").
        """
        components = self.composition.components
        variants = variants_of(files_by_part(self.folder, components), variant)
        return {
            name: WeightFiles.found(name, self.folder / name, one.library, variants.get(name))
            for name, one in components.items()
        }

    def weight_patterns(self, parts: Collection[str], variant: str | None) -> tuple[str, ...]:
        """Of the files that hold these components' weights in this variant, and in no other."""
        patterns: list[str] = []
        for name in parts:
            file = f"{name}/{STEMS[self.composition.components[name].library][0]}"
            plain = (file, file.replace(".", "-*."), f"{file}.index.json")
            patterns += [inserted(one, variant) for one in plain]
            if variant:  # older files of several shards have their variant last
                patterns.append(file.replace(".", f".{variant}-*."))
        return tuple(patterns)

    @property
    def settings(self) -> dict[str, Any]:
        """What model_index.json says besides its components."""
        return {key: entry for key, entry in self.index.items() if not isinstance(entry, list)}


def surveyed(source: ModelSource) -> Survey:
    """What the model's folder holds by its configs: a local one, the one that it was pulled into,
    or the hub's cache, into which these are fetched.

    Raises ModelUnavailable for what is no checkpoint, or not this family's, or not whole.
    """
    folder = Path(source.location) if source.is_local else pulled(source)
    try:
        if folder is not None:
            require_folder(folder)
        return Survey.of(folder or _from_hub(source, CONFIGS), source.family)
    except Fault as fault:
        raise fault.told(source.title) from fault


def fetch_weights(source: ModelSource, survey: Survey) -> None:
    """Have the weights in the surveyed folder too, if it is the hub's cache."""
    if source.is_local or pulled(source) is not None:
        return
    parts = set(survey.composition.components)
    if source.variant is not None:
        _from_hub(source, survey.weight_patterns(parts, source.variant))
        here = files_by_part(survey.folder, parts)
        parts -= {part for part, files in here.items() if any(map(_holds_weights, files))}
    if parts:
        _from_hub(source, survey.weight_patterns(parts, None))


def _holds_weights(file: str) -> bool:
    return file.endswith(".safetensors")


def _from_hub(source: ModelSource, patterns: Collection[str]) -> Path:
    """The snapshot in the hub's cache, with its files that fit the patterns."""
    try:
        found = snapshot_download(
            source.source, revision=source.revision, allow_patterns=list(patterns)
        )
    except (OSError, HTTPError) as error:
        raise ModelUnavailable(
            f"model.source: the hub did not deliver {source.title!r}; see to the network, the "
            "name, the revision and the token, or pull the model (signboard models pull); the log "
            "says more"
        ) from error
    except ValueError as error:  # of the name
        raise ModelRefused(f"model.source: {without_paths(error)}") from error
    return Path(found)


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
    if pipeline is None:  # its parts tell
        return
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
    components, title = composition.components, composition.title
    _require_listed(file, index, {*components, "scheduler"}, title)
    known = {*components, *composition.tokenizers, *composition.processors}
    known |= {*NO_PART, "scheduler"}
    for name in index:
        if not name.startswith("_") and name not in known and _lists(index, name):
            what = f"lists {name!r}, which {title} has not"
            raise Wrong(INDEX, what, "take the entry out, or give a plain checkpoint", file)
    for name, one in components.items():
        _require_class(file, index, name, one.library, (one.reads, *one.named), title)


def _require_listed(
    file: Path, index: Mapping[str, Any], names: Collection[str], title: str
) -> None:
    missing = sorted(name for name in names if not _lists(index, name))
    if missing:
        what = f"is without {', '.join(missing)}, which {title} reads"
        raise Wrong(INDEX, what, "give a whole checkpoint: no refiner, no single part", file)


def _require_class(
    file: Path,
    index: Mapping[str, Any],
    name: str,
    library: str,
    kinds: tuple[str, ...],
    title: str,
) -> None:
    entry = index[name]
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
    if says is not None and says not in wanted:
        what = f"has the config of {says!r}, not of {component.reads}"
        raise Wrong(name, what, OWN_CONFIG, file)
    nested = config.get(component.nested) if component.nested else None
    if isinstance(nested, dict):
        config = {**{one: nested[one] for one in component.needs if one in nested}, **config}
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
