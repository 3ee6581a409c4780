"""RFC 9111 §3.1 and §3.2: which header fields a stored response keeps, in order and case, and which a 304 or a HEAD
replaces."""

import unittest

from .support.rfc_case import PRESENT, Case, Response, Step, add_tests, cached, date, holds, not_reused, reused

CASES = []
FRESH = ("Cache-Control", "max-age=3600")
STALE = [("Cache-Control", "max-age=10"), ("Age", "60")]
ETAG = ("ETag", '"v1"')


def case(id, rfc, level, what, steps):  # pylint: disable=redefined-builtin
    CASES.append(Case(id, rfc if rfc[0].isdigit() else f"9111 {rfc}", level, what, steps))


def names(response, prefix):
    """The field lines whose name begins so, as they came."""
    return [(name, value) for name, value in response.fields if name.lower().startswith(prefix)]


def lines_are(prefix, expected):
    """A check that these lines came in this order and spelling."""
    def check(response, context, seen):  # pylint: disable=unused-argument
        got = names(response, prefix)
        if got != expected:
            raise AssertionError(f"the lines are {got}, not {expected}")
    return check


# Everything that is received is stored (§3.1).
FIELDS = {
    "Accept-Ranges": "bytes", "Access-Control-Allow-Origin": "https://a.example",
    "Access-Control-Expose-Headers": "X-A, X-B",
    "Allow": "GET, HEAD", "Alt-Svc": 'h2="alt.example:443"; ma=60', "Authentication-Info": 'nextnonce="a"',
    "Cache-Control": 'max-age=3600, foo="bar, baz", immutable', "Clear-Site-Data": '"cookies"',
    "Content-Disposition": 'attachment; filename="a b"', "Content-Encoding": "x-unknown", "Content-Language": "de, en",
    "Content-Location": "/elsewhere?x=1", "Content-MD5": "Q2hlY2sgSW50ZWdyaXR5IQ==", "Content-Digest": "sha-256=:YWJj:",
    "Content-Security-Policy": "default-src 'self'", "Content-Type": "application/json; charset=utf-8",
    "Deprecation": "@1688169599",
    "ETag": '"a\xe4b"', "Expires": "Thu, 01 Dec 1994 16:00:00 GMT", "Last-Modified": "Tue, 15 Nov 1994 12:45:26 GMT",
    "Link": '</a>; rel=preload, </b>; rel="next"', "Location": "/a/../b", "NEL": '{"report_to":"a"}', "Pragma": "foo",
    "Preference-Applied": "respond-async", "Proxy-Status": "a; error=x", "Public": "GET", "Refresh": "5; url=/x",
    "Retry-After": "120",
    "Server": "origin/1.0 (test)", "Server-Timing": "db;dur=53", "Sourcemap": "/a.map",
    "Strict-Transport-Security": "max-age=1",
    "Timing-Allow-Origin": "*", "Vary": "X-Nothing", "Warning": '199 a "b"', "WWW-Authenticate": 'Basic realm="a, b"',
    "X-Content-Type-Options": "nosniff", "X-Empty": "", "X-Frame-Options": "DENY",
    "X-Unknown": "anything, at: all; (really)",
    "X-Obs-Text": "\xe9\xff\x80", "X-Quotes": '"a, b" , \'c\'', "X-Long": "v" * 8000, "X-Inner-Space": "a  b\tc",
    "x": "1",
    "!#$%&'*+-.^_`|~": "token",
}
for field, value in FIELDS.items():
    lines = [(field, value)] if field == "Cache-Control" else [FRESH, (field, value)]
    name = "".join(c if c.isalnum() else "_" for c in field.lower()).strip("_") or "odd_token"
    case(f"stored_{name}", "§3.1", "MUST", f"{field} is stored and comes with every reuse",
         reused(Response(headers=lines), response_headers={field: value}))
case("stored_date", "§3.1", "MUST", "Date stays that of the origin",
     reused(Response(headers=[FRESH, ("Date", date(-100))]), response_headers={"Date": date(-100)}))
case("stored_expires_with_max_age", "§3.1", "MUST", "Expires is passed on though max-age counts",
     reused(Response(headers=[FRESH, ("Expires", date(100))]), response_headers={"Expires": date(100)}))
case("stored_invalid_expires", "§3.1", "MUST", "an invalid field value is stored as it came",
     reused(Response(headers=[FRESH, ("Expires", "0"), ("Last-Modified", "whenever")]),
            response_headers={"Expires": "0", "Last-Modified": "whenever"}))
case("stored_order", "9110 §5.3", "MUST", "lines of one name keep their order",
     reused(Response(headers=[("X-A", "1"), FRESH, ("X-B", "x"), ("X-A", "2"), ("X-A", "3")]),
            response_headers={"X-A": "1, 2, 3"}))
ORDER = [("X-Ord-C", "1"), ("X-Ord-A", "2"), ("X-Ord-B", "3"), ("X-Ord-A", "4")]
case("stored_order_of_all", "§3.1", "optimal", "the order of all lines is kept",
     [Step(response=Response(headers=[*ORDER, FRESH]), check=lines_are("x-ord-", ORDER)),
      cached(check=lines_are("x-ord-", ORDER))])
SPELLED = [("X-SpElL-One", "AbC"), ("x-spell-two", "d"), ("X-SPELL-THREE", "E")]
case("stored_spelling", "§3.1", "optimal", "names and values keep their case",
     [Step(response=Response(headers=[*SPELLED, FRESH]), check=lines_are("x-spell-", SPELLED)),
      cached(check=lines_are("x-spell-", SPELLED))])
case("stored_set_cookie_lines", "9110 §5.3", "MUST", "Set-Cookie lines are not combined",
     reused(Response(headers=[("Cache-Control", "public, max-age=3600"),
                              ("Set-Cookie", "a=b; Expires=Thu, 01 Jan 2099 00:00:00 GMT"),
                              ("Set-Cookie", "c=d")]),
            response_headers={"Set-Cookie": ["a=b; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "c=d"]}))
case("stored_many", "§3.1", "MUST", "a hundred and fifty fields are stored",
     reused(Response(headers=[FRESH] + [(f"X-{i}", str(i)) for i in range(150)]),
            response_headers={f"X-{i}": str(i) for i in range(150)}))
case("stored_content_length", "§3.1", "MUST", "a reused response has a Content-Length that fits",
     reused(Response(headers=[FRESH], body="12345"), response_headers={"Content-Length": "5"}))
case("stored_content_type_absent", "§3.1", "optimal", "no field is invented",
     reused(Response(headers=[FRESH]), response_headers={
    "Content-Type": None, "Last-Modified": None, "ETag": None, "Expires": None, "Warning": None, "Pragma": None,
    "Vary": None}))
case("stored_reason_and_status", "§3.1", "optimal", "the status stays", reused(Response(203, [FRESH]), status=203))

# What is not end-to-end is not stored (§3.1, RFC 9110 §7.6.1).
for name, lines, gone in (
        ("connection", [("Connection", "X-Hop"), ("X-Hop", "a")], ("X-Hop",)),
        ("connection_list", [("Connection", "foo, X-Hop,X-Other , ,"), ("X-Hop", "a"), ("X-Other", "b")],
         ("X-Hop", "X-Other")),
        ("connection_lines", [("Connection", "X-Hop"), ("Connection", "X-Other"), ("X-Hop", "a"), ("X-Other", "b")],
         ("X-Hop", "X-Other")),
        ("connection_case", [("connection", "x-HOP"), ("X-Hop", "a")], ("X-Hop",)),
        ("connection_after", [("X-Hop", "a"), ("X-Hop", "b"), ("Connection", "X-Hop")], ("X-Hop",)),
        ("connection_close", [("Connection", "close, X-Hop"), ("X-Hop", "a")], ("X-Hop",)),
        ("connection_etag", [("Connection", "ETag"), ETAG], ("ETag",)),
        ("keep_alive", [("Keep-Alive", "timeout=5")], ("Keep-Alive",)),
        ("proxy_connection", [("Proxy-Connection", "keep-alive")], ("Proxy-Connection",)),
        ("te", [("TE", "trailers")], ("TE",)),
        ("upgrade", [("Connection", "Upgrade"), ("Upgrade", "h2c")], ("Upgrade",))):
    case(f"not_stored_{name}", "§3.1", "MUST", f"{', '.join(gone)} is neither forwarded nor reused",
         [Step(response=Response(headers=[FRESH, *lines, ("X-Kept", "k")], close="close" in name),
               response_headers={**{field: None for field in gone}, "X-Kept": "k"}),
          cached(response_headers={**{field: None for field in gone}, "X-Kept": "k"})])
for field, value in (("Proxy-Authenticate", 'Basic realm="p"'), ("Proxy-Authentication-Info", 'nextnonce="a"'),
                     ("Proxy-Authorization", "Basic YTpi")):
    case(f"not_stored_{field.lower().replace('-', '_')}", "§3.1", "MUST", f"{field} is not stored",
         reused(Response(headers=[FRESH, (field, value), ("X-Kept", "k")]),
                response_headers={field: None, "X-Kept": "k"}))
case("not_stored_transfer_encoding", "§3.1", "MUST", "the transfer coding of one message is not that of the next",
     reused(Response(headers=[FRESH], framing="chunked", body="12345"),
            response_headers={"Transfer-Encoding": None, "Content-Length": "5"}))
case("connection_named_freshness_does_not_count", "9110 §7.6.1", "optimal",
     "a field that Connection names is not for us to keep",
     [Step(response=Response(headers=[FRESH, ("Connection", "X-A"), ("X-A", "a")])),
      cached(response_headers={"X-A": None, "Connection": None})])
case("trailers_are_not_headers", "§3.1", "MUST", "trailer fields are not combined with header fields",
     [Step(response=Response(headers=[FRESH, ("Trailer", "X-Sum")], trailers=[("X-Sum", "s")]),
           response_headers={"X-Sum": None}),
      cached(response_headers={"X-Sum": None})])
case("trailers_do_not_replace_headers", "§3.1", "MUST", "a trailer field does not take the place of a header field",
     [Step(response=Response(headers=[FRESH, ETAG, ("X-A", "header")],
                             trailers=[("X-A", "trailer"), ("ETag", '"other"')])),
      cached(response_headers={"X-A": "header", "ETag": '"v1"'})])
case("trailers_give_no_lifetime", "§3.1", "MUST", "nor is its Cache-Control one of the header",
     not_reused(Response(trailers=[("Cache-Control", "max-age=3600"), ("Expires", date(3600))])))
case("trailers_take_no_lifetime", "§3.1", "optimal", "nor does it take a lifetime away",
     reused(Response(headers=[FRESH], trailers=[("Cache-Control", "no-store"), ("Age", "7200")])))
case("old_hit_labels", "§3.1", "optimal", "what another cache said of itself is not taken for ours",
     reused(Response(headers=[FRESH, ("X-Cache", "MISS-OF-ORIGIN"), ("X-Cache-Key", "k"),
                              ("Cache-Status", "Other; hit")]),
            check=holds(lambda response, seen: response.cache == "HIT" and response.fields.all("X-Cache") == ["HIT"],
                        "X-Cache is ours alone")))


# A 304 updates what is stored (§3.2, §4.3.4).
UPDATED = {
    "Allow": ("GET", "GET, HEAD"), "Cache-Control": (None, "max-age=3600, public"),
    "Content-Disposition": ("inline", "attachment"),
    "Content-Language": ("de", "en"), "Content-Location": ("/old", "/new"),
    "Content-Security-Policy": ("default-src a", "default-src b"),
    "Content-Type": ("text/plain", "text/html"), "Content-MD5": ("b2xk", "bmV3"),
    "Content-Digest": ("sha-256=:b2xk:", "sha-256=:bmV3:"),
    "Content-Foo": ("old", "new"),
    "Link": ("</old>; rel=next", "</new>; rel=next"), "Server": ("old", "new"), "X-Changed": ("old", "new"),
    "X-Empty": ("old", ""),
    "Access-Control-Allow-Origin": ("https://a.example", "https://b.example"),
    "X-Frame-Options": ("DENY", "SAMEORIGIN"),
    "Strict-Transport-Security": ("max-age=1", "max-age=2"), "Warning": ('199 a "old"', '199 a "new"'),
    "Clear-Site-Data": ('"cache"', '"cookies"'), "Retry-After": ("1", "2"), "Vary": ("X-Old", "X-New"),
    "Alt-Svc": ("clear", 'h2=":443"'),
}
for field, (old, new) in UPDATED.items():
    first = [*STALE, ETAG] if old is None else [*STALE, ETAG, (field, old)]
    second = [ETAG, (field, new)] if field == "Cache-Control" else [FRESH, ETAG, (field, new)]
    case(f"updated_{field.lower().replace('-', '_')}", "§3.2", "MUST", f"a 304 replaces {field}",
         [Step(response=Response(headers=first)),
          Step(expect="validated", response=Response(304, second), response_headers={field: new}),
          cached(answer_of=1, response_headers={field: new})])
case("updated_new_field", "§3.2", "MUST", "a 304 adds fields that were not there",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG, ("X-New", "n")]), response_headers={"X-New": "n"}),
      cached(response_headers={"X-New": "n"})])
case("updated_keeps_others", "§3.2", "MUST", "fields that the 304 does not have stay",
     [Step(response=Response(headers=[*STALE, ETAG, ("X-Kept", "k"), ("Content-Type", "text/x")])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG]),
           response_headers={"X-Kept": "k", "Content-Type": "text/x"}),
      cached(response_headers={"X-Kept": "k", "Content-Type": "text/x", "Content-Length": PRESENT})])
case("updated_all_lines", "§3.2", "MUST", "all lines of a replaced field go",
     [Step(response=Response(headers=[*STALE, ETAG, ("X-A", "1"), ("X-B", "b"), ("x-a", "2")])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG, ("X-A", "3"), ("X-A", "4")]),
           response_headers={"X-A": "3, 4", "X-B": "b"}),
      cached(response_headers={"X-A": "3, 4", "X-B": "b"})])
case("updated_other_case", "§3.2", "MUST", "names are compared case-insensitively",
     [Step(response=Response(headers=[*STALE, ETAG, ("X-Changed", "old")])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG, ("x-CHANGED", "new")]),
           response_headers={"X-Changed": "new"}),
      cached(response_headers={"X-Changed": "new"})])
case("updated_date_and_expires", "§3.2", "MUST", "Date and Expires of the 304 take the old ones' place",
     [Step(response=Response(headers=[("Expires", date(-50)), ("Date", date(-100)), ETAG])),
      Step(expect="validated", response=Response(304, [("Expires", date(3600)), ("Date", date(-1)), ETAG])),
      cached(response_headers={"Expires": date(3600), "Date": date(-1)})])
case("updated_last_modified", "§3.2", "MUST", "so does Last-Modified",
     [Step(response=Response(headers=[*STALE, ETAG, ("Last-Modified", date(-5000))])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG, ("Last-Modified", date(-4000))])),
      cached(response_headers={"Last-Modified": date(-4000)})])
case("updated_lifetime", "§4.3.4", "MUST", "the freshness lifetime is computed anew",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(expect="validated", response=Response(304, [("Cache-Control", "max-age=0"), ETAG])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG])), cached(answer_of=1)])
case("updated_age_is_of_the_304", "§4.2.3", "MUST", "the age counts from the validation, with the 304's own Age",
     [Step(response=Response(headers=[("Cache-Control", "max-age=600"), ("Age", "1000"), ETAG])),
      Step(expect="validated", response=Response(304, [ETAG])), cached(answer_of=1),
      ])
case("updated_age_in_the_304", "§4.2.3", "MUST", "a 304 that is old itself does not make it fresh",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(expect="validated", response=Response(304, [("Cache-Control", "max-age=100"), ETAG, ("Age", "200")])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG]))])
for field, old, new in (("Content-Length", None, "3"), ("Content-Encoding", "x-old", "x-new"),
                        ("Content-Range", None, "bytes 0-1/5")):
    case(f"not_updated_{field.lower().replace('-', '_')}", "§3.2", "MUST", f"a 304 does not replace {field}",
         [Step(response=Response(headers=[*STALE, ETAG] + ([(field, old)] if old else []), body="12345")),
          Step(expect="validated", response=Response(304, [FRESH, ETAG, (field, new)]), body_is="12345",
               response_headers={field: "5" if field == "Content-Length" else old}),
          cached(body_is="12345", response_headers={field: "5" if field == "Content-Length" else old})])
case("not_updated_content_encoding_new", "§3.2", "MUST", "nor does it give a Content-Encoding to what has none",
     [Step(response=Response(headers=[*STALE, ETAG], body="12345")),
      Step(expect="validated", response=Response(304, [FRESH, ETAG, ("Content-Encoding", "gzip")]), body_is="12345",
           response_headers={"Content-Encoding": None}),
      cached(body_is="12345", response_headers={"Content-Encoding": None})])
for name, lines, gone in (("connection", [("Connection", "X-Hop"), ("X-Hop", "a")], "X-Hop"),
                          ("keep_alive", [("Keep-Alive", "timeout=5")], "Keep-Alive"),
                          ("proxy_authenticate", [("Proxy-Authenticate", "Basic")], "Proxy-Authenticate"),
                          ("upgrade", [("Connection", "upgrade"), ("Upgrade", "h2c")], "Upgrade")):
    case(f"not_updated_{name}", "§3.2", "MUST", f"what is not stored is not stored from a 304 either: {gone}",
         [Step(response=Response(headers=[*STALE, ETAG])),
          Step(expect="validated", response=Response(304, [FRESH, ETAG, *lines])),
          cached(response_headers={gone: None})])
case("not_updated_connection_names_stored", "§3.2", "MUST", "a 304's Connection does not take away what is stored",
     [Step(response=Response(headers=[*STALE, ETAG, ("X-A", "old")])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG, ("Connection", "X-A"), ("X-A", "new")])),
      cached(response_headers={"X-A": "old"})])
case("updated_private_list", "§3.2", "MUST", "what private lists is not stored from a 304 either",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(expect="validated", response=Response(304, [("Cache-Control", 'max-age=3600, private="X-Secret"'), ETAG,
                                                       ("X-Secret", "s")])),
      cached(response_headers={"X-Secret": None})])
case("updated_no_store", "§5.2.2.5", "MUST", "a 304 with no-store makes what is stored unusable",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(expect="validated", response=Response(304, [("Cache-Control", "no-store, max-age=3600"), ETAG])), Step()])
case("updated_private", "§5.2.2.7", "MUST", "so does one with private",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(expect="validated", response=Response(304, [("Cache-Control", "private, max-age=3600"), ETAG])), Step()])
case("updated_order", "§3.2", "optimal", "the order of what stays is kept",
     [Step(response=Response(headers=[*STALE, ETAG, *ORDER])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG])),
      cached(check=lines_are("x-ord-", ORDER))])

# So does a HEAD that the origin answered (§4.3.5).
NO_CACHE = [("Cache-Control", "no-cache")]
HEAD_FIELDS = {"X-Changed": ("old", "new"), "Content-Type": ("text/plain", "text/html"),
               "Content-Language": ("de", "en"),
               "X-New": (None, "n")}
for field, (old, new) in HEAD_FIELDS.items():
    case(f"head_updates_{field.lower().replace('-', '_')}", "§4.3.5", "SHOULD",
         f"a HEAD that shows the same representation replaces {field}",
         [Step(response=Response(headers=[FRESH, ETAG] + ([(field, old)] if old else []), body="12345")),
          Step(method="HEAD", headers=NO_CACHE, expect="either",
               response=Response(headers=[FRESH, ETAG, (field, new)], body="12345")),
          cached(answer_of=1, response_headers={field: new})])
case("head_keeps_content_encoding", "§3.2", "MUST", "but not Content-Encoding",
     [Step(response=Response(headers=[FRESH, ETAG, ("Content-Encoding", "x-old")], body="12345")),
      Step(method="HEAD", headers=NO_CACHE, expect="either",
           response=Response(headers=[FRESH, ETAG, ("Content-Encoding", "x-new")], body="12345")),
      Step(expect="either", check=holds(lambda response, seen: seen or response.fields.get("Content-Encoding") == "x-old",
                                        "the stored Content-Encoding is kept"))])
case("head_hop_by_hop", "§3.1", "MUST", "nor hop-by-hop fields",
     [Step(response=Response(headers=[FRESH, ETAG], body="12345")),
      Step(method="HEAD", headers=NO_CACHE, expect="either",
           response=Response(headers=[FRESH, ETAG, ("Connection", "X-Hop"), ("X-Hop", "h")], body="12345"),
           response_headers={"X-Hop": None}),
      Step(expect="either", response_headers={"X-Hop": None})])

add_tests(__name__, "Headers", CASES)

if __name__ == "__main__":
    unittest.main()
