"""A larder process: started on ports chosen by the system, its log collected, killed or ended, and looked at
afterwards."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse

from . import raw_client
from .waiting import DEADLINE, SANITIZER

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
PROGRAM = os.environ.get("LARDER", os.path.join(REPOSITORY, "build", "larder"))
TOKEN = "a-token-of-the-tests"

SANITIZER_REPORT = re.compile(r"(ERROR|WARNING): (Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:|"
                              r"AddressSanitizer:DEADLYSIGNAL|terminate called|Assertion .* failed")


def clean_environment(extra=None):
    """The environment without what would configure Larder by accident."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "LARDER"))}
    environment.update(extra or {})
    return environment


class LarderProcess:
    """`larder serve`. `rules` and `settings` are YAML texts (settings: the server's file); `origins` are URLs."""

    def __init__(self, origins, rules=None, settings="", redis="off", memory=None, token=TOKEN, workers=2, options=(),
                 environment=None, command_prefix=(), pass_fds=()):
        self.directory = tempfile.mkdtemp(prefix="larder-test-")
        self.token = token
        self.port = None
        self.admin_port = None
        self._process = None
        self._lines = []
        self._changed = threading.Condition()
        self._reader = None
        self._environment = clean_environment({"HOME": self.directory, "XDG_STATE_HOME": self.directory,
                                               **(environment or {})})
        self._killed = False
        self._pass_fds = pass_fds
        self._command = [*command_prefix, PROGRAM, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers",
                         str(workers)]
        for origin in origins:
            self._command += ["--origin", origin]
        if redis is not None:
            self._command += ["--redis", redis]
        if memory is not None:
            self._command += ["--memory", memory]
        if token is not None:
            self._command += ["--token", token]
        if rules is not None:
            self._command += ["--rules", self.write("rules.yaml", rules)]
        self._command += ["--config", self.write_settings(settings)]
        self._command += list(options)

    # Its life.
    def write(self, name, text):
        """Writes a file into the process's own directory; returns its path."""
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def write_settings(self, text):
        """Writes the server's file. What a test has left running is cut off before the test gives up on the process."""
        if text and not text.endswith("\n"):
            text += "\n"
        return self.write("larder.yaml", text if "shutdown:" in text else text + "shutdown: { deadline: 8s }\n")

    def start(self):
        """Starts it and waits until it listens."""
        self._killed = False
        with self._changed:
            beginning = len(self._lines)
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=self._environment, cwd=self.directory, pass_fds=self._pass_fds)
        self._reader = threading.Thread(target=self._collect, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        port = self.wait_for_log(r"(?<!admin )listening on \S*:(\d+)", beginning)
        self.port = int(port.group(1))
        admin = [value for option, value in zip(self._command, self._command[1:]) if option == "--admin"][-1]
        if admin != "off":
            self.admin_port = int(self.wait_for_log(r"admin listening on \S*:(\d+)", beginning).group(1))
        return self

    def stop(self):
        """SIGTERM, as an operator would; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self):
        """Waits for its end; returns the exit status."""
        return self._wait()

    def reload(self):
        """POST /api/cache/reload; returns its JSON where it was accepted."""
        response = self.admin("POST", "/api/cache/reload")
        if response.status != 200:
            raise AssertionError(f"the reload was not accepted: {response.status} {response.text}")
        return response.json

    def kill(self):
        """SIGKILL."""
        self._killed = True
        self._process.kill()
        self._wait()

    def restart(self):
        """Ends it and starts it again, with the same directory and options; the ports change."""
        self.stop()
        return self.start()

    def _wait(self):
        try:
            status = self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)
            self._process.wait(DEADLINE)
            raise AssertionError("larder does not end on SIGTERM") from None
        self._reader.join(DEADLINE)
        return status

    def is_running(self):
        return self._process is not None and self._process.poll() is None

    def close(self):
        """Ends it where it still runs; fails where it crashed, did not end well, or a sanitizer reported something."""
        try:
            if self._process is not None:
                if self.is_running():
                    self.stop()
                status = self._process.returncode
                report = SANITIZER_REPORT.search(self.log())
                if report:
                    raise AssertionError("sanitizer report or abort:\n" + self.log()[report.start():][:8000])
                if status != 0 and not self._killed:
                    raise AssertionError(f"larder ended with status {status}:\n" + self.log()[-4000:])
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    # Its log.
    def _collect(self, stream):
        for line in stream:
            with self._changed:
                self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        stream.close()

    def log(self):
        with self._changed:
            return "\n".join(self._lines)

    def log_size(self):
        """Lines so far: the beginning for a later wait_for_log()."""
        with self._changed:
            return len(self._lines)

    def wait_for_log(self, pattern, beginning=0):
        """Waits for a line that matches; returns the match."""
        end = time.monotonic() + DEADLINE
        with self._changed:
            at = beginning
            while True:
                while at < len(self._lines):
                    match = re.search(pattern, self._lines[at])
                    if match:
                        return match
                    at += 1
                remaining = end - time.monotonic()
                ended = self._process.poll() is not None and not self._reader.is_alive()
                if remaining <= 0 or ended:
                    raise AssertionError(f"no log line matches {pattern!r} "
                                         f"({'larder has ended' if ended else 'in time'}):\n" +
                                         "\n".join(self._lines[-60:]))
                self._changed.wait(min(remaining, 0.1))

    # What it takes.
    def rss(self):
        """Resident bytes."""
        with open(f"/proc/{self._process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024

    # Talking to it.
    def get(self, target, fields=()):
        return raw_client.get(self.port, target, fields)

    def request(self, method, target, fields=(), body=None, version="HTTP/1.1"):
        return raw_client.request(self.port, method, target, fields, body, version)

    def connect(self, **options):
        return raw_client.Connection(self.port, **options)

    def get_until(self, target, condition, what, fields=()):
        return raw_client.get_until(self.port, target, condition, what, fields)

    def admin(self, method, target, body=None, token=True, fields=()):
        """A request to the admin API; `token` True sends its own, a string that one, None none. `body` is sent as JSON
        unless it is bytes. Returns the response; its JSON is in `.json` (None where there is none)."""
        lines = list(fields)
        if token:
            lines.append(("Authorization", f"Bearer {self.token if token is True else token}"))
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            lines.append(("Content-Type", "application/json"))
        elif body is None and method in ("POST", "PUT"):
            body = b""
        response = raw_client.request(self.admin_port, method, target, lines, body)
        try:
            response.json = json.loads(response.body)
        except ValueError:
            response.json = None
        return response

    def entry(self, key, method="GET"):
        """GET or DELETE /api/cache/entry/{key}."""
        return self.admin(method, "/api/cache/entry/" + urllib.parse.quote(key, safe=""))

    def stats(self):
        return self.admin("GET", "/api/cache/stats").json["cache_stats"]


def memory_bound(bytes_allowed):
    """A bound on resident memory; sanitizers take more, and quarantine what is freed."""
    return bytes_allowed * 6 + (256 << 20) if SANITIZER else bytes_allowed


def run_program(*arguments, environment=None, stdin=subprocess.DEVNULL):
    """Runs larder to its end with these arguments; returns the completed process, output as text."""
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=DEADLINE, check=False,
                          env=clean_environment(environment), stdin=stdin)


def settings(**sections):
    """The text of a server configuration: settings(client={"head_size": "8KiB"}). Members have the names they have in
    the parameter structs."""
    lines = []
    for name, members in sections.items():
        lines.append(f"{name}:")
        lines += [f"  {key}: {value}" for key, value in members.items()]
    return "\n".join(lines) + "\n"
