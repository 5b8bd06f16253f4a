"""What fits the device: figures, the plan made of them, residency, and recovery."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
