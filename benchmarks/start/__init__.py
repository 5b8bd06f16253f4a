"""From the start of a process to ready, part by part."""
