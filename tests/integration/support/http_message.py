"""HTTP/1 messages as they are on the wire, for both ends of the tests. It is strict: what RFC 9112 calls invalid is a
Malformed error, so that a test notices when Larder sends any of it."""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FORBIDDEN_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(;[^\r\n]*)?")
MAX_LINE = 1 << 20


class Malformed(Exception):
    """The peer sent something that is not HTTP/1."""


class Disconnected(Exception):
    """The connection ended before the message did. `partial` is what had come of the body."""

    def __init__(self, message, partial=b""):
        super().__init__(message)
        self.partial = partial


class Fields(list):
    """Field lines in order, as (name, value) pairs of str."""

    def all(self, name):
        return [value for key, value in self if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return ", ".join(values) if values else default

    def has(self, name):
        return bool(self.all(name))

    def members(self, name):
        """Members of a list field over all its lines, lower case."""
        return [member.strip().lower() for value in self.all(name) for member in value.split(",") if member.strip()]


class Reader:
    """Buffered reading from a socket. Its timeout is the socket's."""

    def __init__(self, sock):
        self._sock = sock
        self.buffer = bytearray()
        self.eof = False

    def fill(self):
        """One more read into the buffer; false at the end of the stream."""
        data = self._sock.recv(1 << 18)
        if not data:
            self.eof = True
            return False
        self.buffer += data
        return True

    def take(self, size):
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def line(self):
        """A line without its CRLF. A bare LF or CR is malformed."""
        seen = 0
        while True:
            end = self.buffer.find(b"\n", seen)
            if end >= 0:
                line = self.take(end + 1)
                if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
                    raise Malformed(f"bare CR or LF in {line[:200]!r}")
                return line[:-2]
            seen = len(self.buffer)
            if seen > MAX_LINE:
                raise Malformed("endless line")
            if not self.fill():
                raise Disconnected("the connection ended within a head", bytes(self.buffer))

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                raise Disconnected(f"wanted {size} bytes", self.take(len(self.buffer)))
        return self.take(size)

    def some(self, limit):
        """At least one byte and at most `limit`; empty at the end of the stream."""
        if not self.buffer and not self.fill():
            return b""
        return self.take(limit)

    def to_end(self):
        while self.fill():
            pass
        return self.take(len(self.buffer))


def read_fields(reader):
    """Field lines up to and including the empty line. Returns them and their raw bytes."""
    fields, raw = Fields(), bytearray()
    while True:
        line = reader.line()
        raw += line + b"\r\n"
        if not line:
            return fields, bytes(raw)
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            raise Malformed(f"field line {line[:200]!r}")
        if FORBIDDEN_IN_VALUE.search(value):
            raise Malformed(f"control character in field line {line[:200]!r}")
        fields.append((name.decode(), value.strip(b" \t").decode("latin-1")))


@dataclass
class Request:
    """A request as the origin received it."""

    method: str
    target: str
    version: str
    fields: Fields
    raw_head: bytes
    connection: int = 0  # number of the origin's connection, from 1
    body: bytes = b""
    trailers: Fields = field(default_factory=Fields)
    complete: bool = False  # the whole body has come

    @property
    def path(self):
        return self.target.split("?", 1)[0]


@dataclass
class Response:
    """A response as the client received it."""

    status: int
    reason: str
    version: str
    fields: Fields
    raw_head: bytes
    body: bytes = b""
    trailers: Fields = field(default_factory=Fields)
    interim: list = field(default_factory=list)  # Responses with a 1xx status that came before

    @property
    def text(self):
        return self.body.decode("latin-1")

    @property
    def cache(self):
        """X-Cache."""
        return self.fields.get("X-Cache")

    @property
    def key(self):
        """X-Cache-Key."""
        return self.fields.get("X-Cache-Key")

    @property
    def age(self):
        value = self.fields.get("Age")
        return None if value is None else int(value)


def content_length(fields):
    """Content-Length, or None. Anything but one line of digits is malformed."""
    values = fields.all("Content-Length")
    if not values:
        return None
    if len(values) > 1 or not re.fullmatch(r"[0-9]+", values[0]):
        raise Malformed(f"Content-Length {values}")
    return int(values[0])


def is_chunked(fields, version):
    """Whether the body is chunked; any other transfer coding, or one beside Content-Length, is malformed."""
    codings = fields.members("Transfer-Encoding")
    if not codings:
        return False
    if codings != ["chunked"] or fields.has("Content-Length") or version != "HTTP/1.1":
        raise Malformed(f"Transfer-Encoding {codings} in {version}, Content-Length {fields.all('Content-Length')}")
    return True


def chunk_pieces(reader, trailers):
    """The pieces of a chunked body as they come; trailer fields are appended to `trailers`."""
    while True:
        line = reader.line()
        match = CHUNK_SIZE.fullmatch(line)
        if not match:
            raise Malformed(f"chunk size line {line[:100]!r}")
        size = int(match.group(1), 16)
        if size == 0:
            fields, _ = read_fields(reader)
            trailers.extend(fields)
            return
        while size:
            piece = reader.some(size)
            if not piece:
                raise Disconnected("the connection ended within a chunk")
            size -= len(piece)
            yield piece
        if reader.exactly(2) != b"\r\n":
            raise Malformed("a chunk does not end with CRLF")


def length_pieces(reader, size):
    while size:
        piece = reader.some(min(size, 1 << 18))
        if not piece:
            raise Disconnected(f"the connection ended {size} bytes before the body did")
        size -= len(piece)
        yield piece


def close_delimited_pieces(reader):
    while True:
        piece = reader.some(1 << 18)
        if not piece:
            return
        yield piece


def collect(pieces):
    """All pieces as one; a Disconnected carries what had come."""
    body = bytearray()
    try:
        for piece in pieces:
            body += piece
    except Disconnected as end:
        raise Disconnected(str(end), bytes(body) + end.partial) from None
    return bytes(body)


def read_request_head(reader):
    """A request head, or None where the connection ended before one began."""
    if not reader.buffer and not reader.fill():
        return None
    line = reader.line()
    parts = line.split(b" ")
    if len(parts) != 3 or not TOKEN.fullmatch(parts[0]) or not re.fullmatch(rb"HTTP/1\.[01]", parts[2]):
        raise Malformed(f"request line {line[:200]!r}")
    fields, raw = read_fields(reader)
    request = Request(parts[0].decode(), parts[1].decode("latin-1"), parts[2].decode(), fields, line + b"\r\n" + raw)
    if request.version == "HTTP/1.1" and len(fields.all("Host")) != 1:
        raise Malformed(f"Host lines {fields.all('Host')}")
    return request


def request_pieces(reader, request):
    """The pieces of a request's body."""
    if is_chunked(request.fields, request.version):
        return chunk_pieces(reader, request.trailers)
    return length_pieces(reader, content_length(request.fields) or 0)


def read_response_head(reader):
    line = reader.line()
    match = re.fullmatch(rb"(HTTP/1\.[01]) ([1-9][0-9]{2}) ([^\x00-\x08\x0a-\x1f\x7f]*)", line)
    if not match:
        raise Malformed(f"status line {line[:200]!r}")
    fields, raw = read_fields(reader)
    return Response(int(match.group(2)), match.group(3).decode("latin-1"), match.group(1).decode(), fields,
                    line + b"\r\n" + raw)


def response_pieces(reader, response, method):
    """The pieces of a response's body (RFC 9112 §6.3)."""
    length = content_length(response.fields)
    chunked = is_chunked(response.fields, response.version)
    if response.status < 200 or response.status in (204, 304):
        if chunked or (length is not None and response.status != 304):
            raise Malformed(f"a {response.status} with a body announced")
        return iter(())
    if method == "HEAD" or (method == "CONNECT" and response.status < 300):
        return iter(())
    if chunked:
        return chunk_pieces(reader, response.trailers)
    if length is not None:
        return length_pieces(reader, length)
    return close_delimited_pieces(reader)


def head_bytes(start_line, fields):
    """A head from a start line and (name, value) pairs; nothing is checked, so that it can be wrong on purpose."""
    lines = [start_line] + [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def pairs(fields):
    """Fields given as a dict or as pairs, as a list of pairs."""
    return list(fields.items()) if isinstance(fields, dict) else list(fields)
