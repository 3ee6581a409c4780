#!/usr/bin/env python3
"""Drives Larder into each kind of overload, and shows what it does: how many requests it refuses and by which limit, how
long hits take beside the quiet state, and how far its memory grows against what the configured budgets allow.

    overload.py --larder build/larder [--clients 4000] [--seconds 5] [SCENARIO …]

Scenarios (all of them without a name):

    misses       clients ask for cold keys of an origin that takes a second; who is refused waits as Retry-After says
    rude         the same, but who is refused asks again at once
    heads        clients begin requests and do not end them
    bodies       clients begin to send a body and do not end it
    readers      clients ask for large stored responses and do not read them, while memory lets go of these
    fills        large cold responses at once, read slowly
    connections  more clients than may connect, who come again and again
    redis        Redis stops answering while much is to be written (needs redis-server)

Larder has one worker, on the first core; all else runs on the last one, where there are several. One connection asks for
a stored response of 1 KiB the whole time, every few milliseconds: its latencies are the hits'. Each scenario has a Larder
of its own. The exit status is 1 where memory grew beyond the budgets."""

import argparse
import gc
import http.client
import json
import multiprocessing
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
TOKEN = "overload"
PROBE_INTERVAL = 0.004
# What Larder takes for a client beside the budgets: its session, and the coroutines of a request that waits.
CLIENT_BYTES = 24 << 10
# Allocators keep some of what was freed, and pages are shared by what lives and what does not.
SLACK = 24 * MIB
RULES = """
types: { page: { ttl: 1h } }
routes:
  - match: GET /**
    cache: page
"""


def pin(core):
    os.sched_setaffinity(0, {core})


def hurry():
    """What measures shares a core with the load, and must not be late itself."""
    try:
        os.nice(-15)
    except PermissionError:
        pass


class Origin:
    """Answers /SIZE/DELAY/ANYTHING with as many bytes after as many milliseconds, in a process of its own."""

    def __init__(self, core):
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = listener.getsockname()[1]
        self.process = multiprocessing.Process(target=self.serve, args=(listener, core), daemon=True)
        self.process.start()
        listener.close()

    @staticmethod
    def serve(listener, core):
        pin(core)
        hurry()
        gc.disable()
        listener.setblocking(False)
        poll = select.epoll()
        poll.register(listener, select.EPOLLIN)
        peers, due, unsent, bodies = {}, [], {}, {}

        def answer(size):
            head = f"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: {size}\r\n\r\n".encode()
            return memoryview(head + os.urandom(min(size, 4096)) * (size // min(size, 4096)))

        def drop(fd):
            poll.unregister(fd)
            unsent.pop(fd, None)
            peers.pop(fd).close()

        def send(fd, rest):
            try:
                rest = rest[peers[fd].send(rest):]
            except BlockingIOError:
                pass
            except OSError:
                return drop(fd)
            if rest:
                unsent[fd] = rest
                poll.modify(fd, select.EPOLLIN | select.EPOLLOUT)
            elif unsent.pop(fd, None) is not None:
                poll.modify(fd, select.EPOLLIN)

        while True:
            timeout = max(0.0, due[0][0] - time.monotonic()) if due else -1
            for fd, events in poll.poll(timeout):
                if fd == listener.fileno():
                    peer, _ = listener.accept()
                    peer.setblocking(False)
                    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    peers[peer.fileno()] = peer
                    poll.register(peer, select.EPOLLIN)
                elif fd not in peers:
                    continue
                elif events & select.EPOLLOUT and fd in unsent:
                    send(fd, unsent[fd])
                else:
                    try:
                        head = peers[fd].recv(65536)
                    except OSError:
                        head = b""
                    if not head:
                        drop(fd)
                    elif head.startswith(b"GET "):
                        _, size, delay, _ = head.split(b" ", 2)[1].split(b"/", 3)
                        due.append((time.monotonic() + int(delay) / 1000, fd, peers[fd], int(size)))
            due.sort(key=lambda entry: entry[0])
            while due and due[0][0] <= time.monotonic():
                _, fd, peer, size = due.pop(0)
                if peers.get(fd) is peer:
                    if size not in bodies:
                        bodies[size] = answer(size)
                    send(fd, bodies[size])


class Probe:
    """Asks for one stored response now and then, in a process of its own, and knows how long that took."""

    def __init__(self, port, core):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=self.run, args=(port, core, theirs), daemon=True)
        self.process.start()

    def take(self):
        """Latencies in milliseconds since the last time, sorted."""
        self.pipe.send(None)
        return sorted(self.pipe.recv())

    @staticmethod
    def run(port, core, pipe):
        pin(core)
        hurry()
        gc.disable()
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request, latencies = b"GET /1024/0/probe HTTP/1.1\r\nHost: overload\r\n\r\n", []
        while True:
            if pipe.poll(PROBE_INTERVAL):
                pipe.recv()
                pipe.send(latencies)
                latencies = []
            began = time.perf_counter()
            sock.sendall(request)
            got = b""
            while b"\r\n\r\n" not in got or len(got) < got.index(b"\r\n\r\n") + 4 + 1024:
                got += sock.recv(65536)
            assert got.startswith(b"HTTP/1.1 200 "), got[:200]
            latencies.append((time.perf_counter() - began) * 1000)


class Larder:
    """A larder with one worker before the origin."""

    def __init__(self, binary, origin, core, settings, redis="off"):
        self.directory = tempfile.mkdtemp(prefix="larder-overload-")
        for name, text in (("rules.yaml", RULES), ("larder.yaml", settings)):
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
                file.write(text)
        command = [binary, "serve", "--config", f"{self.directory}/larder.yaml", "--rules",
                   f"{self.directory}/rules.yaml", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--token",
                   TOKEN, "--workers", "1", "--origin", f"http://127.0.0.1:{origin.port}", "--redis", redis]
        self.log = open(os.path.join(self.directory, "log"), "w+", encoding="utf-8")  # pylint: disable=consider-using-with
        environment = {**os.environ, "XDG_STATE_HOME": self.directory}
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            command, stdout=self.log, stderr=subprocess.STDOUT, preexec_fn=lambda: pin(core), env=environment)
        self.port = self.admin_port = None
        for _ in range(500):
            for line in self.lines():
                if "admin listening on " in line:
                    self.admin_port = int(line.rsplit(":", 1)[1])
                elif "listening on " in line:
                    self.port = int(line.split("listening on ")[1].split()[0].rsplit(":", 1)[1])
            if self.port and self.admin_port:
                return
            time.sleep(0.02)
        raise TimeoutError("Larder does not listen:\n" + "\n".join(self.lines()))

    def lines(self):
        with open(self.log.name, encoding="utf-8") as log:
            return log.read().splitlines()

    def stats(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=30)
        connection.request("GET", "/api/cache/stats", headers={"Authorization": f"Bearer {TOKEN}"})
        stats = json.load(connection.getresponse())["cache_stats"]
        connection.close()
        return stats

    def rss(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={"Host": "overload"})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Crowd:
    """Many clients in one loop. `request(n)` is what the nth sends first; what comes back is told by its status."""

    def __init__(self, port, count, request, receive_buffer=None):
        self.port, self.request, self.receive_buffer = port, request, receive_buffer
        self.poll = select.epoll()
        self.clients, self.later = {}, []
        self.answers = {}
        self.slowest_refusal = 0.0
        self.next = 0
        self.broken = 0
        for _ in range(count):
            self.connect()

    def connect(self):
        sock = socket.socket()
        if self.receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        sock.connect(("127.0.0.1", self.port))
        sock.setblocking(False)
        self.clients[sock.fileno()] = sock
        self.poll.register(sock, select.EPOLLIN)
        self.ask(sock)
        return sock

    def ask(self, sock):
        self.next += 1
        try:
            sock.send(self.request(self.next))
        except OSError:
            pass
        self.began = getattr(self, "began", {})
        self.began[sock.fileno()] = time.monotonic()

    def drop(self, fd):
        self.poll.unregister(fd)
        self.clients.pop(fd).close()

    def run(self, seconds, reads=True, again=None, reconnects=False, tick=lambda: None):
        """For so long. `reads`: they read at all; `again`: seconds after a refusal until they ask again."""
        end = time.monotonic() + seconds
        buffer = bytearray(65536)
        ticked = 0.0
        while time.monotonic() < end:
            if time.monotonic() - ticked > 0.05:
                tick()
                ticked = time.monotonic()
            while self.later and self.later[0][0] <= time.monotonic():
                _, sock = self.later.pop(0)
                if sock.fileno() >= 0:
                    self.ask(sock)
            if not reads:
                time.sleep(0.02)
                continue
            for fd, _ in self.poll.poll(0.02):
                sock = self.clients[fd]
                try:
                    n = sock.recv_into(buffer)
                except BlockingIOError:
                    continue
                except OSError:
                    n = 0
                if n == 0:
                    self.broken += 1
                    self.drop(fd)
                    if reconnects:
                        self.connect()
                    continue
                if not buffer.startswith(b"HTTP/1.1 "):
                    continue
                status = bytes(buffer[9:12]).decode()
                self.answers[status] = self.answers.get(status, 0) + 1
                if status == "503":
                    self.slowest_refusal = max(self.slowest_refusal, time.monotonic() - self.began[fd])
                    if again:
                        self.later.append((time.monotonic() + again, sock))
                        continue
                if again is not None:
                    self.ask(sock)

    def close(self):
        for fd in list(self.clients):
            self.drop(fd)


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: overload\r\n\r\n".encode()


def percentile(latencies, share):
    return latencies[min(len(latencies) - 1, int(len(latencies) * share))] if latencies else float("nan")


class Run:
    """One scenario on a Larder of its own."""

    def __init__(self, given, origin, cores, settings, redis="off"):
        self.larder = Larder(given.larder, origin, cores[0], settings, redis)
        assert self.larder.get("/1024/0/probe").status == 200
        self.probe = Probe(self.larder.port, cores[-1])
        time.sleep(given.seconds / 4)
        self.quiet = self.probe.take()
        self.rss = self.most = self.larder.rss()
        self.used = {}
        self.before = self.larder.stats()
        self.clients = 0

    def tick(self):
        self.most = max(self.most, self.larder.rss())

    def sample(self):
        self.tick()
        for name, budget in self.larder.stats()["budgets"].items():
            self.used[name] = max(self.used.get(name, 0), budget["bytes"])

    def report(self, name, crowd, beside=0):
        """Prints what was seen. `beside`: bytes that the configuration allows beside the budgets."""
        busy = self.probe.take()
        self.sample()
        stats = self.larder.stats()
        shed = {limit: count - self.before["shed"][limit] for limit, count in stats["shed"].items()}
        shed = ", ".join(f"{limit} {count}" for limit, count in shed.items() if count) or "none"
        allowed = sum(budget["limit"] for budget in stats["budgets"].values()) + beside + self.clients * CLIENT_BYTES
        grown = self.most - self.rss
        is_within = grown <= allowed + SLACK
        answers = ", ".join(f"{count} of {status}" for status, count in sorted(crowd.answers.items())) or "none read"
        print(f"{name}: {self.clients} clients; answers: {answers}; connections ended by Larder: {crowd.broken}")
        print(f"    refused or closed: {shed}"
              + (f"; slowest refusal {crowd.slowest_refusal * 1000:.0f} ms" if crowd.slowest_refusal else ""))
        for label, latencies in (("quiet", self.quiet), ("busy ", busy)):
            print(f"    hits, {label}: p50 {percentile(latencies, 0.5):.2f} ms, p99 {percentile(latencies, 0.99):.2f} ms, "
                  f"max {latencies[-1]:.2f} ms ({len(latencies)})")
        used = ", ".join(f"{key} {self.used.get(key, 0) / MIB:.1f} of {budget['limit'] / MIB:.0f}"
                         for key, budget in stats["budgets"].items())
        print(f"    most used, MiB: {used}")
        print(f"    resident memory grew by {grown / MIB:.1f} MiB; budgets, {self.clients} clients and queues allow "
              f"{allowed / MIB:.0f} MiB: {'within' if is_within else 'BEYOND THEM'}", flush=True)
        return is_within

    def close(self):
        self.probe.process.terminate()
        self.larder.close()


def misses(given, origin, cores, name="misses", again=1.0):
    settings = """
origin: { connections: 256, queue: 256 }
client: { buffers: 16MiB }
memory: { capacity: 32MiB, outside: 32MiB }
cache: { fill_budget: 16MiB }
"""
    run = Run(given, origin, cores, settings)
    run.clients = given.clients
    crowd = Crowd(run.larder.port, given.clients, lambda n: get(f"/1024/1000/{n}"))
    crowd.run(given.seconds, again=again, tick=run.tick)
    # An origin's connection reads 16 KiB ahead of a small response.
    within = run.report(name, crowd, beside=256 * (32 << 10))
    crowd.close()
    run.close()
    return within


def rude(given, origin, cores):
    return misses(given, origin, cores, "rude", again=0)


def heads(given, origin, cores):
    run = Run(given, origin, cores, "client: { buffers: 16MiB, header_timeout: 1m }\nmemory: { capacity: 16MiB, "
                                    "outside: 32MiB }\ncache: { fill_budget: 8MiB }\n")
    run.clients = given.clients
    begun = b"GET / HTTP/1.1\r\nHost: overload\r\nX: " + b"x" * 12000
    crowd = Crowd(run.larder.port, given.clients, lambda n: begun)
    crowd.run(given.seconds, tick=run.tick)
    within = run.report("heads", crowd)
    crowd.close()
    run.close()
    return within


def bodies(given, origin, cores):
    run = Run(given, origin, cores, "client: { buffers: 16MiB }\nmemory: { capacity: 16MiB, outside: 32MiB }\n"
                                    "cache: { fill_budget: 8MiB }\n")
    run.clients = given.clients
    begun = b"POST /1024/0/body HTTP/1.1\r\nHost: overload\r\nContent-Length: 60000\r\n\r\n" + b"x" * 30000
    crowd = Crowd(run.larder.port, given.clients, lambda n: begun)
    crowd.run(given.seconds, tick=run.tick)
    within = run.report("bodies", crowd)
    crowd.close()
    run.close()
    return within


def readers(given, origin, cores):
    size = 6 * MIB  # the kernel takes up to four
    run = Run(given, origin, cores, "client: { buffers: 16MiB }\nmemory: { capacity: 64MiB, outside: 32MiB }\n"
                                    "cache: { fill_budget: 16MiB }\n")
    run.clients = min(given.clients, 1000)
    number = 0
    crowd = Crowd(run.larder.port, 0, lambda n: get(f"/{size}/0/{number}"), receive_buffer=4096)
    # Each round makes memory let go of what clients of earlier rounds do not read.
    while len(crowd.clients) < run.clients:
        number += 1
        run.larder.get(f"/{size}/0/{number}")
        for _ in range(10):
            crowd.connect()
        run.sample()
    crowd.run(given.seconds / 2, reads=False, tick=run.tick)
    within = run.report("readers", crowd)
    crowd.close()
    run.close()
    return within


def fills(given, origin, cores):
    size = 4 * MIB
    run = Run(given, origin, cores, "client: { buffers: 16MiB }\nmemory: { capacity: 32MiB, outside: 32MiB }\n"
                                    "cache: { fill_budget: 32MiB }\n")
    run.clients = min(given.clients, 200)
    crowd = Crowd(run.larder.port, run.clients, lambda n: get(f"/{size}/100/{n}"), receive_buffer=65536)
    crowd.run(given.seconds / 2, reads=False, tick=run.tick)
    run.sample()
    crowd.run(given.seconds, tick=run.tick)
    stats = run.larder.stats()
    # What is read ahead of each origin connection, and a piece beyond the budget.
    within = run.report("fills", crowd, beside=run.clients * (320 << 10))
    print(f"    relayed and not stored for want of room: {stats['not_stored']['fill_budget']}", flush=True)
    crowd.close()
    run.close()
    return within


def connections(given, origin, cores):
    limit = max(10, given.clients // 4)
    run = Run(given, origin, cores, f"client: {{ connections: {limit}, buffers: 16MiB }}\nmemory: {{ capacity: 16MiB, "
                                    "outside: 32MiB }\ncache: { fill_budget: 8MiB }\n")
    run.clients = given.clients
    crowd = Crowd(run.larder.port, given.clients, lambda n: get("/1024/0/probe"))
    crowd.run(given.seconds, reconnects=True, tick=run.tick)
    within = run.report("connections", crowd)
    crowd.close()
    run.close()
    return within


def redis(given, origin, cores):
    binary = shutil.which("redis-server")
    if binary is None:
        print("redis: left out, there is no redis-server")
        return True
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = subprocess.Popen(  # pylint: disable=consider-using-with
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL,
        preexec_fn=lambda: pin(cores[-1]))
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        settings = """
redis: { write_budget: 16MiB, max_queue_bytes: 16MiB, compress_threshold: off }
client: { buffers: 16MiB }
memory: { capacity: 16MiB, outside: 32MiB }
cache: { fill_budget: 32MiB }
"""
        run = Run(given, origin, cores, settings, f"redis://127.0.0.1:{port}/0")
        run.clients = min(given.clients, 100)
        server.send_signal(signal.SIGSTOP)
        crowd = Crowd(run.larder.port, run.clients, lambda n: get(f"/102400/0/{n}"))
        crowd.run(given.seconds, again=0, tick=run.tick)
        # The queues of two connections, whose memory doubles as it grows; 100 responses are read and stored at a time.
        within = run.report("redis", crowd, beside=2 * 2 * 16 * MIB)
        crowd.close()
        run.close()
        return within
    finally:
        server.send_signal(signal.SIGCONT)
        server.terminate()
        server.wait()


SCENARIOS = {scenario.__name__: scenario
             for scenario in (misses, rude, heads, bodies, readers, fills, connections, redis)}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--larder", required=True, help="the binary")
    options.add_argument("--clients", type=int, default=4000)
    options.add_argument("--seconds", type=float, default=5, help="that each scenario lasts, roughly")
    options.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    given = options.parse_args()
    unknown = [name for name in given.scenarios if name not in SCENARIOS]
    if unknown:
        options.error(f"there is no scenario {unknown[0]}; there are {', '.join(SCENARIOS)}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    cores = sorted(os.sched_getaffinity(0))
    origin = Origin(cores[-1])
    pin(cores[-1])
    within = True
    try:
        for name in given.scenarios or SCENARIOS:
            within = SCENARIOS[name](given, origin, cores) and within
    finally:
        origin.process.terminate()
    sys.exit(0 if within else 1)


if __name__ == "__main__":
    main()
