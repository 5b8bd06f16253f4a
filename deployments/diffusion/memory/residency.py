"""Where the weights lie: on the device, or in host memory and on the device only while they run.

A plan chooses a residency; `Residency` brings loaded components into it. Nothing here decides.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch.nn import functional

from deployments.diffusion.families import Family, Stage
from deployments.diffusion.profile import RELIEFS, Relief
from deployments.diffusion.weights import SharedComponents, unique_storages

FP8 = torch.float8_e4m3fn
SENSITIVE = re.compile("norm|modulation|refiner|time_emb")  # kept in the model's own dtype


class Parked:
    """Weights in host memory, pinned where the device is CUDA, so that they travel at bus speed.

    `bring` puts copies on the device, all or none; `drop` lets them go. Weights do not change, so
    nothing is ever copied back.
    """

    def __init__(self, tensors: Iterable[torch.Tensor], components: SharedComponents) -> None:
        self._components = components
        self._tensors = list(tensors)
        self._host = [components.to_host(tensor.data) for tensor in self._tensors]
        self.drop()

    def bring(self) -> None:
        """Copy the weights to the device."""
        copies = [self._components.to_device(host) for host in self._host]
        for tensor, copy in zip(self._tensors, copies, strict=True):
            tensor.data = copy

    def drop(self) -> None:
        """Use the host's weights again; the device's copies are freed."""
        for tensor, host in zip(self._tensors, self._host, strict=True):
            tensor.data = host


class Float8Linear(torch.nn.Linear):
    """A linear layer stored in 8 bits, one scale an output row, computed in its input's dtype."""

    scale: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """y = (x w^T) * scale + bias."""
        y = functional.linear(x, self.weight.to(x.dtype)) * self.scale
        return y if self.bias is None else y + self.bias


class Residency:
    """Where the weights of one family are; for the device thread alone, others may read.

    device: of the components. reliefs: those of the plan that are in force. device_bytes: of the
    weights that are on the device between two stages, each storage counted once.
    """

    def __init__(self, family: Family) -> None:
        self.reliefs: tuple[Relief, ...] = ()
        self._family = family
        self._components = family.components
        self.device = family.components.device
        self._hosted: set[int] = set()  # ids of tensors that are on the device only while they run
        self.device_bytes = 0
        self._asleep: Parked | None = None  # all of the rest, or what `alone` could not bring back

    @property
    def asleep(self) -> bool:
        """Whether weights wait in host memory for `wake`."""
        return self._asleep is not None

    @property
    def tiled(self) -> bool:
        """Whether every decode is tiled."""
        return "tiled_decode" in self.reliefs

    @property
    def strongest(self) -> Relief:
        """The strongest relief in force."""
        return self.reliefs[-1] if self.reliefs else "resident"

    def apply(self, reliefs: Collection[Relief]) -> None:
        """Bring loaded weights to where these reliefs put them. Once, before the first stage."""
        if "fp8_storage" in reliefs:  # first: what lies in host memory lies there small
            self._shrink()
        if "text_encoder_on_host" in reliefs:
            self.text_encoder_out()
        if "streamed_blocks" in reliefs:
            self._stream()
        self.reliefs = tuple(one for one in RELIEFS if one in reliefs)
        for tensor in self._staying(self._everything()):
            tensor.data = tensor.data.to(self.device)
        self._settle()

    def text_encoder_out(self) -> bool:
        """Keep what `encode` uses in host memory from now on; False if it lies there already."""
        encoders = self._modules("encode")
        if not any(True for _ in self._staying(encoders)):
            return False
        self._on_demand(encoders)
        self._settle()
        return True

    @contextmanager
    def alone(self, stage: Stage) -> Iterator[None]:
        """For a while, keep nothing on the device but what `stage` uses.

        What finds no room afterwards sleeps on, until `wake`.
        """
        running = {id(module) for module in self._modules(stage)}
        others = [module for module in self._everything() if id(module) not in running]
        parked = Parked(self._staying(others), self._components)
        release_cache(self.device)
        try:
            yield
        finally:
            release_cache(self.device)
            self._asleep = parked
            with suppress(torch.OutOfMemoryError):
                self.wake()

    def sleep(self) -> None:
        """Move all weights to host memory."""
        if self._asleep is None:
            self._asleep = Parked(self._staying(self._everything()), self._components)
            self._settle()

    def wake(self) -> None:
        """Bring them back, all or none; raises if there is no room for them."""
        if self._asleep is not None:
            self._asleep.bring()
            self._asleep = None
            self._settle()

    def _settle(self) -> None:
        """What must follow when weights have moved."""
        release_cache(self.device)
        kept = () if self._asleep else self._staying(self._everything())
        self.device_bytes = sum(storage.nbytes() for storage in unique_storages(kept).values())

    def _everything(self) -> list[torch.nn.Module]:
        return [*self._components.modules.values(), self._components.adapters]

    def _modules(self, stage: Stage) -> list[torch.nn.Module]:
        """What a stage runs: the styles' adapters take part in forwards."""
        used = [self._components.modules[name] for name in self._family.uses[stage]]
        return [*used, self._components.adapters] if stage == "forward" else used

    def _staying(self, modules: Iterable[torch.nn.Module]) -> Iterator[torch.Tensor]:
        """Weights of the modules that do not come and go."""
        return (t for m in modules for t in _weights(m) if id(t) not in self._hosted)

    def _on_demand(self, modules: Iterable[torch.nn.Module]) -> None:
        """Keep each module's weights in host memory, on the device only while it runs."""
        for module in modules:
            weights = list(self._staying([module]))
            parked = Parked(weights, self._components)
            module.register_forward_pre_hook(lambda *_, parked=parked: parked.bring())
            module.register_forward_hook(lambda *_, parked=parked: parked.drop(), always_call=True)
            self._hosted.update(map(id, weights))

    def _denoisers(self) -> list[torch.nn.Module]:
        return [self._components.modules[name] for name in self._family.uses["forward"]]

    def _shrink(self) -> None:
        """Store the large matrices of what encodes and denoises in 8 bits."""
        for module in (*self._modules("encode"), *self._denoisers()):
            for name, block in blocks_of(module).items():
                for layer in fp8_layers(name, block):
                    _shrink(layer)

    def _stream(self) -> None:
        """Bring the blocks of what denoises one by one."""
        for module in self._denoisers():
            self._on_demand(blocks_of(module).values())


def blocks_of(module: Any) -> dict[str, torch.nn.Module]:
    """The repeated blocks of a model by their names: what may be streamed one by one."""
    kinds = set(module._no_split_modules or ())
    blocks: dict[str, torch.nn.Module] = {}
    inside: set[int] = set()
    for name, part in module.named_modules():  # outer ones come first
        if id(part) not in inside and type(part).__name__ in kinds:
            blocks[name] = part
            inside |= {id(inner) for inner in part.modules()}
    return blocks


def fp8_layers(name: str, block: torch.nn.Module) -> list[torch.nn.Linear]:
    """The layers of a block, by its name in the model, that keep pictures when stored in fp8."""
    return [
        layer
        for inner, layer in block.named_modules()
        if type(layer) is torch.nn.Linear and not SENSITIVE.search(f"{name}.{inner}")
    ]


def release_cache(device: torch.device) -> None:
    """Give what the allocator keeps for later back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _weights(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _shrink(layer: torch.nn.Linear) -> None:
    weight = layer.weight.data
    scale = weight.abs().amax(1).float().clamp(min=1e-12) / torch.finfo(FP8).max
    layer.weight.data = (weight.float() / scale[:, None]).to(FP8)
    layer.register_buffer("scale", scale.to(weight.dtype), persistent=False)
    layer.__class__ = Float8Linear
