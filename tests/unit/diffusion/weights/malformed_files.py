"""Folders whose files are not what they should be: gone, cut, swapped, of other weights."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from deployments.diffusion.weights.composition import COMPOSITIONS
from tests.unit.diffusion.weights.changed_folders import (
    INDEX,
    POINTER,
    Change,
    Malformed,
    edit,
    files,
    reweigh,
    weights,
    write,
)


def of_files(family: str) -> Iterator[Malformed]:
    """Every file: gone, emptied, cut, a link to nothing, a pointer to what git has elsewhere."""
    ways: dict[str, Callable[[Path], object]] = {
        "gone": Path.unlink,
        "emptied": lambda file: write(file, b""),
        "cut": lambda file: write(file, file.read_bytes()[: file.stat().st_size // 2]),
        "an LFS pointer": lambda file: write(file, POINTER),
        "a dangling link": lambda file: (file.unlink(), file.symlink_to("blobs/nowhere")),
    }
    for way, change in ways.items():
        for file, part in files(family).items():
            final = way == "cut" and file.endswith("jinja")  # it is whole, and no template

            def changed(folder: Path, file: str = file, change: Any = change) -> None:
                change(folder / file)

            told = part if not final else f"{part} cannot be read"
            named = file if not final else part
            yield Malformed(family, f"{file} {way}", told, named, final, changed)


def of_weights(family: str) -> Iterator[Malformed]:
    """Keys gone, added, renamed; other shapes and dtypes; no numbers; quantised."""

    def first(tensors: dict[str, torch.Tensor]) -> str:
        read = {key: one for key, one in tensors.items() if not key.startswith("lm_head.")}
        return next(key for key, one in sorted(read.items()) if one.ndim > 1)

    def scaled(tensors: dict[str, torch.Tensor]) -> None:
        key = first(tensors)
        tensors[key] = tensors[key].to(torch.float8_e4m3fn)
        tensors[key.replace(".weight", ".weight_scale")] = torch.ones(())

    def renamed(tensors: dict[str, torch.Tensor]) -> None:
        before = dict(tensors)
        tensors.clear()
        tensors.update({f"another.{key}": one for key, one in before.items()})

    ways: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
        "a key gone": lambda tensors: tensors.pop(first(tensors)),
        "all but one gone": lambda t: [t.pop(key) for key in sorted(t)[1:]],
        "nothing": lambda tensors: tensors.clear(),
        "a key more": lambda tensors: tensors.update({"another.weight": torch.ones(3)}),
        "other names": renamed,
        "another shape": lambda t: t.update({first(t): torch.ones(3, 3)}),
        "a shape turned": lambda t: t.update({first(t): t[first(t)].unsqueeze(0).contiguous()}),
        "NaN": lambda tensors: tensors[first(tensors)].view(-1)[-1:].fill_(torch.nan),
        "infinity": lambda tensors: tensors[first(tensors)].view(-1)[:1].fill_(torch.inf),
        "integers": lambda t: t.update({first(t): t[first(t)].to(torch.int8)}),
        "scaled float8": scaled,
        "4 bits": lambda t: t.update({f"{first(t)}.absmax": torch.ones(3)}),
    }
    for part, file in weights(family).items():
        for way, change in ways.items():

            def changed(folder: Path, file: str = file, change: Any = change) -> None:
                reweigh(folder / file, change)

            yield Malformed(family, f"{file} {way}", f"its {part}", file, True, changed)


def of_swaps(family: str) -> Iterator[Malformed]:
    """One part's files in another's place."""
    parts = list(COMPOSITIONS[family].components)
    for one, other in zip(parts, [*parts[1:], parts[0]], strict=True):

        def configs(folder: Path, one: str = one, other: str = other) -> None:
            write(folder / one / "config.json", (folder / other / "config.json").read_bytes())

        def contents(folder: Path, one: str = one, other: str = other) -> None:
            mine, theirs = weights(family)[one], weights(family)[other]
            write(folder / mine, (folder / theirs).read_bytes())

        same = family == "sdxl" and (one, other) == ("text_encoder", "text_encoder_2")
        if not same:  # two CLIPs of one size: nobody can tell
            yield Malformed(family, f"the config of {other} in {one}", "its ", "", True, configs)
            yield Malformed(
                family, f"the weights of {other} in {one}", f"its {one}", one, True, contents
            )
    if family == "flux":
        for one, other in (("tokenizer", "tokenizer_2"), ("tokenizer_2", "tokenizer")):

            def words(folder: Path, one: str = one, other: str = other) -> None:
                content = (folder / other / "tokenizer.json").read_bytes()
                write(folder / one / "tokenizer.json", content)

            yield Malformed(
                family, f"the words of {other} in {one}", f"its {one}", one, True, words
            )


def of_shards(family: str) -> Iterator[Malformed]:
    """Two shards and their index, of which something is wrong."""
    part, file = next(iter(weights(family).items()))

    def sharded(folder: Path) -> Path:
        whole = folder / file
        tensors = load_file(whole)
        names = [
            whole.name.replace(".safetensors", f"-0000{i}-of-00002.safetensors") for i in (1, 2)
        ]
        map_ = {key: names[i % 2] for i, key in enumerate(sorted(tensors))}
        for name in names:
            held = {key: tensors[key].clone() for key in tensors if map_[key] == name}
            save_file(held, whole.with_name(name), {"format": "pt"})
        whole.unlink()
        index = whole.with_name(f"{whole.name}.index.json")
        index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": map_}))
        return index

    def shards(index: Path) -> list[Path]:
        return sorted(index.parent.glob("*-of-00002.safetensors"))

    ways: dict[str, tuple[bool, Callable[[Path], object]]] = {
        "a shard gone": (False, lambda index: shards(index)[1].unlink()),
        "a shard cut": (False, lambda i: write(shards(i)[0], shards(i)[0].read_bytes()[:-9])),
        "a shard twice": (True, lambda i: write(shards(i)[0], shards(i)[1].read_bytes())),
        "the index cut": (False, lambda i: write(i, i.read_bytes()[:-9])),
        "no map": (True, lambda i: edit(i, lambda content: content.pop("weight_map"))),
        "a map of nothing": (True, lambda i: edit(i, lambda c: c.update(weight_map={}))),
        "a list as map": (True, lambda i: edit(i, lambda c: c.update(weight_map=[1]))),
        "a shard elsewhere": (
            True,
            lambda i: edit(i, lambda c: c.update(weight_map={"a": "../../etc/passwd"})),
        ),
        "a shard unnamed": (
            True,
            lambda i: edit(
                i, lambda c: c.update(weight_map={k: shards(i)[0].name for k in c["weight_map"]})
            ),
        ),
    }
    for way, (final, change) in ways.items():

        def changed(folder: Path, change: Any = change) -> None:
            change(sharded(folder))

        yield Malformed(family, f"shards: {way}", f"its {part}", part, final, changed)


def of_folders(family: str) -> Iterator[Malformed]:
    """No folder, no checkpoint, another place of one, single files; parts that are not there."""

    def emptied(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.mkdir()

    def single(name: str) -> Change:
        def change(folder: Path) -> None:
            emptied(folder)
            write(folder / name, b"GGUF")

        return change

    def a_file(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.write_bytes(b"x")

    def cache(folder: Path) -> None:
        inside = folder / "snapshots" / "abc"
        whole = folder.with_name("whole")
        folder.rename(whole)
        inside.parent.mkdir(parents=True)
        whole.rename(inside)

    yield Malformed(family, "no folder", "no model folder", "", False, shutil.rmtree)
    yield Malformed(family, "an empty folder", INDEX, "", False, emptied)
    yield Malformed(family, "a file", "single file", "", True, a_file)
    yield Malformed(family, "a .safetensors", "from_single_file", "", True, single("a.safetensors"))
    yield Malformed(family, "a .gguf", "GGUF is quantised", "", True, single("a.gguf"))
    yield Malformed(family, "the hub's cache", "snapshots", "", True, cache)
    for part in (*COMPOSITIONS[family].components, *COMPOSITIONS[family].tokenizers, "scheduler"):

        def gone(folder: Path, part: str = part) -> None:
            shutil.rmtree(folder / part)

        def as_file(folder: Path, part: str = part) -> None:
            shutil.rmtree(folder / part)
            (folder / part).write_bytes(b"x")

        yield Malformed(family, f"{part} gone", f"its {part}", part, False, gone)
        yield Malformed(family, f"{part} a file", f"its {part}", part, False, as_file)
    for part, file in weights(family).items():

        def variant(folder: Path, file: str = file) -> None:
            (folder / file).rename(folder / file.replace(".safetensors", ".fp16.safetensors"))

        yield Malformed(family, f"{file} of a variant", f"the {part} has no", "fp16", True, variant)


KINDS = (of_files, of_weights, of_swaps, of_shards, of_folders)
