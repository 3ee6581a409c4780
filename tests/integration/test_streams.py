"""Streams and large bodies: relayed as they come, in bounded memory, with back-pressure, both ways."""

import hashlib
import threading
import unittest

from .support.http_message import Disconnected
from .support.integration_case import OFF_RULES, PLAIN_RULES, IntegrationCase
from .support.larder_process import memory_bound
from .support.waiting import eventually, settled

MIB = 1 << 20
LARGE = 200 * MIB
BLOCK = bytes(range(256)) * 4096  # 1 MiB


def large_digest():
    digest = hashlib.md5()
    for _ in range(LARGE // len(BLOCK)):
        digest.update(BLOCK)
    return digest.hexdigest()


class EventStream(IntegrationCase):
    def stream(self, head):
        """An origin that sends the events that the test releases, one at a time."""
        site = self.origin()
        permits, events = threading.Semaphore(0), []
        self.addCleanup(permits.release)

        def handler(exchange):
            exchange.send_head(200, head)
            while True:
                permits.acquire()
                if not events:
                    break
                event = events.pop(0)
                exchange.chunk(event) if "Transfer-Encoding" in head else exchange.send(event)
            if "Transfer-Encoding" in head:
                exchange.end_chunks()
            else:
                exchange.close()

        def release(event):
            events.append(event)
            permits.release()

        site.on("/events", handler)
        return site, release, permits.release

    def check(self, head, rules=PLAIN_RULES):
        site, release, end = self.stream(head)
        proxy = self.larder(site, rules=rules)
        client = self.connect(proxy)
        client.send_request("GET", "/events", {"Accept": "text/event-stream"})
        response = client.read_head()
        self.assertEqual(response.status, 200)
        pieces = client.body_pieces(response)
        for number in range(5):
            event = f"data: {number}\n\n".encode()
            release(event)
            self.assertEqual(next(pieces), event, "each event comes before the next one is sent")
        end()
        self.assertEqual(list(pieces), [])

    def test_server_sent_events_in_chunks(self):
        self.check({"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "Transfer-Encoding": "chunked"})

    def test_server_sent_events_until_close(self):
        self.check({"Content-Type": "text/event-stream", "Cache-Control": "no-store"})

    def test_any_stream_on_a_route_that_is_off(self):
        self.check({"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"}, OFF_RULES)

    def test_a_storable_stream_comes_as_it_comes_too(self):
        self.check({"Content-Type": "text/plain", "Cache-Control": "max-age=60", "Transfer-Encoding": "chunked"})

    def test_two_readers_of_an_event_stream_do_not_wait_for_each_other(self):
        site, release, end = self.stream({"Content-Type": "text/event-stream", "Cache-Control": "no-store",
                                          "Transfer-Encoding": "chunked"})
        proxy = self.larder(site, rules=PLAIN_RULES)
        clients = [self.connect(proxy) for _ in range(2)]
        for client in clients:
            client.send_request("GET", "/events")
        for client in clients:
            self.assertEqual(client.read_head().status, 200, "a stream that never ends keeps nobody waiting")
        self.assertEqual(site.count("/events"), 2)
        release(b"data: x\n\n")
        release(b"data: y\n\n")
        end()
        end()

    def test_a_client_that_leaves_ends_the_origins_stream(self):
        site = self.origin()
        gone = threading.Event()

        def handler(exchange):
            exchange.send_head(200, {"Content-Type": "text/event-stream", "Cache-Control": "no-store",
                                     "Transfer-Encoding": "chunked"})
            exchange.chunk(b"data: 0\n\n")
            exchange.client_is_gone()
            gone.set()

        site.on("/events", handler)
        proxy = self.larder(site, rules=PLAIN_RULES)
        client = self.connect(proxy)
        client.send_request("GET", "/events")
        next(client.body_pieces(client.read_head()))
        client.reset()
        eventually(gone.is_set, "the origin's connection is closed")


class LargeBodies(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)
        self.client = self.connect(self.proxy)

    def watch_memory(self):
        """Samples the resident memory until the returned function is called, which returns its growth at the most."""
        start, most, ended = self.proxy.rss(), [0], threading.Event()

        def sample():
            while not ended.wait(0.02):
                most[0] = max(most[0], self.proxy.rss())

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()

        def stop():
            ended.set()
            thread.join()
            return most[0] - start

        return stop

    def download(self, fields, chunked):
        def handler(exchange):
            exchange.send_head(200, fields)
            for _ in range(LARGE // len(BLOCK)):
                exchange.chunk(BLOCK) if chunked else exchange.send(BLOCK)
            if chunked:
                exchange.end_chunks()

        self.site.on("/large", handler)
        growth = self.watch_memory()
        self.client.send_request("GET", "/large")
        response = self.client.read_head()
        digest = hashlib.md5()
        for piece in self.client.body_pieces(response):
            digest.update(piece)
        self.assertEqual(digest.hexdigest(), large_digest())
        self.assertLess(growth(), memory_bound(64 * MIB))

    def test_download_of_known_length(self):
        self.download({"Content-Length": LARGE, "Cache-Control": "no-store"}, chunked=False)

    def test_download_of_unknown_length(self):
        self.download({"Transfer-Encoding": "chunked", "Cache-Control": "no-store"}, chunked=True)

    def test_download_too_large_to_be_stored(self):
        self.download({"Content-Length": LARGE, "Cache-Control": "max-age=60"}, chunked=False)
        self.assertEqual(self.proxy.stats()["misses"], 1)

    def test_download_that_turns_out_too_large_to_be_stored(self):
        self.download({"Transfer-Encoding": "chunked", "Cache-Control": "max-age=60"}, chunked=True)
        self.download({"Transfer-Encoding": "chunked", "Cache-Control": "max-age=60"}, chunked=True)
        self.assertEqual(self.site.count("/large"), 2)

    def upload(self, chunked):
        digest = hashlib.md5()

        def handler(exchange):
            for piece in exchange.body_pieces():
                digest.update(piece)
            exchange.reply(200, body="done")

        self.site.on("/large", handler, stream=True)
        growth = self.watch_memory()
        framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": LARGE}
        self.client.send_request("PUT", "/large", framing)
        for _ in range(LARGE // len(BLOCK)):
            self.client.chunk(BLOCK) if chunked else self.client.send(BLOCK)
        if chunked:
            self.client.end_chunks()
        self.assertEqual(self.client.read_response("PUT").body, b"done")
        self.assertEqual(digest.hexdigest(), large_digest())
        self.assertLess(growth(), memory_bound(64 * MIB))

    def test_upload_of_known_length(self):
        self.upload(chunked=False)

    def test_upload_of_unknown_length(self):
        self.upload(chunked=True)

    def test_a_slow_reader_stalls_the_origins_writer(self):
        def handler(exchange):
            exchange.send_head(200, {"Content-Length": LARGE, "Cache-Control": "no-store"})
            for _ in range(LARGE // len(BLOCK)):
                exchange.send(BLOCK)

        self.site.on("/large", handler)
        growth = self.watch_memory()
        client = self.connect(self.proxy, receive_buffer=64 << 10)
        client.send_request("GET", "/large")
        response = client.read_head()
        exchange = self.site.exchanges[-1]
        sent = settled(lambda: exchange.sent)
        self.assertLess(sent, 64 * MIB, "the origin was not held back")
        size = sum(len(piece) for piece in client.body_pieces(response))
        self.assertEqual(size, LARGE, "and went on when the reader did")
        self.assertLess(growth(), memory_bound(64 * MIB))

    def test_a_slow_origin_stalls_the_client(self):
        gate, total = self.gate(), []

        def handler(exchange):
            gate.pass_through()
            total.append(sum(len(piece) for piece in exchange.body_pieces()))
            exchange.reply(200, body="done")

        self.site.on("/large", handler, stream=True)
        growth = self.watch_memory()
        client = self.connect(self.proxy, send_buffer=64 << 10)
        client.send_request("PUT", "/large", {"Content-Length": LARGE})
        progress = [0]

        def send():
            for _ in range(LARGE // len(BLOCK)):
                for begin in range(0, len(BLOCK), 1 << 16):
                    client.send(BLOCK[begin:begin + (1 << 16)])
                    progress[0] += 1 << 16

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        gate.wait_for_arrivals()
        self.assertLess(settled(lambda: progress[0]), 64 * MIB, "the client was not held back")
        gate.open()
        sender.join(120)
        self.assertEqual(client.read_response("PUT").body, b"done")
        self.assertEqual(total, [LARGE])
        self.assertLess(growth(), memory_bound(64 * MIB))

    def test_a_client_that_leaves_an_unstorable_body_ends_it_at_the_origin(self):
        ended = []

        def handler(exchange):
            exchange.send_head(200, {"Content-Length": LARGE, "Cache-Control": "no-store"})
            try:
                for _ in range(LARGE // len(BLOCK)):
                    exchange.send(BLOCK)
            except OSError:
                ended.append(exchange.sent)
                raise

        self.site.on("/large", handler)
        client = self.connect(self.proxy, receive_buffer=64 << 10)
        client.send_request("GET", "/large")
        client.read_head()
        client.reset()
        eventually(lambda: ended, "the origin's connection breaks")
        self.assertEqual(self.proxy.get("/nothing").status, 404, "Larder goes on")

    def test_a_slow_follower_is_not_forgotten_and_does_not_grow_memory(self):
        """Two readers of one fill that turns out too large: one fast, one slow."""
        def handler(exchange):
            exchange.send_head(200, {"Transfer-Encoding": "chunked", "Cache-Control": "max-age=60"})
            for _ in range(LARGE // len(BLOCK)):
                exchange.chunk(BLOCK)
            exchange.end_chunks()

        gate = self.gate()
        self.site.on("/large", lambda exchange: (gate.pass_through(), handler(exchange)))
        growth = self.watch_memory()
        slow = self.connect(self.proxy, receive_buffer=64 << 10)
        slow.send_request("GET", "/large")
        gate.wait_for_arrivals()
        self.client.send_request("GET", "/large")
        gate.open()
        fast_size = []

        def read():
            fast_size.append(sum(len(piece) for piece in self.client.body_pieces(self.client.read_head())))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        size = sum(len(piece) for piece in slow.body_pieces(slow.read_head()))
        reader.join(120)
        self.assertEqual((size, fast_size), (LARGE, [LARGE]))
        self.assertLess(growth(), memory_bound(96 * MIB))


class ClientGone(IntegrationCase):
    def test_the_fill_of_a_client_that_left_does_no_harm(self):
        site, gate = self.origin(), self.gate()

        def handler(exchange):
            exchange.send_head(200, {"Content-Length": 6, "Cache-Control": "max-age=60"})
            exchange.send(b"abc")
            gate.pass_through()
            exchange.send(b"def")

        site.on("/", handler)
        proxy = self.larder(site, rules=PLAIN_RULES)
        client = self.connect(proxy)
        client.send_request("GET", "/")
        next(client.body_pieces(client.read_head()))
        client.reset()
        gate.open()
        response = proxy.get_until("/", lambda response: response.cache == "HIT", "is a hit")
        self.assertEqual(response.body, b"abcdef")
        self.assertLessEqual(site.count("/"), 2)

    def test_the_rest_of_a_refused_upload_does_not_become_a_request(self):
        site = self.origin()

        def handler(exchange):
            exchange.reply(413, {"Connection": "close"}, "too much")
            exchange.close()

        site.on("/upload", handler, stream=True)
        proxy = self.larder(site, rules=PLAIN_RULES)
        client = self.connect(proxy)
        client.send_request("POST", "/upload", {"Content-Length": 100000})  # small ones are read first
        smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        client.send(smuggled.ljust(60, b"x"))
        self.assertEqual(client.read_response("POST").status, 413)
        try:
            client.send(smuggled)
            client.read_response()
        except (OSError, Disconnected):
            pass
        self.assertEqual(site.count("/smuggled"), 0)


if __name__ == "__main__":
    unittest.main()
