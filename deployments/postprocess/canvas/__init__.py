"""Pixels and places: rectangles, masks, contrast, where there is room, and the canvas."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
