"""An origin that does what the test says: answers, holds, breaks off, talks garbage, streams, upgrades. Every
request is recorded as it came."""

import http.client
import itertools
import socket
import struct
import threading
from email.utils import formatdate

from .http_message import (Disconnected, Malformed, Reader, collect, head_bytes, pairs, read_request_head,
                           request_pieces)
from .waiting import DEADLINE, eventually


class Exchange:
    """One request at the origin and the means to answer it, well or badly."""

    def __init__(self, origin, sock, reader, request):
        self.origin = origin
        self.sock = sock
        self.reader = reader
        self.request = request
        self.sent = 0  # bytes of this answer handed to the kernel
        self.closed = False
        self._pieces = request_pieces(reader, request)

    # The request's body.
    def body_pieces(self):
        """The body as it comes, for handlers registered with stream=True."""
        yield from self._pieces
        self.request.complete = True

    def read_body(self):
        try:
            self.request.body += collect(self.body_pieces())
        except Disconnected as end:
            self.request.body += end.partial
            raise
        return self.request.body

    # The answer.
    def send(self, data):
        """Raw bytes, whatever they are."""
        view = memoryview(data)
        while view:
            count = self.sock.send(view[:1 << 18])
            self.sent += count
            view = view[count:]

    def send_head(self, status=200, fields=(), version="HTTP/1.1", reason=None):
        reason = http.client.responses.get(status, "Other") if reason is None else reason
        self.send(head_bytes(f"{version} {status} {reason}", pairs(fields)))

    def interim(self, status, fields=()):
        self.send_head(status, fields)

    def reply(self, status=200, fields=(), body=b""):
        """A whole answer with Content-Length and Date, where the fields do not hold them."""
        body = body.encode() if isinstance(body, str) else body
        lines = pairs(fields)
        names = {name.lower() for name, _ in lines}
        if "date" not in names:
            lines.insert(0, ("Date", formatdate(usegmt=True)))
        if not names & {"content-length", "transfer-encoding"} and status >= 200 and status not in (204, 304):
            lines.append(("Content-Length", len(body)))
        head = head_bytes(f"HTTP/1.1 {status} {http.client.responses.get(status, 'Other')}", lines)
        without_body = self.request.method == "HEAD" or status in (204, 304) or status < 200
        self.send(head if without_body else head + body)

    def chunk(self, data):
        if data:
            self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end_chunks(self, trailers=()):
        self.send(b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode("latin-1") for n, v in pairs(trailers)) + b"\r\n")

    # The connection.
    def close(self):
        """Orderly end: FIN after what was sent."""
        self.closed = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        """RST."""
        self.closed = True
        reset(self.sock)

    def client_is_gone(self):
        """Waits until the other end has closed or broken the connection."""
        try:
            while self.sock.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        self.closed = True


def reset(sock):
    """Closes with RST instead of FIN."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


class Origin:
    """A threaded server on a port chosen by the system. Handlers take an Exchange. What nobody handles is 404."""

    def __init__(self, port=0):
        self._lock = threading.Lock()
        self._routes = {}
        self._requests = []
        self._exchanges = []
        self._sockets = set()
        self._violations = []
        self._numbers = itertools.count(1)
        self._stopping = False
        self.connections = 0
        self.open_connections = 0
        self.failures = []  # what handlers raised
        self.port = port
        self._listener = None
        self.listen()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def authority(self):
        return f"127.0.0.1:{self.port}"

    # Its life.
    def listen(self):
        """Starts to listen, on the same port as before if it did."""
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(1024)
        self.port = self._listener.getsockname()[1]
        self._stopping = False
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def kill(self):
        """What a killed process looks like from outside: no listener, all connections reset."""
        self._stopping = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.drop_connections()

    def drop_connections(self):
        """Resets all open connections."""
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RD)  # wakes a thread that reads, or the close would wait for it
            except OSError:
                pass
            sock.close()

    # What it answers.
    def on(self, path, handler, method=None, stream=False):
        """Registers a handler for a path (no query) and, where given, a method. With `stream` the handler reads the
        body itself; else it has been read before. A later registration replaces an earlier one."""
        with self._lock:
            self._routes[(method, path)] = (handler, stream)

    def answers(self, path, body=b"", fields=(), status=200, method=None):
        """The same whole answer every time."""
        self.on(path, lambda exchange: exchange.reply(status, fields, body), method)

    def numbered(self, path, fields=(), status=200, method=None, prefix=""):
        """Answers "1", "2", "3" …: the body tells which of the origin's answers a client was given."""
        numbers = itertools.count(1)
        lock = threading.Lock()

        def handler(exchange):
            with lock:
                number = next(numbers)
            exchange.reply(status, fields, f"{prefix}{number}")

        self.on(path, handler, method)

    # What it saw.
    @property
    def requests(self):
        with self._lock:
            return list(self._requests)

    @property
    def exchanges(self):
        with self._lock:
            return list(self._exchanges)

    @property
    def violations(self):
        """Malformed requests that reached it: there must be none."""
        with self._lock:
            return list(self._violations)

    def seen(self, path=None, method=None):
        """The requests for a path and method so far, in order."""
        return [request for request in self.requests
                if (path is None or request.path == path) and (method is None or request.method == method)]

    def count(self, path=None, method=None):
        return len(self.seen(path, method))

    def wait_for(self, path=None, method=None, count=1):
        """Waits until `count` such requests have come; returns them."""
        eventually(lambda: self.count(path, method) >= count,
                   f"the origin has {count} of {method or 'any method'} {path or 'any path'}")
        return self.seen(path, method)

    # How it works.
    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            if self._stopping:
                reset(sock)
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(DEADLINE * 3)
            with self._lock:
                self._sockets.add(sock)
                self.connections += 1
                self.open_connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        reader = Reader(sock)
        try:
            while self._serve_one(sock, reader, number):
                pass
        except Malformed as fault:
            with self._lock:
                self._violations.append(str(fault))
        except (OSError, Disconnected, ValueError):
            pass
        except Exception as fault:  # pylint: disable=broad-except
            with self._lock:
                self.failures.append(repr(fault))
        finally:
            with self._lock:
                self._sockets.discard(sock)
                self.open_connections -= 1
            sock.close()

    def _serve_one(self, sock, reader, number):
        request = read_request_head(reader)
        if request is None:
            return False
        request.connection = number
        exchange = Exchange(self, sock, reader, request)
        with self._lock:
            self._requests.append(request)
            self._exchanges.append(exchange)
            handler, stream = (self._routes.get((request.method, request.path)) or
                               self._routes.get((None, request.path)) or
                               self._routes.get((None, "*"), (None, False)))
        if not stream:
            exchange.read_body()
        if handler is None:
            exchange.reply(404, body="the origin has nothing here\n")
        else:
            handler(exchange)
        if exchange.closed or "close" in request.fields.members("Connection"):
            return False
        return request.version == "HTTP/1.1"


def echo_upgrade(exchange):
    """A handler that switches to a protocol "echo", and then sends back whatever comes until the other side ends."""
    exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    while True:
        data = exchange.reader.some(1 << 16)
        if not data:
            break
        exchange.send(data)
    exchange.close()


class BlackHole:
    """A listening port whose connections are never accepted and whose queue is full: connecting times out."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self._fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        for sock in self._fillers + [self._listener]:
            sock.close()


def unused_port():
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
