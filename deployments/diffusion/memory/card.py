"""The card: what of a CUDA device this process may take, and the allocator held to it."""

import logging

import torch

from deployments.diffusion.memory.plan import MIB
from deployments.diffusion.profile import ModelSource
from deployments.diffusion.weights import pick_device

log = logging.getLogger(__name__)

CUDA_CONTEXT = 512 * MIB  # a CUDA context with the workspaces of cuBLAS and cuDNN


def room_on(source: ModelSource) -> int | None:
    """Bytes that a plan may count on: the model's budget, of a CUDA device at most what is there.

    None on a CPU without a budget. Raises ModelUnavailable where the device is missing.
    """
    device = pick_device(source.device)
    if device.type != "cuda":
        return source.memory_budget
    if source.dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        log.warning("model.dtype: this card computes no bfloat16 by itself; float16 is faster here")
    there = free_bytes(device)
    if source.memory_budget is None:
        return there
    if source.memory_budget > there:
        said = f"{source.memory_budget // MIB:,} MiB are more than the {there // MIB:,} MiB"
        log.warning(f"model.memory_budget: {said} that the card has free; planning for those")
    return min(source.memory_budget, there)


def free_bytes(device: torch.device) -> int:
    """What a CUDA device can still take of this process, what it has taken already included."""
    free, total = torch.cuda.mem_get_info(device)  # makes the context, where there was none
    return min(total, free + torch.cuda.memory_reserved(device) + CUDA_CONTEXT)


def hold_to(source: ModelSource, budget: int) -> None:
    """From now on the allocator takes no more than the budget leaves beside the context, but raises
    OutOfMemoryError: neighbours on the card keep theirs. Nothing on a CPU, nor where the model has
    no budget of its own.
    """
    device = pick_device(source.device)
    if device.type != "cuda" or source.memory_budget is None:
        return
    _, total = torch.cuda.mem_get_info(device)
    torch.cuda.set_per_process_memory_fraction((budget - CUDA_CONTEXT) / total, device)
