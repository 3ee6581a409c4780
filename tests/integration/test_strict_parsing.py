"""What RFC 9112 calls invalid is refused and the connection closed; nothing ambiguous reaches the origin, and
no invalid response reaches a client."""

import unittest

from .support.http_message import Disconnected, Malformed
from .support.integration_case import PLAIN_RULES, IntegrationCase
from .support.raw_client import exchange_bytes
from .support.waiting import eventually

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED = (400,)

# (what is wrong, bytes, allowed statuses)
INVALID_REQUESTS = [
    ("bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", REFUSED),
    ("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", REFUSED),
    ("bare LF after a field line", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", REFUSED),
    ("bare LF as the empty line", GET + b"\n", REFUSED),
    ("bare CR in a field value", GET + b"X: a\rb\r\n\r\n", REFUSED),
    ("bare CR in the request line", b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("bare CR as line end", b"GET / HTTP/1.1\rHost: a\r\r\n\r\n", REFUSED),
    ("CR CR LF", GET + b"X: a\r\r\n\r\n", REFUSED),
    ("space before the colon", GET + b"X : a\r\n\r\n", REFUSED),
    ("tab before the colon", GET + b"X\t: a\r\n\r\n", REFUSED),
    ("space before Content-Length's colon", POST + b"Content-Length : 3\r\n\r\nabc", REFUSED),
    ("space before Transfer-Encoding's colon", POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", REFUSED),
    ("obs-fold", GET + b"X: a\r\n b\r\n\r\n", REFUSED),
    ("obs-fold by a tab", GET + b"X: a\r\n\tb\r\n\r\n", REFUSED),
    ("folded first field line", b"GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n", REFUSED),
    ("folded Content-Length", POST + b"Content-Length:\r\n 3\r\n\r\nabc", REFUSED),
    ("no field name", GET + b": a\r\n\r\n", REFUSED),
    ("no colon", GET + b"X a\r\n\r\n", REFUSED),
    ("separator in a field name", GET + b"X(Y): a\r\n\r\n", REFUSED),
    ("non-ASCII field name", GET + b"X\xe9: a\r\n\r\n", REFUSED),
    ("NUL in a field name", GET + b"X\0: a\r\n\r\n", REFUSED),
    ("NUL in a field value", GET + b"X: a\0b\r\n\r\n", REFUSED),
    ("control character in a field value", GET + b"X: a\x01b\r\n\r\n", REFUSED),
    ("escape in a field value", GET + b"X: a\x1bb\r\n\r\n", REFUSED),
    ("DEL in a field value", GET + b"X: a\x7fb\r\n\r\n", REFUSED),
    ("two Hosts", GET + b"Host: b\r\n\r\n", REFUSED),
    ("two equal Hosts", GET + b"Host: a\r\n\r\n", REFUSED),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", REFUSED),
    ("Host with a space", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", REFUSED),
    ("Host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", REFUSED),
    ("Host with userinfo", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", REFUSED),
    ("Host that is a list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", REFUSED),
    ("Host with a bad port", b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", REFUSED),
    ("Content-Length and Transfer-Encoding",
     POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REFUSED),
    ("Transfer-Encoding and Content-Length",
     POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", REFUSED),
    ("differing Content-Lengths", POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", REFUSED),
    ("differing Content-Lengths in one line", POST + b"Content-Length: 3, 4\r\n\r\nabcd", REFUSED),
    ("negative Content-Length", POST + b"Content-Length: -1\r\n\r\n", REFUSED),
    ("signed Content-Length", POST + b"Content-Length: +3\r\n\r\nabc", REFUSED),
    ("hexadecimal Content-Length", POST + b"Content-Length: 0x3\r\n\r\nabc", REFUSED),
    ("Content-Length of two numbers", POST + b"Content-Length: 3 3\r\n\r\nabc", REFUSED),
    ("empty Content-Length", POST + b"Content-Length:\r\n\r\n", REFUSED),
    ("Content-Length with a fraction", POST + b"Content-Length: 3.0\r\n\r\nabc", REFUSED),
    ("Content-Length past 2^64", POST + b"Content-Length: 18446744073709551619\r\n\r\nabc", (400, 413)),
    ("unknown transfer coding", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", (400, 501)),
    ("gzip transfer coding", POST + b"Transfer-Encoding: gzip\r\n\r\n", (400, 501)),
    ("gzip, chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    ("chunked is not last", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", (400, 501)),
    ("chunked twice", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    ("chunked on two lines", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     (400, 501)),
    ("identity", POST + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", (400, 501)),
    ("quoted chunked", POST + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", (400, 501)),
    ("chunked behind a vertical tab", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", (400, 501)),
    ("empty Transfer-Encoding", POST + b"Transfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc", (400, 501)),
    ("Transfer-Encoding in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     (400, 501)),
    ("no chunk size", CHUNKED + b"\r\nabc\r\n0\r\n\r\n", REFUSED),
    ("chunk size is no number", CHUNKED + b"xyz\r\nabc\r\n0\r\n\r\n", REFUSED),
    ("negative chunk size", CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", REFUSED),
    ("signed chunk size", CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", REFUSED),
    ("0x chunk size", CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", REFUSED),
    ("chunk size with an underscore", CHUNKED + b"0_3\r\nabc\r\n0\r\n\r\n", REFUSED),
    ("space before a chunk size", CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n", REFUSED),
    ("chunk size past 2^64", CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n", REFUSED),
    ("long chunk size", CHUNKED + b"0" * 100000 + b"3\r\nabc\r\n0\r\n\r\n", (400, 413, 431)),
    ("bare LF after a chunk size", CHUNKED + b"3\nabc\r\n0\r\n\r\n", REFUSED),
    ("bare CR in a chunk extension", CHUNKED + b"3;a\rb\r\nabc\r\n0\r\n\r\n", REFUSED),
    ("bare LF in a chunk extension", CHUNKED + b"3;a\nabc\r\n0\r\n\r\n", REFUSED),
    ("no CRLF behind a chunk", CHUNKED + b"3\r\nabcXX0\r\n\r\n", REFUSED),
    ("bare LF behind a chunk", CHUNKED + b"3\r\nabc\n0\r\n\r\n", REFUSED),
    ("endless chunk extension", CHUNKED + b"3;" + b"x" * 200000, (400, 413, 431)),
    ("space before a trailer's colon", CHUNKED + b"0\r\nX : a\r\n\r\n", REFUSED),
    ("folded trailer", CHUNKED + b"0\r\nX: a\r\n b\r\n\r\n", REFUSED),
    ("bare LF in a trailer", CHUNKED + b"0\r\nX: a\n\r\n", REFUSED),
    ("control character in a trailer", CHUNKED + b"0\r\nX: a\x01\r\n\r\n", REFUSED),
    ("no version", b"GET /\r\nHost: a\r\n\r\n", REFUSED),
    ("two spaces before the target", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("two spaces before the version", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("tab as separator", b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("space at the end of the request line", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", REFUSED),
    ("space before the method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("separator in the method", b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("no method", b" / HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("space in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("control character in the target", b"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("NUL in the target", b"GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("fragment in the target", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("relative target", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("asterisk without OPTIONS", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("another scheme", b"GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("userinfo in the target", b"GET http://u:p@a/b HTTP/1.1\r\nHost: a\r\n\r\n", REFUSED),
    ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", (400, 405, 501)),
    ("lower-case http", b"GET / http/1.1\r\nHost: a\r\n\r\n", (400, 505)),
    ("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", (400, 505)),
    ("HTTP/01.1", b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", (400, 505)),
    ("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", (400, 505)),
    ("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", (400, 505)),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", REFUSED),
    ("noise", bytes(range(256)) * 4 + b"\r\n\r\n", REFUSED),
]

# (what is wrong, bytes of the whole response)
INVALID_RESPONSES = [
    ("nothing at all", b""),
    ("noise", bytes(range(1, 256)) * 4 + b"\r\n\r\n"),
    ("half a head", b"HTTP/1.1 200 OK\r\nX: y\r\n"),
    ("no status line", b"hello\r\n\r\n"),
    ("HTTP/0.9", b"<html>hello</html>"),
    ("HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("no status", b"HTTP/1.1 \r\nContent-Length: 2\r\n\r\nok"),
    ("status of two digits", b"HTTP/1.1 99 Low\r\nContent-Length: 2\r\n\r\nok"),
    ("status of four digits", b"HTTP/1.1 2000 High\r\nContent-Length: 2\r\n\r\nok"),
    ("status is no number", b"HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status 0xx", b"HTTP/1.1 042 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    ("bare CR in a field", b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok"),
    ("NUL in a field", b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok"),
    ("no colon", b"HTTP/1.1 200 OK\r\nX a\r\nContent-Length: 2\r\n\r\nok"),
    ("differing Content-Lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk"),
    ("bad Content-Length", b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"),
    ("negative Content-Length", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
    ("Content-Length past 2^64", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok"),
    ("Content-Length and Transfer-Encoding",
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ("unknown transfer coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xyz\r\n\r\nok"),
    ("chunked is not last", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ("endless head", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200000 + b"\r\n\r\n"),
    ("too many fields", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"Content-Length: 0\r\n\r\n"),
]


class InvalidRequests(IntegrationCase):
    def test_are_refused_and_the_connection_closed(self):
        site = self.origin()
        proxy = self.larder(site, rules=PLAIN_RULES)
        following = b"GET /following HTTP/1.1\r\nHost: a\r\n\r\n"
        for fault, request, statuses in INVALID_REQUESTS:
            with self.subTest(fault):
                answer = exchange_bytes(proxy.port, request + following)
                status_line = answer.split(b"\r\n", 1)[0]
                self.assertRegex(status_line, rb"^HTTP/1\.1 \d\d\d ")
                self.assertIn(int(status_line.split(b" ")[1]), statuses)
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1, "one answer, then the connection is closed")
                self.assertIn(b"\r\nconnection: close\r\n", answer.lower())
        whole = [request for request in site.requests if request.complete]
        self.assertEqual(whole, [], "nothing of it reached the origin")
        self.assertEqual(site.count("/following"), 0, "what stood behind it is not a request")
        self.assertTrue(proxy.is_running())
        site.answers("/ok", "ok")
        self.assertEqual(proxy.get("/ok").body, b"ok")

    def test_equal_content_lengths_are_one_or_refused(self):
        site = self.origin()
        site.on("/", lambda exchange: exchange.reply(200, body=exchange.request.body))
        proxy = self.larder(site, rules=PLAIN_RULES)
        for fields in (b"Content-Length: 3\r\nContent-Length: 3\r\n", b"Content-Length: 3, 3\r\n"):
            client = self.connect(proxy)
            client.send(POST + fields + b"\r\nabc")
            response = client.read_response("POST")
            self.assertIn(response.status, (200, 400))
        for request in site.requests:  # the origin's own strictness has found one Content-Length at most
            self.assertEqual(request.body, b"abc")


class InvalidResponses(IntegrationCase):
    def test_are_bad_gateway(self):
        site = self.origin()
        proxy = self.larder(site, rules=PLAIN_RULES)
        for number, (fault, response) in enumerate(INVALID_RESPONSES):
            with self.subTest(fault):
                path = f"/{number}"

                def handler(exchange, response=response):
                    exchange.send(response)
                    exchange.close()

                site.on(path, handler)
                beginning = proxy.log_size()
                answer = proxy.get(path)
                self.assertEqual(answer.status, 502)
                self.assertTrue(answer.body, "it says what is wrong")
                proxy.wait_for_log(r"502|origin", beginning)
                self.assertNotEqual(proxy.get(path).cache, "HIT")
        site.answers("/ok", "ok")
        self.assertEqual(proxy.get("/ok").body, b"ok")

    def test_white_space_before_a_colon_is_removed_or_refused(self):
        site = self.origin()
        site.on("/", lambda exchange: exchange.send(b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 2\r\n\r\nok"))
        proxy = self.larder(site, rules=PLAIN_RULES)
        self.assertIn(proxy.get("/").status, (200, 502))  # the client's reader refuses a relayed space

    def test_bytes_behind_a_response_are_not_another_one(self):
        site = self.origin()
        site.on("/a", lambda exchange: exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nCache-Control: no-store\r\n\r\na"
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"))
        site.answers("/b", "b", {"Cache-Control": "no-store"})
        proxy = self.larder(site, rules=PLAIN_RULES, workers=1)
        client = self.connect(proxy)
        for _ in range(5):
            self.assertEqual(client.get("/a").body, b"a")
            self.assertEqual(client.get("/b").body, b"b")

    def test_a_head_with_a_body_behind_it(self):
        site = self.origin()
        site.on("/", lambda exchange: exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"), "HEAD")
        site.answers("/b", "b", {"Cache-Control": "no-store"})
        proxy = self.larder(site, rules=PLAIN_RULES, workers=1)
        client = self.connect(proxy)
        for _ in range(3):
            client.request("HEAD", "/")
            self.assertEqual(client.get("/b").body, b"b")

    def test_endless_interim_responses_are_bounded(self):
        site = self.origin()

        def handler(exchange):
            while True:
                exchange.interim(103, {"Link": "</a>"})

        site.on("/", handler)
        proxy = self.larder(site, rules=PLAIN_RULES)
        client = self.connect(proxy)
        client.send_request("GET", "/")
        try:
            for _ in range(100000):
                head = client.read_head()
                if head.status >= 200:
                    self.assertEqual(head.status, 502)
                    break
            else:
                self.fail("interim responses without end")
        except (Disconnected, Malformed, ConnectionError):
            pass
        eventually(lambda: site.open_connections == 0, "the origin's connection is given up")


if __name__ == "__main__":
    unittest.main()
