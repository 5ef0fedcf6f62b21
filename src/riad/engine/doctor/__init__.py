"""What the host must have for the engine to work, looked at part by part. Start reading at `examine`."""
