"""A real redis-server, which tests kill, pause, restart and flush; and a client just large enough to look into it."""

import shutil
import signal
import socket
import subprocess
import tempfile

from .http_message import Reader
from .origin import unused_port
from .waiting import DEADLINE, eventually


class RedisError(Exception):
    """An error reply."""


class RedisClient:
    """RESP2 over one socket."""

    def __init__(self, port):
        self._sock = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self._reader = Reader(self._sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def command(self, *arguments):
        encoded = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
        self._sock.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in encoded))
        return self._reply()

    def _reply(self):
        line = self._reader.line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._reader.exactly(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        raise RedisError(f"not RESP: {line!r}")


class RedisProcess:
    """redis-server on a port chosen by the system, with an append-only file, so that a kill loses nothing."""

    def __init__(self, *options):
        self._options = options
        self._directory = tempfile.mkdtemp(prefix="larder-redis-")
        self._process = None
        self._log = open(f"{self._directory}/log", "ab")  # pylint: disable=consider-using-with
        for _ in range(10):
            self.port = unused_port()
            if self._start_once():
                return
        raise AssertionError("redis-server does not start: " + self.log())

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def log(self):
        with open(f"{self._directory}/log", encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def _start_once(self):
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._directory, "--save", "",
             "--appendonly", "yes", "--daemonize", "no", *self._options],
            stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL)

        def ready():
            if self._process.poll() is not None:
                return "ended"
            try:
                return "ready" if self.command("PING") == "PONG" else None
            except (OSError, RedisError):
                return None

        return eventually(ready, "redis-server answers") == "ready"

    # What may happen to it.
    def kill(self):
        """SIGKILL."""
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait(DEADLINE)

    def start(self, keep_data=True):
        """Starts it again on the same port."""
        if not keep_data:
            shutil.rmtree(f"{self._directory}/appendonlydir", ignore_errors=True)
        if not self._start_once():
            raise AssertionError("redis-server does not start again: " + self.log())

    def pause(self):
        """SIGSTOP: connections stay open, nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def close(self):
        if self._process.poll() is None:
            self.kill()
        self._log.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    # What is in it.
    def command(self, *arguments):
        with RedisClient(self.port) as client:
            return client.command(*arguments)

    def keys(self, pattern="cache:*"):
        return sorted(key.decode() for key in self.command("KEYS", pattern))

    def wait_for_keys(self, count=1, pattern="cache:*"):
        """Waits until `count` such keys are there: Larder writes them in the background."""
        eventually(lambda: len(self.keys(pattern)) >= count, f"Redis holds {count} keys {pattern}")
        return self.keys(pattern)

    def wait_until_gone(self, key):
        eventually(lambda: not self.command("EXISTS", key), f"{key} is gone from Redis")
