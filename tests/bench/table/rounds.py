"""Servers take turns (A B C A B C ...), and medians of the rounds are compared: a disturbance hits all alike."""

import dataclasses
import statistics

from . import load
from .report import Failed


@dataclasses.dataclass(frozen=True)
class Case:
    """One server under one load. `size` is the body's number of bytes. `charged` are other processes whose CPU counts
    too. `hit`: the answers come from its cache."""

    name: str
    server: object
    target: str
    size: int
    script: str = None
    fields: tuple = load.TWO_FIELDS
    charged: tuple = ()
    hit: bool = True
    load_core: int = None

    def check(self):
        """Asks twice: what will be measured has to be what is meant."""
        load.get(self.server.port, self.target, self.fields)
        status, fields, body = load.get(self.server.port, self.target, self.fields)
        if status != 200:
            raise Failed(f"{self.name} answers {self.target} with {status}")
        if len(body) != self.size:
            raise Failed(f"{self.name} answers {self.target} with {len(body)} bytes, not {self.size}")
        if self.server.is_hit(fields) != self.hit:
            raise Failed(f"{self.name} answers {self.target} with {'no' if self.hit else 'a'} hit")

    def cpu_seconds(self):
        return self.server.child.cpu_seconds() + sum(child.cpu_seconds() for child in self.charged)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Medians of a case's rounds."""

    cpu_us: float
    per_second: float


def warm_up(bench, case):
    """Fills caches and connections; not counted."""
    if case.script == load.ZIPF:
        _run(bench, case, 2, ("in-order",))
    _run(bench, case, 1)


def _run(bench, case, seconds, arguments=()):
    core = bench.cores.load if case.load_core is None else case.load_core
    try:
        return load.wrk(bench.children, core, case.server.port, case.target, seconds, script=case.script,
                        arguments=arguments, fields=case.fields)
    except Failed as error:
        case.server.child.check_alive()  # where it is gone, that is the reason
        raise Failed(f"{case.name}: {error}") from error


def in_turn(bench, cases):
    """Measures the cases in turn; returns {name: Cost}."""
    for case in cases:
        case.check()
        warm_up(bench, case)
    costs = {case.name: [] for case in cases}
    for _ in range(bench.options.rounds):
        for case in cases:
            before = case.cpu_seconds()
            run = _run(bench, case, bench.options.secs)
            costs[case.name].append(((case.cpu_seconds() - before) / run.requests * 1e6, run.per_second))
    return {name: Cost(*map(statistics.median, zip(*rounds))) for name, rounds in costs.items()}


def median_in_turn(bench, measurements):
    """The same for any measurements: {name: function of a round's figure} to {name: median}."""
    figures = {name: [] for name in measurements}
    for _ in range(bench.options.rounds):
        for name, measure in measurements.items():
            figures[name].append(measure())
    return {name: statistics.median(values) for name, values in figures.items()}
