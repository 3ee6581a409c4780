"""Verdicts, and the table as Markdown and JSON."""

import contextlib
import dataclasses
import json

from . import measures


class Skipped(Exception):
    """Something is missing that a row needs; says what."""


class Failed(Exception):
    """A measurement went wrong, so that its figure would be worth nothing; says why."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A measure with what became of it. `value` is None where there is no figure."""

    measure: measures.Measure
    measured: str
    verdict: str
    value: float = None


class Table:
    """Collects one line per measure. None can be left out: what a row did not judge says so itself."""

    def __init__(self):
        self._lines = {}

    def judge(self, measure, value, measured):
        """`value` against the measure's bound; `measured` is what the table shows for it."""
        verdict = "met" if measure.must.holds(value) else "not met"
        self._lines[measure] = Line(measure, measured, verdict, value)

    def judge_ratio(self, measure, above, below):
        """The CPU times per request of two (name, microseconds) pairs."""
        (name, cost), (other, other_cost) = above, below
        if not other_cost:
            raise Failed(f"no CPU time was seen of {other}: the run is too short")
        ratio = cost / other_cost
        self.judge(measure, ratio, f"{ratio:.2f} ({name} {cost:.2f} µs, {other} {other_cost:.2f} µs)")

    def skip(self, measure, reason):
        self._lines[measure] = Line(measure, "–", f"skipped: {reason}")

    def fail(self, measure, reason):
        self._lines[measure] = Line(measure, "–", f"failed: {reason}")

    @contextlib.contextmanager
    def attempt(self, *attempted):
        """What keeps the measures `attempted` from being measured becomes the verdict of those not judged yet."""
        try:
            yield
        except Skipped as reason:
            self._close(attempted, self.skip, str(reason))
        except (Failed, OSError) as reason:
            self._close(attempted, self.fail, str(reason))

    def _close(self, attempted, verdict, reason):
        for measure in attempted:
            if measure not in self._lines:
                verdict(measure, reason)

    def lines(self, row):
        """Those of a row, in the table's order."""
        return [self._lines.get(measure) or Line(measure, "–", "failed: the row left it out")
                for measure in measures.ALL if measure.row == row]


def head(header):
    """What stands above the table's lines, in Markdown. `header` is a list of (name, value)."""
    text = [f"- {name}: {value}" for name, value in header]
    text += ["", "| row | measure | must | measured | verdict |", "|---|---|---|---|---|"]
    return "\n".join(text)


def row(line):
    """One line of the table, in Markdown."""
    cells = (str(line.measure.row), line.measure.name, str(line.measure.must), line.measured, line.verdict)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def as_json(header, lines):
    rows = [{"row": line.measure.row, "measure": line.measure.name, "must": str(line.measure.must),
             "value": line.value, "measured": line.measured, "verdict": line.verdict} for line in lines]
    return json.dumps({"machine": dict(header), "rows": rows}, indent=2, ensure_ascii=False) + "\n"
