"""The GPU room: one set of weights, one device thread, requests of every kind in one forward."""
