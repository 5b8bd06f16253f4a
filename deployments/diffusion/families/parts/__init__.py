"""What families share: straight paths to noise, pictures to latents and back, sigmas."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
