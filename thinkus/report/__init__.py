"""What finished runs come to together: methods beside each other, judges beside each other."""
