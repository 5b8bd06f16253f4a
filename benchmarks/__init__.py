"""What the project takes: memory, time, load. Measured with its own parts, without Ray."""
