"""Where the weights lie: on the device, or in host memory and on the device only while they run.

A plan chooses a residency; `Residency` brings loaded components into it. Nothing here decides.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from deployments.diffusion.families import Family, Stage
from deployments.diffusion.memory.trying import attempt, is_out_of_memory
from deployments.diffusion.profile import RELIEFS, Relief
from deployments.diffusion.weights import SharedComponents, kept_in_float32, unique_storages

FP8 = torch.float8_e4m3fn
SENSITIVE = re.compile("norm|modulation|refiner|time_emb")  # kept in the model's own dtype


class Parked:
    """Copies of weights in host memory, pinned where the device is CUDA, so that they travel at bus
    speed.

    `drop` uses them in place of the device's, `bring` puts copies of them on the device, all or
    none. Weights do not change, so nothing is ever copied back.
    """

    def __init__(self, tensors: Iterable[torch.Tensor], components: SharedComponents) -> None:
        """Raises MemoryError, with nothing moved, where the host cannot take them, or not pin."""
        self._components = components
        self._tensors = list(tensors)
        try:
            self._host = [components.to_host(tensor.data) for tensor in self._tensors]
        except RuntimeError as error:
            raise MemoryError(f"host memory does not take the weights: {error}") from None

    def bring(self) -> None:
        """Copy the weights to the device."""
        copies = [self._components.to_device(host) for host in self._host]
        for tensor, copy in zip(self._tensors, copies, strict=True):
            tensor.data = copy

    def drop(self) -> None:
        """Use the host's weights again; the device's copies are freed."""
        for tensor, host in zip(self._tensors, self._host, strict=True):
            tensor.data = host


class OnDemand:
    """One module whose weights are on the device only while it runs, until `end`.

    ids: of its tensors.
    """

    def __init__(self, module: torch.nn.Module, parked: Parked, ids: frozenset[int]) -> None:
        self.parked = parked
        self.ids = ids
        parked.drop()
        self._hooks = (
            module.register_forward_pre_hook(lambda *_: parked.bring()),
            module.register_forward_hook(lambda *_: parked.drop(), always_call=True),
        )

    def end(self) -> None:
        """The weights stay where they are, which is the device once they are brought."""
        for hook in self._hooks:
            hook.remove()


class Float8Linear(torch.nn.Linear):
    """A linear layer stored in 8 bits, one scale an output row, computed in its input's dtype."""

    scale: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """y = (x w^T) * scale + bias."""
        if x.dtype == torch.float16:  # whose range these sums would leave
            scaled = self.weight.to(x.dtype).mul_(self.scale[:, None])
            return functional.linear(x, scaled, self.bias)
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
        self._moved_out: list[OnDemand] = []  # what `text_encoder_back` brings back
        self._asleep: dict[int, Parked] = {}  # by the module's id, until `wake`

    @property
    def asleep(self) -> bool:
        """Whether weights wait in host memory for `wake`."""
        return bool(self._asleep)

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
            self._on_demand(self._modules("encode"))
        if "streamed_blocks" in reliefs:
            self._stream()
        self.reliefs = tuple(one for one in RELIEFS if one in reliefs)
        for tensor in self._staying(self._everything()):
            tensor.data = tensor.data.to(self.device)
        self.settle()

    def text_encoder_out(self) -> bool:
        """Keep what `encode` uses in host memory from now on; False if it lies there already.

        Raises MemoryError, with nothing moved, where the host cannot take it.
        """
        encoders = self._modules("encode")
        if not any(True for _ in self._staying(encoders)):
            return False
        self._moved_out = self._on_demand(encoders)
        self.settle()
        return True

    def text_encoder_back(self) -> None:
        """Undo `text_encoder_out`; raises, with nothing moved, if there is no room for it."""
        bring([one.parked for one in self._moved_out])
        for one in self._moved_out:
            one.end()
            self._hosted -= one.ids
        self._moved_out = []
        self.settle()

    @contextmanager
    def alone(self, stage: Stage) -> Iterator[None]:
        """For a while, keep nothing on the device but what `stage` uses.

        What finds no room afterwards sleeps on, until `wake`. Raises MemoryError, with nothing
        moved, where the host cannot take the rest.
        """
        running = [*self._modules(stage), *self._worn(stage)]
        kept = {id(module) for module in running}
        self._park([module for module in self._everything() if id(module) not in kept])
        try:
            self._unpark(running)  # what an earlier stage could not bring back
            yield
        finally:
            release_cache(self.device)
            error = attempt(self.wake)
            if error is not None and not is_out_of_memory(error):
                raise error

    def sleep(self) -> None:
        """Move all weights to host memory, or none: raises MemoryError if it cannot take them."""
        self._park(self._everything())

    def wake(self) -> None:
        """Bring them back, all or none; raises if there is no room for them."""
        if self._asleep:
            self._unpark(self._everything())

    def _park(self, modules: Iterable[torch.nn.Module]) -> None:
        """Move the modules to host memory until `wake`, all or none."""
        awake = [module for module in modules if id(module) not in self._asleep]
        parked = {id(one): Parked(self._staying([one]), self._components) for one in awake}
        for one in parked.values():
            one.drop()
        self._asleep |= parked
        self.settle()

    def _unpark(self, modules: Iterable[torch.nn.Module]) -> None:
        """Bring the sleeping ones of the modules back, all or none."""
        sleeping = [id(module) for module in modules if id(module) in self._asleep]
        bring([self._asleep[one] for one in sleeping])
        for one in sleeping:
            del self._asleep[one]
        self.settle()

    def settle(self) -> None:
        """What must follow when weights have moved."""
        release_cache(self.device)
        kept = self._staying(m for m in self._everything() if id(m) not in self._asleep)
        self.device_bytes = sum(storage.nbytes() for storage in unique_storages(kept).values())

    def _everything(self) -> list[torch.nn.Module]:
        return [*self._components.modules.values(), self._components.adapters]

    def _modules(self, stage: Stage) -> list[torch.nn.Module]:
        """What a stage runs."""
        return [self._components.modules[name] for name in self._family.uses[stage]]

    def _worn(self, stage: Stage) -> list[torch.nn.Module]:
        """What is worn in a stage: styles act on what denoises, and on what reads prompts."""
        return [self._components.adapters] if stage in ("encode", "forward") else []

    def _staying(self, modules: Iterable[torch.nn.Module]) -> Iterator[torch.Tensor]:
        """Weights of the modules that do not come and go."""
        return (t for m in modules for t in _weights(m) if id(t) not in self._hosted)

    def _on_demand(self, modules: Iterable[torch.nn.Module]) -> list[OnDemand]:
        """Keep each module's weights in host memory, on the device only while it runs."""
        weights = {module: list(self._staying([module])) for module in modules}
        parked = {module: Parked(own, self._components) for module, own in weights.items()}
        moved = [OnDemand(m, one, frozenset(map(id, weights[m]))) for m, one in parked.items()]
        self._hosted.update(*(one.ids for one in moved))
        return moved

    def _denoisers(self) -> list[torch.nn.Module]:
        return [self._components.modules[name] for name in self._family.uses["forward"]]

    def _shrink(self) -> None:
        """Store the large matrices of what encodes and denoises in 8 bits."""
        for module in (*self._modules("encode"), *self._denoisers()):
            for layers in fp8_layers(module).values():
                for layer in layers:
                    _shrink(layer)

    def _stream(self) -> None:
        """Bring the blocks of what denoises one by one."""
        for module in self._denoisers():
            self._on_demand(blocks_of(module).values())


def bring(parked: Sequence[Parked]) -> None:
    """Bring them all to the device, or none."""
    for count, one in enumerate(parked):
        error = attempt(one.bring)
        if error is not None:
            for brought in parked[:count]:
                brought.drop()
            raise error


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


def fp8_layers(module: Any) -> dict[str, list[torch.nn.Linear]]:
    """The layers that keep pictures when stored in fp8, by the block of the model they are in.

    What the model keeps in float32 by itself is none of them; T5 casts to the dtype that it finds.
    """
    kept = kept_in_float32(module)
    return {
        name: [
            layer
            for inner, layer in block.named_modules()
            if type(layer) is torch.nn.Linear
            and layer not in kept
            and not SENSITIVE.search(f"{name}.{inner}")
        ]
        for name, block in blocks_of(module).items()
    }


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
