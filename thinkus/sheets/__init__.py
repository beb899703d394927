"""What people are given to rate, blind, and how it comes back."""
