"""The machine: its cores, what it is, whether it is quiet, and the versions of what is measured beside Larder."""

import datetime
import os
import platform
import re
import subprocess
import time

from . import processes

VERSIONS = (("HAProxy", "haproxy", "-v"), ("nginx", "nginx", "-v"), ("Varnish", "varnishd", "-V"),
            ("Redis", "redis-server", "--version"), ("wrk", "wrk", "--version"))


class Cores:
    """Which core is for what. Servers have the first, the load and the origin the second."""

    def __init__(self, available=None):
        self.all = sorted(available or os.sched_getaffinity(0))
        self.server = self.all[0]
        self.load = self.all[1] if len(self.all) > 1 else self.all[0]

    @property
    def shared(self):
        """Whether load and servers have to share one core."""
        return len(self.all) < 2

    def two_workers(self):
        """(cores of a server with two workers, core of the load): the load's is its own from three cores on."""
        return self.all[:2], self.all[2] if len(self.all) > 2 else self.load


def _cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = re.search(r"^model name\s*: (.*)$", info.read(), re.MULTILINE)
    return model.group(1).strip() if model else platform.machine()


def version(program, option):
    """The version that an installed program states; None where it is not installed."""
    path = processes.find(program)
    if path is None:
        return None
    stated = subprocess.run([path, option], capture_output=True, text=True, check=False, timeout=10)
    number = re.search(r"\d+\.\d+(?:\.\d+)?", stated.stdout + stated.stderr)
    return number.group() if number else "unknown"


def _cpu_times():
    with open("/proc/stat", encoding="ascii") as stat:
        times = [int(value) for value in stat.readline().split()[1:9]]
    return times[3] + times[4], sum(times)


def busy_percent(seconds=1.0):
    """How much of all cores others take."""
    idle_before, all_before = _cpu_times()
    time.sleep(seconds)
    idle, every = _cpu_times()
    return 100 * (1 - (idle - idle_before) / max(1, every - all_before))


def describe(cores, busy):
    """The header of the report: (name, value) pairs. `busy` is busy_percent() before anything was started."""
    header = [("date", datetime.date.today().isoformat()), ("CPU", _cpu_model()),
              ("cores", f"{len(cores.all)} (servers on core {cores.server}, load on core {cores.load})"),
              ("kernel", platform.release())]
    header += [(name, version(program, option) or "not installed") for name, program, option in VERSIONS]
    if cores.shared:
        header.append(("beware", "one core only: servers and load share it, so all figures are worse and less certain"))
    if busy > 5:
        header.append(("beware", f"the machine was not quiet: {busy:.0f} % busy before the first run"))
    return header
