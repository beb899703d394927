"""Asking models for text: the only way in which any stage does."""
