"""Formulas compiled to arithmetic on numbers and arrays."""
