"""Pictures of our engine held against those of diffusers' pipelines on the same components."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.families.load import FAMILIES
from deployments.diffusion.request.params import GenerationParams
from deployments.diffusion.weights.components import SharedComponents
from deployments.handover import Given, Reference
from tests.tiny_checkpoint import WORDS
from tests.unit.diffusion.comparison import assert_same_picture

STRENGTHS = (1.0, 0.9, 0.75, 0.6, 0.45, 0.3, 0.15)

REDRAWN = ("i2i", "inpaint", "inpaint with a reference")

Case = tuple[str, GenerationParams, Given | None]


@dataclass(frozen=True)
class Architecture:
    """What diffusers calls one family.

    pipelines: its class for each kind. asked: fields of our params, some of them taken every
    fourth time. max_words: of a prompt. call: fixed arguments of a call. alters: whether the
    family changes its modules, so that diffusers draws with others. patch: latents of the VAE to
    the side of one of the loop's.
    """

    family: str
    pipelines: Mapping[str, type[diffusers.DiffusionPipeline]]
    asked: Sequence[Mapping[str, Any]]
    max_words: int
    call: Mapping[str, Any] = field(default_factory=dict)
    least_steps: int = 1
    alters: bool = False
    patch: int = 1

    @property
    def recording(self) -> type:
        """The family's class, keeping pictures before protected pixels are pasted back."""
        base: Any = FAMILIES[self.family]

        class Recording(base):
            def __init__(self, components: SharedComponents, max_prompt_tokens: int) -> None:
                super().__init__(components, max_prompt_tokens)
                self.decoded: list[NDArray[np.uint8]] = []

            def decode(self, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
                picture: NDArray[np.uint8] = super().decode(latents, tiled=tiled)
                self.decoded.append(picture)
                return picture

        return Recording

    def cases(self, seed: int, count: int) -> Iterator[Case]:
        """Random requests of all kinds."""
        rng = random.Random(seed)
        kinds = list(self.pipelines)
        for i in range(count):
            kind = kinds[i % len(kinds)]
            redrawn, referring = kind in REDRAWN, "reference" in kind
            width, height = rng.choice((64, 96, 128)), rng.choice((64, 96, 144))
            params = GenerationParams(
                prompt=" ".join(rng.choices(WORDS, k=rng.randint(1, self.max_words))),
                width=width,
                height=height,
                num_inference_steps=rng.randint(self.least_steps, 9),
                seed=rng.randrange(2**31),
                strength=STRENGTHS[i // len(kinds) % len(STRENGTHS)] if redrawn else None,
                **self.asked[i % len(self.asked)],
            )
            given = None
            if redrawn or referring:
                noise = np.random.default_rng(i)
                picture = noise.integers(0, 256, (height, width, 3), dtype=np.uint8)
                mask = np.zeros((height, width), np.uint8)
                top, left = rng.randrange(height // 2), rng.randrange(width // 2)
                mask[top : top + height // 2, left : left + width // 2] = 255
                given = Given(
                    picture if redrawn else None, mask if kind.startswith("inpaint") else None
                )
            if given is not None and referring:
                sides = [
                    (rng.randint(64, 120), rng.randint(64, 120))
                    for _ in range(1 if redrawn else 1 + i // len(kinds) % 4)
                ]
                pictures = [noise.integers(0, 256, (*side, 3), dtype=np.uint8) for side in sides]
                given = replace(given, references=tuple(map(Reference, pictures)))
            yield kind, params, given

    def draw(self, components: SharedComponents, case: Case) -> NDArray[np.uint8]:
        """The picture that diffusers makes of it."""
        kind, _, _ = case
        config = components.scheduler_config
        settings = {k: v for k, v in components.settings.items() if not k.startswith("_")}
        pipeline = self.pipelines[kind](
            **components.modules,
            **components.tokenizers,
            **settings,
            scheduler=getattr(diffusers, config["_class_name"]).from_config(config),
        )
        pipeline.set_progress_bar_config(disable=True)
        with torch.inference_mode():  # as the engine; its weights know no other
            return np.asarray(pipeline(**self.asked_of(pipeline, case)).images[0])

    def asked_of(self, pipeline: Any, case: Case) -> dict[str, Any]:
        """The arguments of diffusers' call."""
        _, params, given = case
        call: dict[str, Any] = {
            "prompt": params.prompt,
            "width": params.width,
            "height": params.height,
            "num_inference_steps": params.num_inference_steps,
            "guidance_scale": params.guidance_scale,
            "negative_prompt": params.negative_prompt,
            "generator": torch.Generator().manual_seed(params.seed),
            **self.call,
        }
        if given is not None and given.picture is not None:
            call |= {"image": Image.fromarray(given.picture), "strength": params.strength}
            if given.mask is not None:
                # diffusers looks at one pixel of a latent, we at all of them
                factor = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
                call["mask_image"] = Image.fromarray(grown(given.mask, factor * self.patch))
        return call


def grown(mask: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The highest level of each square of so many pixels, in all of it."""
    rows, columns = mask.shape
    most = mask.reshape(rows // side, side, columns // side, side).max(axis=(1, 3))
    return most.repeat(side, 0).repeat(side, 1)


def assert_parity(architecture: Architecture, engine: Engine, count: int, seed: int = 7) -> None:
    """Hold `count` random pictures of an engine on `architecture.recording` against diffusers."""
    family: Any = engine._loaded.family
    components = family.components
    if architecture.alters or components.dtype == torch.float16:  # whose VAE each holds as it must
        components = SharedComponents.load(engine.profile.model)
    family.decoded.clear()  # the warm-up's
    torch.set_num_threads(engine.profile.engine.threads)  # bf16 rounds by how the work is split
    for i, case in enumerate(architecture.cases(seed, count)):
        _, params, given = case
        if params.strength and not family.steps_executed(
            params.num_inference_steps, params.strength
        ):
            continue
        drawn = engine.submit(f"{i}", params, given).result(60)
        (ours,) = family.decoded
        family.decoded.clear()
        assert_same_picture(ours, architecture.draw(components, case))
        if given is not None and given.picture is not None and given.mask is not None:
            kept = given.mask == 0
            assert np.array_equal(drawn.pictures[0][kept], given.picture[kept])
