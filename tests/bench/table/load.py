"""Load: wrk for rates, the open loop for latencies, and single requests that check what the load will get."""

import dataclasses
import http.client
import json
import re
import socket

from . import processes
from .report import Failed

LUA = __file__.rsplit("/", 1)[0] + "/lua"
ZIPF = f"{LUA}/zipf.lua"
PIPELINED = f"{LUA}/pipelined.lua"
# With wrk's Host: two fields, and as many as a browser sends.
TWO_FIELDS = ("Accept: */*",)
THIRTEEN_FIELDS = (
    "Accept: application/json, text/plain, */*",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Referer: https://shop.example.com/products?category=tables",
    "Cookie: session=5f2c9a7e1b3d4c6f8a90; theme=dark; consent=1",
    "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin",
    'Sec-CH-UA: "Chromium";v="126", "Not.A/Brand";v="24"', "Sec-CH-UA-Mobile: ?0", 'Sec-CH-UA-Platform: "Linux"')


@dataclasses.dataclass(frozen=True)
class Run:
    """What wrk says of one run."""

    requests: int
    per_second: float


def parse_wrk(output):
    """Reads wrk's report; errors in it are a failure."""
    errors = re.search(r"Non-2xx.*|Socket errors.*", output)
    if errors:
        raise Failed(errors.group().strip())
    requests = re.search(r"(\d+) requests in", output)
    per_second = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if not requests or not per_second or not int(requests.group(1)):
        raise Failed(f"wrk reports no requests: {output[-200:].strip()}")
    return Run(int(requests.group(1)), float(per_second.group(1)))


def url(port, target):
    return f"http://127.0.0.1:{port}{target}"


def wrk(children, core, port, target, seconds, *, script=None, arguments=(), fields=TWO_FIELDS, connections=64):
    """One run of wrk with one thread; `arguments` are the script's."""
    command = [processes.require("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += ["-s", script] if script else []
    for field in fields:
        command += ["-H", field]
    command += [url(port, target), *(("--", *arguments) if arguments else ())]
    return parse_wrk(children.run(command, [core], seconds + 30))


def open_loop(children, core, program, port, target, rate, seconds):
    """One run of bench_open_loop: its figures by name."""
    output = children.run([program, str(port), target, f"{rate:.0f}", str(seconds)], [core], seconds + 30)
    figures = json.loads(output)
    if figures["failed"]:
        raise Failed(f"{figures['failed']} of {figures['answered'] + figures['failed']} requests failed")
    return figures


class Connection:
    """A keep-alive connection that asks for bodies of a known size."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), 10)

    def get(self, target, size):
        """One GET, and its whole answer. Anything but a 200 with so many bytes is a failure."""
        self._socket.sendall(f"GET {target} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < size:
            piece = self._socket.recv(65536)
            if not piece:
                raise Failed("a connection was closed")
            received += piece
        if not received.startswith(b"HTTP/1.1 200 ") or len(received.partition(b"\r\n\r\n")[2]) != size:
            raise Failed(f"a request was answered with {received[:60]}")

    def close(self):
        self._socket.close()


def get(port, target, fields=()):
    """One GET: (status, field values by lower-case name, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest("GET", target, skip_accept_encoding=True)
        for field in fields:
            name, value = field.split(": ", 1)
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, body
    except http.client.HTTPException as error:
        raise Failed(f"GET {target}: {error!r}") from error
    finally:
        connection.close()
