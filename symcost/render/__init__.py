"""Rendering: reports, formulas and documents from costs. No cost is computed here."""
