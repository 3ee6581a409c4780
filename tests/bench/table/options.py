"""The command line."""

import argparse

from . import measures


def _rows(text):
    try:
        rows = sorted({int(number) for number in text.split(",")})
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of row numbers such as 1,2,5") from None
    unknown = [row for row in rows if row not in measures.ROWS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no row {unknown[0]}")
    return rows


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def parse(arguments):
    """`rows` are those asked for, all by default; `builds` says whether the builds of row 18 were asked for by name."""
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__, allow_abbrev=False)
    parser.add_argument("--build", required=True, help="directory of the Release build")
    parser.add_argument("--check", action="store_true", help="only check the options")
    parser.add_argument("--rows", type=_rows, default=None, metavar="1,2,5", help="only these rows")
    parser.add_argument("--rounds", type=_positive, default=5, help="turns that each server takes (default 5)")
    parser.add_argument("--secs", type=_positive, default=3, help="seconds of a turn (default 3)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    options.builds = options.rows is not None and 18 in options.rows
    options.rows = options.rows or list(measures.ROWS)
    return options
