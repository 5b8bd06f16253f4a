"""The two rooms behind the ingress: `diffusion` (device) and `postprocess` (CPU)."""
