"""From LoRA files, as trainers write them, to what rows of a forward wear."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
