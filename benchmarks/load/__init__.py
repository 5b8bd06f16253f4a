"""A server full of clients, and what setting words takes off an engine beside it."""
