"""Training, on PyTorch: the Trainer, its data and what it costs."""
