"""The conformance harness against itself: a case must fail where its expectation is not met. Instead of Larder stands a
proxy so simple that its faults are known: it always asks the origin, or it stores everything for ever."""

import socket
import threading
import types
import unittest

from .support.http_message import Reader, read_request_head, request_pieces
from .support.origin import Origin
from .support.raw_client import request as send_request
from .support.rfc_case import Case, CaseTest, Response, Step, _Run, add_tests


class Proxy:
    """Forwards each request over a connection of its own. `remembers`: answers again what it answered before."""

    def __init__(self, origin, remembers):
        self.log = lambda: ""
        self._origin = origin
        self._stored = {} if remembers else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def is_running(self):
        return True

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                reader = Reader(sock)
                request = read_request_head(reader)
                for _ in request_pieces(reader, request):
                    pass
                sock.sendall(self._answer(request))

    def _answer(self, request):
        if self._stored is not None and request.target in self._stored:
            return self._stored[request.target]
        response = send_request(self._origin.port, request.method, request.target, request.fields)
        answer = response.raw_head + response.body
        if self._stored is not None:
            self._stored[request.target] = answer
        return answer


class Judgement(unittest.TestCase):
    def judge(self, remembers, *steps):
        """Runs the steps as a case; returns what went wrong, or None."""
        origin = Origin()
        self.addCleanup(origin.kill)
        run = _Run(Case("case", "9111 §4", "MUST", "a case", list(steps)), "/case")
        origin.on("*", run.respond)
        proxy = Proxy(origin, remembers)
        self.addCleanup(proxy.close)
        test = CaseTest()
        test.bench = types.SimpleNamespace(larder=proxy, origin=origin, begin=lambda case: run, settle=lambda **_: None)
        try:
            test.run_case(run.case)
        except AssertionError as fault:
            return str(fault)
        return None

    def test_who_answered(self):
        for remembers, expect, right in ((False, "origin", True), (False, "cache", False), (False, "validated", False),
                                         (False, "larder", False),
                                         (False, "either", True), (True, "origin", False), (True, "cache", True),
                                         (True, "validated", False)):
            with self.subTest(remembers=remembers, expect=expect):
                status = 504 if expect == "larder" else None
                fault = self.judge(remembers, Step(), Step(expect=expect, status=status))
                self.assertEqual(fault is None, right, fault)

    def test_status_body_and_fields(self):
        first = Response(203, [("X-A", "1"), ("X-A", "2")], body="text")
        for wrong in ({"status": 200}, {"body_is": "other"}, {"response_headers": {"X-A": "1"}},
                      {"response_headers": {"X-A": None}},
                      {"response_headers": {"X-B": "b"}}, {"origin_headers": {"X-C": "c"}}, {"origin_method": "HEAD"},
                      {"requests": 2},
                      {"interims": [103]}, {"trailers": {"X-T": "t"}}):
            with self.subTest(wrong):
                self.assertIsNotNone(self.judge(False, Step(response=first, **wrong)))
        self.assertIsNone(self.judge(False, Step(response=first, status=203, body_is="text",
                                                 response_headers={"X-A": ["1", "2"], "X-B": None},
                                                 origin_method="GET", origin_headers={"X-C": None}, requests=1,
                                                 interims=[])))

    def test_an_older_answer_is_not_the_expected_one(self):
        self.assertIn("body", self.judge(True, Step(), Step(expect="cache"),
                                         Step(expect="cache", body_is="case: body of step 2")))
        self.assertIsNotNone(self.judge(True, Step(), Step(expect="either", requests=0), Step(expect="origin")))

    def test_a_failure_tells_the_step_and_the_requirement(self):
        fault = self.judge(False, Step(), Step(expect="cache"))
        for part in ("step 2", "MUST of RFC 9111 §4", "GET /case"):
            self.assertIn(part, fault)

    def test_cases_are_checked_when_they_are_added(self):
        for case in (Case("With Space", "9111 §4", "MUST", "", []), Case("fine", "9111 §4", "OUGHT", "", [])):
            with self.assertRaises(ValueError):
                add_tests(__name__, "Never", [case])


if __name__ == "__main__":
    unittest.main()
