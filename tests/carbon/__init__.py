"""The meter of energy and CO2e."""
