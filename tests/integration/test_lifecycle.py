"""The end of a process and the beginning of the next: what runs is finished, what Redis is owed is written, and a restart
under load answers every request, with sockets that a service manager keeps as with those that the new process takes over."""

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from .support import raw_client
from .support.http_message import Disconnected
from .support.integration_case import HOUR_RULES, IntegrationCase
from .support.larder_process import PROGRAM, clean_environment, run_program, settings
from .support.origin import echo_upgrade
from .support.waiting import DEADLINE, eventually, in_parallel

GRACE = settings(shutdown={"idle_grace": "1s"})


class Load:
    """Clients that ask without pause until they are told to stop, and count what was not answered as it should be."""

    def __init__(self, port, clients=6, keep_alive=False):
        self._port = port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answered = 0
        self.faults = []
        self._join = in_parallel(clients, self._keep_alive if keep_alive else self._one_each)

    def _count(self, response, expected):
        with self._lock:
            self.answered += 1
            if response.status != 200 or response.text != expected:
                self.faults.append(f"{response.status} {response.text!r}")

    def _fault(self, fault):
        with self._lock:
            self.faults.append(repr(fault))

    def _targets(self, number):
        count = 0
        while not self._stop.is_set():
            count += 1
            # Some are hits, some go to the origin.
            yield "/hit" if count % 3 else f"/miss/{number}/{count}"

    def _one_each(self, number):
        for target in self._targets(number):
            try:
                self._count(raw_client.get(self._port, target), target)
            except (OSError, Disconnected) as fault:
                self._fault(fault)

    # As a good client: it opens another connection where it was told that this one ends.
    def _keep_alive(self, number):
        connection = None
        for target in self._targets(number):
            try:
                connection = connection or raw_client.Connection(self._port)
                response = connection.get(target)
                self._count(response, target)
                if "close" not in response.fields.members("Connection"):
                    continue
            except (OSError, Disconnected) as fault:
                self._fault(fault)
            if connection:
                connection.close()
            connection = None
        if connection:
            connection.close()

    def wait_for(self, more):
        """Waits until so many more were answered."""
        goal = self.answered + more
        eventually(lambda: self.answered >= goal, f"{more} more requests are answered")

    def end(self):
        self._stop.set()
        self._join()
        return self.answered


def echo_path(exchange):
    exchange.reply(200, {"Cache-Control": "max-age=60"}, exchange.request.path)


class Drain(IntegrationCase):
    def test_what_runs_is_finished(self):
        gate = self.gate()
        site = self.origin()

        def slow(exchange):
            gate.pass_through()
            exchange.reply(200, body="finished")

        site.on("/slow", slow)
        site.answers("/", "quick")
        proxy = self.larder(site, rules=HOUR_RULES, settings=GRACE)
        self.assertEqual(proxy.admin("GET", "/ready", token=None).status, 200)
        busy = self.connect(proxy)
        busy.send_request("GET", "/slow")
        site.wait_for("/slow")
        idle = self.connect(proxy)
        self.assertEqual(idle.get("/").status, 200)
        late = self.connect(proxy)
        self.assertEqual(late.get("/").status, 200)
        proxy.signal(signal.SIGTERM)
        ready = eventually(lambda: (answer := proxy.admin("GET", "/ready", token=None)).status == 503 and answer,
                           "it says that it is about to end")
        self.assertEqual(ready.json["error"], "draining")
        self.assertEqual(proxy.admin("GET", "/health", token=None).status, 200)
        self.assertEqual(proxy.admin("POST", "/api/cache/reload").status, 503)
        # A request on its way finds its connection open, and hears that it ends.
        response = late.get("/")
        self.assert_outcome(response, "HIT", "quick")
        self.assertIn("close", response.fields.members("Connection"))
        self.assertTrue(idle.is_closed_by_peer())
        with self.assertRaises(OSError):
            proxy.connect().close()
        self.assertTrue(proxy.is_running())
        gate.open()
        response = busy.read_response()
        self.assertEqual((response.status, response.text), (200, "finished"))
        self.assertIn("close", response.fields.members("Connection"))
        self.assertEqual(proxy.wait(), 0)

    def test_no_longer_than_the_deadline(self):
        gate = self.gate()
        site = self.origin()
        site.on("/slow", lambda exchange: gate.pass_through())
        proxy = self.larder(site, settings=settings(shutdown={"deadline": "500ms"}))
        with self.connect(proxy) as client:
            client.send_request("GET", "/slow")
            site.wait_for("/slow")
            begin = time.monotonic()
            self.assertEqual(proxy.stop(), 0)
            self.assertGreaterEqual(time.monotonic() - begin, 0.5)
            self.assertTrue(client.is_closed_by_peer())
        proxy.wait_for_log("1 connections are cut off")

    def test_a_tunnel_is_cut_off_at_the_deadline(self):
        site = self.origin()
        site.on("/chat", echo_upgrade)
        proxy = self.larder(site, settings=settings(shutdown={"deadline": "500ms"}))
        with self.connect(proxy) as client:
            response = client.request("GET", "/chat", [("Connection", "Upgrade"), ("Upgrade", "echo")])
            self.assertEqual(response.status, 101)
            self.assertEqual(proxy.stop(), 0)
            self.assertTrue(client.is_closed_by_peer())

    def test_a_second_signal_ends_it_at_once(self):
        gate = self.gate()
        site = self.origin()
        site.on("/slow", lambda exchange: gate.pass_through())
        proxy = self.larder(site)
        for number in (signal.SIGTERM, signal.SIGINT):
            if not proxy.is_running():
                proxy.start()
            with self.connect(proxy) as client:
                client.send_request("GET", "/slow")
                count = site.count("/slow")
                site.wait_for("/slow", count=max(1, count))
                before = proxy.log_size()
                proxy.signal(signal.SIGTERM)
                proxy.wait_for_log("finishing what runs", before)
                proxy.signal(number)
                self.assertEqual(proxy.wait(), 0)
                proxy.wait_for_log("a second signal: ending at once", before)

    def test_what_redis_is_owed_is_written(self):
        site = self.origin()
        site.on("*", echo_path)
        redis = self.redis()
        proxy = self.larder(site, redis=redis, settings=settings(redis={"deadline": "50ms", "push_heartbeat": "5s"}))
        eventually(lambda: proxy.stats()["redis"]["readable"], "Redis is in use")
        proxy.get("/first")
        redis.wait_for_keys(1)
        # Redis takes nothing for a while; what is stored and purged in that time is owed.
        redis.pause()
        for number in range(20):
            self.assertEqual(proxy.get(f"/{number}").status, 200)
        self.assertEqual(proxy.request("POST", "/first", body="x").status, 200)
        proxy.signal(signal.SIGTERM)
        proxy.wait_for_log("finishing what runs")
        redis.resume()
        self.assertEqual(proxy.wait(), 0)
        targets = {key for key in redis.keys()}
        self.assertGreaterEqual(len(targets), 20)
        self.assertEqual(proxy.wait_for_log(r"stopped").group(0), "stopped")
        self.assertNotIn("were not written to Redis in time", proxy.log())
        self.assertNotIn("have not reached Redis", proxy.log())
        self.assertGreater(int(redis.command("HGET", "larder:purge-log", "clock")), 0)

    def test_redis_that_is_gone_does_not_hold_it_up(self):
        site = self.origin()
        site.on("*", echo_path)
        redis = self.redis()
        proxy = self.larder(site, redis=redis)
        eventually(lambda: proxy.stats()["redis"]["readable"], "Redis is in use")
        proxy.get("/x")
        redis.wait_for_keys(1)
        redis.kill()
        self.assertEqual(proxy.request("POST", "/x", body="x").status, 200)
        begin = time.monotonic()
        self.assertEqual(proxy.stop(), 0)
        self.assertLess(time.monotonic() - begin, DEADLINE / 2)
        proxy.wait_for_log(r"1 purges have not reached Redis; they are in the journal, for the next start: true")


class ServiceManager(IntegrationCase):
    """As systemd would: it has the sockets, and is told how things stand."""

    def setUp(self):
        self.site = self.origin()
        self.site.on("*", echo_path)

    def sockets(self, count=1):
        made = []
        for _ in range(count):
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", 0))
            sock.listen(4096)
            made.append(sock)
        return made

    def activated(self, sockets, names=None, **options):
        """A larder that these sockets are passed to, as descriptors 3, 4, …"""
        high = []
        for sock in sockets:
            # Out of the way of where they go.
            high.append(os.dup2(sock.fileno(), 200 + len(high), inheritable=True))
        moves = "; ".join(f"exec {3 + place}<&{number} {number}<&-" for place, number in enumerate(high))
        script = f"{moves}; export LISTEN_PID=$$ LISTEN_FDS={len(high)}"
        if names:
            script += f" LISTEN_FDNAMES={names}"
        proxy = self.larder(self.site, command_prefix=("bash", "-c", f"{script}; exec \"$0\" \"$@\""),
                            pass_fds=tuple(high), **options)
        for number in high:
            os.close(number)
        return proxy

    def test_the_sockets_are_those_that_were_passed(self):
        for workers in (1, 3):
            with self.subTest(workers=workers):
                first, second, admin = self.sockets(3)
                proxy = self.activated([first, admin, second], "http:admin:more", workers=workers)
                for sock in (first, second):
                    self.assertEqual(raw_client.get(sock.getsockname()[1], "/x").text, "/x")
                self.assertEqual(proxy.admin_port, admin.getsockname()[1])
                self.assertEqual(proxy.admin("GET", "/health", token=None).status, 200)

    def test_what_is_no_listening_socket_is_refused(self):
        script = ("exec 3</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; "
                  f"exec {PROGRAM} serve --origin {self.site.url} --redis off")
        ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=DEADLINE, check=False,
                               env=clean_environment())
        self.assertEqual(ended.returncode, 1)
        self.assertIn("no listening TCP socket", ended.stderr)

    def test_a_restart_under_load_answers_every_request(self):
        for keep_alive in (False, True):
            with self.subTest(keep_alive=keep_alive):
                sock, = self.sockets()
                proxy = self.activated([sock], rules=HOUR_RULES)
                load = Load(sock.getsockname()[1], keep_alive=keep_alive)
                try:
                    for _ in range(4):
                        load.wait_for(150)
                        self.assertEqual(proxy.stop(), 0)
                        proxy = self.activated([sock], rules=HOUR_RULES)
                    load.wait_for(150)
                finally:
                    count = load.end()
                self.assertEqual(load.faults, [])
                self.assertGreater(count, 500)

    def test_it_is_told_how_things_stand(self):
        directory = tempfile.TemporaryDirectory(prefix="larder-notify-")
        self.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "notify")
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(path)
        manager.settimeout(DEADLINE)
        proxy = self.larder(self.site, rules=HOUR_RULES,
                            environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})

        def told(expected):
            while True:
                text = manager.recv(4096).decode()
                if text.startswith(expected):
                    return
                self.assertEqual(text, "WATCHDOG=1", f"while waiting for {expected}")

        told("READY=1")
        for _ in range(3):
            told("WATCHDOG=1")
        proxy.signal(signal.SIGHUP)
        told("RELOADING=1\nMONOTONIC_USEC=")
        told("READY=1")
        # A refused reload is over, too.
        proxy.write("rules.yaml", "no: rules\n")
        proxy.signal(signal.SIGHUP)
        told("RELOADING=1\n")
        told("READY=1")
        proxy.signal(signal.SIGTERM)
        told("STOPPING=1")
        self.assertEqual(proxy.wait(), 0)


class Takeover(IntegrationCase):
    """The new process takes the listening sockets of the old one over."""

    def setUp(self):
        self.site = self.origin()
        self.site.on("*", echo_path)
        directory = tempfile.TemporaryDirectory(prefix="larder-takeover-")
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "socket")
        self.port = self.admin_port = 0

    def next(self, workers=2, **options):
        """The next process on the same ports; the first one chooses them."""
        proxy = self.larder(self.site, settings=f"takeover: {self.path}\n" + options.pop("more_settings", ""),
                            rules=HOUR_RULES, workers=workers,
                            options=["--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin_port}"],
                            **options)
        self.port, self.admin_port = proxy.port, proxy.admin_port
        return proxy

    def test_under_load_every_request_is_answered(self):
        for keep_alive in (False, True):
            with self.subTest(keep_alive=keep_alive):
                self.port = self.admin_port = 0
                old = self.next()
                load = Load(self.port, keep_alive=keep_alive)
                try:
                    # More and fewer workers than there are sockets.
                    for workers in (2, 3, 1, 2, 2, 2):
                        load.wait_for(150)
                        new = self.next(workers=workers)
                        self.assertEqual(old.wait(), 0)
                        self.assertEqual(new.admin("GET", "/ready", token=None).status, 200)
                        old = new
                    load.wait_for(150)
                finally:
                    count = load.end()
                self.assertEqual(load.faults, [])
                self.assertGreater(count, 700)
                old.stop()
                self.assertFalse(os.path.exists(self.path))

    def test_the_old_one_finishes_what_runs_while_the_new_one_serves(self):
        gate = self.gate()

        def slow(exchange):
            gate.pass_through()
            exchange.reply(200, body="finished")

        self.site.on("/slow", slow)
        old = self.next()
        client = self.connect(old)
        client.send_request("GET", "/slow")
        self.site.wait_for("/slow")
        new = self.next()
        old.wait_for_log("another process has taken over: finishing what runs")
        self.assertEqual(new.get("/x").text, "/x")
        self.assertTrue(old.is_running())
        gate.open()
        self.assertEqual(client.read_response().text, "finished")
        self.assertEqual(old.wait(), 0)
        new.wait_for_log("the process before has ended")

    def test_without_redis_nothing_is_served_from_memory_while_there_are_two(self):
        # A write at the old process is not known to the new one.
        gate = self.gate()
        state = ["1"]

        def answer(exchange):
            if exchange.request.method == "POST":
                gate.pass_through()
                state[0] = "2"
            exchange.reply(200, {"Cache-Control": "max-age=60"}, state[0])

        self.site.on("/state", answer)
        old = self.next()
        writer = self.connect(old)
        writer.send_request("POST", "/state", body="x")
        self.site.wait_for("/state", "POST")
        new = self.next()
        for _ in range(3):
            response = new.get("/state")
            self.assert_outcome(response, "MISS", "1")
        gate.open()
        self.assertEqual(writer.read_response().status, 200)
        self.assertEqual(new.get("/state").text, "2")
        self.assertEqual(old.wait(), 0)
        # Alone, it is a cache again, and begins with nothing.
        new.wait_for_log("the process before has ended")
        self.assert_outcome(new.get("/state"), "MISS", "2")
        self.assert_outcome(new.get("/state"), "HIT", "2")

    def test_with_redis_each_hears_of_the_others_purges_and_owed_ones_are_taken_over(self):
        redis = self.redis()
        journal = settings(redis={"journal": os.path.join(os.path.dirname(self.path), "journal")})
        old = self.next(redis=redis, more_settings=journal)
        gate = self.gate()

        def change(exchange):
            if exchange.request.method == "POST":
                gate.pass_through()
            echo_path(exchange)

        self.site.on("/change", change)
        eventually(lambda: old.stats()["redis"]["readable"], "Redis is in use")
        for path in ("/change", "/other"):
            old.get(path)
        redis.wait_for_keys(2)
        writer = self.connect(old)
        writer.send_request("POST", "/change", body="x")
        self.site.wait_for("/change", "POST")
        new = self.next(redis=redis, more_settings=journal)
        # Each has a journal of its own for as long as there are two.
        old.wait_for_log("another process has taken over")
        new.get_until("/other", lambda response: response.cache == "HIT", "is found in Redis")
        redis.kill()
        gate.open()
        self.assertEqual(writer.read_response().status, 200)
        self.assertEqual(old.wait(), 0)
        old.wait_for_log(r"1 purges have not reached Redis; they are in the journal, for the next start: true")
        new.wait_for_log("the process before has ended")
        eventually(lambda: new.stats()["redis"]["pending_purges"] >= 1, "the purge is the new one's")
        redis.start()
        eventually(lambda: new.stats()["redis"]["pending_purges"] == 0, "the purge has reached Redis")

    def test_one_that_fails_to_start_changes_nothing(self):
        old = self.next()
        config = old.write("bad.yaml", f"takeover: {self.path}\nredis: {{ journal: /proc/nowhere/x }}\n")
        ended = run_program("serve", "--config", config, "--origin", self.site.url, "--redis", "redis://127.0.0.1:1",
                            "--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin_port}")
        self.assertEqual(ended.returncode, 1)
        self.assertIn("/proc/nowhere/x", ended.stderr)
        old.wait_for_log("the new process has ended before it was ready; this one goes on")
        self.assertEqual(old.get("/x").text, "/x")
        self.assertTrue(old.is_running())
        new = self.next()
        self.assertEqual(old.wait(), 0)
        self.assertEqual(new.get("/x").text, "/x")

    def test_a_path_that_was_left_over(self):
        old = self.next()
        old.kill()
        self.assertTrue(os.path.exists(self.path))
        self.port = self.admin_port = 0
        self.assertEqual(self.next().get("/x").text, "/x")


if __name__ == "__main__":
    unittest.main()
