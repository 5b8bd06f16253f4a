"""The application that `import_path: serve.app:build` names."""

from typing import TYPE_CHECKING

import ray
from ray.serve import Application, Deployment

from deployments.diffusion.deployment import DiffusionDeployment
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import model_identity
from deployments.postprocess.deployment import PostProcessDeployment
from serve.http.ingress import Ingress
from serve.profiles import load_profile
from serve.settings import AppArgs, find_brands

if TYPE_CHECKING:
    from deployments.diffusion.families import LoadFamily

DIFFUSION_CPUS = 0.5  # with the others' shares, all of the application schedules on one core


def build(args: AppArgs) -> Application:
    """Bind the three deployments for the profile that `args` names."""
    return bind(args)


def bind(args: AppArgs, load: "LoadFamily | None" = None) -> Application:
    """The same; load: makes another family of the profile than its own."""
    profile = load_profile(args.profile)
    brands = find_brands(args)
    options = {"num_cpus": DIFFUSION_CPUS, "num_gpus": gpus(profile)}
    diffusion = (
        deployment(DiffusionDeployment)
        .options(ray_actor_options=options)
        .bind(profile, load, args.added_styles)
    )
    postprocess = deployment(PostProcessDeployment).bind(
        profile.sizes.recommended_pixels,
        args.intake_limits,
        args.library,
        args.library_bytes,
        args.credentials,
        brands,
        args.fonts,
        args.segmentation_model,
    )
    return deployment(Ingress).bind(
        args, profile, model_identity(profile), diffusion, postprocess, brands
    )


def gpus(profile: DiffusionProfile) -> int:
    """GPUs that a replica of the diffusion room reserves: one, or none where it runs on the CPU."""
    if profile.model.device == "auto":
        return 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
    return 1 if profile.model.device == "cuda" else 0


def deployment(decorated: object) -> Deployment:
    """A class under `serve.deployment`, which type checkers take for the class itself."""
    assert isinstance(decorated, Deployment)
    return decorated
