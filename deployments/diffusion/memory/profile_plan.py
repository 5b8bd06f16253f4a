"""The memory plan of a profile: its figures computed from configs, or measured on the device."""

from dataclasses import replace

import torch

from deployments.diffusion.families import Family, family_of, may_guide, with_styles
from deployments.diffusion.memory.card import room_on
from deployments.diffusion.memory.figures import Demand, Figures
from deployments.diffusion.memory.gauge import CudaGauge, ShapeGauge
from deployments.diffusion.memory.measure import bytes_of, take_figures
from deployments.diffusion.memory.plan import MemoryPlan, plan_memory
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.sizes import parse_size
from deployments.diffusion.weights import Architecture


def plan_for(profile: DiffusionProfile, budget: int, family: Family | None = None) -> MemoryPlan:
    """The plan of a profile under `budget` bytes of device memory.

    family: as loaded, to measure it where it is on a CUDA device; without it, or on another
    device, everything is computed from configs. Raises NothingFits, ModelUnavailable.
    """
    figures = computed(profile) if family is None else measured(profile, family)
    return plan_memory(figures, demand_of(profile), budget)


def start_plan(profile: DiffusionProfile) -> MemoryPlan | None:
    """The plan that an engine starts with, computed: under the profile's budget and within what its
    CUDA device has free. Raises NothingFits, ModelUnavailable.

    None, which keeps everything resident, on a CPU without a budget.
    """
    room = room_on(profile.model)
    return None if room is None else plan_for(profile, room)


def computed(profile: DiffusionProfile) -> Figures:
    """Figures of the profile's model from its configs alone. Raises ModelUnavailable."""
    return _computed(profile, Architecture.read(profile.model))


def measured(profile: DiffusionProfile, family: Family) -> Figures:
    """Figures of a loaded model, its phases measured on its device if that is CUDA, else computed.

    For the device thread, before the first request. Weights that a phase itself brings to the
    device count as working memory there: measure before a residency does that.
    """
    components = family.components
    shapes = _computed(profile, Architecture.of(components))
    if components.device.type != "cuda":
        return shapes
    on_device = take_figures(profile, family, CudaGauge(components.device))
    return replace(on_device, components=shapes.components, dropped=shapes.dropped)


def demand_of(profile: DiffusionProfile) -> Demand:
    """What the profile wants of the device."""
    sizes = profile.sizes
    width, height = parse_size(sizes.default)
    return Demand(
        size=sizes.default,
        default_pixels=width * height,
        pixels=min(sizes.max_pixels, sizes.max_side**2),
        hires_pixels=profile.hires.sizes.max_pixels if profile.hires else 0,
        most_pixels=sizes.max_side**2,
        tokens=profile.engine.token_budget,
        n=profile.max_n,
        guided=may_guide(profile),
    )


def _computed(profile: DiffusionProfile, architecture: Architecture) -> Figures:
    components = architecture.build(torch.device("meta"))
    whole = sum(bytes_of(module) for module in components.modules.values())
    at_hand = {name: style for name, style in profile.styles.items() if style.is_local}
    family = with_styles(family_of(profile, components), at_hand)
    kept = sum(bytes_of(module) for module in components.modules.values())
    return take_figures(profile, family, ShapeGauge(components.tensors()), whole - kept)
