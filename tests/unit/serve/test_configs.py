"""Every packaged profile is sound; every key of the Serve config is one that Ray knows."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import (
    DeploymentSchema,
    LoggingConfig,
    RayActorOptionsSchema,
    ServeApplicationSchema,
    ServeDeploySchema,
)

from configs import SERVE_CONFIG, profile_names
from deployments.diffusion.deployment import DiffusionDeployment
from deployments.postprocess.deployment import PostProcessDeployment
from serve import app
from serve.commands import local
from serve.http.ingress import Ingress
from serve.profiles import load_profile
from serve.settings import AppArgs

CARDS = ("16gb", "24gb", "80gb")
MODELS = {  # the usual steps and guidance
    "z-image-turbo": (8, 0),
    "sdxl": (30, 5),
    "sdxl-turbo": (4, 0),
    "flux-dev": (28, 3.5),
    "flux-schnell": (4, 0),
    "flux2-klein": (4, 0),
    "qwen-image": (50, 4),
    "qwen-image-edit": (40, 4),
}
OFFERED = {  # on fewer cards than all
    "flux2-klein": ("24gb", "80gb"),
    "qwen-image": ("80gb",),
    "qwen-image-edit": ("80gb",),
}
PROFILES = [(model, card) for model in MODELS for card in OFFERED.get(model, CARDS)]

NESTED: dict[str, type[BaseModel]] = {
    "applications": ServeApplicationSchema,
    "deployments": DeploymentSchema,
    "args": AppArgs,
    "autoscaling_config": AutoscalingConfig,
    "ray_actor_options": RayActorOptionsSchema,
    "logging_config": LoggingConfig,
}


def unknown_keys(model: type[BaseModel], data: dict[str, Any], path: str = "") -> list[str]:
    """Paths of the keys of `data` that `model`, or a model inside it, does not know."""
    unknown = []
    for key, value in data.items():
        where = f"{path}.{key}".lstrip(".")
        field = model.model_fields.get(key)
        if field is None:
            unknown.append(where)
            continue
        inner = NESTED.get(key) or next(
            (
                kind
                for kind in (field.annotation, *get_args(field.annotation))
                if isinstance(kind, type) and issubclass(kind, BaseModel)
            ),
            None,
        )
        for item in value if isinstance(value, list) else [value]:
            if inner is not None and isinstance(item, dict):
                unknown += unknown_keys(inner, item, where)
    return unknown


@pytest.fixture
def config() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(SERVE_CONFIG.read_text(encoding="utf-8"))
    return data


def test_ray_takes_the_config(config: dict[str, Any]) -> None:
    ServeDeploySchema.model_validate(config)
    AppArgs.model_validate(config["applications"][0]["args"])


def test_no_key_is_silently_ignored(config: dict[str, Any]) -> None:
    assert unknown_keys(ServeDeploySchema, config) == []


def test_the_check_finds_what_ray_would_ignore(config: dict[str, Any]) -> None:
    config["http_options"]["prot"] = 1
    ingress = config["applications"][0]["deployments"][0]
    ingress |= {"max_ongoing": 3, "autoscaling_config": {"min_replica": 1}}
    ingress["ray_actor_options"]["num_cpu"] = 1

    assert sorted(unknown_keys(ServeDeploySchema, config)) == [
        "applications.deployments.autoscaling_config.min_replica",
        "applications.deployments.max_ongoing",
        "applications.deployments.ray_actor_options.num_cpu",
        "http_options.prot",
    ]


def test_the_deployments_are_those_of_the_application(config: dict[str, Any]) -> None:
    classes = (Ingress, DiffusionDeployment, PostProcessDeployment)

    named = {deployment["name"] for deployment in config["applications"][0]["deployments"]}

    assert named == {app.deployment(one).name for one in classes}


def test_the_application_schedules_on_one_core(config: dict[str, Any]) -> None:
    cpus = app.DIFFUSION_CPUS
    for deployment in config["applications"][0]["deployments"]:
        if "ray_actor_options" in deployment:
            replicas = deployment.get("num_replicas", 1)
            cpus += replicas * deployment["ray_actor_options"]["num_cpus"]

    assert cpus <= 1


def test_serves_nets_are_wider_than_what_the_ingress_holds(config: dict[str, Any]) -> None:
    """So that the engine, whose bound is exact, is the one that refuses."""
    deployments = {one["name"]: one for one in config["applications"][0]["deployments"]}
    ingress = deployments["Ingress"]
    held = ingress["num_replicas"] * ingress["max_ongoing_requests"]

    assert deployments["DiffusionDeployment"]["max_ongoing_requests"] > held
    for deployment in deployments.values():
        assert deployment["max_queued_requests"] > ingress["max_ongoing_requests"]


def test_what_suits_the_embedded_model_alone_is_set_for_it_alone() -> None:
    (laptop,) = local.read_config("embedded", 8000)["applications"]
    (card,) = local.read_config("z-image-turbo-24gb", 8000)["applications"]
    served = AppArgs.model_validate(laptop["args"])

    assert served.nearest_sizes
    assert {"gpt-image-1", "dall-e-3", "dall-e-2"} <= set(served.aliases)
    elsewhere = AppArgs.model_validate(card["args"])
    assert (elsewhere.aliases, elsewhere.nearest_sizes) == ((), False)


def test_it_listens_on_loopback(config: dict[str, Any]) -> None:
    assert config["http_options"]["host"] == "127.0.0.1"
    assert config["http_options"]["port"] == 8000


def test_the_profiles() -> None:
    packaged = {f"{model}-{card}" for model, card in PROFILES}
    assert set(profile_names()) == {"embedded", *packaged}
    assert all(load_profile(name).name == name for name in profile_names())


def test_the_quality_that_steps_reach() -> None:
    steps = load_profile("embedded").steps
    reached = {count: steps.quality_of(count) for count in (1, 4, 7, 8, 15, 16, 50)}

    assert reached == {
        **dict.fromkeys((1, 4, 7), "low"),
        **dict.fromkeys((8, 15), "medium"),
        **dict.fromkeys((16, 50), "high"),
    }


@pytest.mark.parametrize(("model", "card"), PROFILES)
def test_a_hub_model_is_pinned_and_known_without_the_hub(model: str, card: str) -> None:
    profile = load_profile(f"{model}-{card}")
    steps, guidance = MODELS[model]

    assert len(bytes.fromhex(profile.model.revision or "")) == 20
    assert Path(profile.model.architecture or "").is_file()
    assert (profile.model.dtype, profile.model.device) == ("bfloat16", "cuda")
    assert (profile.steps.default, profile.guidance.default) == (steps, guidance)


def test_a_running_engine_changes_what_it_reads_anew() -> None:
    profile = load_profile("embedded")
    changed = profile.limits_with({"max_running": 3, "ageing_borders": 2})

    assert (changed.max_running, changed.ageing_borders) == (3, 2)
    assert changed.token_budget == profile.engine.token_budget


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"stall_s": 9.0}, "user_config: stall_s is read at the start alone"),
        ({"threads": 2}, "user_config: threads is read at the start alone"),
        ({"embedding_cache_bytes": 0}, "user_config: embedding_cache_bytes"),
        ({"max_runing": 3}, "user_config: max_runing is none of the engine's limits"),
        ({"max_running": 0}, "max_running"),
        ({"max_running": 1, "max_waiting": 0}, "max_n"),
    ],
)
def test_changes_that_would_do_nothing_or_harm_are_refused(
    changes: dict[str, float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        load_profile("embedded").limits_with(changes)
