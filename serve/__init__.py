"""The front of the house: what a client meets."""

VERSION = "0.1.0"
