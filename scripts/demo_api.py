#!/usr/bin/env python3
"""A small REST API for the demo: products, users, a search and a dashboard. Every answer takes 300 ms; writes
change the state. Its first output line is "demo API listening on http://HOST:PORT"."""

import argparse
import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ANSWER_SECONDS = 0.3
MAX_BODY = 1 << 20


class State:
    """The resources, in memory."""

    def __init__(self):
        self.lock = threading.Lock()
        self.products = {1: {"id": 1, "name": "Oak table", "price": 249},
                         2: {"id": 2, "name": "Pine chair", "price": 59},
                         3: {"id": 3, "name": "Brass lamp", "price": 89}}
        self.users = {42: {"id": 42, "name": "Ada", "mail": "ada@example.com"},
                      43: {"id": 43, "name": "Grace", "mail": "grace@example.com"}}
        self.writes = 0

    def collection(self, name):
        return {"products": self.products, "users": self.users}[name]


STATE = State()


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, status, what):
        super().__init__(what)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "demo-api"
    sys_version = ""
    disable_nagle_algorithm = True

    def respond(self):
        """Any request."""
        time.sleep(ANSWER_SECONDS)
        try:
            body = self.read_body()
            with STATE.lock:
                status, answer, fields = self.route(body)
        except Problem as problem:
            status, answer, fields = problem.status, {"error": str(problem)}, {}
        self.send(status, answer, fields)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815

    def read_body(self):
        """The JSON object in the request, or None where it has no body."""
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            raise Problem(411, "a Content-Length is needed")
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            raise Problem(413, "the body is too large")
        data = self.rfile.read(int(length))
        if not data:
            return None
        try:
            body = json.loads(data)
        except ValueError:
            raise Problem(400, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Problem(400, "the body is not a JSON object")
        return body

    def route(self, body):
        """Returns status, answer and fields."""
        url = urlsplit(self.path)
        read = self.command in ("GET", "HEAD")
        match = re.fullmatch(r"/api/(products|users)(?:/(\d{1,9}))?", url.path)
        if match:
            collection = STATE.collection(match.group(1))
            if match.group(2) is None:
                return self.on_collection(url.path, collection, body)
            return self.on_item(collection, int(match.group(2)), body)
        if url.path == "/api/search" and read:
            words = parse_qs(url.query).get("q", [""])[0].lower()
            found = [item for item in STATE.products.values() if words in item["name"].lower()]
            return 200, {"query": words, "results": found}, {}
        if url.path == "/api/dashboard" and read:
            prices = [item["price"] for item in STATE.products.values() if isinstance(item.get("price"), (int, float))]
            return 200, {"products": len(STATE.products), "users": len(STATE.users), "worth": sum(prices),
                         "writes": STATE.writes}, {}
        raise Problem(404, "there is no such resource")

    def on_collection(self, path, collection, body):
        if self.command in ("GET", "HEAD"):
            return 200, list(collection.values()), {}
        if self.command != "POST":
            raise Problem(405, "GET or POST")
        number = max(collection, default=0) + 1
        collection[number] = {"name": "", **(body or {}), "id": number}
        STATE.writes += 1
        return 201, collection[number], {"Location": f"{path}/{number}"}

    def on_item(self, collection, number, body):
        if number not in collection and self.command != "PUT":
            raise Problem(404, "there is no such item")
        if self.command in ("GET", "HEAD"):
            return 200, collection[number], {}
        if self.command == "DELETE":
            del collection[number]
        elif self.command in ("PUT", "PATCH"):
            old = collection.get(number, {}) if self.command == "PATCH" else {}
            collection[number] = {"name": "", **old, **(body or {}), "id": number}
        else:
            raise Problem(405, "GET, PUT, PATCH or DELETE")
        STATE.writes += 1
        return (204, None, {}) if self.command == "DELETE" else (200, collection[number], {})

    def send(self, status, answer, fields):
        data = b"" if answer is None else (json.dumps(answer, indent=2) + "\n").encode()
        if status == 200 and self.command in ("GET", "HEAD"):
            fields = {**fields, "ETag": f'"{hashlib.md5(data).hexdigest()[:16]}"'}
            if self.headers.get("If-None-Match") == fields["ETag"]:
                status, data = 304, b""
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 1024
    daemon_threads = True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) lets the system choose")
    arguments = parser.parse_args()
    server = Server((arguments.host, arguments.port), Handler)
    print(f"demo API listening on http://{arguments.host}:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
