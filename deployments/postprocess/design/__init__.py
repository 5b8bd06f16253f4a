"""How an advert looks: brands, palettes, roles, templates, and layers as items ready to set."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
