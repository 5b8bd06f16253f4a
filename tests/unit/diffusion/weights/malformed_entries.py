"""Folders that say wrong things of themselves: in the index, the configs, the tokenizers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deployments.diffusion.weights.composition import COMPOSITIONS, RELATIVES
from tests.unit.diffusion.weights.changed_folders import (
    INDEX,
    Malformed,
    edit,
    write,
)


def of_the_index(family: str) -> Iterator[Malformed]:
    """Entries gone, null, of no shape, of a module that nobody knows, of another class."""
    composition = COMPOSITIONS[family]
    parts = [*composition.components, *composition.tokenizers]
    changes: dict[str, Callable[[dict[str, Any]], object]] = {}
    for name in (*parts, "scheduler"):
        changes[f"without {name}"] = lambda index, name=name: index.pop(name)
    for name in (*parts, "scheduler", "_class_name"):
        changes[f"{name} null"] = lambda index, name=name: index.update({name: [None, None]})
        changes[f"{name} a word"] = lambda index, name=name: index.update({name: 7})
    for name in parts:
        for entry in (
            ["this", "Zen"],
            ["os", "system"],
            ["diffusers", "Newer9Model"],
            ["transformers", "AutoModel"],
            ["diffusers", "AutoencoderTiny"],
            [["diffusers"], {}],
        ):
            changes[f"{name} as {entry}"] = lambda index, n=name, e=entry: index.update({n: e})
    changes["a part more"] = lambda index: index.update(controlnet=["diffusers", "ControlNetModel"])
    for way, change in changes.items():

        def changed(folder: Path, change: Any = change) -> None:
            edit(folder / INDEX, change)

        yield Malformed(family, f"{INDEX} {way}", INDEX, INDEX, True, changed)
    for way, content in {"a list": b"[1]", "no text": b"\xff\xfe\x00", "null": b"null"}.items():
        yield Malformed(
            family,
            f"{INDEX} is {way}",
            INDEX,
            INDEX,
            way != "no text",
            lambda folder, content=content: write(folder / INDEX, content),
        )


def of_relatives(family: str) -> Iterator[Malformed]:
    """Pipelines of other families, and those that no family serves, refused by name."""
    others = {
        one: f"set model.family to {name}"
        for name, composition in COMPOSITIONS.items()
        for one in composition.pipelines
        if name != family
    }
    strange = {
        beginning.removesuffix("Pipeline") + "Pipeline": words for beginning, words in RELATIVES
    }
    for pipeline, says in (others | strange | {"MyPipeline": "a MyPipeline"}).items():

        def changed(folder: Path, pipeline: str = pipeline) -> None:
            edit(folder / INDEX, lambda index: index.update(_class_name=pipeline))

        yield Malformed(family, f"a {pipeline}", says, "", True, changed)


def of_configs(family: str) -> Iterator[Malformed]:
    """Entries gone, of another kind, of another size; another part's; quantised; not to build."""
    components = COMPOSITIONS[family].components
    for part, component in components.items():
        changes: dict[str, Callable[[dict[str, Any]], object]] = {}
        for entry, kind in component.needs.items():
            changes[f"without {entry}"] = lambda config, entry=entry: _holding(config, entry).pop(
                entry
            )
            changes[f"{entry} a word"] = lambda config, entry=entry: config.update({entry: "16"})
            if kind is int:
                changes[f"{entry} one more"] = lambda c, entry=entry: _holding(c, entry).update(
                    {entry: _holding(c, entry)[entry] + 1}
                )
        whose = "_class_name" if component.library == "diffusers" else "model_type"
        changes["of another"] = lambda config, whose=whose: config.update({whose: "another"})
        changes["quantised"] = lambda config: config.update(
            quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}
        )
        changes["quantised somehow"] = lambda config: config.update(quantization_config="int8")
        for way, change in changes.items():

            def changed(folder: Path, part: str = part, change: Any = change) -> None:
                edit(folder / part / "config.json", change)

            file = f"{part}/config.json"
            yield Malformed(family, f"{file} {way}", "its ", "", True, changed)
    by_count = {"z-image": "n_layers", "sdxl": "layers_per_block"}.get(family, "num_layers")
    denoiser = next(iter(components))
    for value in (3, 0, -1, None, "many", [1], {}):

        def counted(folder: Path, value: Any = value) -> None:
            file = folder / denoiser / "config.json"
            edit(file, lambda config: config.update({by_count: value}))

        name = f"{denoiser}/config.json {by_count} {value!r}"
        yield Malformed(family, name, f"its {denoiser}", denoiser, True, counted)


def _holding(config: dict[str, Any], entry: str) -> dict[str, Any]:
    """The part of a config that has the entry."""
    nested: dict[str, Any] = config if entry in config else config["text_config"]
    return nested


def of_tokenizers(family: str) -> Iterator[Malformed]:
    """No length, another class, more tokens than are read, a template without the prompt."""
    composition = COMPOSITIONS[family]

    def more(content: dict[str, Any]) -> None:
        at = len(content["model"]["vocab"])
        words = {f"{word}x": at + word for word in range(300)}
        if content["model"]["type"] == "Unigram":
            content["model"]["vocab"] += [[word, -3.0] for word in words]
        else:
            content["model"]["vocab"] |= words

    for name, vocabulary in composition.tokenizers.items():
        ways: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
            "of another class": (
                "tokenizer_config",
                lambda config: config.update(tokenizer_class="BertTokenizer"),
            ),
            "with more tokens": ("tokenizer", more),
            "of nothing": ("tokenizer", lambda content: content.clear()),
            "of no model": ("tokenizer", lambda content: content.pop("model")),
        }
        if vocabulary.padded:
            for most in (None, 0, "77", 10**30, 512):
                ways[f"of {most!r} tokens"] = (
                    "tokenizer_config",
                    lambda config, most=most: config.update(model_max_length=most),
                )
        for way, (file, change) in ways.items():

            def changed(folder: Path, file: str = f"{name}/{file}.json", do: Any = change) -> None:
                edit(folder / file, do)

            yield Malformed(family, f"{name} {way}", f"its {name}", name, True, changed)
        if composition.chat:

            def unsaid(folder: Path, name: str = name) -> None:
                write(folder / name / "chat_template.jinja", b"{{ bos_token }}")

            says = "its tokenizer has a chat template that leaves the prompt out"
            yield Malformed(family, f"{name} that says nothing", says, name, True, unsaid)


KINDS = (of_the_index, of_relatives, of_configs, of_tokenizers)
