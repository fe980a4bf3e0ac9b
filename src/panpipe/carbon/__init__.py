"""What running a model costs: energy, CO2e, and an estimate of both before a run."""

from __future__ import annotations

from .components import Component
from .meter import EnergyMeter, energy
from .places import Place, find_place
from .plan import Plan, plan
from .result import EnergyResult

__all__ = ["Component", "EnergyMeter", "EnergyResult", "Place", "Plan", "energy", "find_place", "plan"]
