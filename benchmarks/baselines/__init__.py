"""What Signboard is measured beside: the ways in which most people run these models."""
