"""What is asked of the engine: the picture (GenerationParams) and how urgent it is (Terms)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from deployments.diffusion.profile import MAX_WEIGHT, DiffusionProfile, Style
from deployments.errors import InvalidValue
from deployments.handover import Given

MAX_SEED = 2**63 - 1
MAX_PREVIEWS = 3
MAX_STYLES = 4

Priority = Literal["interactive", "bulk"]


@dataclass(frozen=True, slots=True)
class AskedStyle:
    """A style by name. weight: as of the profile's styles; None takes the profile's own."""

    name: str
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class AddedStyle:
    """A style that was added while the application runs, as it stood when it was asked for.

    digest: SHA-256 of its file in hexadecimal. weight, trigger: as of the profile's styles.
    """

    name: str
    digest: str
    weight: float = 1.0
    trigger: str | None = None


class Worn(NamedTuple):
    """A style as a row wears it. weight: 1 is as it was trained. trigger: words that it needs.

    digest: of an added style's file; None of the profile's own.
    """

    name: str
    weight: float
    trigger: str | None = None
    digest: str | None = None

    @property
    def adapter(self) -> str:
        """Its adapter's name. What was added under a name that another had is another."""
        return self.name if self.digest is None else adapter_of(self.digest)


Mix = tuple[Worn, ...]
"""The styles that a row wears together, in the order in which they are asked for."""


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """One request for `n` pictures of one prompt.

    width, height: pixels. seed: of the first picture; picture i uses seed + i.
    strength: in (0, 1], how far a given picture is noised; None without a picture.
    guidance_scale: how closely the prompt is followed, on the family's own scale; 0 is off.
    style: one of the profile's by name; None draws as the model itself does. styles: up to
    MAX_STYLES of them instead, together. added_styles: those among them that are none of the
    profile's.
    hires: whether it is drawn in two passes, the first at a size of the profile's `sizes`.
    references: (width, height) of each of those that it brings.
    """

    prompt: str
    width: int
    height: int
    num_inference_steps: int
    seed: int
    n: int = 1
    strength: float | None = None
    guidance_scale: float = 0.0
    negative_prompt: str | None = None
    style: str | None = None
    styles: tuple[AskedStyle, ...] | None = None
    added_styles: tuple[AddedStyle, ...] | None = None
    hires: bool = False
    references: tuple[tuple[int, int], ...] = ()

    def bringing(self, given: Given) -> "GenerationParams":
        """The same, told of what is brought. Raises InvalidValue for a strength that noises none of
        it.
        """
        if given.picture is None and self.strength is not None:
            raise InvalidValue(
                "strength: it is of a picture to redraw, and references are never noised; leave it "
                "out, or send a picture as 'image'",
                "strength",
                "strength_without_image",
            )
        return replace(self, references=given.reference_sizes)

    def check(self, profile: DiffusionProfile) -> None:
        """Raise InvalidValue naming the first field that the profile cannot serve."""
        if not self.prompt.strip():
            raise InvalidValue("prompt: say what to draw", "prompt", "prompt_empty")
        self._check_size(profile)
        if not 1 <= self.num_inference_steps <= profile.steps.max:
            raise InvalidValue(
                f"num_inference_steps: {self.num_inference_steps} is not within "
                f"1..{profile.steps.max}",
                "num_inference_steps",
                "steps_out_of_range",
            )
        if not 1 <= self.n <= profile.max_n:
            raise InvalidValue(
                f"n: {self.n} is not within 1..{profile.max_n}", "n", "n_out_of_range"
            )
        if not 0 <= self.seed <= MAX_SEED - self.n:
            raise InvalidValue(
                f"seed: {self.seed} is not within 0..{MAX_SEED - self.n}",
                "seed",
                "seed_out_of_range",
            )
        if self.strength is not None and not 0 < self.strength <= 1:
            raise InvalidValue(
                f"strength: {self.strength} is not within (0, 1]: small values keep the picture, "
                "1 redraws it",
                "strength",
                "strength_out_of_range",
            )
        if not 0 <= self.guidance_scale <= profile.guidance.max:
            raise InvalidValue(
                f"guidance_scale: {self.guidance_scale} is not within 0..{profile.guidance.max}",
                "guidance_scale",
                "guidance_out_of_range",
            )
        self.mix(profile.styles)
        check_references(len(self.references), profile)

    def mix(self, styles: Mapping[str, Style]) -> Mix:
        """What is worn of these styles and of the added ones. Raises InvalidValue for what cannot
        be."""
        known: dict[str, Style | AddedStyle] = dict(styles)
        for one in self.added_styles or ():
            known.setdefault(one.name, one)
        if self.styles is None:
            asked = () if self.style is None else (AskedStyle(self.style),)
            return tuple(_worn(one, known, "style") for one in asked)
        if self.style is not None:
            raise InvalidValue(
                "styles: style names one too; give one of them", "styles", "contradiction"
            )
        names = [one.name for one in self.styles]
        if not 1 <= len(names) <= MAX_STYLES:
            raise InvalidValue(
                f"styles: {len(names)} are not within 1..{MAX_STYLES}",
                "styles",
                "styles_out_of_range",
            )
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InvalidValue(
                f"styles: {twice!r} is asked for twice; add its weights up", "styles", "style_twice"
            )
        return tuple(_worn(one, known, "styles") for one in self.styles)

    def _check_size(self, profile: DiffusionProfile) -> None:
        if not self.hires:
            profile.sizes.check(self.width, self.height)
            return
        if profile.hires is None:
            raise InvalidValue(
                f"hires: {profile.name} draws no larger pictures; leave it out",
                "hires",
                "hires_unsupported",
            )
        if self.strength is not None:
            raise InvalidValue(
                "hires: only pictures from a prompt alone are drawn in two passes; leave it out",
                "hires",
                "hires_of_an_edit",
            )
        profile.hires.sizes.check(self.width, self.height)
        width, height = profile.sizes.nearest(self.width / self.height)
        if self.width <= width or self.height <= height:
            raise InvalidValue(
                f"hires: {self.width}x{self.height} does not enlarge the {width}x{height} of the "
                "first pass; ask for a larger size or leave hires out",
                "hires",
                "hires_not_larger",
            )


def adapter_of(digest: str) -> str:
    """The name of an added style's adapter, which no style's name looks like."""
    return f"sha256:{digest}"


def _worn(asked: AskedStyle, styles: Mapping[str, Style | AddedStyle], field: str) -> Worn:
    if asked.name not in styles:
        ours = ", ".join(styles) or "none: leave it out"
        raise InvalidValue(
            f"{field}: there is no {asked.name!r} here; the styles are {ours}",
            field,
            "style_unknown",
        )
    style = styles[asked.name]
    weight = style.weight if asked.weight is None else asked.weight
    if not -MAX_WEIGHT <= weight <= MAX_WEIGHT:
        raise InvalidValue(
            f"{field}: the weight {weight:g} of {asked.name!r} is not within "
            f"-{MAX_WEIGHT:g}..{MAX_WEIGHT:g}",
            field,
            "style_weight_out_of_range",
        )
    digest = style.digest if isinstance(style, AddedStyle) else None
    return Worn(asked.name, weight, style.trigger, digest)


def check_references(count: int, profile: DiffusionProfile) -> None:
    """Raise InvalidValue for more references than the profile's model reads."""
    if not count:
        return
    if profile.references is None:
        raise InvalidValue(
            f"references: {profile.name} reads none; send the picture to redraw as 'image', or "
            "leave them out",
            "references",
            "references_unsupported",
        )
    if count > profile.references.most:
        raise InvalidValue(
            f"references: {count} are more than the {profile.references.most} that are read; send "
            "fewer",
            "references",
            "references_out_of_range",
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """How urgent a request is; has no say in the picture.

    priority: bulk work steps only while no interactive work does, or when it has waited too long.
    deadline_s: seconds from its arrival, above 0, after which nobody wants the answer any more.
    previews: of each picture, 0 to 3, for a request whose events are listened to.
    """

    priority: Priority = "interactive"
    deadline_s: float | None = None
    previews: int = 0

    def check(self) -> None:
        """Raise InvalidValue for a deadline that is over already, and for too many previews."""
        if not 0 <= self.previews <= MAX_PREVIEWS:
            raise InvalidValue(
                f"partial_images: {self.previews} is not within 0..{MAX_PREVIEWS}",
                "partial_images",
                "partial_images_out_of_range",
            )
        if self.deadline_s is not None and self.deadline_s <= 0:
            raise InvalidValue(
                f"deadline_s: {self.deadline_s} is not above 0", "deadline_s", "deadline_over"
            )


NO_HURRY = Terms()
