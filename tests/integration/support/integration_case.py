"""The test case of all integration tests: what it starts it ends, and nothing may have crashed or let anything
malformed through."""

import sys
import unittest

from .larder_process import LarderProcess
from .origin import Origin
from .redis_process import RedisProcess
from .waiting import Gate

# One type without a lifetime of its own: pure RFC 9111.
PLAIN_RULES = """
types: { page: {} }
routes:
  - match: GET /**
    cache: page
"""

# One type that caches everything for an hour.
HOUR_RULES = """
types: { page: { ttl: 1h } }
routes:
  - match: GET /**
    cache: page
"""

OFF_RULES = """
routes:
  - match: GET /**
    cache: off
"""


class IntegrationCase(unittest.TestCase):
    """Starts processes and origins for one test; ends and checks them after it, the last one first."""

    maxDiff = None

    def run(self, result=None):
        self._larders = []
        before = len(result.failures) + len(result.errors) if result else 0
        outcome = super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            for number, larder in enumerate(self._larders, 1):
                print(f"--- {self.id()}: the end of larder {number}'s log\n{larder.log()[-6000:]}", file=sys.stderr)
        return outcome

    def origin(self):
        """An origin of this test."""
        origin = Origin()
        self.addCleanup(self._close_origin, origin)
        return origin

    def _close_origin(self, origin):
        origin.kill()
        self.assertEqual(origin.violations, [], "malformed requests reached the origin")
        self.assertEqual(origin.failures, [], "a handler of the origin failed")

    def larder(self, *origins, **options):
        """A larder before these origins (Origin objects or URLs), started."""
        urls = [origin if isinstance(origin, str) else origin.url for origin in origins]
        redis = options.get("redis")
        if isinstance(redis, RedisProcess):
            options["redis"] = redis.url
        larder = LarderProcess(urls, **options)
        self._larders.append(larder)
        self.addCleanup(larder.close)
        return larder.start()

    def redis(self, *options):
        """A redis-server of this test, started."""
        redis = RedisProcess(*options)
        self.addCleanup(redis.close)
        return redis

    def gate(self):
        """A gate that is opened at the end at the latest, so that no handler waits on after a failed test."""
        gate = Gate()
        self.addCleanup(gate.open)
        return gate

    def connect(self, larder, **options):
        """A client connection, closed at the end."""
        connection = larder.connect(**options)
        self.addCleanup(connection.close)
        return connection

    # Assertions on responses.
    def assert_outcome(self, response, outcome, body=None, status=200):
        """X-Cache, status and, where given, the body."""
        shown = (f"{response.raw_head.decode('latin-1')}{response.body[:200]!r}")
        self.assertEqual(response.status, status, shown)
        self.assertEqual(response.cache, outcome, shown)
        if body is not None:
            self.assertEqual(response.body, body.encode() if isinstance(body, str) else body, shown)

    def assert_member(self, response, field, text):
        """The list field holds a member that begins with `text`."""
        self.assertTrue(any(member.startswith(text.lower()) for member in response.fields.members(field)),
                        f"{field}: {response.fields.all(field)} does not hold {text}")
