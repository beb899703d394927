"""Training: samples to trees, trees to steps, one rank's loop, and its launcher."""
