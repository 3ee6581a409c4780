"""How the rows of the table are measured: one module per subject, each with ROWS, {row number: function of a Bench}."""

from . import asked_of_system, building, hits, latency, memory, programs, relaying, workers

FUNCTIONS = {}
for module in (hits, relaying, programs, asked_of_system, memory, workers, latency, building):
    FUNCTIONS.update(module.ROWS)
