"""Memory and time of Z-Image-Turbo at its real size on a CUDA device."""
