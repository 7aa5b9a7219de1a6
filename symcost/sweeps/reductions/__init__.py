"""What a sweep can be reduced to without keeping its points."""
