"""What the measurements of this directory start on loopback: an origin, redis-server, Larder and wrk; and the CPU time
that a process has used. Servers run on core 0, the load and the origin on core 1, so that what a server's own work costs
shows in its throughput."""

import glob
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

SERVER_CORE = "0"
LOAD_CORE = "1"
TOKEN = "a-token-of-the-benchmarks"


def unused_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def cpu_seconds(pid):
    """User and system time of all threads, in seconds (nanosecond counters of the scheduler)."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path, encoding="ascii") as file:
                total += int(file.read().split()[0])
        except OSError:
            pass
    return total / 1e9


class Server:
    """A child process that is ended with the measurement."""

    def __init__(self, command, port, core=SERVER_CORE, directory=None):
        self.port = port
        self._directory = directory
        self._log = tempfile.TemporaryFile()  # pylint: disable=consider-using-with
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["taskset", "-c", core, *command], stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, "XDG_STATE_HOME": directory or "/tmp"})
        deadline = time.monotonic() + 20
        while True:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not start: {self.log()}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)

    @property
    def pid(self):
        return self._process.pid

    def log(self):
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2000:]

    def close(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)


def redis_server(core=SERVER_CORE):
    port = unused_port()
    return Server(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], port,
                  core)


def larder(binary, origin_port, rules="", redis_port=None, memory=None):
    """One worker, with an admin API at `admin_port`."""
    directory = tempfile.mkdtemp(prefix="larder-bench-")
    port = unused_port()
    admin_port = unused_port()
    command = [binary, "serve", "--workers", "1", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin_port}",
               "--origin", f"http://127.0.0.1:{origin_port}", "--token", TOKEN,
               "--redis", f"redis://127.0.0.1:{redis_port}/0" if redis_port else "off"]
    if memory is not None:
        command += ["--memory", memory]
    if rules:
        with open(f"{directory}/rules.yaml", "w", encoding="utf-8") as file:
            file.write(rules)
        command += ["--rules", f"{directory}/rules.yaml"]
    server = Server(command, port, directory=directory)
    server.admin_port = admin_port
    return server


class Origin:
    """Answers every GET with the same small JSON, storable for an hour, and numbers its answers."""

    BODY = b'{"id":1,"name":"oak table","price":199}'.ljust(1024)

    def __init__(self, body=BODY):
        self.requests = 0
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):  # pylint: disable=invalid-name
                origin.requests += 1
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Cache-Control", "max-age=3600")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Serial", f"serial-{origin.requests};")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Client:
    """One keep-alive connection; as little as a measurement needs."""

    def __init__(self, port):
        self._sock = socket.create_connection(("127.0.0.1", port), 20)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def request(self, method, target, content=None):
        """Status and head (bytes) of the answer."""
        head = f"{method} {target} HTTP/1.1\r\nHost: bench\r\n"
        if content is not None:
            head += f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self._sock.sendall(f"{head}\r\n{content or ''}".encode())
        return self.answer()

    def get_many(self, targets):
        """Pipelined GETs; the heads of their answers."""
        self._sock.sendall("".join(f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n" for target in targets).encode())
        return [self.answer()[1] for _ in targets]

    def answer(self):
        while b"\r\n\r\n" not in self._rest:
            self._fill()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head).group(1))
        while len(self._rest) < length:
            self._fill()
        self._rest = self._rest[length:]
        return int(head[9:12]), head

    def _fill(self):
        more = self._sock.recv(1 << 16)
        if not more:
            raise RuntimeError("the connection was closed")
        self._rest += more

    def close(self):
        self._sock.close()


def is_hit(head):
    return b"\r\nX-Cache: HIT" in head


def purge(client, order):
    """One purge by the admin API (`client` is connected to it)."""
    status, _ = client.request("POST", "/api/cache/invalidate-pattern", order)
    if status != 200:
        raise RuntimeError(f"the purge {order} was answered with {status}")


def load(port, path, seconds, connections=64, script=None):
    """Requests per second by wrk."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", "Host: bench"]
    if script:
        command += ["-s", script]
    text = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True,
                          check=True).stdout
    failures = re.search(r"(Non-2xx.*|Socket errors.*)", text)
    if failures:
        raise RuntimeError(failures.group(1))
    return int(re.search(r"(\d+) requests in", text).group(1)), float(
        re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
