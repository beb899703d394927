"""Asking a model how close somebody comes to the real person, and taking nothing but its verdict for one."""
