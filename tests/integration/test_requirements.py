"""The table of requirements (tests/rfc_requirements.csv) against the tests: every test that a row names exists, and no
row goes without a test or a reason.

Columns: rfc and section; level (MUST, MUST NOT, SHOULD, SHOULD NOT, MAY); the requirement in short; how Larder stands:
`fulfilled` (with what is to be said about it after a colon), `not applicable: <why>`, or `deviates: <why>`, each with
`; switch: <setting>` where one decides; and the tests that show it, as module.test without "test_", "*" for several."""

import ast
import csv
import fnmatch
import importlib
import os
import re
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "..", "rfc_requirements.csv")
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"}
SPECIFICATION = r"(\d{4,5}|[A-Z][\w -]+)"  # the number of an RFC, or a name
SECTION = r"§\d(\.?\d)*"
STANDING = re.compile(r"(fulfilled(: [^;]+)?|not applicable: [^;]+|deviates: [^;]+)(; [^;]+)*")


def rows():
    with open(TABLE, encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def written_tests(module):
    """Names of the test methods in the source of a module, without "test_"."""
    with open(os.path.join(HERE, f"test_{module}.py"), encoding="utf-8") as source:
        tree = ast.parse(source.read())
    return {node.name[5:] for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def all_tests():
    """module.test of all integration tests, generated ones included."""
    found = set()
    for name in sorted(os.listdir(HERE)):
        match = re.fullmatch(r"test_(\w+)\.py", name)
        if not match or match.group(1) == "requirements":
            continue
        module = match.group(1)
        tests = written_tests(module)
        if module.startswith("rfc_"):
            tests |= getattr(importlib.import_module(f".test_{module}", __package__), "CASE_IDS", set())
        found |= {f"{module}.{test}" for test in tests}
    return found


class Requirements(unittest.TestCase):
    def setUp(self):
        self.rows = rows()

    def each(self, check):
        """Collects what is wrong over all rows, so that one run shows it all."""
        faults = []
        for number, row in enumerate(self.rows, 2):
            fault = check(row)
            if fault:
                faults.append(f"line {number} ({row['rfc']} {row['section']}): {fault}")
        self.assertEqual(faults, [])

    def test_every_row_is_well_formed(self):
        def check(row):
            if None in row or None in row.values():
                return "wrong number of columns"
            if row["level"] not in LEVELS:
                return f"level {row['level']!r}"
            if not re.fullmatch(SPECIFICATION, row["rfc"]) or not re.fullmatch(SECTION, row["section"]):
                return "rfc or section"
            return None if STANDING.fullmatch(row["larder"]) else f"standing {row['larder']!r}"

        self.each(check)

    def test_every_named_test_exists(self):
        known = all_tests()

        def check(row):
            missing = [name for name in row["tests"].split() if not fnmatch.filter(known, name)]
            return f"no such test: {missing}" if missing else None

        self.each(check)

    def test_every_row_has_a_test_or_a_reason(self):
        self.each(lambda row: "neither a test nor a reason" if not row["tests"].strip() and ":" not in row["larder"]
                  else None)

    def test_no_requirement_is_there_twice(self):
        seen = [(row["rfc"], row["section"], row["level"], row["requirement"]) for row in self.rows]
        self.assertEqual(sorted({row for row in seen if seen.count(row) > 1}), [])

    def test_every_conformance_case_cites_an_rfc(self):
        cited = re.compile(f"{SPECIFICATION} {SECTION}")
        for name in sorted(os.listdir(HERE)):
            if name.startswith("test_rfc_") and name.endswith(".py"):
                module = importlib.import_module(f".{name[:-3]}", __package__)
                for value in vars(module).values():
                    for case in value if isinstance(value, list) else ():
                        if type(case).__name__ == "Case":
                            self.assertRegex(case.rfc, cited, f"{name}: {case.id}")


if __name__ == "__main__":
    unittest.main()
