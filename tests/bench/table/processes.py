"""Child processes: started, pinned to a core, waited for, and all ended whatever happens."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .report import Failed, Skipped

DEADLINE = 30.0  # seconds that a server may take to listen, or to end
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
# Servers live there on Debian; the path of a user who is not root leaves it out.
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def find(program):
    """Path of an installed program, or None."""
    return shutil.which(program, path=SEARCH_PATH)


def require(program, package=None):
    """Path of an installed program. Skips what needs it where there is none."""
    path = find(program)
    if path is None:
        raise Skipped(f"{package or program} is not installed")
    return path


def unused_port():
    """A port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _tree(root):
    """`root` and the processes under it."""
    found, next_ones = [], [root]
    while next_ones:
        pid = next_ones.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
                    next_ones += map(int, children.read().split())
        except OSError:
            continue  # it has ended meanwhile
    return found


class Child:
    """A process in a session of its own, with all that it starts; its output goes to a file."""

    def __init__(self, command, cores, log, environment, started):
        self._log = log
        self.name = os.path.basename(command[0])
        with open(log, "wb") as output:
            # setpriv: the kernel ends it should this process be killed and end nothing itself.
            self._process = subprocess.Popen(  # pylint: disable=consider-using-with
                ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", ",".join(map(str, cores)), *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
                start_new_session=True)
        started.append(self)

    @property
    def pid(self):
        return self._process.pid

    def cpu_seconds(self):
        """User and system time of the process and of those under it."""
        ticks = 0
        for pid in _tree(self.pid):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / CLOCK_TICKS

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024

    def output(self):
        with open(self._log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_for_port(self, port=None):
        """Waits until it listens on `port`, or until it says on which; returns the port."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            said = re.search(r"(?<!admin )listening on (?:\S*:)?(\d+)\b", self.output()) if port is None else None
            if said:
                return int(said.group(1))
            if port is not None and _accepts(port):
                return port
            self.check_alive()
            time.sleep(0.01)
        raise Failed(f"{self.name} does not listen: {self.output()[-300:]}")

    def check_alive(self):
        """Fails with its status and last words where it has ended by itself."""
        if self._process.poll() is not None:
            raise Failed(f"{self.name} ended with status {self._process.returncode}: {self.output()[-300:]}")

    def wait_for_output(self, text):
        """Waits until it has printed `text`."""
        end = time.monotonic() + DEADLINE
        while text not in self.output():
            self.check_alive()
            if time.monotonic() > end:
                raise Failed(f"{self.name} does not say {text!r}")
            time.sleep(0.01)

    def wait(self, seconds):
        """Waits for its end and returns its output; a bad status or no end in time is a failure."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} takes longer than {seconds} s") from None
        if status != 0:
            raise Failed(f"{self.name} ended with status {status}: {self.output()[-300:]}")
        return self.output()

    def end(self):
        """SIGTERM to its whole group; SIGKILL to what is left after a while."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            pass
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass


def _accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Processes:
    """All children and the directory they work in. A context: at its end they are ended and the directory is gone."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="larder-bench-")
        # Servers that give up root read and make files in it.
        os.chmod(self.directory, 0o755)
        self._children = []
        self._at_end = []
        self._count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            for child in reversed(self._children):
                child.end()
        finally:
            for clean in self._at_end:
                clean()
            shutil.rmtree(self.directory, ignore_errors=True)

    def at_end(self, clean):
        """Calls `clean()` when all children have ended."""
        self._at_end.append(clean)

    def start(self, command, cores, **variables):
        """Starts a program, on these cores only; `variables` are added to its environment."""
        self._count += 1
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "LARDER"))}
        environment |= {"PATH": SEARCH_PATH, "HOME": self.directory, "XDG_STATE_HOME": self.directory, **variables}
        return Child(command, cores, f"{self.directory}/{self._count}.log", environment, self._children)

    def end(self, child):
        """Ends one child before the others."""
        child.end()
        self._children.remove(child)

    def run(self, command, cores, seconds):
        """Runs a program to its end; returns what it printed."""
        child = self.start(command, cores)
        try:
            return child.wait(seconds)
        finally:
            self.end(child)
