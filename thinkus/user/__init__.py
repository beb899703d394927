"""The simulated user: how it is shown the world, and what it is taught to say."""
