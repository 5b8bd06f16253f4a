"""What Signboard is measured beside: the ways in which most people run these models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
