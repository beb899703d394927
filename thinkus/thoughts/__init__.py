"""What people did not say: how it is asked for, read, checked, looked at and passed on."""
