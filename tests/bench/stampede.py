#!/usr/bin/env python3
"""Measures a stampede: many clients ask for one cold key at once, of an origin that takes its time.

    stampede.py --larder build/larder [--clients 1000] [--delay 200] [--rounds 5]

All connections are opened beforehand. A client's latency runs from the write of its request to the last byte of its
body. Prints a line for each size of body: requests that reached the origin (the most of any round), and the median over
the rounds of p50, p99 and the maximum. Two more lines show what is not Larder's: "stored" is the same crowd asking for
what is stored by then, so that nobody waits for the origin; "trivial" the same crowd before a server of a few lines that
lets all wait for the delay and then sends each its bytes. Larder gets the first core and everything else the last one,
where there are several; the trivial server stands in Larder's place."""

import argparse
import collections
import gc
import multiprocessing
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import time

SIZES = (1 << 10, 100 << 10)
MOST_SECONDS = 30


def pin(core):
    os.sched_setaffinity(0, {core})


class SlowServer:
    """Answers each request `delay` seconds after it came, or after the first of a crowd came that is answered
    `together`. The path says how large the body is, and which run it is."""

    def __init__(self, delay, core, together):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        self.counts, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=self.serve, args=(delay, core, together, theirs), daemon=True)
        self.process.start()

    def since_last_asked(self):
        """Requests, and when the first of them was answered."""
        self.counts.send(None)
        return self.counts.recv()

    def serve(self, delay, core, together, counts):
        pin(core)
        try:
            os.nice(-15)  # it shares a core, and must not be late itself
        except PermissionError:
            pass
        gc.disable()
        self.listener.setblocking(False)
        poll = select.epoll()
        poll.register(self.listener, select.EPOLLIN)
        poll.register(counts, select.EPOLLIN)
        bodies = {size: memoryview(self.answer(size)) for size in SIZES}
        peers, due, unsent = {}, collections.deque(), {}
        requests, first_answer = 0, None

        def send(fd, rest):
            try:
                rest = rest[peers[fd].send(rest) :]
            except BlockingIOError:
                pass
            if rest:
                unsent[fd] = rest
                poll.modify(fd, select.EPOLLIN | select.EPOLLOUT)
            elif unsent.pop(fd, None):
                poll.modify(fd, select.EPOLLIN)

        while True:
            for fd, events in poll.poll(max(0.0, due[0][0] - time.monotonic()) if due else -1):
                if fd == self.listener.fileno():
                    peer, _ = self.listener.accept()
                    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    peer.setblocking(False)
                    peers[peer.fileno()] = peer
                    poll.register(peer, select.EPOLLIN)
                elif fd == counts.fileno():
                    counts.recv()
                    counts.send((requests, first_answer))
                    requests, first_answer = 0, None
                elif events & select.EPOLLOUT:
                    send(fd, unsent[fd])
                else:
                    head = peers[fd].recv(65536)
                    if not head:
                        poll.unregister(fd)
                        peers.pop(fd).close()
                        continue
                    requests += 1
                    at = due[0][0] if due and together else time.monotonic() + delay
                    due.append((at, fd, int(head.split(b"/", 2)[1])))
            while due and due[0][0] <= time.monotonic():
                _, fd, size = due.popleft()
                first_answer = first_answer or time.monotonic()
                send(fd, bodies[size])

    @staticmethod
    def answer(size):
        head = f"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n"
        return head.encode() + b"x" * size


class Client:
    """One connection, and what has come on it."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.left = None  # bytes; None until the head is there
        self.head = b""

    def ask(self, request):
        self.began = time.monotonic()
        self.socket.send(request)

    def read(self, buffer):
        """Takes what is there; True once the response is whole."""
        try:
            n = self.socket.recv_into(buffer)
        except BlockingIOError:
            return False
        if n == 0:
            raise ConnectionError("a connection ended before its response did")
        if self.left is None:
            self.head += buffer[:n].tobytes()
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            if not self.head.startswith(b"HTTP/1.1 200 "):
                raise ValueError(self.head[:end].decode())
            at = self.head.lower().index(b"content-length:") + len(b"content-length:")
            self.left = int(self.head[at : self.head.index(b"\r\n", at)]) - (len(self.head) - end - 4)
        else:
            self.left -= n
        return self.left == 0


def stampede(port, clients, path):
    """Latencies in seconds, sorted, and when the first request was written."""
    request = f"GET {path} HTTP/1.1\r\nHost: stampede\r\n\r\n".encode()
    crowd = [Client(port) for _ in range(clients)]
    poll = select.epoll()
    by_fd = {client.socket.fileno(): client for client in crowd}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN | select.EPOLLET)
    time.sleep(0.2)  # whatever opening them has left to do is done
    latencies = []
    buffer = memoryview(bytearray(1 << 20))
    gc.disable()
    began = time.monotonic()
    for client in crowd:
        client.ask(request)
    deadline = time.monotonic() + MOST_SECONDS
    while len(latencies) < clients:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{clients - len(latencies)} clients have no answer")
        for fd, _ in poll.poll(1):
            client = by_fd[fd]
            if client.read(buffer):
                latencies.append(time.monotonic() - client.began)
    gc.enable()
    for client in crowd:
        client.socket.close()
    return sorted(latencies), began


def report(name, size, rounds, remark=""):
    def figure(pick):
        return statistics.median(pick(latencies) * 1000 for latencies in rounds)

    print(
        f"{name} {size >> 10:4} KiB: {remark}p50 {figure(lambda v: v[len(v) // 2]):.1f} ms, "
        f"p99 {figure(lambda v: v[len(v) * 99 // 100]):.1f} ms, max {figure(lambda v: v[-1]):.1f} ms",
        flush=True,
    )


def start_larder(binary, origin, core):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [binary, "serve", "--listen", f"127.0.0.1:{port}", "--admin", "off", "--redis", "off", "--workers", "1"]
    command += ["--origin", f"http://127.0.0.1:{origin}"]
    process = subprocess.Popen(command, stdout=sys.stderr, preexec_fn=lambda: pin(core))
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process, port
        except ConnectionRefusedError:
            time.sleep(0.02)
    process.terminate()
    raise TimeoutError("Larder does not listen")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--larder", required=True, help="the binary")
    options.add_argument("--clients", type=int, default=1000)
    options.add_argument("--delay", type=float, default=200, help="what the origin takes, in milliseconds")
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    cores = sorted(os.sched_getaffinity(0))
    origin = SlowServer(given.delay / 1000, cores[-1], together=False)
    trivial = SlowServer(given.delay / 1000, cores[0], together=True)
    process, port = start_larder(given.larder, origin.port, cores[0])
    pin(cores[-1])
    try:
        for size in SIZES:
            cold, stored, simple, most, took = [], [], [], 0, []
            for n in range(given.rounds):
                latencies, began = stampede(port, given.clients, f"/{size}/{n}")
                requests, answered = origin.since_last_asked()
                cold.append(latencies)
                took.append((answered - began) * 1000)
                most = max(most, requests)
                stored.append(stampede(port, given.clients, f"/{size}/{n}")[0])
                simple.append(stampede(trivial.port, given.clients, f"/{size}/{n}")[0])
            origins = f"origin requests {most}, answered after {statistics.median(took):.1f} ms; "
            report("larder ", size, cold, origins)
            report("stored ", size, stored)
            report("trivial", size, simple)
    finally:
        process.terminate()
        process.wait()
        origin.process.terminate()
        trivial.process.terminate()


if __name__ == "__main__":
    main()
