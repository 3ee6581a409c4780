"""What RFC 9110 and 9112 ask of whoever stands between client and origin and stores what passes: interim responses,
trailers, Date, Via, Connection, Max-Forwards, targets, framing, versions, methods, conditions, and fields of our own."""

import re
import unittest

from .support.http_message import Disconnected
from .support.integration_case import PLAIN_RULES, IntegrationCase
from .support.larder_process import settings
from .support.raw_client import exchange_bytes
from .support.rfc_case import PRESENT, Case, Response, Step, Where, add_tests, between, cached, date, fetched
from .support.tcp_link import TcpLink

FRESH = ("Cache-Control", "max-age=3600")
NO_STORE = ("Cache-Control", "no-store")
IMF_FIXDATE = re.compile(r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")


def verify(condition, what):
    if not condition:
        raise AssertionError(what)


def fresh(*more, **options):
    return Response(headers=[FRESH, *more], **options)


def unstored(*more, **options):
    return Response(headers=[NO_STORE, *more], **options)


def raw_get(path_suffix="", host="api.example", fields="", target=None, method="GET", version="HTTP/1.1"):
    """A request head word for word; `target` is a template of the context's path."""
    def value(context):
        line = (target or "{path}").format(path=context.path(path_suffix))
        return f"{method} {line} {version}\r\nHost: {host}\r\n{fields}\r\n".encode("latin-1")

    return value


def response_text(head, body=b"ok"):
    return Response(raw=head.encode("latin-1").replace(b"\n", b"\r\n") + b"\r\n" + body)


# RFC 9110 §15.2.
INTERIM = [
    *[Case(f"interim_{status}_is_forwarded", "9110 §15.2", "MUST",
           "1xx responses are forwarded; they are not the answer", [
        Step(response=fresh(interims=[(status, [("X-Early", "1")])]), interims=[status],
             response_headers={"X-Early": None}),
        cached(interims=[], response_headers={"X-Early": None}),
    ]) for status in (100, 102, 103, 110, 199)],
    Case("interim_several_in_order", "9110 §15.2", "MUST", "all of them are forwarded, in order", [
        Step(response=fresh(interims=[(103, [("Link", "</a>")]), (102, []), (103, [("Link", "</b>")])]),
             interims=[103, 102, 103],
             check=lambda response, *_: verify([one.fields.get("Link") for one in response.interim] ==
                                               ["</a>", None, "</b>"], "Link fields")),
        cached(interims=[], response_headers={"Link": None}),
    ]),
    Case("interim_is_not_stored", "9111 §3", "MUST", "only a final response is stored", [
        Step(response=unstored(interims=[(103, [FRESH, ("ETag", '"early"')])]), interims=[103]),
        fetched(response=unstored()),
    ]),
    Case("interim_fields_do_not_forbid", "9111 §3", "MUST",
         "fields of an interim response are not those of the final one", [
        Step(response=fresh(interims=[(103, [NO_STORE, ("Vary", "*")])])),
        cached(),
    ]),
    Case("interim_not_to_http_1_0", "9110 §15.2", "MUST", "no 1xx is sent to an HTTP/1.0 client", [
        Step(version="HTTP/1.0", response=fresh(interims=[(103, []), (100, [])]), interims=[]),
        cached(version="HTTP/1.0", interims=[]),
    ]),
    Case("interim_before_a_304", "9110 §15.2", "MUST", "1xx before the answer to a validation request are forwarded", [
        Step(response=Response(headers=[("Cache-Control", "max-age=1"), ("Age", "100"), ("ETag", '"v1"')])),
        Step(expect="validated",
             response=Response(304, [FRESH, ("ETag", '"v1"')], interims=[(103, [("Link", "</a>")])]),
             interims=[103]),
        cached(interims=[]),
    ]),
    Case("interim_on_a_write", "9110 §15.2", "MUST", "1xx on an unsafe request are forwarded", [
        Step(method="POST", body="x", response=Response(200, interims=[(102, [])]), interims=[102]),
    ]),
    Case("interim_on_what_is_not_stored", "9110 §15.2", "MUST", "1xx before an unstorable response are forwarded", [
        Step(response=unstored(interims=[(103, [])]), interims=[103]),
        fetched(response=unstored(interims=[(103, [])]), interims=[103]),
    ]),
    Case("interim_connection_fields_are_removed", "9110 §7.6.1", "MUST", "hop-by-hop fields of a 1xx end here", [
        Step(response=fresh(interims=[(103, [("Connection", "X-Private"), ("X-Private", "1"), ("X-Public", "1")])]),
             interims=[103], check=lambda response, *_: verify(
                 response.interim[0].fields.get("X-Private") is None and
                 "x-private" not in response.interim[0].fields.members("Connection"), response.interim[0].raw_head)),
    ]),
]

TRAILERS = [
    Case("trailers_are_not_merged", "9111 §3.1, 9110 §6.5.1", "MUST",
         "trailer fields are kept apart from header fields", [
        Step(response=fresh(("Trailer", "X-Sum"), trailers=[("X-Sum", "1")]), response_headers={"X-Sum": None}),
        cached(response_headers={"X-Sum": None}),
        cached(method="HEAD", response_headers={"X-Sum": None}),
    ]),
    Case("trailers_give_no_lifetime", "9111 §3.1, 9110 §6.5.1", "MUST", "Cache-Control in a trailer decides nothing", [
        Step(response=Response(trailers=[FRESH, ("Expires", date(3600))])),
        fetched(response=unstored()),
    ]),
    Case("trailers_forbid_nothing", "9110 §6.5.1", "MUST", "Cache-Control in a trailer decides nothing", [
        Step(response=fresh(trailers=[NO_STORE, ("Vary", "*")])),
        cached(response_headers={"Vary": None, "Cache-Control": "max-age=3600"}),
    ]),
    Case("trailers_give_no_validator", "9110 §6.5.1", "MUST", "an ETag in a trailer is not merged", [
        Step(response=fresh(trailers=[("ETag", '"late"')])),
        cached(headers=[("If-None-Match", '"late"')], status=200, response_headers={"ETag": None}),
    ]),
    Case("trailers_frame_nothing", "9110 §6.5.1", "MUST", "framing fields in a trailer frame nothing", [
        # In one piece, so that the fault is there before anything of the answer can be passed on.
        Step(response=Response(raw=b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n"
                                   b"Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\nContent-Length: 1\r\n"
                                   b"Transfer-Encoding: gzip\r\nConnection: close\r\n\r\n"), expect="either",
             check=lambda response, *_: verify(response.status == 502 or response.body == b"whole", response.body)),
        Step(response=fresh(body="whole"), expect="either", body_is="whole",
             response_headers={"Transfer-Encoding": None}),
    ]),
    Case("trailers_reach_who_takes_them", "9110 §6.5", "MAY", "trailers are forwarded while they pass", [
        Step(headers=[("TE", "trailers"), ("Connection", "TE")],
             response=unstored(("Trailer", "X-Sum"), trailers=[("X-Sum", "1")]), trailers={"X-Sum": "1"}),
    ]),
    Case("trailers_of_a_request_are_not_merged", "9110 §6.5.1", "MUST",
         "trailers of a request do not become header fields", [
        Step(method="POST", raw=(lambda context: (
                 f"POST {context.path()} HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: chunked\r\n"
                 "Trailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nAuthorization: x\r\n\r\n").encode()),
             response=Response(), origin_headers={"X-Sum": None, "Authorization": None}),
    ]),
]

DATES = [
    Case("date_is_supplied", "9110 §6.6.1", "MUST", "a response without Date gets the time at which it was received", [
        Step(response=fresh(date=False), response_headers={"Date": IMF_FIXDATE}),
        cached(response_headers={"Date": IMF_FIXDATE}),
    ]),
    Case("date_is_supplied_unstored", "9110 §6.6.1", "MUST", "also where nothing is stored", [
        Step(response=unstored(date=False), response_headers={"Date": IMF_FIXDATE}),
        Step(method="POST", body="x", response=Response(date=False), response_headers={"Date": IMF_FIXDATE}),
    ]),
    Case("date_is_supplied_once", "9110 §6.6.1", "MUST", "the supplied Date is that of the receipt, not of each hit", [
        Step(response=fresh(date=False)),
        cached(check=lambda response, context, _: verify(
            response.fields.all("Date") == context.responses[0].fields.all("Date"), response.fields.all("Date"))),
    ]),
    Case("date_is_kept", "9110 §6.6.1", "MUST", "the origin's Date is not changed", [
        Step(response=fresh(("Date", date(-30))), response_headers={"Date": [date(-30)]}),
        cached(response_headers={"Date": [date(-30)]}),
    ]),
    Case("date_on_our_own_5xx", "9110 §6.6.1", "MAY", "5xx of our own may have a Date", [
        Step(headers=[("Cache-Control", "only-if-cached")], expect="larder", status=504,
             response_headers={"Date": IMF_FIXDATE}),
    ]),
    Case("date_on_our_own_4xx", "9110 §6.6.1", "MUST", "4xx of our own have a Date", [
        Step(raw=b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", expect="larder", status=400,
             response_headers={"Date": IMF_FIXDATE}),
    ]),
    Case("date_that_is_invalid", "9110 §6.6.1", "MAY", "an invalid Date may be replaced", [
        Step(response=fresh(("Date", "yesterday")), response_headers={"Date": PRESENT}, expect="either"),
    ]),
]

VIA = [
    Case("via_to_the_origin", "9110 §7.6.3", "MUST", "a gateway sends Via with each request", [
        Step(response=unstored(), origin_headers={"Via": re.compile(r"^1\.1 \S+")}),
        Step(method="POST", body="x", response=Response(), origin_headers={"Via": re.compile(r"^1\.1 \S+")}),
    ]),
    Case("via_is_appended", "9110 §7.6.3", "MUST", "our entry is the last", [
        Step(headers=[("Via", "1.0 fred, 1.1 p.example (x, y)")], response=unstored(),
             origin_headers={"Via": re.compile(r"^1\.0 fred, 1\.1 p\.example \(x, y\), 1\.1 \S+")}),
    ]),
    Case("via_tells_the_received_version", "9110 §7.6.3", "MUST",
         "received-protocol is the version of what was received", [
        Step(version="HTTP/1.0", response=unstored(), origin_headers={"Via": re.compile(r"^1\.0 \S+")}),
    ]),
    Case("via_on_validation", "9110 §7.6.3", "MUST", "a validation request has Via too", [
        Step(response=Response(headers=[("Cache-Control", "max-age=1"), ("Age", "100"), ("ETag", '"v1"')])),
        Step(expect="validated", response=Response(304, [("ETag", '"v1"')]),
             origin_headers={"Via": re.compile(r"1\.1 \S+")}),
    ]),
    Case("via_of_a_response_is_kept", "9110 §7.6.3", "MUST", "entries of others stay", [
        Step(response=fresh(("Via", "1.0 fred")), response_headers={"Via": re.compile(r"^1\.0 fred\b")}),
        cached(response_headers={"Via": re.compile(r"^1\.0 fred\b")}),
    ]),
]

HOP_BY_HOP = [("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("Proxy-Authenticate", "Basic"),
              ("Proxy-Authentication-Info", "x")]
CONNECTION = [
    Case("connection_named_request_fields", "9110 §7.6.1", "MUST", "fields that Connection names are removed", [
        Step(headers=[("Connection", "X-One, keep-alive"), ("X-One", "1"), ("connection", "x-TWO"), ("X-Two", "2"),
                      ("X-Three", "3")],
             response=unstored(), origin_headers={"X-One": None, "X-Two": None, "X-Three": "3", "Connection": Where(
                 lambda value: value is None or not {"x-one", "x-two"} & {o.strip().lower() for o in value.split(",")},
                 "without those options")}),
    ]),
    Case("connection_named_response_fields", "9110 §7.6.1", "MUST",
         "fields that Connection names are removed, and not stored", [
        Step(response=fresh(("Connection", "X-One"), ("X-One", "1"), ("CONNECTION", "x-TWO , ,"), ("X-Two", "2"),
                            ("X-Three", "3")), response_headers={"X-One": None, "X-Two": None, "X-Three": "3"}),
        cached(response_headers={"X-One": None, "X-Two": None, "X-Three": "3"}),
    ]),
    Case("connection_named_fields_of_a_304", "9110 §7.6.1, 9111 §3.1", "MUST",
         "fields that Connection names are not stored", [
        Step(response=Response(headers=[("Cache-Control", "max-age=1"), ("Age", "100"), ("ETag", '"v1"')])),
        Step(expect="validated",
             response=Response(304, [FRESH, ("ETag", '"v1"'), ("Connection", "X-One"), ("X-One", "1")]),
             response_headers={"X-One": None}),
        cached(response_headers={"X-One": None}),
    ]),
    Case("connection_hop_by_hop_response_fields", "9110 §7.6.1", "SHOULD",
         "fields that concern one connection are removed", [
        Step(response=fresh(*HOP_BY_HOP), response_headers={name: None for name, _ in HOP_BY_HOP}),
        cached(response_headers={name: None for name, _ in HOP_BY_HOP}),
    ]),
    Case("connection_hop_by_hop_request_fields", "9110 §7.6.1", "SHOULD",
         "fields that concern one connection are removed", [
        Step(headers=[("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("Upgrade", "foo"),
                      ("Proxy-Authorization", "Basic YQ==")],
             response=unstored(), origin_headers={"Keep-Alive": None, "Proxy-Connection": None, "Upgrade": None,
                                                  "Proxy-Authorization": None}),
    ]),
    Case("connection_te_is_ours", "9110 §10.1.4", "MUST", "TE is for one connection", [
        Step(headers=[("TE", "gzip;q=0.5, trailers"), ("Connection", "TE")], response=unstored(), origin_headers={
            "TE": Where(lambda value: value in (None, "trailers"), "absent or our own trailers")},
             check=lambda _, __, requests: verify(
                 not requests[0].fields.has("TE") or "te" in requests[0].fields.members("Connection"),
                 "TE without the connection option")),
    ]),
    Case("connection_upgrade_in_http_1_0", "9110 §7.8", "MUST", "Upgrade in an HTTP/1.0 request is ignored", [
        Step(version="HTTP/1.0", headers=[("Connection", "Upgrade"), ("Upgrade", "echo")], response=unstored(),
             origin_headers={"Upgrade": None}),
    ]),
    Case("connection_close_of_the_origin_is_not_the_clients", "9110 §7.6.1", "MUST", "Connection is for one connection",
         [
        Step(response=fresh(close=True), response_headers={"Connection": Where(
            lambda value: value is None or "close" not in value.lower(), "without close")}),
        cached(response_headers={"Connection": Where(lambda value: value is None or "close" not in value.lower(),
                                                     "without close")}),
    ]),
    Case("connection_cannot_remove_cache_control", "9110 §7.6.1", "optimal",
         "an option must not name a field for all recipients; where it does, no-store is not lost", [
             Step(response=Response(headers=[("Connection", "Cache-Control"), NO_STORE,
                                             ("Last-Modified", date(-864000))]),
                  expect="either"),
             fetched(response=unstored()),
         ]),
]

MAX_FORWARDS = [
    *[Case(f"max_forwards_0_on_{method.lower()}", "9110 §7.6.2", "MUST",
           "Max-Forwards: 0 is not forwarded but answered", [
        Step(method=method, headers=[("Max-Forwards", "0")], expect="either", requests=0, response=Response(),
             check=lambda response, *_,
             allowed=allowed: verify(response.status in allowed, f"status {response.status}")),
    ]) for method, allowed in (("OPTIONS", (200, 204)), ("TRACE", (200, 405, 501)))],
    *[Case(f"max_forwards_{given}_on_{method.lower()}", "9110 §7.6.2", "MUST", "Max-Forwards is decremented", [
        Step(method=method, headers=[("Max-Forwards", given)], response=Response(), expect="origin",
             origin_headers={"Max-Forwards": sent}),
    ]) for method in ("OPTIONS", "TRACE") for given, sent in (("1", "0"), ("10", "9"))],
    Case("max_forwards_0_on_options_asterisk", "9110 §7.6.2", "MUST", "Max-Forwards: 0 is not forwarded but answered", [
        Step(method="OPTIONS", raw=b"OPTIONS * HTTP/1.1\r\nHost: api.example\r\nMax-Forwards: 0\r\n\r\n",
             expect="either",
             requests=0, check=lambda response, *_: verify(response.status in (200, 204), f"status {response.status}")),
    ]),
    Case("max_forwards_on_get_is_ignored", "9110 §7.6.2", "MAY", "other methods ignore it", [
        Step(headers=[("Max-Forwards", "0")], response=fresh()),
        cached(headers=[("Max-Forwards", "0")]),
    ]),
    Case("max_forwards_that_is_no_number", "9110 §7.6.2", "optimal", "junk is no number to count down", [
        Step(method="OPTIONS", headers=[("Max-Forwards", "many")], response=Response(), expect="either",
             check=lambda response, *_: verify(response.status < 500, f"status {response.status}")),
    ]),
    Case("max_forwards_past_64_bits", "9110 §7.6.2", "MUST",
         "a number that is too large is still decremented, or our own maximum", [
        Step(method="OPTIONS", headers=[("Max-Forwards", "99999999999999999999999")], response=Response(),
             expect="either",
             origin_headers={"Max-Forwards": re.compile(r"^[0-9]+$")},
             check=lambda _, __, requests: verify(
                 all(r.fields.get("Max-Forwards") != "99999999999999999999999" for r in requests), "not decremented")),
    ]),
]

TARGETS = [
    Case("target_host_is_part_of_it", "9111 §4", "MUST", "another Host is another target URI", [
        Step(response=fresh()), fetched(headers=[("Host", "other.example")], response=fresh()), cached(answer_of=1)]),
    Case("target_port_is_part_of_it", "9111 §4", "MUST", "another port is another target URI", [
        Step(response=fresh()), fetched(headers=[("Host", "api.example:8080")], response=fresh())]),
    Case("target_host_in_capitals", "9110 §4.2.3", "optimal", "host names are case-insensitive", [
        Step(response=fresh()), cached(headers=[("Host", "API.Example")])]),
    Case("target_default_port", "9110 §4.2.3", "optimal", "the default port is no port", [
        Step(response=fresh()), cached(headers=[("Host", "api.example:80")])]),
    Case("target_absolute_form_before_host", "9112 §3.2.2", "MUST",
         "the authority of an absolute-form target replaces Host", [
        Step(raw=raw_get(host="evil.example", target="http://api.example{path}"), response=fresh(),
             origin_headers={"Host": "api.example"}),
        cached(),
        fetched(headers=[("Host", "evil.example")], response=fresh()),
    ]),
    Case("target_absolute_form_does_not_poison", "9112 §3.2.2", "MUST",
         "Host says nothing beside an absolute-form target", [
        Step(raw=raw_get(host="api.example", target="http://evil.example{path}"), response=fresh(),
             origin_headers={"Host": "evil.example"}),
        fetched(response=fresh()),
    ]),
    Case("target_absolute_form_is_stored_as_origin_form", "9112 §3.2.2", "optimal", "both forms name one target URI", [
        Step(response=fresh()),
        Step(raw=raw_get(target="http://api.example{path}"), expect="cache"),
    ]),
    Case("target_empty_host", "9110 §4.2.1", "MUST", "an http URI with an empty host is invalid", [
        Step(raw=b"GET http:///path HTTP/1.1\r\nHost: api.example\r\n\r\n", expect="larder", status=400)]),
    Case("target_empty_host_with_port", "9110 §4.2.1", "MUST", "an http URI with an empty host is invalid", [
        Step(raw=b"GET http://:80/path HTTP/1.1\r\nHost: api.example\r\n\r\n", expect="larder", status=400)]),
    Case("target_query_is_part_of_it", "9111 §4", "MUST", "another query is another target URI", [
        Step(path="?a=1", response=fresh()), fetched(path="?a=2", response=fresh()), fetched(response=fresh()),
        fetched(path="?A=1", response=fresh()), cached(path="?a=1", answer_of=1)]),
    Case("target_empty_query_is_a_query", "9111 §4", "MUST", "an empty query is another URI than none", [
        Step(response=fresh()), fetched(path="?", response=fresh())]),
    Case("target_path_case", "9111 §4", "MUST", "paths are case-sensitive", [
        Step(path="/a", response=fresh()), fetched(path="/A", response=fresh())]),
    Case("target_trailing_slash", "9111 §4", "MUST", "a trailing slash is part of the path", [
        Step(path="/a", response=fresh()), fetched(path="/a/", response=fresh())]),
    Case("target_percent_encoded_unreserved", "9110 §4.2.3", "optimal",
         "encoded unreserved characters are those characters", [
        Step(path="/%7Ea", response=fresh()), cached(path="/~a"), cached(path="/%7ea")]),
    Case("target_percent_encoded_reserved", "9110 §4.2.3", "MUST", "encoded reserved characters are data", [
        Step(path="/a%2Fb", response=fresh()), fetched(path="/a/b", response=fresh())]),
    Case("target_query_reaches_the_origin_as_it_is", "9110 §7.7", "MUST", "the query is not changed on the way", [
        Step(path="?b=2&a=1&&c&d=%26+%20", response=unstored(), check=lambda _, context, requests: verify(
            requests[0].target == context.path("?b=2&a=1&&c&d=%26+%20"), requests[0].target)),
    ]),
]


def broken_framing(case_id, what, head, body=b"ok", rfc="9112 §6.3", allowed=(502,), level="MUST"):
    """A response that is not what it says: refused, and never stored."""
    return Case("framing_" + case_id, rfc, level, what, [
        Step(response=response_text(head, body), expect="either", broken=False,
             check=lambda response, *_: verify(response.status in allowed, f"status {response.status}")),
        fetched(response=unstored()),
    ])


LIFE = "Cache-Control: max-age=3600\n"
FRAMING = [
    broken_framing("of_http_1_0_with_transfer_encoding", "HTTP/1.0 with Transfer-Encoding is faulty framing",
                   f"HTTP/1.0 200 OK\n{LIFE}Transfer-Encoding: chunked\n", b"2\r\nok\r\n0\r\n\r\n", "9112 §6.1",
                   (200, 502)),
    broken_framing("content_length_and_transfer_encoding", "both at once are not believed",
                   f"HTTP/1.1 200 OK\n{LIFE}Content-Length: 2\nTransfer-Encoding: chunked\n", b"2\r\nok\r\n0\r\n\r\n",
                   "9112 §6.3", (502,), "optimal"),
    broken_framing("two_content_lengths", "differing lengths are an unrecoverable error",
                   f"HTTP/1.1 200 OK\n{LIFE}Content-Length: 2\nContent-Length: 3\n"),
    broken_framing("content_length_list", "differing lengths are an unrecoverable error",
                   f"HTTP/1.1 200 OK\n{LIFE}Content-Length: 2, 3\n"),
    broken_framing("content_length_no_number", "an invalid length is an unrecoverable error",
                   f"HTTP/1.1 200 OK\n{LIFE}Content-Length: 2x\n"),
    broken_framing("content_length_negative", "an invalid length is an unrecoverable error",
                   f"HTTP/1.1 200 OK\n{LIFE}Content-Length: -2\n"),
    broken_framing("unknown_transfer_coding", "what cannot be decoded is not passed on as if it could",
                   f"HTTP/1.1 200 OK\n{LIFE}Transfer-Encoding: x-other\n", rfc="9112 §6.1"),
    broken_framing("nul_in_a_field", "CR, LF and NUL in a value are dangerous",
                   f"HTTP/1.1 200 OK\n{LIFE}X-Odd: a\0b\nContent-Length: 2\n", rfc="9110 §5.5"),
    Case("framing_equal_content_lengths", "9110 §8.6, 9112 §6.3", "MUST", "equal lengths are one length, or an error", [
        Step(response=response_text(f"HTTP/1.1 200 OK\n{LIFE}Content-Length: 2\nContent-Length: 2\n"), expect="either",
             check=lambda response, *_: verify(response.status == 502 or response.body == b"ok", response.raw_head))]),
    Case("framing_unknown_request_coding", "9112 §6.1", "SHOULD", "an unknown transfer coding is answered 501", [
        Step(method="POST", raw=lambda context: (
            f"POST {context.path()} HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: x-other, chunked\r\n\r\n"
            "0\r\n\r\n").encode(), expect="larder", status=501)]),
    Case("framing_obs_fold_in_a_response", "9112 §5.2", "MUST", "obs-fold is replaced by spaces, or the message by 502",
         [
        Step(response=response_text(f"HTTP/1.1 200 OK\n{LIFE}X-Folded: a\n b\nContent-Length: 2\n"), expect="either",
             check=lambda response, *_: verify(
                 response.status == 502 or re.fullmatch("a +b", response.fields.get("X-Folded", "")),
                 response.raw_head)),
    ]),
    Case("framing_space_before_a_colon_in_a_response", "9112 §5.1", "MUST",
         "white space before a colon is removed, or 502", [
        Step(response=response_text(f"HTTP/1.1 200 OK\n{LIFE}X-Spaced : a\nContent-Length: 2\n"), expect="either",
             check=lambda response, *_: verify(
                 response.status == 502 or response.fields.get("X-Spaced") == "a", response.raw_head)),
    ]),
    Case("framing_chunk_extensions_are_ignored", "9112 §7.1.1", "MUST", "unrecognised chunk extensions are ignored", [
        Step(response=response_text(f"HTTP/1.1 200 OK\n{LIFE}Transfer-Encoding: chunked\n",
                                    b"2;x=\"y;z\";w\r\nok\r\n0;last\r\n\r\n"), expect="either", status=200,
             body_is="ok"),
        cached(status=200, body_is="ok", response_headers={"Content-Length": "2", "Transfer-Encoding": None}),
    ]),
    Case("framing_chunked_in_capitals", "9112 §7", "MUST", "transfer coding names are case-insensitive", [
        Step(response=response_text(f"HTTP/1.1 200 OK\n{LIFE}Transfer-Encoding: CHUNKED\n", b"2\r\nok\r\n0\r\n\r\n"),
             expect="either", status=200, body_is="ok"),
        cached(status=200, body_is="ok"),
    ]),
    Case("framing_until_close_is_complete", "9112 §6.3, §8", "optimal", "a body until an orderly close is whole", [
        Step(response=fresh(framing="close")), cached(response_headers={"Content-Length": PRESENT})]),
    Case("framing_chunks_without_an_end", "9112 §8", "MUST", "a chunked body without its last chunk is incomplete", [
        Step(response=fresh(framing="chunked", cut=5), broken=True), fetched(response=fresh())]),
    Case("framing_shorter_than_content_length", "9112 §8", "MUST", "a body shorter than Content-Length is incomplete", [
        Step(response=fresh(cut=5), broken=True), fetched(response=fresh())]),
    Case("framing_no_chunks_to_http_1_0", "9112 §6.1", "MUST", "no Transfer-Encoding is sent to an HTTP/1.0 client", [
        Step(version="HTTP/1.0", response=unstored(framing="chunked"), response_headers={"Transfer-Encoding": None}),
        Step(version="HTTP/1.0", response=fresh(framing="chunked"), response_headers={"Transfer-Encoding": None}),
        cached(version="HTTP/1.0", response_headers={"Transfer-Encoding": None}),
    ]),
    Case("framing_both_in_a_request", "9112 §6.3", "MUST", "a request with both is refused, or only the chunks count", [
        Step(method="POST", raw=lambda context: (
            f"POST {context.path()} HTTP/1.1\r\nHost: api.example\r\nContent-Length: 3\r\n"
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n").encode(), expect="either",
             check=lambda response, _, requests: verify(
                 response.status == 400 and not requests or requests and requests[0].body == b"a", response.raw_head)),
    ]),
]

VERSIONS = [
    Case("version_of_ours_to_the_client", "9110 §2.5", "MUST", "an intermediary sends its own version", [
        Step(response=fresh(version="HTTP/1.0"), check=lambda response, *_: verify(response.version == "HTTP/1.1",
                                                                                  response.version)),
        cached(check=lambda response, *_: verify(response.version == "HTTP/1.1", response.version)),
    ]),
    Case("version_of_ours_to_the_origin", "9110 §2.5", "MUST", "an intermediary sends its own version", [
        Step(version="HTTP/1.0", response=unstored(),
             check=lambda _, __, requests: verify(requests[0].version == "HTTP/1.1", requests[0].version)),
    ]),
    Case("version_http_1_0_shares_the_cache", "9111 §2", "optimal", "who speaks HTTP/1.0 is served what others fetched",
         [
        Step(response=fresh()), cached(version="HTTP/1.0")]),
    Case("version_http_1_0_without_host", "9112 §3.2", "optimal", "HTTP/1.0 needs no Host", [
        Step(raw=lambda context: f"GET {context.path()} HTTP/1.0\r\n\r\n".encode(), response=unstored())]),
    Case("version_http_1_0_origin_is_cached", "9111 §3", "optimal", "an HTTP/1.0 response is stored like others", [
        Step(response=fresh(version="HTTP/1.0", close=True)), cached()]),
    Case("version_1_2_is_1_1", "9110 §2.5", "optimal", "a higher minor version is understood", [
        Step(raw=raw_get(version="HTTP/1.2"), expect="either", response=unstored(), check=lambda response, *_: verify(
            response.status in (200, 400, 505), f"status {response.status}"))]),
]

def judged_by_the_origin(request):
    """304 to whom has it. A cache may as well fetch everything and judge for itself."""
    if '"v1"' in request.fields.get("If-None-Match", ""):
        return Response(304, [FRESH, ("ETag", '"v1"')])
    return fresh(("ETag", '"v1"'))


BODILESS = [
    Case("bodiless_head", "9110 §9.3.2", "MUST", "no content answers HEAD", [
        Step(method="HEAD", response=fresh(body="12345"), response_headers={"Content-Length": "5"}),
        Step(response=fresh(body="12345"), expect="either", body_is="12345"),
        cached(method="HEAD", response_headers={"Content-Length": "5"}),
    ]),
    Case("bodiless_head_has_the_fields_of_get", "9110 §9.3.2", "SHOULD", "HEAD has the fields that GET would have", [
        Step(response=fresh(("ETag", '"v1"'), ("Content-Type", "text/x"), ("X-Own", "1"), ("Vary", "X-Foo"))),
        cached(method="HEAD", response_headers={"ETag": '"v1"', "Content-Type": "text/x", "X-Own": "1", "Vary": "X-Foo",
                                                "Age": PRESENT}),
    ]),
    Case("bodiless_204", "9110 §15.3.5, §8.6", "MUST", "a 204 has neither content nor Content-Length", [
        Step(response=Response(204, [FRESH]), response_headers={"Content-Length": None, "Transfer-Encoding": None}),
        cached(status=204, response_headers={"Content-Length": None, "Transfer-Encoding": None}),
    ]),
    Case("bodiless_304_of_the_origin", "9110 §15.4.5", "MUST", "a 304 has no content", [
        Step(headers=[("If-None-Match", '"v1"')], response=judged_by_the_origin, status=304, expect="either",
             requests=1)]),
    Case("bodiless_304_of_ours", "9110 §15.4.5", "MUST",
         "a 304 has the Cache-Control, Content-Location, Date, ETag, Expires and Vary of the 200", [
             Step(response=fresh(("ETag", '"v1"'), ("Content-Location", "/c"), ("Expires", date(7200)),
                                 ("Vary", "X-Foo"),
                                 ("Date", date(-10)))),
             cached(headers=[("If-None-Match", '"v1"')], status=304, response_headers={
                 "Cache-Control": "max-age=3600", "ETag": '"v1"', "Content-Location": "/c", "Expires": date(7200),
                 "Vary": "X-Foo", "Date": date(-10), "Age": PRESENT, "Transfer-Encoding": None}),
         ]),
    Case("bodiless_304_without_more_metadata", "9110 §15.4.5", "SHOULD",
         "a 304 has no other representation metadata than the validator and what must be there", [
             Step(response=fresh(("ETag", '"v1"'), ("Content-Type", "text/x"), ("Content-Language", "de"),
                                 ("Last-Modified", date(-9000)))),
             cached(headers=[("If-None-Match", '"v1"')], status=304, response_headers={
                 "Content-Type": None, "Content-Language": None}),
         ]),
    Case("bodiless_304_content_length", "9110 §8.6", "MUST", "Content-Length of a 304 is that of the 200, or absent", [
        Step(response=fresh(("ETag", '"v1"'), body="12345")),
        cached(headers=[("If-None-Match", '"v1"')], status=304, response_headers={
            "Content-Length": Where(lambda value: value in (None, "5"), "absent or 5")}),
    ]),
    Case("bodiless_head_after_head", "9110 §9.3.2", "MAY", "a HEAD answer may serve HEAD", [
        Step(method="HEAD", response=fresh(body="12345")),
        Step(method="HEAD", response=fresh(body="12345"), expect="either", response_headers={"Content-Length": "5"}),
    ]),
]

METHODS = [
    *[Case(f"method_{method.lower()}_is_written_through", "9111 §4", "MUST", "unsafe methods reach the origin", [
        Step(response=fresh()), Step(method=method, body="x", response=Response())])
      for method in ("POST", "PUT", "DELETE", "PATCH", "MADEUP")],
    *[Case(f"method_{method.lower()}_is_not_cached", f"9110 {section}", "MUST",
           "answers to this method are not cacheable", [
        Step(method=method, body=body, response=fresh()), Step(method=method, body=body, response=fresh()),
        Step(response=fresh()), Step(method=method, body=body, response=fresh())])
      for method, body, section in (("PUT", "x", "§9.3.4"), ("DELETE", None, "§9.3.5"), ("OPTIONS", None, "§9.3.7"),
                                    ("TRACE", None, "§9.3.8"), ("MADEUP", "x", "§9.2.3"))],
    *[Case(f"method_{method.lower()}_invalidates_nothing", "9110 §9.2.1, 9111 §4.4", "optimal",
           "safe methods change nothing", [
        Step(response=fresh()), Step(method=method, response=Response(), expect="either"), cached(answer_of=1)])
      for method in ("OPTIONS", "TRACE", "HEAD", "PROPFIND", "REPORT", "SEARCH")],
    Case("method_names_are_case_sensitive", "9110 §9.1", "MUST", "get is not GET", [
        Step(response=fresh()), Step(method="get", response=Response(), expect="either", requests=1)]),
    Case("method_get_with_content", "9110 §9.3.1", "optimal", "a GET with content is not answered as one without", [
        Step(response=fresh()), fetched(body="x", response=fresh())]),
    Case("method_put_of_a_part", "9110 §14.5", "optimal", "Content-Range of a write is for the origin", [
        Step(method="PUT", headers=[("Content-Range", "bytes 0-0/10")], body="x", response=Response(),
             origin_headers={"Content-Range": "bytes 0-0/10"})]),
    Case("method_put_with_conditions", "9110 §13.1, 9111 §4.3.2", "MUST", "conditions of a write are for the origin", [
        Step(response=fresh(("ETag", '"v1"'))),
        Step(method="PUT", headers=[("If-None-Match", "*"), ("If-Match", '"v1"')], body="x", response=Response(412),
             status=412, origin_headers={"If-None-Match": "*", "If-Match": '"v1"'})]),
    Case("method_expect_unknown", "9110 §10.1.1", "MAY", "an unknown expectation is refused or passed on", [
        Step(headers=[("Expect", "miracles")], response=unstored(), expect="either",
             check=lambda response, *_: verify(response.status in (200, 417), f"status {response.status}"))]),
    Case("method_expect_in_http_1_0", "9110 §10.1.1", "MUST", "100-continue in an HTTP/1.0 request is ignored", [
        Step(method="POST", version="HTTP/1.0", headers=[("Expect", "100-continue")], body="x", response=Response(),
             interims=[])]),
    Case("method_authorization_is_not_modified", "9110 §11.6.2", "MUST", "Authorization is passed on as it is", [
        Step(headers=[("Authorization", 'Digest username="a,b",  realm="x"')], response=unstored(),
             origin_headers={"Authorization": 'Digest username="a,b",  realm="x"'})]),
    Case("method_www_authenticate_is_not_modified", "9110 §11.6.1", "MUST", "WWW-Authenticate is passed on as it is", [
        Step(response=Response(401, [("WWW-Authenticate", 'Basic realm="a"'), ("WWW-Authenticate", "Newauth x=1, y")]),
             response_headers={"WWW-Authenticate": ['Basic realm="a"', "Newauth x=1, y"]})]),
]

STORED = Step(response=fresh(("ETag", '"v1"'), ("Last-Modified", date(-90000))))


def condition(case_id, level, what, fields, not_modified, section, stored=STORED):
    """Is a stored response sent as 304 under this condition?"""
    step = cached(headers=fields, status=304) if not_modified else cached(headers=fields, status=200, answer_of=1)
    return Case("condition_" + case_id, f"9110 {section}", level, what, [stored, step])


WEAKLY = Step(response=fresh(("ETag", 'W/"v1"')))
CONDITIONS = [
    condition("tag", "SHOULD", "If-None-Match with the stored entity tag: 304", [("If-None-Match", '"v1"')], True,
              "§13.1.2"),
    condition("other_tag", "MUST", "If-None-Match with another entity tag: 200", [("If-None-Match", '"v0"')], False,
              "§13.1.2"),
    condition("tag_in_a_list", "SHOULD", "any of the list", [("If-None-Match", '"v0", W/"x" , "v1"')], True, "§13.1.2"),
    condition("tag_on_several_lines", "SHOULD", "any of all lines",
              [("If-None-Match", '"v0"'), ("If-None-Match", '"v1"')], True, "§13.1.2"),
    condition("tag_with_a_comma", "MUST", "a comma within an entity tag separates nothing",
              [("If-None-Match", '"v0,"v1", x"')], False, "§8.8.3", Step(response=fresh(("ETag", '"v"')))),
    condition("star", "SHOULD", "* is any stored response", [("If-None-Match", "*")], True, "§13.1.2"),
    condition("weak_tag_of_the_client", "MUST", "If-None-Match compares weakly", [("If-None-Match", 'W/"v1"')], True,
              "§13.1.2"),
    condition("weak_tag_stored", "MUST", "If-None-Match compares weakly", [("If-None-Match", '"v1"')], True, "§13.1.2",
              WEAKLY),
    condition("weak_tag_on_both_sides", "MUST", "If-None-Match compares weakly", [("If-None-Match", 'W/"v1"')], True,
              "§13.1.2",
              WEAKLY),
    condition("tag_case", "MUST", "entity tags are case-sensitive", [("If-None-Match", '"V1"')], False, "§8.8.3"),
    condition("weak_mark_in_lower_case", "MUST", "W/ is case-sensitive", [("If-None-Match", 'w/"v1"')], False,
              "§8.8.3"),
    condition("unquoted_tag", "MUST", "an entity tag is quoted", [("If-None-Match", "v1")], False, "§8.8.3"),
    condition("tag_before_date", "MUST", "If-Modified-Since is ignored beside If-None-Match",
              [("If-None-Match", '"v0"'), ("If-Modified-Since", date(-90000))], False, "§13.1.3"),
    condition("tag_before_older_date", "MUST", "If-Modified-Since is ignored beside If-None-Match",
              [("If-None-Match", '"v1"'), ("If-Modified-Since", date(-99999))], True, "§13.1.3"),
    condition("date", "SHOULD", "If-Modified-Since with Last-Modified: 304", [("If-Modified-Since", date(-90000))],
              True, "§13.1.3"),
    condition("later_date", "SHOULD", "If-Modified-Since after Last-Modified: 304",
              [("If-Modified-Since", date(-80000))], True,
              "§13.1.3"),
    condition("earlier_date", "MUST", "If-Modified-Since before Last-Modified: 200",
              [("If-Modified-Since", date(-90001))], False,
              "§13.1.3"),
    condition("date_rfc850", "MUST", "all three forms of a date are accepted",
              [("If-Modified-Since", date(-90000, "rfc850"))],
              True, "§5.6.7"),
    condition("date_asctime", "MUST", "all three forms of a date are accepted",
              [("If-Modified-Since", date(-90000, "asctime"))],
              True, "§5.6.7"),
    condition("invalid_date", "MUST", "an invalid date is ignored", [("If-Modified-Since", "today")], False, "§13.1.3"),
    condition("two_dates", "MUST", "more than one member is ignored",
              [("If-Modified-Since", date(-90000)), ("If-Modified-Since", date(-80000))], False, "§13.1.3"),
    Case("condition_on_404", "9110 §13.2.1", "MUST", "conditions apply only where the answer would be 2xx", [
        Step(response=Response(404, [FRESH, ("ETag", '"v1"')])),
        cached(headers=[("If-None-Match", '"v1"')], status=404, answer_of=1)]),
    Case("condition_on_head", "9110 §13.1.2", "SHOULD", "HEAD is conditional as GET is", [
        STORED, cached(method="HEAD", headers=[("If-None-Match", '"v1"')], status=304)]),
    *[Case(f"condition_{name.lower().replace('-', '_')}_is_the_origins", "9111 §4.3.2", "MUST",
           "a cache does not evaluate it", [
               STORED, Step(headers=[(name, value)], response=Response(412), expect="origin", status=412,
                            origin_headers={name: value if isinstance(value, str) else PRESENT})])
      for name, value in (("If-Match", '"v0"'), ("If-Unmodified-Since", date(-99999)))],
    Case("condition_of_the_client_is_passed_on", "9110 §13.1", "MUST",
         "what cannot be judged here is judged by the origin", [
        Step(headers=[("If-None-Match", '"v1"')], response=judged_by_the_origin, status=304, expect="either",
             requests=1),
        Step(path="/other", headers=[("If-None-Match", '"v0"')], response=judged_by_the_origin, status=200,
             expect="either",
             requests=1)]),
]

FIELDS = [
    Case("cache_control_is_passed_on", "9111 §5.2", "MUST", "directives are passed on, known or not", [
        Step(headers=[("Cache-Control", "x-one=1, max-age=100")],
             response=Response(headers=[("Cache-Control", 'max-age=3600, x-two="a, b", Public'),
                                        ("Cache-Control", "x-three")]),
             origin_headers={"Cache-Control": "x-one=1, max-age=100"},
             response_headers={"Cache-Control": ['max-age=3600, x-two="a, b", Public', "x-three"]}),
        cached(response_headers={"Cache-Control": ['max-age=3600, x-two="a, b", Public', "x-three"]}),
    ]),
    Case("cache_control_is_not_added", "9111 §5.2", "MUST", "no directive is made up", [
        Step(response=Response(headers=[("Last-Modified", date(-864000))]),
             response_headers={"Cache-Control": None, "Expires": None, "Pragma": None, "Warning": None}),
        cached(response_headers={"Cache-Control": None, "Expires": None, "Pragma": None, "Warning": None}),
    ]),
    Case("pragma_is_passed_on", "9111 §5.4", "optimal", "Pragma is passed on", [
        Step(headers=[("Pragma", "x-other")], response=fresh(("Pragma", "x")), origin_headers={"Pragma": "x-other"},
             response_headers={"Pragma": "x"}),
        cached(response_headers={"Pragma": "x"}),
    ]),
    Case("immutable_is_passed_on", "8246 §2", "optimal", "immutable is for browsers; it is passed on and stored", [
        Step(response=Response(headers=[("Cache-Control", "max-age=3600, immutable")]),
             response_headers={"Cache-Control": "max-age=3600, immutable"}),
        cached(response_headers={"Cache-Control": "max-age=3600, immutable"}),
    ]),
    Case("immutable_prolongs_nothing", "8246 §2", "MUST", "it counts during the freshness lifetime only", [
        Step(response=Response(headers=[("Cache-Control", "max-age=50, must-revalidate, immutable"), ("Age", "100")])),
        fetched(response=unstored()),
    ]),
    Case("immutable_gives_no_lifetime", "8246 §2", "MUST", "it counts during the freshness lifetime only", [
        Step(response=Response(headers=[("Cache-Control", "immutable")])),
        fetched(response=unstored()),
    ]),
    Case("immutable_with_an_argument", "8246 §2", "MUST", "arguments are ignored, so are repetitions", [
        Step(response=Response(headers=[("Cache-Control", "immutable=0, max-age=3600, immutable")])), cached()]),
    Case("clear_site_data_is_passed_on", "Clear Site Data §3.1", "optimal", "it is a field like others", [
        Step(response=fresh(("Clear-Site-Data", '"cache", "cookies"')),
             response_headers={"Clear-Site-Data": '"cache", "cookies"'}),
        cached(response_headers={"Clear-Site-Data": '"cache", "cookies"'}),
        Step(method="POST", body="x", response=Response(headers=[("Clear-Site-Data", '"*"')]),
             response_headers={"Clear-Site-Data": '"*"'}),
    ]),
    Case("age_on_hits", "9111 §4, §5.1", "MUST", "Age is generated on every answer from the cache", [
        Step(response=fresh(("ETag", '"v1"'), body="0123456789"), response_headers={"Age": Where(
            lambda value: value in (None, "0"), "absent or 0")}),
        cached(response_headers={"Age": between(0, 5)}),
        cached(method="HEAD", response_headers={"Age": between(0, 5)}),
        cached(headers=[("If-None-Match", '"v1"')], status=304, response_headers={"Age": between(0, 5)}),
        cached(headers=[("Range", "bytes=0-1")], status=206, body_is="01", response_headers={"Age": between(0, 5)}),
    ]),
    Case("age_is_replaced", "9111 §4", "MUST", "the stored Age is replaced by the current age", [
        Step(response=fresh(("Age", "50")), response_headers={"Age": ["50"]}),
        cached(response_headers={"Age": between(50, 55)}, check=lambda response, *_: verify(
            len(response.fields.all("Age")) == 1, response.fields.all("Age"))),
    ]),
    Case("age_of_a_relayed_response_is_kept", "9110 §5.1, 9111 §5.1", "MUST",
         "what is relayed keeps the Age that it came with", [
        Step(response=response_text(f"HTTP/1.1 200 OK\n{LIFE}Age: 50\nContent-Length: 1\n", b"x"),
             response_headers={"Age": between(50, 55)}),
        Step(path="/b", response=unstored(("Age", "50")), response_headers={"Age": between(50, 55)}),
    ]),
    Case("age_counts_date", "9111 §4.2.3", "MUST", "apparent_age counts", [
        Step(response=fresh(("Date", date(-100)))), cached(response_headers={"Age": between(100, 105)})]),
    Case("fields_unknown_are_forwarded", "9110 §5.1", "MUST", "unrecognised fields are forwarded both ways", [
        Step(headers=[("X-Strange!", "a;b=\"c\"")], response=fresh(("Y~Strange", "z")),
             origin_headers={"X-Strange!": "a;b=\"c\""}, response_headers={"Y~Strange": "z"}),
        cached(response_headers={"Y~Strange": "z"}),
    ]),
    Case("fields_keep_the_order_of_lines", "9110 §5.3", "MUST", "lines of one name keep their order", [
        Step(headers=[("X-Many", "1"), ("X-Between", "x"), ("X-Many", "2"), ("X-Many", "1")],
             response=fresh(("Y-Many", "b"), ("Y-Many", "a"), ("Y-Many", "b, c")),
             origin_headers={"X-Many": ["1", "2", "1"]}, response_headers={"Y-Many": ["b", "a", "b, c"]}),
        cached(response_headers={"Y-Many": ["b", "a", "b, c"]}),
    ]),
    Case("fields_with_obs_text", "9110 §5.5", "optimal", "bytes above 127 are opaque data", [
        Step(headers=[("X-Latin", "caf\xe9")], response=fresh(("Y-Latin", "caf\xe9")),
             origin_headers={"X-Latin": "caf\xe9"},
             response_headers={"Y-Latin": "caf\xe9"}),
        cached(response_headers={"Y-Latin": "caf\xe9"}),
    ]),
    Case("fields_about_the_end_points_are_not_modified", "9110 §7.7", "SHOULD",
         "fields about end points and content are left alone", [
             Step(headers=[("User-Agent", "A/1 (x)"), ("Accept", "a/b ;q=1"), ("Referer", "http://x/")],
                  response=fresh(("Server", "S/1"), ("Allow", "GET,  HEAD"), ("Content-Type", "a/b ; c=\"d\""),
                                 ("Retry-After", "5")),
                  origin_headers={"User-Agent": "A/1 (x)", "Accept": "a/b ;q=1", "Referer": "http://x/"},
                  response_headers={"Server": "S/1", "Allow": "GET,  HEAD", "Content-Type": "a/b ; c=\"d\"",
                                    "Retry-After": "5"}),
             cached(response_headers={"Server": "S/1", "Allow": "GET,  HEAD", "Content-Type": "a/b ; c=\"d\"",
                                      "Retry-After": "5"}),
         ]),
    Case("status_and_reason_are_kept", "9110 §15", "MUST", "an unknown status is passed on as it is", [
        Step(response=Response(299, [FRESH], reason="Odd But Fine"), check=lambda response, *_: verify(
            (response.status, response.reason) == (299, "Odd But Fine"), response.raw_head)),
    ]),
]

add_tests(__name__, "Interim", INTERIM)
add_tests(__name__, "Trailers", TRAILERS)
add_tests(__name__, "Dates", DATES)
add_tests(__name__, "Via", VIA)
add_tests(__name__, "Connections", CONNECTION)
add_tests(__name__, "MaxForwards", MAX_FORWARDS)
add_tests(__name__, "Targets", TARGETS)
add_tests(__name__, "Framing", FRAMING)
add_tests(__name__, "Versions", VERSIONS)
add_tests(__name__, "Bodiless", BODILESS)
add_tests(__name__, "Methods", METHODS)
add_tests(__name__, "Conditions", CONDITIONS)
add_tests(__name__, "Fields", FIELDS)


class InTime(IntegrationCase):
    """What must not wait."""

    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES, workers=1)

    def test_interim_responses_come_before_the_final_one_is_there(self):
        """RFC 9110 §15.2: each interim response is passed on while the origin still works on the answer."""
        for control in ("max-age=600", "no-store"):
            with self.subTest(control):
                gates = [self.gate() for _ in range(2)]

                def handler(exchange, gates=gates, control=control):
                    exchange.interim(103, {"Link": "</a>"})
                    gates[0].pass_through()
                    exchange.interim(102)
                    gates[1].pass_through()
                    exchange.reply(200, {"Cache-Control": control}, "x")

                self.site.on("/" + control, handler)
                client = self.connect(self.proxy)
                client.send_request("GET", "/" + control)
                self.assertEqual(client.read_head().status, 103)
                gates[0].open()
                self.assertEqual(client.read_head().status, 102)
                gates[1].open()
                self.assertEqual(client.read_response().body, b"x")

    def test_a_100_comes_before_the_body_is_sent(self):
        """RFC 9110 §10.1.1: an expectation is forwarded, and the origin's 100 lets the client go on."""
        def handler(exchange):
            exchange.interim(100)
            exchange.read_body()
            exchange.reply(200, body=exchange.request.body)

        self.site.on("/", handler, stream=True)
        client = self.connect(self.proxy)
        client.send_request("PUT", "/", {"Expect": "100-continue", "Content-Length": "3"})
        self.assertEqual(client.read_head().status, 100)
        client.send(b"abc")
        self.assertEqual(client.read_response("PUT").body, b"abc")

    def test_a_write_is_not_sent_twice(self):
        """RFC 9110 §9.2.2: a request that is not idempotent is not retried by itself."""
        self.site.answers("/warm", "x", {"Cache-Control": "no-store"})
        for method in ("POST", "PATCH"):
            with self.subTest(method):
                client = self.connect(self.proxy)
                self.assertEqual(client.get("/warm").body, b"x")
                self.site.on("/once", lambda exchange: exchange.close(), method)
                try:
                    self.assertIn(client.request(method, "/once", body="x").status, (502, 504))
                except Disconnected:
                    pass
                self.assertEqual(self.site.count("/once", method), 1)

    def test_a_loop_ends(self):
        """RFC 9110 §7.6: a gateway that is made to forward to itself does not do so without end."""
        link = TcpLink(0)
        self.addCleanup(link.close)
        proxy = self.larder(f"http://127.0.0.1:{link.port}", rules=PLAIN_RULES, workers=1,
                            settings=settings(origin={"connections": 200, "read_timeout": "1s", "queue_timeout": "1s"}))
        link.target_port = proxy.port
        for method in ("GET", "POST"):
            with self.subTest(method):
                response = proxy.request(method, "/", body=None if method == "GET" else b"")
                self.assertGreaterEqual(response.status, 400)
        self.assertTrue(proxy.is_running())

    def test_requests_behind_a_close_are_not_answered(self):
        """RFC 9112 §9.6: nothing is answered after the answer to a request with "close"."""
        self.site.answers("/", "x", {"Cache-Control": "max-age=600"})
        answer = exchange_bytes(self.proxy.port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                                                 b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(answer.count(b"HTTP/1.1 200"), 1)


if __name__ == "__main__":
    unittest.main()
