"""SLURM's queue: `submit` puts runs in it and waits for them, `job` is what then runs on a node."""
