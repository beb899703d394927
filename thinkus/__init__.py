"""Thinking users: reconstruct, train, simulate and judge what people think and say to assistants."""

__version__ = "0.1.0"
