"""What formulas answer: devices and rooflines, limits, sensitivities, differences."""

from symcost.insight.conditions import parse_condition, solve_conditions
from symcost.insight.devices import Device, device_named, known_devices
from symcost.insight.latency import Latency, Rooflines
from symcost.insight.roofline import Efficiency, Granularity, rates
from symcost.insight.sensitivity import dominant_terms, growth, sensitivities
from symcost.insight.solving import Solution
from symcost.insight.subject import Subject

__all__ = [
    "Device",
    "Efficiency",
    "Granularity",
    "Latency",
    "Rooflines",
    "Solution",
    "Subject",
    "device_named",
    "dominant_terms",
    "growth",
    "known_devices",
    "parse_condition",
    "rates",
    "sensitivities",
    "solve_conditions",
]
