"""Measures the rows that were asked for and prints the table, each row as soon as it is there."""

import signal
import sys

from . import machine, options, processes, report, rows, servers


class Bench:
    """What a row needs: the options, the cores, the children, the servers, and the table to write its lines into."""

    def __init__(self, chosen, children):
        self.options = chosen
        self.children = children
        self.cores = machine.Cores()
        self.servers = servers.Servers(children, self.cores, chosen.build)
        self.table = report.Table()

    def need_two_cores(self):
        if self.cores.shared:
            raise report.Skipped("it needs two cores")

    def measure(self):
        """Yields the lines of each row as soon as it is measured."""
        for number in self.options.rows:
            print(f"row {number} …", file=sys.stderr, flush=True)
            rows.FUNCTIONS[number](self)
            yield from self.table.lines(number)


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _end(number, _):
    # A second signal must not interrupt that: `timeout` sends two.
    for later in ENDING:
        signal.signal(later, signal.SIG_IGN)
    sys.exit(128 + number)


def end_at_signals():
    """A signal unwinds the stack, so that all that was started is ended."""
    for number in ENDING:
        signal.signal(number, _end)


def main(arguments):
    chosen = options.parse(arguments)
    if chosen.check:
        return
    end_at_signals()
    busy = machine.busy_percent()
    lines = []
    with processes.Processes() as children:
        bench = Bench(chosen, children)
        children.at_end(bench.servers.close)
        header = machine.describe(bench.cores, busy)
        print(report.head(header), flush=True)
        for line in bench.measure():
            print(report.row(line), flush=True)
            lines.append(line)
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            file.write(report.as_json(header, lines))


if __name__ == "__main__":
    main(sys.argv[1:])
