"""What a result was measured on."""

import os
import platform
from importlib.metadata import version
from typing import Any

import torch

PACKAGES = ("torch", "diffusers", "transformers", "safetensors")


def machine() -> dict[str, Any]:
    """The processor, the device and the versions that matter."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }
