"""What clients of other servers send by habit: the one list of their names and words, what is taken
of them, and what an answer's `warnings` say became of it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.sizes import SizeRange, parse_size
from deployments.errors import InvalidValue
from deployments.postprocess.schema import find_placement
from serve.http.wire.answers import picture_wanted

UNREAD: Mapping[str, str] = {
    # OpenAI's
    "user": "nobody is told apart here",
    "moderation": "no moderation policy is configured",
    "input_fidelity": "strength says how far a picture is redrawn",
    # vLLM-Omni's and SGLang's serving benchmarks, and their users' examples
    "bot_task": "the prompt goes to the model as it is",
    "sys_type": "the prompt goes to the model as it is",
    "system_prompt": "the prompt goes to the model as it is",
    "true_cfg_scale": "guidance_scale is what is read",
    "generator_device": "noise is always drawn on the CPU",
    "return_stage_metrics": "timings_ms is in every answer",
    "vae_use_slicing": "the server plans its memory itself",
    "vae_use_tiling": "the server plans its memory itself",
    "enable_teacache": "every step is drawn",
    "output_quality": "output_compression is what is read",
    "max_sequence_length": "the profile says how long a prompt may be",
    # Xinference's client
    "kwargs": "fields stand in the body itself",
}
"""Fields that mean something elsewhere and may be left out here, with the reason why."""

EMPTY = frozenset({"model", "negative_prompt", "style"})
"""Fields whose empty text says the same as their absence."""

WORDS: Mapping[str, Mapping[str, str | None]] = {
    "quality": {"standard": "auto", "hd": "high"},
    "style": {"vivid": None, "natural": None},
}
"""Words of DALL-E's and what they are taken as; None is left out."""

SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "size": lambda text: re.sub(r"^\s*(\d+)\s*[xX×*]\s*(\d+)\s*$", r"\1x\2", text),
    "quality": str.lower,
    "output_format": lambda text: re.sub("^jpg$", "jpeg", text.lower()),
}
"""Other ways to write the same value, which need no warning."""

MEANT: Mapping[str, str] = {
    **dict.fromkeys(("steps", "num_steps", "inference_steps", "step"), "num_inference_steps"),
    **dict.fromkeys(("cfg_scale", "cfg", "guidance", "cfgscale"), "guidance_scale"),
    **dict.fromkeys(("width", "height", "aspect_ratio", "resolution"), "size"),
    **dict.fromkeys(("num_images", "num_images_per_prompt", "batch_size", "n_iter"), "n"),
    **dict.fromkeys(("format", "image_format", "mime_type"), "output_format"),
    **dict.fromkeys(("denoising_strength", "image_strength"), "strength"),
    **dict.fromkeys(("negative", "neg_prompt"), "negative_prompt"),
    **dict.fromkeys(("file", "input_image", "init_image", "images"), "image"),
    **dict.fromkeys(("mask_image", "mask_url"), "mask"),
    **dict.fromkeys(
        ("reference_images", "reference_image", "image_reference", "ref_images"), "references"
    ),
    **dict.fromkeys(("text", "input"), "prompt"),
    **dict.fromkeys(("ad_text", "caption", "texts"), "overlay"),
}
"""Names that others give to what is called otherwise here: refused with ours, since their values
may be on another scale."""

FIXES: Mapping[str, str] = {
    "style": "describe the look in the prompt",
    "response_format": "for raw bytes send 'Accept: image/png' instead",
    "size": "write WIDTHxHEIGHT, for example 256x256",
    "image": "send one PNG, JPEG, WebP or AVIF",
}
"""What to do about values that are not taken."""

MOST_NAMED = 12  # of a request's unknown fields; a warning also travels in a header
BY_URL = "dall-e-"  # models of this name answer by URL unless they are asked otherwise


def shortened(name: str) -> str:
    """A field's name, which may be anything, as a message may hold it."""
    return name if len(name) <= 64 else f"{name[:64]}..."


@dataclass(frozen=True, slots=True)
class Habits:
    """What one application takes of other clients' habits.

    aliases: names that the served model answers to. unknown: what becomes of a field that nobody
    knows. nearest_sizes: whether a size that cannot be drawn is drawn at the nearest shape and
    brought to that size. by_url: whether there is a library that a URL could name.
    """

    profile: DiffusionProfile
    aliases: tuple[str, ...] = ()
    unknown: Literal["refuse", "warn"] = "refuse"
    nearest_sizes: bool = False
    by_url: bool = True

    def take(
        self, sent: Mapping[str, Any], known: Mapping[str, Any], accept: str | None = None
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The fields of a body as ours, to be checked as if they were; and what became of others.

        known: our fields by their names. accept: the header; a picture's bytes that it asks for are
        not turned into a URL by a default.
        """
        fields = {name: value for name, value in sent.items() if name not in EMPTY or value != ""}
        warnings = [
            *self._leave_unread(fields, known),
            *self._respell(fields),
            *self._rename_model(fields, accept),
            *self._resize(fields, known),
        ]
        return fields, tuple(warnings)

    def _leave_unread(self, fields: dict[str, Any], known: Mapping[str, Any]) -> list[str]:
        others = [name for name in fields if name in UNREAD]
        warnings = [
            f"{name}: not read; {UNREAD[name]}" for name in others if fields[name] not in (None, "")
        ]
        unknown = [name for name in fields if name not in known and name not in UNREAD]
        if unknown and self.unknown == "warn":
            others += unknown
            named = ", ".join(map(shortened, unknown[:MOST_NAMED]))
            more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
            warnings.append(f"unknown fields were left unread: {named}{more}")
        for name in others:
            del fields[name]
        return warnings

    def _respell(self, fields: dict[str, Any]) -> list[str]:
        warnings = []
        for name, spelling in SPELLINGS.items():
            if isinstance(fields.get(name), str):
                fields[name] = spelling(fields[name])
        for name, words in WORDS.items():
            word = fields.get(name)
            if not isinstance(word, str) or word not in words or word in self.profile.styles:
                continue
            taken = words[word]
            if taken is None:
                del fields[name]
                warnings.append(f"{name}: {word!r} is none of ours and was left out")
            else:
                fields[name] = taken
                warnings.append(f"{name}: {word!r} was taken as {taken!r}")
        return warnings

    def _rename_model(self, fields: dict[str, Any], accept: str | None) -> list[str]:
        asked = fields.get("model")
        if not isinstance(asked, str) or asked not in self.aliases:
            return []
        fields["model"] = self.profile.name
        if asked.startswith(BY_URL) and self.by_url and picture_wanted(accept) is None:
            fields.setdefault("response_format", "url")
        return [f"model: {asked!r} is drawn by {self.profile.name!r} here"]

    def _resize(self, fields: dict[str, Any], known: Mapping[str, Any]) -> list[str]:
        """Draw what cannot be drawn at its size at the nearest, as a placement of that size."""
        size = fields.get("size")
        if not self.nearest_sizes or not isinstance(size, str) or "size" not in known:
            return []
        hires = self.profile.hires
        sizes = hires.sizes if hires and fields.get("hires") is True else self.profile.sizes
        try:
            find_placement(size)  # what is no size, or none that files may have, is refused later
            width, height = parse_size(size)
        except (InvalidValue, ValueError):
            return []
        if _draws(sizes, width, height):
            return []
        drawn = "{}x{}".format(*sizes.nearest(width / height))
        fields["size"] = drawn
        brought = ""
        if "placement" not in fields and "placements" not in fields:
            fields["placement"] = size
            brought = f" and brought to {size}"
        hint = "; with hires it can be" if hires and _draws(hires.sizes, width, height) else ""
        return [f"size: {size} cannot be drawn here: {drawn} was drawn{brought}{hint}"]


def _draws(sizes: SizeRange, width: int, height: int) -> bool:
    try:
        sizes.check(width, height)
    except InvalidValue:
        return False
    return True
