"""What serving adds to the bare diffusers loop."""
