"""Pictures a second over replicas: measured on this machine, simulated beyond."""
