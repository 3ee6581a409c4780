"""A client over plain sockets: sends any bytes, reads exactly one response, pipelines, half-closes, breaks off."""

import contextlib
import socket

from .http_message import (Disconnected, Reader, collect, head_bytes, pairs, read_response_head, response_pieces)
from .origin import reset
from .waiting import DEADLINE, eventually

HOST = "api.example"


class Connection:
    """One client connection, kept alive."""

    def __init__(self, port, timeout=DEADLINE, receive_buffer=None, send_buffer=None):
        self.sock = socket.socket()
        # Before connecting, or the window has been offered already.
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if send_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending.
    def send(self, data):
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def send_request(self, method, target, fields=(), body=None, version="HTTP/1.1"):
        """A request with Host and, where there is a body, Content-Length; each only where the fields lack it."""
        body = body.encode() if isinstance(body, str) else body
        lines = pairs(fields)
        names = {name.lower() for name, _ in lines}
        if "host" not in names:
            lines.insert(0, ("Host", HOST))
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            lines.append(("Content-Length", len(body)))
        # Who will not have the body may have answered and closed: then the answer is what there is to read.
        refusal = (BrokenPipeError, ConnectionResetError) if body else ()
        with contextlib.suppress(*refusal):
            self.send(head_bytes(f"{method} {target} {version}", lines) + (body or b""))

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end_chunks(self, trailers=()):
        self.send(b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode("latin-1") for n, v in pairs(trailers)) + b"\r\n")

    # Receiving.
    def read_head(self):
        """The next head, an interim one too."""
        return read_response_head(self.reader)

    def body_pieces(self, response, method="GET"):
        """The body of that head as it comes."""
        return response_pieces(self.reader, response, method)

    def read_response(self, method="GET"):
        """The next final response, whole. 1xx responses before it are in its `interim`; 101 is final."""
        interim = []
        while True:
            response = self.read_head()
            if response.status >= 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        try:
            response.body = collect(self.body_pieces(response, method))
        except Disconnected as end:
            response.body = end.partial
            end.response = response
            raise
        return response

    def request(self, method, target, fields=(), body=None, version="HTTP/1.1"):
        self.send_request(method, target, fields, body, version)
        return self.read_response(method)

    def get(self, target, fields=()):
        return self.request("GET", target, fields)

    def is_closed_by_peer(self):
        """Waits for the end of the stream; false where bytes come instead."""
        try:
            return not self.reader.buffer and not self.reader.fill()
        except ConnectionError:
            return True

    # Ending.
    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        reset(self.sock)

    def close(self):
        self.sock.close()


def request(port, method, target, fields=(), body=None, version="HTTP/1.1"):
    """One request over a connection of its own."""
    with Connection(port) as connection:
        return connection.request(method, target, fields, body, version)


def get(port, target, fields=()):
    return request(port, "GET", target, fields)


def exchange_bytes(port, data, timeout=DEADLINE):
    """Sends bytes over a connection of its own and returns everything that comes until the end of the stream."""
    with Connection(port, timeout) as connection:
        connection.send(data)
        try:
            return connection.reader.to_end()
        except ConnectionResetError:
            return bytes(connection.reader.buffer)


def get_until(port, target, condition, what, fields=()):
    """Repeats a GET until its response fulfils the condition; returns that response."""
    def attempt():
        response = get(port, target, fields)
        return response if condition(response) else None

    return eventually(attempt, f"GET {target} {what}", pause=0.02)
