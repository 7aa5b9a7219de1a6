"""What formulas answer: devices and rooflines, limits, sensitivities, differences."""
