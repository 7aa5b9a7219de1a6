"""Export of formulas as data and code, one target a file."""
