"""The front of the house: what a client meets."""
