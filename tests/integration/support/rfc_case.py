"""Conformance cases in a declarative form: what a client asks, what the origin answers, and who must have answered.

    CASES = [
        Case("s_maxage_wins", rfc="9111 §4.2.1", level="MUST", what="s-maxage counts before max-age", steps=[
            Step(response=Response(headers=[("Cache-Control", "max-age=0, s-maxage=100")])),
            Step(expect="cache"),
        ]),
    ]
    add_tests(__name__, "Freshness", CASES)

Each case becomes a test method `test_<id>` of one class per tier: memory alone (`FreshnessMemory`), and Redis with the
memory tier switched off (`FreshnessRedis`). All cases of a module share one larder per tier and one origin; each has a
path of its own. Without a clock to turn, a response is stale on arrival (`Age`, an old `Date` or `Expires`); where time
must really pass, `max-age=1` and `pause_until`.

Every value that depends on the time or on the case's own path is a callable of the case's Context: see date(), uri().
"""

import re
import sys
import threading
import time
import unittest
import uuid
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Callable, Optional

from .http_message import Disconnected, Malformed
from .integration_case import PLAIN_RULES
from .larder_process import LarderProcess
from .origin import Origin, Exchange
from .raw_client import HOST, Connection
from .redis_process import RedisProcess
from .waiting import eventually

TIERS = ("memory", "redis")
# The field by which an answer of the origin is recognised when it comes out of the cache: "1", "2", … within a case.
ANSWER = "X-Answer"
# For expected fields: there, whatever its value.
PRESENT = object()


# Values that depend on the time or the path.
class Context:
    """What the values of one run of a case are computed from."""

    def __init__(self, path):
        self.now = int(time.time())  # seconds; the same through the whole case
        self.base = path
        self.responses = []  # what the client was given so far, one per step

    def path(self, suffix=""):
        """The case's own path; a suffix begins with "/" or "?"."""
        return self.base + suffix

    def uri(self, suffix="", authority=HOST, scheme="http"):
        return f"{scheme}://{authority}{self.base}{suffix}"


def date(offset=0, form=None):
    """An HTTP-date `offset` seconds from now. `form`: None (IMF-fixdate), "rfc850", "asctime", or a strftime format."""
    def value(context):
        moment = context.now + offset
        if form is None:
            return formatdate(moment, usegmt=True)
        text = {"rfc850": "%A, %d-%b-%y %H:%M:%S GMT", "asctime": "%a %b %e %H:%M:%S %Y"}.get(form, form)
        return time.strftime(text, time.gmtime(moment))

    return value


def path(suffix=""):
    """The path of this case's resource, or of another one below it."""
    return lambda context: context.path(suffix)


def uri(suffix="", authority=HOST, scheme="http"):
    """The same as an absolute URI."""
    return lambda context: context.uri(suffix, authority, scheme)


def text(template):
    """A template over the context: "{path}", "{uri}"."""
    return lambda context: template.format(path=context.path(), uri=context.uri())


def resolve(value, context):
    return value(context) if callable(value) else value


def resolve_fields(fields, context):
    lines = fields.items() if isinstance(fields, dict) else fields
    return [(name, resolve(value, context)) for name, value in lines if value is not None]


class Where:
    """An expected value as a predicate on the field's value (all lines joined; None where it is absent)."""

    def __init__(self, predicate, description):
        self.predicate = predicate
        self.description = description

    def __repr__(self):
        return self.description


def between(low, high):
    """A whole number from `low` to `high`."""
    return Where(lambda value: value is not None and value.isdigit() and low <= int(value) <= high,
                 f"between {low} and {high}")


def holds(predicate, what):
    """A Step.check: predicate(response, requests that reached the origin) is true; `what` says what that means."""
    def check(response, context, seen):  # pylint: disable=unused-argument
        if not predicate(response, seen):
            raise AssertionError(f"not so: {what}")

    return check


@dataclass
class Response:
    """An answer of the origin. The body, where none is given, tells the case's step. `Date` and Content-Length are
    added where `headers` lack them; a header whose value is None is left out."""

    status: int = 200
    headers: Any = ()
    body: Any = None  # bytes, str, or None for a body that no other step has
    raw: Any = None  # bytes, or a callable of the context: all that is sent, verbatim; then the connection is closed
    date: bool = True  # False: no Date is added
    framing: str = "length"  # "length", "chunked" or "close"
    trailers: Any = ()  # with framing "chunked"
    interims: Any = ()  # [(status, headers)] before it
    reason: Optional[str] = None
    version: str = "HTTP/1.1"
    close: bool = False  # close after it
    cut: Optional[int] = None  # send only this many bytes of the body, then close
    broken: Optional[str] = None  # no answer at all: "close", "reset" or "garbage"
    mark: bool = True  # False: no X-Answer


@dataclass
class Step:
    """One request, what the origin would answer to it, and what is expected.

    `expect`: who the answer must come from.
      origin     this request reached the origin and its answer was given
      cache      a stored response, without asking the origin (`background`: it is asked, but not waited for)
      validated  a stored response which the origin confirmed with 304 during this step
      larder     an answer of Larder's own (504, 416, …); nothing reached the origin
      either     not checked
    Status and body are those of the answer that is expected by then, unless given here.
    """

    method: str = "GET"
    # None: the case's own; "/x" or "?x" is appended to it; what a callable of the context returns is taken as it is.
    path: Any = None
    headers: Any = ()
    body: Any = None
    # Bytes, or a callable of the context: sent instead of the request. `method` still tells how to read the response.
    raw: Any = None
    version: str = "HTTP/1.1"
    # Repeats the request until this callable of its Response is true; only the last one is looked at.
    pause_until: Optional[Callable] = None
    # A Response, or a callable of the Request that gives one. A 304 to a request without preconditions becomes a 200.
    response: Any = field(default_factory=Response)
    expect: str = "origin"
    status: Optional[int] = None
    body_is: Any = None  # expected body
    answer_of: Optional[int] = None  # number of the step (from 1) whose answer's body is expected
    response_headers: Any = None  # expected: {name: value, regular expression, Where, PRESENT, list of lines, or None}
    origin_headers: Any = None  # the same, of the last request that reached the origin in this step
    origin_method: Optional[str] = None
    requests: Optional[int] = None  # how many reached the origin in this step
    interims: Any = None  # expected statuses of interim responses
    trailers: Any = None  # expected trailers as {name: value}
    # True: the origin is asked in the background, and the step waits until it was; "maybe": it may be.
    background: Any = False
    # Anything else: called with (response, context, requests that reached the origin); raises AssertionError.
    check: Optional[Callable] = None
    broken: bool = False  # the response must not come whole


@dataclass
class Case:
    """A requirement, and how it shows. `level`: MUST, SHOULD, MAY or optimal (allowed, and what a good cache does)."""

    id: str
    rfc: str
    level: str
    what: str
    steps: list
    tiers: tuple = TIERS


# Shorthands for what most cases are made of.
def cached(**options):
    """A further GET that the cache must answer."""
    return Step(expect="cache", **options)


def fetched(**options):
    """A further GET that must reach the origin."""
    return Step(expect="origin", **options)


def reused(first, **second):
    """Two requests: the origin's answer to the first is reused for the second."""
    return [Step(response=first), Step(expect="cache", **second)]


def not_reused(first, **second):
    """Two requests: the origin's answer to the first is not used for the second."""
    return [Step(response=first), Step(expect="origin", **second)]


# Running a case.
class _Answer:
    """What the origin sent for one request."""

    def __init__(self, step, number, request, status, body):
        self.step = step  # index of the step in whose time the request came
        self.number = number
        self.request = request
        self.status = status
        self.body = body
        self.sent = False


class _Run:
    """One run of a case against one larder."""

    def __init__(self, case, base):
        self.case = case
        self.context = Context(base)
        self.lock = threading.Lock()
        self.step = 0
        self.answers = []
        self.failures = []

    def respond(self, exchange: Exchange):
        """The origin's side."""
        request = exchange.request
        with self.lock:
            index = self.step
            step = self.case.steps[index]
            response = step.response(request) if callable(step.response) else step.response
            conditional = request.fields.has("If-None-Match") or request.fields.has("If-Modified-Since")
            if response.status == 304 and not conditional and response.raw is None:
                response = Response(body="the origin was asked for a 304 without a condition")
            body = f"{self.case.id}: body of step {index + 1}" if response.body is None else response.body
            body = body.encode() if isinstance(body, str) else body
            answer = _Answer(index, len(self.answers) + 1, request, response.status, body)
            self.answers.append(answer)
        self._send(exchange, response, answer)
        answer.sent = True

    def _send(self, exchange, response, answer):
        for status, headers in response.interims:
            exchange.interim(status, resolve_fields(headers, self.context))
        if response.broken:
            if response.broken == "garbage":
                exchange.send(b"this is not HTTP\r\n\r\n")
            if response.broken == "reset":
                exchange.reset()
            else:
                exchange.close()
            return
        if response.raw is not None:
            exchange.send(resolve(response.raw, self.context))
            exchange.close()
            return
        headers = resolve_fields(response.headers, self.context)
        names = {name.lower() for name, _ in headers}
        if response.date and "date" not in names:
            headers.insert(0, ("Date", formatdate(usegmt=True)))
        if response.mark:
            headers.append((ANSWER, str(answer.number)))
        bodiless = exchange.request.method == "HEAD" or answer.status in (204, 304)
        framing = "chunked" if response.trailers else response.framing
        if framing == "chunked" and not bodiless:
            headers.append(("Transfer-Encoding", "chunked"))
        elif framing == "length" and "content-length" not in names and answer.status not in (204, 304):
            headers.append(("Content-Length", len(answer.body)))
        close = response.close or (framing == "close" and not bodiless)
        if close and "connection" not in names:
            headers.append(("Connection", "close"))
        exchange.send_head(answer.status, headers, version=response.version, reason=response.reason)
        body = b"" if bodiless else answer.body
        if response.cut is not None:
            body = body[:response.cut]
        if framing == "chunked" and not bodiless:
            exchange.chunk(body)
            if response.cut is None:
                exchange.end_chunks(resolve_fields(response.trailers, self.context))
        else:
            exchange.send(body)
        if close or response.cut is not None:
            exchange.close()

    def answers_of(self, index):
        with self.lock:
            return [answer for answer in self.answers if answer.step == index]

    def target(self, step):
        if step.path is None:
            return self.context.base
        return step.path(self.context) if callable(step.path) else self.context.path(step.path)

    # The client's side.
    def ask(self, step, port):
        with Connection(port) as connection:
            if step.raw is not None:
                connection.send(resolve(step.raw, self.context))
            else:
                connection.send_request(step.method, self.target(step), resolve_fields(step.headers, self.context),
                                        step.body, step.version)
            return connection.read_response(step.method)


class _Bench:
    """One larder before one origin, for all cases of a module that share its rules and tier."""

    def __init__(self, tier, rules, settings):
        self.tier = tier
        self.runs = {}
        self.origin = Origin()
        self.origin.on("*", self._respond)
        self.redis = None
        options = {}
        if tier == "redis":
            self.redis = RedisProcess()
            options = {"redis": self.redis.url, "memory": "off"}
        # One worker: what it has begun to write to Redis is there before what it begins to write later. A time zone far
        # from GMT: it must not count in any date (RFC 9111 §4.2).
        self.larder = LarderProcess([self.origin.url], rules=rules, settings=settings, workers=1,
                                    environment={"TZ": "Asia/Kolkata"}, **options)
        self._start()

    def _start(self):
        self.larder.start()
        if self.redis:
            eventually(lambda: self.larder.stats()["is_available"], "Larder has Redis")

    def _respond(self, exchange):
        name = exchange.request.path.lstrip("/").split("/")[0].split("?")[0]
        if name.startswith("canary-"):
            exchange.reply(200, {"Cache-Control": "max-age=600"}, "canary")
            return
        run = self.runs.get(name)
        if run is None:
            exchange.reply(404, body="no case has this path\n")
        else:
            run.respond(exchange)

    def settle(self, background=False):
        """Waits until what Larder has begun to write to Redis is there: a later write through the same queue is. After
        a request of Larder's own (`background`) also until its answer is stored: a later answer has been handled."""
        if not self.redis and not background:
            return
        response = self.larder.get(f"/canary-{uuid.uuid4().hex}")
        if self.redis:
            eventually(lambda: self.redis.command("EXISTS", response.key), "Redis holds the canary", pause=0.001)

    def begin(self, case):
        if not self.larder.is_running():
            self._start()
        name = f"{case.id}-{uuid.uuid4().hex[:12]}"
        run = self.runs[name] = _Run(case, f"/{name}")
        return run

    def close(self):
        try:
            self.larder.close()
        finally:
            self.origin.kill()
            if self.redis:
                self.redis.close()


_benches = {}


def _bench(module, tier, rules, settings):
    """The bench of these; it ends with the module."""
    key = (module, tier, rules, settings)
    if key not in _benches:
        _benches[key] = _Bench(tier, rules, settings)

        def close():
            _benches.pop(key).close()

        unittest.addModuleCleanup(close)
    return _benches[key]


class CaseTest(unittest.TestCase):
    """The base of the generated classes: runs one case step by step."""

    maxDiff = None
    tier = "memory"
    rules = PLAIN_RULES
    settings = ""
    bench = None

    @classmethod
    def setUpClass(cls):
        cls.bench = _bench(cls.__module__, cls.tier, cls.rules, cls.settings)

    def run_case(self, case):
        """Runs the case. A failure tells the step and shows what was sent and received."""
        violations = len(self.bench.origin.violations)
        failures = len(self.bench.origin.failures)
        run = self.bench.begin(case)
        for index, step in enumerate(case.steps):
            run.step = index
            try:
                response = self._take(run, index, step)
                self._judge(run, index, step, response)
                self.assertEqual(self.bench.origin.violations[violations:], [], "malformed requests reached the origin")
                self.assertEqual(self.bench.origin.failures[failures:], [], "a response function failed")
                self.assertTrue(self.bench.larder.is_running(), "larder ended:\n" + self.bench.larder.log()[-4000:])
            except (AssertionError, Malformed, OSError, Disconnected) as fault:
                raise AssertionError(f"[{case.id}, {self.tier}] step {index + 1}: {fault}\n  {case.level} of RFC "
                                     f"{case.rfc}: {case.what}\n{self._shown(run)}") from None

    def _take(self, run, index, step):
        def attempt():
            with run.lock:
                # Attempts that were not the last do not count.
                run.answers = [answer for answer in run.answers if answer.step != index or step.background]
            response = run.ask(step, self.bench.larder.port)
            if run.answers_of(index):
                self.bench.settle()
            if step.pause_until is None or step.pause_until(response):
                return response
            return None

        if step.broken:
            try:
                response = attempt()
            except (Disconnected, OSError) as end:
                return getattr(end, "response", None)
            if response is not None and response.status < 400:
                raise AssertionError(f"the response came whole: {response.raw_head!r} {response.body!r}")
            return response
        response = eventually(attempt, "pause_until is fulfilled", pause=0.05)
        if step.background is True:
            eventually(lambda: any(answer.sent for answer in run.answers_of(index)),
                       "the origin is asked in the background")
            self.bench.settle(background=True)
        run.last = response
        run.context.responses.append(response)
        return response

    def _judge(self, run, index, step, response):
        answers = run.answers_of(index)
        if step.requests is not None:
            self.assertEqual(len(answers), step.requests, "requests that reached the origin")
        if response is not None and not step.broken:
            self._judge_source(run, index, step, response, answers)
            self._judge_response(run, step, response)
        if step.origin_headers or step.origin_method:
            self.assertTrue(answers, "no request reached the origin")
            request = answers[-1].request
            if step.origin_method:
                self.assertEqual(request.method, step.origin_method)
            self._judge_fields(run, request.fields, step.origin_headers or {}, "request at the origin")
        if step.check:
            step.check(response, run.context, [answer.request for answer in answers])

    def _judge_source(self, run, index, step, response, answers):
        """Whose answer it is."""
        marks = response.fields.all(ANSWER)
        mark = int(marks[0]) if marks and marks[0].isdigit() else None
        by_number = {answer.number: answer for answer in run.answers}
        source = by_number.get(mark)
        whole = [answer for answer in run.answers if answer.status not in (304,)]
        if step.expect == "origin":
            self.assertTrue(answers, "not asked: the origin; it was answered by Larder or from the cache")
            if source is not None:
                self.assertEqual(source.step, index, "the origin was asked, but an older answer was given")
            source = source or answers[-1]
            if source.status == 304 and step.status is None:
                self.assertEqual(response.status, 304, "the origin's 304 was turned into something else")
        elif step.expect == "cache":
            if not step.background:
                self.assertEqual([f"{answer.request.method} {answer.request.target}" for answer in answers], [],
                                 "the origin was asked")
            elif source is not None:
                self.assertNotEqual(source.step, index, "the client had to wait for the origin")
            earlier = [answer for answer in whole if answer.step < index]
            self.assertTrue(earlier, "the case is wrong: nothing can be stored")
            if step.status is None and response.status >= 500 and (source is None or source.status != response.status):
                self.fail(f"Larder answered {response.status} by itself")
            # A 304 from the origin replaces the mark; the body is of the whole response before it.
            if source is None or source.status == 304:
                before = [answer for answer in earlier if source is None or answer.number < source.number]
                source = before[-1] if before else earlier[-1]
        elif step.expect == "validated":
            self.assertTrue(answers, "the origin was not asked")
            last = answers[-1].request.fields
            self.assertTrue(last.has("If-None-Match") or last.has("If-Modified-Since"),
                            "the origin was asked without a condition")
            self.assertIn(304, [answer.status for answer in answers], "the origin did not answer 304")
            earlier = [answer for answer in whole if answer.step < index]
            self.assertTrue(earlier, "the case is wrong: nothing can be stored")
            source = earlier[-1]
        elif step.expect == "larder":
            self.assertEqual([f"{answer.request.method} {answer.request.target}" for answer in answers], [],
                             "the origin was asked")
            self.assertIsNotNone(step.status, "the case is wrong: expect='larder' needs a status")
            source = None
        elif step.expect == "either":
            source = None
        else:
            self.fail(f"the case is wrong: expect={step.expect!r}")
        if step.answer_of and step.expect in ("cache", "validated"):
            source = run.answers_of(step.answer_of - 1)[-1]
        if step.status is not None:
            self.assertEqual(response.status, step.status, "status")
        elif source is not None and not any(isinstance(item, Response) and (item.raw or item.broken)
                                            for item in [step.response]):
            self.assertEqual(response.status, source.status, "status")
        self._judge_body(run, step, response, source)

    def _judge_body(self, run, step, response, source):
        bodiless = step.method == "HEAD" or response.status in (204, 304)
        if step.body_is is not None:
            wanted = resolve(step.body_is, run.context)
            wanted = wanted.encode() if isinstance(wanted, str) else wanted
        elif step.answer_of is not None:
            wanted = run.answers_of(step.answer_of - 1)[-1].body
        elif bodiless:
            wanted = b""
        elif source is not None and response.status == source.status and step.expect != "origin":
            wanted = source.body
        elif source is not None and step.expect == "origin" and isinstance(step.response, Response) \
                and not step.response.raw and not step.response.broken and response.status == source.status:
            wanted = source.body
        else:
            return
        self.assertEqual(response.body, wanted, "body")

    def _judge_response(self, run, step, response):
        self._judge_fields(run, response.fields, step.response_headers or {}, "response")
        if step.interims is not None:
            self.assertEqual([interim.status for interim in response.interim], list(step.interims), "interim responses")
        if step.trailers is not None:
            self._judge_fields(run, response.trailers, step.trailers, "trailers")

    def _judge_fields(self, run, fields, expected, where):
        for name, wanted in (expected.items() if isinstance(expected, dict) else expected):
            value = fields.get(name)
            shown = f"{where}: {name} is {fields.all(name)}, not"
            if wanted is None:
                self.assertIsNone(value, f"{where}: {name} is {fields.all(name)}, not absent")
            elif wanted is PRESENT:
                self.assertIsNotNone(value, f"{where}: {name} is absent")
            elif isinstance(wanted, Where):
                self.assertTrue(wanted.predicate(value), f"{shown} {wanted}")
            elif isinstance(wanted, re.Pattern):
                self.assertTrue(value is not None and wanted.search(value), f"{shown} like {wanted.pattern}")
            elif isinstance(wanted, list):
                self.assertEqual(fields.all(name), [resolve(line, run.context) for line in wanted], shown)
            else:
                wanted = str(resolve(wanted, run.context))
                self.assertEqual(value, wanted, f"{shown} {wanted}")

    @staticmethod
    def _shown(run):
        """What went over the wire, as far as it is known."""
        lines = []
        for answer in run.answers:
            head = answer.request.raw_head.decode("latin-1").strip().replace("\r\n", "\n      ")
            lines.append(f"  at the origin in step {answer.step + 1} (its answer {answer.number}, {answer.status}):\n"
                         f"      {head}")
        last = getattr(run, "last", None)
        if last is not None:
            head = last.raw_head.decode("latin-1").strip().replace("\r\n", "\n      ")
            lines.append(f"  the last response:\n      {head}\n      {last.body[:200]!r}")
        return "\n".join(lines)


def _method(case):
    def test(self):
        self.run_case(case)

    test.__name__ = f"test_{case.id}"
    test.__doc__ = f"RFC {case.rfc} {case.level}: {case.what}"
    return test


def add_tests(module, name, cases, rules=PLAIN_RULES, settings=""):
    """Adds a class per tier to the module of that name, a method per case. `rules`, `settings`: as for larder()."""
    target = sys.modules[module]
    for case in cases:
        if not re.fullmatch(r"[a-z0-9_]+", case.id):
            raise ValueError(f"{case.id!r} is not an id")
        if case.level not in ("MUST", "SHOULD", "MAY", "optimal"):
            raise ValueError(f"{case.id}: {case.level!r} is not a level")
    seen = target.__dict__.setdefault("CASE_IDS", set())
    for case in cases:
        if case.id in seen:
            raise ValueError(f"{case.id} is there twice")
        seen.add(case.id)
    for tier in TIERS:
        members = {f"test_{case.id}": _method(case) for case in cases if tier in case.tiers}
        class_name = name + tier.capitalize()
        if members:
            members.update(tier=tier, rules=rules, settings=settings, __module__=module,
                           __doc__=f"{name}, answered from {tier}.")
            setattr(target, class_name, type(class_name, (CaseTest,), members))
