"""The harness against itself: what the other tests rely on, shown without Larder."""

import threading
import unittest

from .support import raw_client
from .support.http_message import Disconnected, Malformed
from .support.origin import BlackHole, Origin, echo_upgrade, unused_port
from .support.raw_client import Connection
from .support.redis_process import RedisProcess
from .support.waiting import Gate, eventually, in_parallel


class OriginAndClient(unittest.TestCase):
    def setUp(self):
        self.origin = Origin()
        self.addCleanup(self.origin.kill)

    def connect(self):
        connection = Connection(self.origin.port)
        self.addCleanup(connection.close)
        return connection

    def test_keeps_alive_and_pipelines(self):
        self.origin.numbered("/n")
        connection = self.connect()
        connection.send(b"GET /n HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        self.assertEqual([connection.read_response().text for _ in range(3)], ["1", "2", "3"])
        self.assertEqual({request.connection for request in self.origin.requests}, {1})

    def test_head_has_a_length_and_no_body(self):
        self.origin.answers("/", "hello")
        connection = self.connect()
        response = connection.request("HEAD", "/")
        self.assertEqual((response.fields.get("Content-Length"), response.body), ("5", b""))
        self.assertEqual(connection.get("/").body, b"hello")

    def test_request_bodies_are_recorded(self):
        self.origin.answers("/", method="POST")
        connection = self.connect()
        connection.request("POST", "/", body="abc")
        connection.send_request("POST", "/", {"Transfer-Encoding": "chunked"})
        connection.chunk(b"de")
        connection.chunk(b"f")
        connection.end_chunks({"T": "1"})
        connection.read_response()
        first, second = self.origin.requests
        self.assertEqual((first.body, second.body, second.trailers), (b"abc", b"def", [("T", "1")]))

    def test_chunks_trailers_and_interim_responses(self):
        def handler(exchange):
            exchange.interim(103, {"Link": "</a>"})
            exchange.send_head(200, {"Transfer-Encoding": "chunked"})
            exchange.chunk(b"a" * 20)
            exchange.chunk(b"b")
            exchange.end_chunks({"Sum": "x"})

        self.origin.on("/", handler)
        response = self.connect().get("/")
        self.assertEqual(response.body, b"a" * 20 + b"b")
        self.assertEqual(response.trailers, [("Sum", "x")])
        self.assertEqual([interim.status for interim in response.interim], [103])

    def test_truncation_is_noticed(self):
        def handler(exchange):
            exchange.send_head(200, {"Content-Length": 10})
            exchange.send(b"12345")
            exchange.close()

        self.origin.on("/", handler)
        with self.assertRaises(Disconnected) as caught:
            self.connect().get("/")
        self.assertEqual(caught.exception.partial, b"12345")

    def test_reset_is_noticed(self):
        self.origin.on("/", lambda exchange: exchange.reset())
        with self.assertRaises(ConnectionError):
            self.connect().get("/")

    def test_malformed_heads_are_noticed_at_both_ends(self):
        self.origin.on("/", lambda exchange: exchange.send(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"))
        with self.assertRaises(Malformed):
            self.connect().get("/")
        self.connect().send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
        eventually(lambda: self.origin.violations, "the origin records the fault")

    def test_upgrade_is_echoed(self):
        self.origin.on("/", echo_upgrade)
        connection = self.connect()
        response = connection.request("GET", "/", {"Connection": "upgrade", "Upgrade": "echo"})
        self.assertEqual(response.status, 101)
        connection.send(b"ping")
        self.assertEqual(connection.reader.exactly(4), b"ping")
        connection.half_close()
        self.assertTrue(connection.is_closed_by_peer())

    def test_gate_holds_a_response(self):
        gate = Gate()
        self.origin.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, body="late")))
        join = in_parallel(3, lambda _: raw_client.get(self.origin.port, "/").text)
        gate.wait_for_arrivals(3)
        gate.open()
        self.assertEqual(join(), ["late"] * 3)

    def test_kill_resets_and_refuses_and_it_listens_again(self):
        gate = Gate()
        self.addCleanup(gate.open)
        self.origin.on("/", lambda exchange: gate.pass_through())
        self.origin.answers("/after", "there")
        connection = self.connect()
        connection.send_request("GET", "/")
        gate.wait_for_arrivals()
        self.origin.kill()
        with self.assertRaises((ConnectionError, Disconnected)):
            connection.read_response()
        with self.assertRaises(ConnectionRefusedError):
            raw_client.get(self.origin.port, "/")
        self.origin.listen()
        self.assertEqual(raw_client.get(self.origin.port, "/after").text, "there")

    def test_a_gone_client_is_noticed(self):
        gone = threading.Event()

        def handler(exchange):
            exchange.client_is_gone()
            gone.set()

        self.origin.on("/", handler)
        connection = self.connect()
        connection.send_request("GET", "/")
        self.origin.wait_for("/")
        connection.reset()
        self.assertTrue(gone.wait(5))

    def test_black_hole_and_unused_port(self):
        hole = BlackHole()
        self.addCleanup(hole.close)
        with self.assertRaises(TimeoutError):
            Connection(hole.port, timeout=0.2)
        with self.assertRaises(ConnectionRefusedError):
            Connection(unused_port())


class Redis(unittest.TestCase):
    def test_kill_pause_and_restart(self):
        redis = RedisProcess()
        self.addCleanup(redis.close)
        redis.command("SET", "cache:a:1", "x", "EX", "100")
        self.assertEqual(redis.keys(), ["cache:a:1"])
        redis.kill()
        with self.assertRaises(OSError):
            redis.command("PING")
        redis.start()
        self.assertEqual(redis.command("GET", "cache:a:1"), b"x")
        redis.pause()
        redis.resume()
        redis.kill()
        redis.start(keep_data=False)
        self.assertEqual(redis.keys(), [])


if __name__ == "__main__":
    unittest.main()
