"""What one architecture needs to know; everything else in the room serves all families alike."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
