"""Untrusted bytes to pictures: decoded, upright, fitted, and their subject told from its ground."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
