"""The loop that owns the device, and what it turns: queue, scheduler, preparation, decoding."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
