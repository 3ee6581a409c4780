"""What makes two requests one entry: the canonical request, query rules, key templates, identities, hosts, and Vary."""

import hashlib
import unittest

from .support.integration_case import HOUR_RULES, PLAIN_RULES, IntegrationCase

FRESH = {"Cache-Control": "max-age=600"}


def rules(*routes, type_line="page: { ttl: 1h }"):
    """Rules of one type with these routes, each a block of lines behind "match:"."""
    text = f"types: {{ {type_line} }}\nroutes:\n"
    for route in routes:
        first, *rest = route.strip().split("\n")
        text += f"  - match: {first}\n" + "".join(f"    {line.strip()}\n" for line in rest)
    return text


class Keys(IntegrationCase):
    def proxy_with(self, *routes):
        self.site = self.origin()
        self.site.on("*", lambda exchange: exchange.reply(200, body=exchange.request.target))
        return self.larder(self.site, rules=rules(*routes))

    def key(self, proxy, target, fields=()):
        return proxy.get(target, fields).key

    def test_the_form_of_a_key(self):
        proxy = self.proxy_with("GET /**\ncache: page")
        self.assertRegex(self.key(proxy, "/a?b=c"), r"^cache:page:[0-9a-f]{32}$")

    def test_different_requests_have_different_keys(self):
        proxy = self.proxy_with("GET /**\ncache: page")
        targets = ["/", "/a", "/a/", "/a?", "/a?b", "/a?b=", "/a?b=c", "/a?b=c&d=e", "/a?d=e&b=c", "/a/b", "/a%2Fb",
                   "/a?b=c%26d=e", "/a?b=c&d", "/A", "/a?B=c"]
        self.assertEqual(len({self.key(proxy, target) for target in targets}), len(targets))

    def test_only(self):
        proxy = self.proxy_with("GET /**\ncache: page\nquery: { only: [q, page] }")
        base = self.key(proxy, "/s?q=1&page=2")
        self.assertEqual(self.key(proxy, "/s?q=1&utm=x&page=2&z"), base)
        self.assertNotEqual(self.key(proxy, "/s?q=1&page=3"), base)
        self.assertNotEqual(self.key(proxy, "/s?page=2&q=1"), base, "order counts unless sorted")
        self.assertEqual(self.site.seen()[0].target, "/s?q=1&page=2", "the origin gets the whole query")

    def test_only_and_sort(self):
        proxy = self.proxy_with("GET /**\ncache: page\nquery: { only: [q, page], sort: true }")
        self.assertEqual(self.key(proxy, "/s?page=2&q=1"), self.key(proxy, "/s?utm=0&q=1&page=2"))
        self.assertNotEqual(self.key(proxy, "/s?q=1&q=2"), self.key(proxy, "/s?q=2&q=1"))

    def test_ignore(self):
        proxy = self.proxy_with("GET /**\ncache: page\nquery: { ignore: [utm_*, sid] }")
        base = self.key(proxy, "/s?a=1")
        self.assertEqual(self.key(proxy, "/s?utm_source=x&a=1&sid=9&utm_="), base)
        self.assertNotEqual(self.key(proxy, "/s?a=1&side=9"), base)

    def test_template_of_captures(self):
        proxy = self.proxy_with('GET /users/{id}\ncache: page\nkey: "user:profile:{id}"')
        self.assertEqual(self.key(proxy, "/users/42"), "cache:user:profile:42")
        response = proxy.get("/users/42?ignored=yes")
        self.assert_outcome(response, "HIT", "/users/42")
        self.assertEqual(self.key(proxy, "/users/43"), "cache:user:profile:43")

    def test_template_of_query_header_and_cookie(self):
        proxy = self.proxy_with('GET /x\ncache: page\nkey: "x:{query.q}:{header.X-Tenant}:{cookie.theme}"')
        fields = {"X-Tenant": "t1", "Cookie": "a=b; theme=dark"}
        self.assertEqual(self.key(proxy, "/x?q=1", fields), "cache:x:1:t1:dark")
        self.assertRegex(self.key(proxy, "/x?q=1", {"X-Tenant": "t1"}), r"^cache:page:[0-9a-f]{32}$")

    def test_templates_with_tricky_values_do_not_collide(self):
        proxy = self.proxy_with('GET /x\ncache: page\nkey: "{query.a}:{query.b}"')
        first = proxy.get("/x?a=1:2&b=3")
        second = proxy.get("/x?a=1&b=2:3")
        self.assertEqual(first.text, "/x?a=1:2&b=3")
        self.assertEqual(second.text, "/x?a=1&b=2:3", "the canonical request is compared, not only the key")

    def test_template_value_that_is_long_or_odd(self):
        proxy = self.proxy_with('GET /x\ncache: page\nkey: "x:{header.X-V}"')
        self.assertRegex(self.key(proxy, "/x", {"X-V": "v" * 5000}), r"^cache:page:[0-9a-f]{32}$")
        self.assertEqual(self.key(proxy, "/x", {"X-V": "a b"}), "cache:x:a%20b")

    def test_hosts_do_not_share(self):
        site = self.origin()
        site.on("/", lambda exchange: exchange.reply(200, body=exchange.request.fields.get("Host")))
        proxy = self.larder(site, rules=rules("GET /**\ncache: page"))
        for host in ("a.example", "b.example"):
            self.assert_outcome(proxy.get("/", {"Host": host}), "MISS", host)
            self.assert_outcome(proxy.get("/", {"Host": host}), "HIT", host)
        self.assert_outcome(proxy.get("/", {"Host": "A.Example"}), "HIT", "a.example")

    def test_hosts_share_where_the_rule_says_so(self):
        site = self.origin()
        site.numbered("/")
        proxy = self.larder(site, rules=rules("GET /**\ncache: page\nhost: false"))
        proxy.get("/", {"Host": "a.example"})
        self.assert_outcome(proxy.get("/", {"Host": "b.example"}), "HIT", "1")


class Identity(IntegrationCase):
    def check_separation(self, source, field, values):
        site = self.origin()
        site.on("/me", lambda exchange: exchange.reply(200, body=f"for {exchange.request.fields.get(field)}"))
        proxy = self.larder(site, rules=rules(f"GET /me/**\ncache: page\nidentity: {source}",
                                              f"GET /me\ncache: page\nidentity: {source}"))
        for value in values:
            self.assert_outcome(proxy.get("/me", {field: value}), "MISS", f"for {value}")
        keys = set()
        for value in values:
            response = proxy.get("/me", {field: value})
            self.assert_outcome(response, "HIT", f"for {value}")
            keys.add(response.key)
        self.assertEqual(len(keys), len(values))
        self.assertEqual(proxy.get("/me").text, "for None", "who has no identity is given nobody's answer")
        secret = values[0].split("=")[-1].split(" ")[-1]
        listing = proxy.admin("GET", "/api/cache/keys").text
        self.assertNotIn(secret, listing, "no secret in a key")
        self.assertNotIn(secret, proxy.log())

    def test_header(self):
        self.check_separation("header:Authorization", "Authorization", ["Bearer aaaa-secret", "Bearer bbbb-secret"])

    def test_cookie(self):
        self.check_separation("cookie:session", "Cookie", ["session=aaaa-secret", "session=bbbb-secret"])

    def test_identity_in_a_template(self):
        site = self.origin()
        site.on("*", lambda exchange: exchange.reply(200, body=exchange.request.fields.get("X-User")))
        proxy = self.larder(site, rules=rules('GET /me\ncache: page\nidentity: header:X-User\nkey: "me:{identity}"',
                                              'GET /p/{id}\ncache: page\nidentity: header:X-User\nkey: "p:{id}"'))
        response = proxy.get("/me", {"X-User": "ann"})
        self.assertEqual(response.key, "cache:me:" + hashlib.sha256(b"ann").hexdigest())
        ann, bob = proxy.get("/p/1", {"X-User": "ann"}), proxy.get("/p/1", {"X-User": "bob"})
        self.assertEqual((ann.text, bob.text), ("ann", "bob"))
        self.assertNotEqual(ann.key, bob.key)
        self.assertTrue(ann.key.startswith("cache:p:1:"))


class Vary(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)

    def test_variants(self):
        self.site.on("/", lambda exchange: exchange.reply(
            200, {**FRESH, "Vary": "Accept-Language"}, exchange.request.fields.get("Accept-Language", "none")))
        for language in ("de", "en", "fr"):
            self.assert_outcome(self.proxy.get("/", {"Accept-Language": language}), "MISS", language)
        self.assert_outcome(self.proxy.get("/"), "MISS", "none")
        keys = set()
        for language in ("de", "en", "fr"):
            response = self.proxy.get("/", {"Accept-Language": language})
            self.assert_outcome(response, "HIT", language)
            keys.add(response.key)
        self.assert_outcome(self.proxy.get("/"), "HIT", "none")
        self.assertEqual(len(keys), 1, "the key is the resource's; variants are its own affair")
        self.assertEqual(self.site.count(), 4)

    def test_several_selecting_fields(self):
        self.site.on("/", lambda exchange: exchange.reply(
            200, [*FRESH.items(), ("Vary", "X-A"), ("Vary", "x-b, X-A")],
            f"{exchange.request.fields.get('X-A')}{exchange.request.fields.get('X-B')}"))
        for a in "12":
            for b in "34":
                self.assert_outcome(self.proxy.get("/", {"X-A": a, "X-B": b}), "MISS", a + b)
        for a in "12":
            for b in "34":
                self.assert_outcome(self.proxy.get("/", {"x-b": b, "X-a": a, "X-C": "other"}), "HIT", a + b)

    def test_a_variant_of_unequal_selecting_fields_is_never_given(self):
        """A single-flight follower with other selecting fields must not be given the leader's variant."""
        gate = self.gate()

        def handler(exchange):
            gate.pass_through()
            exchange.reply(200, {**FRESH, "Vary": "X-Who"}, exchange.request.fields.get("X-Who"))

        self.site.on("/", handler)
        clients = []
        for number in range(10):
            client = self.connect(self.proxy)
            client.send_request("GET", "/", {"X-Who": str(number % 3)})
            clients.append((client, str(number % 3)))
        gate.wait_for_arrivals()
        gate.open()
        for client, expected in clients:
            self.assertEqual(client.read_response().text, expected)

    def test_encodings_are_not_mixed_up(self):
        def handler(exchange):
            if "gzip" in exchange.request.fields.members("Accept-Encoding"):
                exchange.reply(200, {**FRESH, "Vary": "Accept-Encoding", "Content-Encoding": "gzip"}, b"\x1f\x8bgzip")
            else:
                exchange.reply(200, {**FRESH, "Vary": "Accept-Encoding"}, b"plain")

        self.site.on("/", handler)
        for _ in range(2):
            self.assertEqual(self.proxy.get("/", {"Accept-Encoding": "gzip"}).body, b"\x1f\x8bgzip")
            self.assertEqual(self.proxy.get("/").body, b"plain")

    def test_variants_are_bounded(self):
        self.site.on("/", lambda exchange: exchange.reply(
            200, {**FRESH, "Vary": "X-Any"}, exchange.request.fields.get("X-Any")))
        for number in range(200):
            self.proxy.get("/", {"X-Any": str(number)})
        keys = self.proxy.admin("GET", "/api/cache/keys?limit=1000").json["keys"]
        self.assertLessEqual(len(keys), 64)
        self.assert_outcome(self.proxy.get("/", {"X-Any": "199"}), "HIT", "199")

    def test_a_variant_is_purged_with_its_resource(self):
        proxy = self.larder(self.site, rules=HOUR_RULES)
        self.site.on("/", lambda exchange: exchange.reply(
            200, {"Vary": "X-A"}, exchange.request.fields.get("X-A") or "written"))
        for value in "12":
            proxy.get("/", {"X-A": value})
        proxy.request("PUT", "/", body="new")
        for value in "12":
            self.assert_outcome(proxy.get("/", {"X-A": value}), "MISS", value)


if __name__ == "__main__":
    unittest.main()
