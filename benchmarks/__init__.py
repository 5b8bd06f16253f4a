"""What Signboard claims, measured by commands."""
