"""Messages through the proxy: versions, framing, pipelining, trailers, HEAD, interim responses, and the fields that are
dropped, added and kept (RFC 9110 §7, RFC 9112)."""

import re
import unittest

from .support.http_message import Disconnected
from .support.integration_case import OFF_RULES, PLAIN_RULES, IntegrationCase
from .support.origin import echo_upgrade
from .support.waiting import eventually


class Framing(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)
        self.client = self.connect(self.proxy)

    def test_a_connection_is_kept_alive_on_both_sides(self):
        self.site.numbered("/n", {"Cache-Control": "no-store"})
        self.assertEqual([self.client.get("/n").text for _ in range(5)], ["1", "2", "3", "4", "5"])
        self.assertEqual({request.connection for request in self.site.requests}, {1})

    def test_pipelined_requests_are_answered_in_order(self):
        for name in "abc":
            self.site.answers(f"/{name}", name, {"Cache-Control": "no-store"})
        self.site.on("/write", lambda exchange: exchange.reply(200, body=exchange.request.body.upper()))
        self.client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
                         "POST /write HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
                         "HEAD /b HTTP/1.1\r\nHost: a\r\n\r\n"
                         "POST /write HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                         "GET /c HTTP/1.1\r\nHost: a\r\n\r\n")
        answers = [self.client.read_response(method).text for method in ("GET", "POST", "HEAD", "POST", "GET")]
        self.assertEqual(answers, ["a", "BODY", "", "ABC", "c"])

    def test_pipelined_hits_are_answered_in_order(self):
        for name in "abc":
            self.site.answers(f"/{name}", name * 1000, {"Cache-Control": "max-age=60"})
            self.client.get(f"/{name}")
        order = "abccba" * 50
        self.client.send("".join(f"GET /{name} HTTP/1.1\r\nHost: api.example\r\n\r\n" for name in order))
        for name in order:
            self.assert_outcome(self.client.read_response(), "HIT", name * 1000)

    def test_connection_close_is_honoured(self):
        self.site.answers("/", "x")
        response = self.client.get("/", {"Connection": "close"})
        self.assertIn("close", response.fields.members("Connection"))
        self.assertTrue(self.client.is_closed_by_peer())

    def test_http_1_0_is_closed_unless_it_asks_to_be_kept(self):
        self.site.answers("/", "x", {"Cache-Control": "max-age=60"})
        response = self.client.request("GET", "/", version="HTTP/1.0", fields={"Connection": "keep-alive"})
        self.assertEqual(response.body, b"x")
        response = self.client.request("GET", "/", version="HTTP/1.0")
        self.assertEqual(response.body, b"x")
        self.assertTrue(self.client.is_closed_by_peer())

    def test_http_1_0_without_host_is_served(self):
        self.site.answers("/", "x")
        self.client.send(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual(self.client.read_response().body, b"x")

    def test_an_empty_line_before_a_request_is_ignored(self):
        self.site.answers("/", "x")
        self.client.send(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(self.client.read_response().body, b"x")

    def test_a_request_in_single_bytes(self):
        self.site.answers("/", "x", method="POST")
        for byte in b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
            self.client.send(bytes([byte]))
        self.assertEqual(self.client.read_response().body, b"x")
        self.assertEqual(self.site.requests[0].body, b"abc")

    def test_absolute_form_names_the_host(self):
        self.site.answers("/a", "x")
        self.client.send(b"GET http://other.example/a?q=1 HTTP/1.1\r\nHost: ignored.example\r\n\r\n")
        self.assertEqual(self.client.read_response().body, b"x")
        request = self.site.requests[0]
        self.assertEqual((request.target, request.fields.get("Host")), ("/a?q=1", "other.example"))

    def test_options_asterisk_is_relayed(self):
        self.site.on("*", lambda exchange: exchange.reply(204, {"Allow": "GET"}))
        self.assertEqual(self.client.request("OPTIONS", "*").status, 204)
        self.assertEqual(self.site.requests[0].target, "*")

    def test_request_bodies(self):
        self.site.on("/", lambda exchange: exchange.reply(200, body=exchange.request.body))
        for method, body in (("POST", b""), ("POST", b"x"), ("PUT", bytes(range(256)) * 1000), ("PATCH", b"p"),
                             ("DELETE", b"d"), ("QUERY", b"q"), ("OPTIONS", b"o"), ("MADEUP", b"m")):
            with self.subTest(method=method, size=len(body)):
                response = self.client.request(method, "/", body=body)
                self.assertEqual(response.body, body)
                self.assertEqual(self.site.requests[-1].method, method)

    def test_a_get_with_a_body_is_relayed_whole(self):
        self.site.on("/", lambda exchange: exchange.reply(200, {"Cache-Control": "max-age=60"},
                                                          exchange.request.body))
        self.assertEqual(self.client.request("GET", "/", body=b"one").body, b"one")
        self.assertEqual(self.client.request("GET", "/", body=b"two").body, b"two")

    def test_chunked_request_body_and_trailers(self):
        self.site.on("/", lambda exchange: exchange.reply(200, body=exchange.request.body))
        self.client.send_request("POST", "/", {"Transfer-Encoding": "chunked", "Trailer": "Checksum"})
        for piece in (b"a", b"b" * 70000, b"c"):
            self.client.chunk(piece)
        self.client.end_chunks({"Checksum": "17"})
        self.assertEqual(self.client.read_response().body, b"a" + b"b" * 70000 + b"c")
        self.assertEqual(self.site.requests[0].trailers.get("Checksum"), "17")

    def test_chunk_extensions_are_understood(self):
        self.site.on("/", lambda exchange: exchange.reply(200, body=exchange.request.body))
        self.client.send_request("POST", "/", {"Transfer-Encoding": "chunked"})
        self.client.send(b"3;name=value;q=\"a b\"\r\nabc\r\n00A\r\n0123456789\r\n000\r\n\r\n")
        self.assertEqual(self.client.read_response().body, b"abc0123456789")

    def test_a_chunked_response_keeps_its_bytes_and_trailers(self):
        for control in ("no-store", "max-age=60"):  # relayed, and copied into the cache on the way
            with self.subTest(control):
                begun = self.gate()

                def handler(exchange, control=control, begun=begun):
                    exchange.send_head(200, {"Transfer-Encoding": "chunked", "Trailer": "Checksum",
                                             "Cache-Control": control})
                    exchange.chunk(b"one")
                    begun.pass_through()
                    for piece in (b"2" * 100000, b"three"):
                        exchange.chunk(piece)
                    exchange.end_chunks({"Checksum": "42"})

                self.site.on("/" + control, handler)
                self.client.send_request("GET", "/" + control, {"TE": "trailers"})
                head = self.client.read_head()
                begun.open()
                self.assertEqual(b"".join(self.client.body_pieces(head)), b"one" + b"2" * 100000 + b"three")
                self.assertEqual(head.trailers.get("Checksum"), "42")
                self.assertEqual(self.client.get("/" + control).status, 200, "the connection goes on")

    def test_a_chunked_response_to_http_1_0(self):
        def handler(exchange):
            exchange.send_head(200, {"Transfer-Encoding": "chunked", "Cache-Control": "no-store"})
            exchange.chunk(b"one")
            exchange.chunk(b"two")
            exchange.end_chunks()

        self.site.on("/", handler)
        response = self.client.request("GET", "/", version="HTTP/1.0")
        self.assertFalse(response.fields.has("Transfer-Encoding"))
        self.assertEqual(response.body, b"onetwo")

    def test_a_close_delimited_response(self):
        for version in ("HTTP/1.1", "HTTP/1.0"):
            with self.subTest(origin_speaks=version):
                def handler(exchange, version=version):
                    exchange.send_head(200, {"Cache-Control": "no-store"}, version=version)
                    exchange.send(b"as long as it lasts")
                    exchange.close()

                self.site.on("/", handler)
                self.assertEqual(self.proxy.get("/").body, b"as long as it lasts")
                self.assertEqual(self.proxy.request("GET", "/", version="HTTP/1.0").body, b"as long as it lasts")

    def test_an_http_1_0_origin_is_spoken_to_again(self):
        def handler(exchange):
            exchange.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nCache-Control: no-store\r\n\r\nok")
            exchange.close()

        self.site.on("/", handler)
        for _ in range(3):
            self.assertEqual(self.client.get("/").body, b"ok")

    def test_responses_without_a_body(self):
        for status in (204, 304):
            self.site.answers(f"/{status}", status=status)
            response = self.client.get(f"/{status}")
            self.assertEqual((response.status, response.body), (status, b""))
        self.site.answers("/empty", b"", {"Cache-Control": "max-age=60"})
        for outcome in ("MISS", "HIT"):
            self.assert_outcome(self.client.get("/empty"), outcome, b"")

    def test_status_reason_and_unknown_status_codes_are_kept(self):
        for status in (201, 299, 302, 404, 418, 499, 500, 599):
            with self.subTest(status=status):
                self.site.on(f"/{status}", lambda exchange, s=status: exchange.send(
                    b"HTTP/1.1 %d Our Own Words\r\nContent-Length: 2\r\n\r\nok" % s))
                response = self.client.get(f"/{status}")
                self.assertEqual((response.status, response.reason, response.body), (status, "Our Own Words", b"ok"))

    def test_head_has_the_fields_of_get_and_no_body(self):
        self.site.answers("/", "12345", {"Cache-Control": "no-store", "X-Some": "thing"})
        response = self.client.request("HEAD", "/")
        self.assertEqual((response.fields.get("Content-Length"), response.fields.get("X-Some"), response.body),
                         ("5", "thing", b""))
        self.assertEqual(self.client.get("/").body, b"12345")

    def test_a_client_that_closes_its_sending_side_still_gets_its_answer(self):
        gate = self.gate()
        self.site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")))
        self.client.send_request("GET", "/")
        self.client.half_close()
        gate.wait_for_arrivals()
        gate.open()
        self.assertEqual(self.client.read_response().body, b"x")
        self.assertTrue(self.client.is_closed_by_peer())


class Interim(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)
        self.client = self.connect(self.proxy)

    def test_100_continue_lets_the_body_come(self):
        def handler(exchange):
            exchange.interim(100)
            exchange.read_body()
            exchange.reply(200, body=exchange.request.body)

        self.site.on("/", handler, stream=True)
        self.client.send_request("POST", "/", {"Expect": "100-continue", "Content-Length": 4})
        self.assertEqual(self.client.read_head().status, 100)
        self.client.send(b"body")
        self.assertEqual(self.client.read_response("POST").body, b"body")
        self.assertEqual(self.site.requests[0].fields.members("Expect"), ["100-continue"])

    def test_the_origin_may_refuse_before_the_body(self):
        for status in (417, 413, 401):
            with self.subTest(status=status):
                def handler(exchange, status=status):
                    exchange.reply(status, {"Connection": "close"}, "no")
                    exchange.close()

                self.site.on("/", handler, stream=True)
                client = self.connect(self.proxy)
                client.send_request("POST", "/", {"Expect": "100-continue", "Content-Length": 4000000})
                response = client.read_response("POST")
                self.assertEqual((response.status, response.interim), (status, []))
                self.assertTrue(client.is_closed_by_peer(), "the body that never came leaves no way to go on")

    def test_early_hints_are_relayed_in_time(self):
        gate = self.gate()

        def handler(exchange):
            exchange.interim(103, {"Link": "</style.css>; rel=preload"})
            exchange.interim(102)
            gate.pass_through()
            exchange.reply(200, {"Cache-Control": "max-age=60"}, "x")

        self.site.on("/", handler)
        self.client.send_request("GET", "/")
        hints = self.client.read_head()
        self.assertEqual((hints.status, hints.fields.get("Link")), (103, "</style.css>; rel=preload"))
        self.assertEqual(self.client.read_head().status, 102)
        gate.open()
        self.assert_outcome(self.client.read_response(), "MISS", "x")
        hit = self.client.get("/")
        self.assert_outcome(hit, "HIT", "x")
        self.assertEqual(hit.interim, [], "interim responses are not stored")

    def test_http_1_0_gets_no_interim_response(self):
        def handler(exchange):
            exchange.interim(103, {"Link": "</a>"})
            exchange.reply(200, body="x")

        self.site.on("/", handler)
        response = self.client.request("GET", "/", version="HTTP/1.0")
        self.assertEqual((response.status, response.interim), (200, []))


class Fields(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)
        self.client = self.connect(self.proxy)

    def received(self, fields):
        """The fields that the origin receives for a request with these."""
        self.site.answers("/", "x", {"Cache-Control": "no-store"})
        self.assertEqual(self.client.get("/", fields).status, 200)
        return self.site.requests[-1].fields

    def relayed(self, fields):
        """The fields that the client receives for a response with these."""
        self.site.answers("/", "x", [("Cache-Control", "no-store"), *fields])
        return self.client.get("/").fields

    def test_hop_by_hop_fields_end_here(self):
        hop_by_hop = [("Connection", "X-Private, keep-alive"), ("Keep-Alive", "timeout=5"), ("X-Private", "secret"),
                      ("Proxy-Connection", "keep-alive"), ("TE", "trailers, deflate"),
                      ("Proxy-Authorization", "Basic YQ=="), ("X-Public", "seen")]
        fields = self.received(hop_by_hop)
        for name in ("Keep-Alive", "X-Private", "Proxy-Connection", "Proxy-Authorization"):
            self.assertFalse(fields.has(name), name)
        self.assertLessEqual(set(fields.members("TE")), {"trailers"})
        self.assertNotIn("x-private", fields.members("Connection"))
        self.assertEqual(fields.get("X-Public"), "seen")
        fields = self.relayed([("Connection", "X-Private"), ("Keep-Alive", "timeout=5"), ("X-Private", "secret"),
                               ("Proxy-Connection", "keep-alive"), ("Proxy-Authenticate", "Basic"),
                               ("X-Public", "seen")])
        for name in ("Keep-Alive", "X-Private", "Proxy-Connection", "Proxy-Authenticate"):
            self.assertFalse(fields.has(name), name)
        self.assertNotIn("x-private", fields.members("Connection"))
        self.assertEqual(fields.get("X-Public"), "seen")

    def test_connection_cannot_name_away_what_matters(self):
        fields = self.received([("Connection", "close, Host, Content-Length, Authorization, X-Forwarded-For"),
                                ("Authorization", "Basic YQ==")])
        self.assertEqual(fields.get("Host"), "api.example")
        self.assertTrue(fields.has("X-Forwarded-For"))

    def test_an_upgrade_that_was_not_asked_for_is_not_offered(self):
        fields = self.received([("Upgrade", "h2c")])
        self.assertFalse(fields.has("Upgrade"), "without Connection: upgrade it means nothing")

    def test_fields_keep_their_order_case_and_repetition(self):
        sent = [("x-lower", "1"), ("X-UPPER", "2"), ("X-Repeated", "a"), ("x-lower", "3"), ("X-Repeated", "b, c"),
                ("X-Empty", ""), ("X-Latin", "caf\xe9"), ("X-Quoted", '"a, b"')]
        names = {name for name, _ in sent}
        self.assertEqual([pair for pair in self.received(sent) if pair[0] in names], sent)
        self.assertEqual([pair for pair in self.relayed(sent) if pair[0] in names], sent)

    def test_stored_fields_keep_their_order_case_and_repetition(self):
        sent = [("x-lower", "1"), ("X-UPPER", "2"), ("X-Repeated", "a"), ("X-Repeated", "b"), ("X-Empty", ""),
                ("X-Latin", "caf\xe9")]
        names = {name for name, _ in sent}
        self.site.answers("/stored", "x", [("Cache-Control", "max-age=60"), *sent])
        for outcome in ("MISS", "HIT"):
            response = self.client.get("/stored")
            self.assert_outcome(response, outcome)
            self.assertEqual([pair for pair in response.fields if pair[0] in names], sent)

    def test_via_is_added_on_both_sides(self):
        self.assertRegex(self.received({}).get("Via", ""), r"^1\.1 \S+")
        self.assertRegex(self.received({"Via": "1.0 fred"}).get("Via", ""), r"^1\.0 fred, 1\.1 \S+")
        self.assertRegex(self.relayed([("Via", "1.0 fred")]).get("Via", ""), r"^1\.0 fred, 1\.1 \S+")

    def test_forwarded_fields_are_set(self):
        fields = self.received({})
        self.assertEqual(fields.get("X-Forwarded-For"), "127.0.0.1")
        self.assertEqual(fields.get("X-Forwarded-Proto"), "http")
        self.assertEqual(fields.get("X-Forwarded-Host"), "api.example")
        forwarded = fields.get("Forwarded", "").lower()
        for part in ("for=127.0.0.1", "proto=http", "host=api.example"):
            self.assertRegex(forwarded, re.escape(part).replace("=", '="?'))

    def test_forged_forwarded_fields_are_replaced(self):
        fields = self.received({"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https",
                                "X-Forwarded-Host": "evil.example", "Forwarded": "for=6.6.6.6;host=evil.example"})
        for name in ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded"):
            self.assertNotIn("6.6.6.6", fields.get(name))
            self.assertNotIn("evil.example", fields.get(name))
        self.assertEqual(fields.get("X-Forwarded-Proto"), "http")

    def test_the_clients_host_is_kept(self):
        self.assertEqual(self.received({"Host": "shop.example:8080"}).get("Host"), "shop.example:8080")

    def test_a_date_is_supplied_where_it_is_missing(self):
        self.site.on("/", lambda exchange: exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nCache-Control: no-store\r\n\r\nx"))
        self.assertRegex(self.client.get("/").fields.get("Date", ""), r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")

    def test_the_origins_x_cache_fields_are_not_mistaken_for_ours(self):
        self.site.answers("/", "x", [("Cache-Control", "max-age=60"), ("X-Cache", "HIT"), ("X-Cache-Key", "theirs")])
        response = self.client.get("/")
        self.assertEqual(response.fields.all("X-Cache"), ["MISS"])
        self.assertRegex(response.key, r"^cache:page:[0-9a-f]{32}$")


class Upgrade(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)
        self.client = self.connect(self.proxy)

    def upgrade(self):
        return self.client.request("GET", "/", {"Connection": "keep-alive, Upgrade", "Upgrade": "echo"})

    def test_a_tunnel_carries_bytes_both_ways(self):
        self.site.on("/", echo_upgrade)
        response = self.upgrade()
        self.assertEqual(response.status, 101)
        self.assertIn("upgrade", response.fields.members("Connection"))
        self.assertEqual(response.fields.get("Upgrade"), "echo")
        for piece in (b"ping", b"\x00\xff" * 50000, b"\r\n\r\n"):
            self.client.send(piece)
            self.assertEqual(self.client.reader.exactly(len(piece)), piece)
        self.client.half_close()
        self.assertTrue(self.client.is_closed_by_peer())
        self.assertEqual(self.site.requests[0].fields.get("Upgrade"), "echo")

    def test_bytes_right_behind_the_switch_are_not_lost(self):
        def handler(exchange):
            exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
                          b"hello first")
            exchange.close()

        self.site.on("/", handler)
        self.assertEqual(self.upgrade().status, 101)
        self.assertEqual(self.client.reader.to_end(), b"hello first")

    def test_the_origin_may_refuse(self):
        self.site.answers("/", "no", {"Cache-Control": "max-age=60"})
        response = self.upgrade()
        self.assertEqual((response.status, response.body), (200, b"no"))
        self.assertEqual(self.client.get("/").body, b"no", "the connection goes on")

    def test_a_switch_that_nobody_asked_for_is_a_bad_answer(self):
        self.site.on("/", lambda exchange: exchange.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"))
        self.assertEqual(self.client.get("/").status, 502)

    def test_the_end_of_either_side_ends_the_other(self):
        self.site.on("/", echo_upgrade)
        self.assertEqual(self.upgrade().status, 101)
        self.site.drop_connections()
        self.assertTrue(self.client.is_closed_by_peer())
        other = self.connect(self.proxy)
        response = other.request("GET", "/", {"Connection": "Upgrade", "Upgrade": "echo"})
        self.assertEqual(response.status, 101)
        other.reset()
        eventually(lambda: self.site.open_connections == 0, "the origin's connection is closed")


class CutShort(IntegrationCase):
    """A response that breaks off is seen as such by the client, and never stored."""

    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)
        self.client = self.connect(self.proxy)

    def broken(self, handler):
        """The client sees the break, or a 502 where it was known before the reply had begun."""
        self.site.on("/", handler)
        seen = None
        try:
            self.assertEqual(self.connect(self.proxy).get("/").status, 502)
        except (Disconnected, ConnectionError) as error:
            seen = error
        self.site.answers("/", "whole", {"Cache-Control": "max-age=60"})
        self.assert_outcome(self.client.get("/"), "MISS", "whole")
        return seen

    def test_content_length_not_reached(self):
        def handler(exchange):
            exchange.send_head(200, {"Content-Length": 100, "Cache-Control": "max-age=60"})
            exchange.send(b"short")
            exchange.close()

        error = self.broken(handler)
        if error is not None and hasattr(error, "partial"):
            self.assertEqual(error.partial, b"short")

    def test_chunks_without_an_end(self):
        def handler(exchange):
            exchange.send_head(200, {"Transfer-Encoding": "chunked", "Cache-Control": "max-age=60"})
            exchange.chunk(b"short")
            exchange.close()

        self.broken(handler)

    def test_reset_within_the_body(self):
        def handler(exchange):
            exchange.send_head(200, {"Content-Length": 1000000, "Cache-Control": "max-age=60"})
            exchange.send(b"x" * 500000)
            exchange.reset()

        self.broken(handler)

    def test_reset_of_a_close_delimited_body(self):
        gate = self.gate()

        def handler(exchange):
            exchange.send_head(200, {"Cache-Control": "max-age=60"})
            exchange.send(b"short")
            gate.pass_through()
            exchange.reset()

        self.site.on("/", handler)
        client = self.connect(self.proxy)
        client.send_request("GET", "/")
        response = client.read_head()
        pieces = client.body_pieces(response)
        self.assertEqual(next(pieces), b"short")
        gate.open()
        with self.assertRaises((Disconnected, ConnectionError)):
            for _ in pieces:
                pass
        self.site.answers("/", "whole", {"Cache-Control": "max-age=60"})
        self.assert_outcome(self.client.get("/"), "MISS", "whole")

    def test_bad_chunk_size_within_the_body(self):
        def handler(exchange):
            exchange.send_head(200, {"Transfer-Encoding": "chunked", "Cache-Control": "max-age=60"})
            exchange.chunk(b"short")
            exchange.send(b"zz\r\nwhat?\r\n0\r\n\r\n")
            exchange.close()

        self.broken(handler)

    def test_a_client_that_leaves_a_request_body_unfinished(self):
        seen = []

        def handler(exchange):
            try:
                exchange.read_body()
            except (Disconnected, ConnectionError) as end:
                seen.append(end)
                raise

        self.site.on("/write", handler, stream=True)
        client = self.connect(self.proxy)
        client.send_request("POST", "/write", {"Content-Length": 1000000})
        client.send(b"half")
        self.site.wait_for("/write")
        client.reset()
        eventually(lambda: seen, "the origin sees the request break off")
        self.assertFalse(self.site.requests[0].complete)

    def test_a_small_request_body_left_unfinished_reaches_nobody(self):
        client = self.connect(self.proxy)
        client.send_request("POST", "/write", {"Content-Length": 100})
        client.send(b"half")
        client.reset()
        self.site.answers("/", "whole")
        self.assertEqual(self.client.get("/").text, "whole")
        self.assertEqual(self.site.count("/write"), 0)


class NotCached(IntegrationCase):
    def test_a_route_that_is_off_is_relayed_and_says_bypass(self):
        site = self.origin()
        site.numbered("/docs/a", {"Cache-Control": "max-age=60"})
        proxy = self.larder(site, rules=OFF_RULES)
        for number in ("1", "2"):
            self.assert_outcome(proxy.get("/docs/a"), "BYPASS", number)


if __name__ == "__main__":
    unittest.main()
