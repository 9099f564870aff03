"""In front of PyTorch on PYTHONPATH, a machine without it."""
raise ImportError("No module named 'torch'")
