"""RFC 9111 §3: what a shared cache stores (statuses, methods, directives, credentials, incomplete messages), and §4:
for which target URIs and methods it is used again."""

import unittest

from .support.raw_client import HOST
from .support.rfc_case import (ANSWER, Case, Response, Step, add_tests, cached, date, fetched, holds, not_reused, path,
                               reused, uri)

DAY = 86400
CASES = []
FRESH = ("Cache-Control", "max-age=3600")
OLD = ("Last-Modified", date(-100 * DAY))
AUTHORIZATION = ("Authorization", "Basic dXNlcjpwYXNz")


def case(id, rfc, level, what, steps):  # pylint: disable=redefined-builtin
    CASES.append(Case(id, rfc if rfc[0].isdigit() else f"9111 {rfc}", level, what, steps))


def cc(value, *more):
    return [("Cache-Control", value), *more]


# Every final status code that may stand alone, with explicit freshness.
BODYLESS = {204: None, 205: ""}
for status in (200, 201, 202, 203, 204, 205, 207, 208, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404, 405,
               406,
               408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 426, 451, 500, 501, 502, 503,
               504,
               505, 506, 507, 508, 510):
    extra = [("Location", "/elsewhere")] if status in (201, 300, 301, 302, 303, 305, 307, 308) else []
    extra += [("WWW-Authenticate", 'Basic realm="r"')] if status == 401 else []
    case(f"status_{status}", "§3", "optimal", f"a {status} with an explicit lifetime is stored and reused",
         reused(Response(status, [FRESH, *extra], body=BODYLESS.get(status))))
for status in (209, 219, 299, 309, 399, 430, 444, 499, 512, 599):
    case(f"status_unknown_{status}", "§3", "optimal",
         f"the unknown status {status} with an explicit lifetime is reused",
         reused(Response(status, [FRESH])))
    case(f"status_unknown_must_understand_{status}", "§3", "MUST",
         f"with must-understand the unknown {status} is not stored",
         not_reused(Response(status, cc("must-understand, max-age=3600"))))
for status in (301, 404, 500, 299):
    case(f"status_expires_{status}", "§3", "optimal", f"a {status} with Expires is stored and reused",
         reused(Response(status, [("Expires", date(3600))])))
    case(f"status_s_maxage_{status}", "§3", "optimal", f"a {status} with s-maxage is stored and reused",
         reused(Response(status, cc("s-maxage=3600"))))
for status in (428, 429, 431, 511):
    case(f"status_never_{status}", f"6585 §{ {428: 3, 429: 4, 431: 5, 511: 6}[status] }", "MUST",
         f"responses with the {status} status code MUST NOT be stored by a cache",
         not_reused(Response(status, [FRESH])))
for status in (302, 400, 500):
    case(f"status_no_lifetime_{status}", "§3", "MUST", f"a {status} without anything that allows it is not stored",
         not_reused(Response(status)))
case("status_unsolicited_304", "§3", "MUST", "a 304 to a client's own condition is not stored as the response",
     [Step(headers=[("If-None-Match", '"a"')], response=lambda request: Response(304, [FRESH, ("ETag", '"a"')])
           if request.fields.has("If-None-Match") else Response(headers=[FRESH, ("ETag", '"a"')]), expect="either",
           status=304),
      Step(expect="either", status=200,
           check=holds(lambda response, seen: response.body, "the body is the whole one"))])


# no-store (§5.2.2.5).
for name, value in {"alone": "no-store", "max_age": "max-age=3600, no-store",
                    "before_max_age": "no-store, max-age=3600",
                    "upper": "NO-STORE, max-age=3600", "mixed": "No-Store, max-age=3600",
                    "public": "public, no-store, max-age=3600",
                    "s_maxage": "s-maxage=3600, no-store", "no_cache": "no-cache, no-store, max-age=3600",
                    "argument": "no-store=foo, max-age=3600", "quoted_argument": 'no-store="foo", max-age=3600',
                    "private_list": 'private="x-a", no-store, max-age=3600',
                    "after_quotes": 'foo="a, b", no-store, max-age=3600',
                    "immutable": "immutable, no-store, max-age=3600", "no_space": "max-age=3600,no-store,foo",
                    "swr": "max-age=3600, stale-while-revalidate=3600, stale-if-error=3600, no-store"}.items():
    case(f"no_store_{name}", "§5.2.2.5", "MUST", f"not stored: {value}", not_reused(Response(headers=cc(value))))
case("no_store_expires", "§5.2.2.5", "MUST", "no-store counts beside Expires",
     not_reused(Response(headers=cc("no-store", ("Expires", date(3600))))))
case("no_store_heuristic", "§5.2.2.5", "MUST", "no-store counts beside Last-Modified",
     not_reused(Response(headers=cc("no-store", OLD))))
case("no_store_second_line", "§5.2.2.5", "MUST", "no-store counts on any line",
     not_reused(Response(headers=[FRESH, ("Cache-Control", "foo"), ("Cache-Control", "no-store")])))
case("no_store_not_validated", "§5.2.2.5", "MUST", "what is not stored is not validated either",
     not_reused(Response(headers=cc("no-store", ("ETag", '"a"'), OLD)),
                origin_headers={"If-None-Match": None, "If-Modified-Since": None}))
case("no_store_replaces_nothing", "§5.2.2.5", "MUST", "a no-store answer to a validation is not stored",
     [Step(response=Response(headers=cc("max-age=10", ("Age", "60"), ("ETag", '"a"')))),
      Step(response=Response(headers=cc("no-store", ("ETag", '"b"')))),
      fetched(response=Response(headers=cc("max-age=3600", ("ETag", '"c"')))), cached(answer_of=3)])
case("no_store_status_404", "§5.2.2.5", "MUST", "nor is an error with no-store",
     not_reused(Response(404, cc("max-age=3600, no-store"))))
case("request_no_store", "§5.2.1.5", "MUST", "the answer to a request with no-store is not stored",
     [Step(headers=[("Cache-Control", "no-store")], response=Response(headers=[FRESH])), fetched()])
case("request_no_store_upper", "§5.2.1.5", "MUST", "in any case and company",
     [Step(headers=[("Cache-Control", 'foo="a, b", No-Store')], response=Response(headers=[FRESH])), fetched()])
case("request_no_store_keeps_the_stored", "§5.2.1.5", "MUST",
     "no-store says nothing of what is stored already, and its answer does not take that one's place",
     [Step(response=Response(headers=[FRESH])),
      Step(headers=[("Cache-Control", "no-store")], response=Response(headers=[FRESH]), expect="either"),
      cached(answer_of=1)])

# must-understand (§5.2.2.3).
for name, value in {"after": "no-store, must-understand, max-age=3600",
                    "before": "must-understand, no-store, max-age=3600",
                    "upper": "No-Store, MUST-Understand, max-age=3600"}.items():
    for status in (200, 301, 404):
        case(f"must_understand_{name}_{status}", "§5.2.2.3", "SHOULD",
             f"who understands {status} ignores no-store beside must-understand: {value}",
             reused(Response(status, cc(value, *([("Location", "/x")] if status == 301 else [])))))
case("must_understand_alone", "§5.2.2.3", "optimal", "must-understand on an understood status changes nothing",
     reused(Response(headers=cc("must-understand, max-age=3600"))))
case("must_understand_unknown_no_store", "§5.2.2.3", "MUST", "no-store counts where the status is not understood",
     not_reused(Response(299, cc("must-understand, no-store, max-age=3600"))))
case("must_understand_unknown_public", "§5.2.2.3", "MUST", "nor does `public` help an unknown status",
     not_reused(Response(599, cc("must-understand, public, s-maxage=3600"))))
case("must_understand_private", "§5.2.2.7", "MUST", "private counts beside must-understand",
     not_reused(Response(headers=cc("must-understand, no-store, private, max-age=3600"))))
case("must_understand_no_lifetime", "§4.2", "MUST", "must-understand is no lifetime",
     not_reused(Response(headers=cc("must-understand, no-store"))))
case("must_understand_heuristic", "§5.2.2.3", "SHOULD", "nor does it forbid a heuristic",
     reused(Response(headers=cc("must-understand, no-store", OLD))))
case("must_understand_other_line", "§5.2.2.3", "SHOULD", "on different lines as on one",
     reused(Response(headers=[("Cache-Control", "no-store"), FRESH, ("Cache-Control", "must-understand")])))

# private (§5.2.2.7).
for name, value in {"alone": "private", "max_age": "private, max-age=3600", "after": "max-age=3600, private",
                    "s_maxage": "private, s-maxage=3600", "upper": "PRIVATE, max-age=3600",
                    "public": "public, private, max-age=3600",
                    "unknown_extension": 'private, community="UCI", max-age=3600',
                    "and_list": 'private="x-a", private, max-age=3600',
                    "list_after": 'private, private="x-a", max-age=3600',
                    "must_revalidate": "private, must-revalidate, max-age=3600"}.items():
    case(f"private_{name}", "§5.2.2.7", "MUST", f"a shared cache does not store {value}",
         not_reused(Response(headers=cc(value))))
case("private_expires", "§5.2.2.7", "MUST", "private counts beside Expires",
     not_reused(Response(headers=cc("private", ("Expires", date(3600))))))
case("private_heuristic", "§5.2.2.7", "MUST", "private counts beside Last-Modified",
     not_reused(Response(headers=cc("private", OLD))))
case("private_second_line", "§5.2.2.7", "MUST", "private counts on any line",
     not_reused(Response(headers=[FRESH, ("Cache-Control", "private")])))
LISTED = [("X-Secret", "s"), ("X-Other", "o"), ("X-Kept", "k")]
for directive, section in (("private", "§5.2.2.7"), ("no-cache", "§5.2.2.4")):
    tag = directive.replace("-", "_")
    for name, value, gone, kept in (
            ("one", f'{directive}="X-Secret"', ("X-Secret",), ("X-Other", "X-Kept")),
            ("lower", f'{directive}="x-secret"', ("X-Secret",), ("X-Other", "X-Kept")),
            ("two", f'{directive}="X-Secret, X-Other"', ("X-Secret", "X-Other"), ("X-Kept",)),
            ("no_space", f'{directive}="x-secret,x-other"', ("X-Secret", "X-Other"), ("X-Kept",)),
            ("twice", f'{directive}="X-Secret", {directive}="X-Other"', ("X-Secret", "X-Other"), ("X-Kept",)),
            ("token", f"{directive}=X-Secret", ("X-Secret",), ("X-Other", "X-Kept")),
            ("absent", f'{directive}="X-Absent"', (), ("X-Secret", "X-Other", "X-Kept")),
            ("upper_directive", f'{directive.upper()}="X-Secret"', ("X-Secret",), ("X-Other", "X-Kept"))):
        case(f"{tag}_list_{name}", section, "MUST",
             f"{value}: stored without these fields and no others (storing at all is optional)",
             [Step(response=Response(headers=cc(f"max-age=3600, {value}", *LISTED)),
                   response_headers={field: LISTED_VALUE for field, LISTED_VALUE in LISTED}),
              cached(response_headers={**{field: None for field in gone},
                                       **{field: dict(LISTED)[field] for field in kept}})])
case("private_list_set_cookie", "§5.2.2.7", "MUST", "Set-Cookie can be the private part",
     [Step(response=Response(headers=cc('max-age=3600, private="Set-Cookie"', ("Set-Cookie", "a=b"))),
           response_headers={"Set-Cookie": "a=b"}), cached(response_headers={"Set-Cookie": None})])
case("private_list_repeated_field", "§5.2.2.7", "MUST", "all lines of a listed field are left out",
     [Step(response=Response(headers=cc('max-age=3600, private="X-Secret"', ("X-Secret", "1"), ("X-Kept", "k"),
                                        ("x-secret", "2")))),
      cached(response_headers={"X-Secret": None, "X-Kept": "k"})])

# no-cache (§5.2.2.4).
ETAG = ("ETag", '"v1"')
for name, value in {"alone": "no-cache", "upper": "NO-CACHE", "max_age": "no-cache, max-age=3600",
                    "s_maxage": "s-maxage=3600, no-cache",
                    "public": "public, no-cache", "and_list": 'no-cache="x-a", no-cache, max-age=3600'}.items():
    case(f"no_cache_{name}", "§5.2.2.4", "MUST", f"not used without asking: {value}",
         not_reused(Response(headers=cc(value))))
    case(f"no_cache_validated_{name}", "§4.3", "optimal", f"validated on every use: {value}",
         [Step(response=Response(headers=cc(value, ETAG)))] +
         [Step(expect="validated", response=Response(304, cc(value, ETAG)),
               origin_headers={"If-None-Match": '"v1"'})] * 2)
case("no_cache_second_line", "§5.2.2.4", "MUST", "no-cache counts on any line",
     not_reused(Response(headers=[FRESH, ("Cache-Control", "no-cache")])))
case("no_cache_not_stale_if_error", "§5.2.2.4", "MUST", "no-cache forbids stale use on errors too",
     [Step(response=Response(headers=cc("no-cache, stale-if-error=3600", ETAG))), fetched(response=Response(503))])
case("no_cache_not_max_stale", "§5.2.2.4", "MUST", "nor does the client's max-stale allow it",
     [Step(response=Response(headers=cc("no-cache, max-age=3600"))), fetched(headers=[("Cache-Control", "max-stale")])])
case("no_cache_list_updated", "§5.2.2.4", "MAY", "the listed field comes back with the 304 that brings it",
     [Step(response=Response(headers=cc('max-age=10, no-cache="X-Secret"', ("Age", "60"), ETAG, ("X-Secret", "old")))),
      Step(expect="validated", response=Response(304, cc('max-age=3600, no-cache="X-Secret"', ETAG,
                                                         ("X-Secret", "new"))),
           check=holds(lambda response, seen: response.fields.get("X-Secret") != "old",
                       "the old X-Secret is not given"))])

# public (§5.2.2.9).
case("public_alone", "§4.2", "optimal", "`public` is no lifetime", not_reused(Response(headers=cc("public"))))
case("public_max_age", "§5.2.2.9", "optimal", "`public` forbids nothing",
     reused(Response(headers=cc("public, max-age=3600"))))

# Authorization (§3.5).
case("authorization_max_age", "§3.5", "MUST", "an answer to credentials is not shared without permission",
     [Step(headers=[AUTHORIZATION], response=Response(headers=[FRESH])), fetched()])
case("authorization_max_age_same_credentials", "§3.5", "MUST", "not even with the same credentials",
     [Step(headers=[AUTHORIZATION], response=Response(headers=[FRESH])), fetched(headers=[AUTHORIZATION])])
case("authorization_reaches_the_origin", "§3.5", "MUST", "credentials are forwarded",
     [Step(headers=[AUTHORIZATION], origin_headers={"Authorization": AUTHORIZATION[1]})])
for name, headers in {"expires": [("Expires", date(3600))], "heuristic": [OLD],
                      "proxy_revalidate": cc("proxy-revalidate, max-age=3600"),
                      "immutable": cc("immutable, max-age=3600"),
                      "swr": cc("max-age=10, stale-while-revalidate=3600", ("Age", "60")),
                      "unknown": cc("max-age=3600, publicly")}.items():
    case(f"authorization_{name}", "§3.5", "MUST", f"nor is it with {name}",
         [Step(headers=[AUTHORIZATION], response=Response(headers=headers)), fetched(headers=[AUTHORIZATION])])
for name, headers in {"public": cc("public, max-age=3600"), "s_maxage": cc("s-maxage=3600"),
                      "must_revalidate": cc("must-revalidate, max-age=3600"),
                      "public_expires": cc("public", ("Expires", date(3600))),
                      "must_revalidate_expires": cc("must-revalidate", ("Expires", date(3600))),
                      "public_heuristic": cc("public", OLD), "s_maxage_zero_max_age": cc("max-age=0, s-maxage=3600"),
                      "public_upper": cc("PUBLIC, max-age=3600")}.items():
    case(f"authorization_shared_{name}", "§3.5", "optimal", f"{name} allows to share it, with anybody",
         [Step(headers=[AUTHORIZATION], response=Response(headers=headers)), cached(),
          cached(headers=[("Authorization", "Basic b3RoZXI6b3RoZXI=")])])
case("authorization_must_revalidate_stale", "§3.5", "MUST",
     "the directive's own requirement counts: stale is validated",
     [Step(headers=[AUTHORIZATION], response=Response(headers=cc("must-revalidate, max-age=10", ("Age", "60"), ETAG))),
      Step(expect="validated", response=Response(304, [ETAG]))])
case("authorization_s_maxage_stale", "§3.5", "MUST",
     "the directive's own requirement counts: a passed s-maxage is not reused",
     [Step(headers=[AUTHORIZATION], response=Response(headers=cc("s-maxage=10", ("Age", "60")))),
      fetched(headers=[AUTHORIZATION])])
case("authorization_private", "§5.2.2.7", "MUST", "private counts, whatever allows sharing",
     [Step(headers=[AUTHORIZATION], response=Response(headers=cc("public, private, max-age=3600"))), fetched()])
case("authorization_on_the_second_request", "§3.5", "optimal",
     "what was stored without credentials serves a request with them",
     [Step(response=Response(headers=[FRESH])), cached(headers=[AUTHORIZATION])])
case("authorization_does_not_replace", "§3.5", "MUST", "an unshareable answer does not take the place of a stored one",
     [Step(response=Response(headers=cc("max-age=10", ("Age", "60")))),
      Step(headers=[AUTHORIZATION], response=Response(headers=[FRESH])), fetched()])

# Cookies (§7.3).
case("set_cookie_max_age", "§7.3", "optimal", "Set-Cookie does not inhibit caching",
     reused(Response(headers=[FRESH, ("Set-Cookie", "a=b; Path=/")]), response_headers={"Set-Cookie": "a=b; Path=/"}))
case("set_cookie_s_maxage", "§7.3", "optimal", "Set-Cookie beside s-maxage",
     reused(Response(headers=cc("s-maxage=3600", ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"))),
            response_headers={"Set-Cookie": ["a=b", "c=d"]}))
case("set_cookie_public", "§7.3", "optimal", "Set-Cookie beside `public`",
     reused(Response(headers=cc("public, max-age=3600", ("Set-Cookie", "a=b"))),
            response_headers={"Set-Cookie": "a=b"}))
case("set_cookie_expires", "§7.3", "optimal", "Set-Cookie beside Expires",
     reused(Response(headers=[("Expires", date(3600)), ("Set-Cookie", "a=b")]), response_headers={"Set-Cookie": "a=b"}))
case("request_cookie", "§4", "optimal", "a Cookie in the request is no obstacle",
     [Step(headers=[("Cookie", "a=b")], response=Response(headers=[FRESH])), cached(headers=[("Cookie", "c=d")]),
      cached()])

# Methods.
case("get_then_head", "§4", "optimal", "a stored GET answers a HEAD, with its length and no body",
     [Step(response=Response(headers=[FRESH, ("X-A", "a")], body="12345")),
      Step(method="HEAD", expect="cache", response_headers={"Content-Length": "5", "X-A": "a"})])
case("head_is_no_get", "§4", "MUST", "a HEAD's answer does not serve a GET",
     [Step(method="HEAD", response=Response(headers=[FRESH])), fetched()])
for method in ("OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH"):
    case(f"get_then_{method.lower()}", "§4", "MUST", f"a stored GET does not answer {method}",
         [Step(response=Response(headers=[FRESH])), Step(method=method, response=Response(headers=[FRESH]))])
    case(f"{method.lower()}_then_get", "§4", "MUST", f"an answer to {method} does not serve a GET",
         [Step(method=method, response=Response(headers=[FRESH])), fetched()])
for method in ("OPTIONS", "TRACE"):
    case(f"{method.lower()}_twice", "9110 §9.3", "MUST", f"responses to {method} are not cacheable",
         [Step(method=method, response=Response(headers=[FRESH]))] * 2)
for method in ("POST", "PUT", "PATCH", "DELETE", "FOO", "get"):
    name = "lower_get" if method == "get" else method.lower()
    case(f"{name}_is_written_through", "§4", "MUST", f"{method} always reaches the origin, whatever is stored",
         [Step(response=Response(headers=[FRESH])),
          Step(method=method, body="x", response=Response(headers=[FRESH])),
          Step(method=method, body="x", response=Response(headers=[FRESH]))])
    case(f"{name}_then_get", "9110 §9.3", "MUST", f"an answer to {method} does not serve a GET",
         [Step(method=method, body="x", response=Response(headers=[FRESH])), fetched()])
LOCATIONS = {"path": path(), "absolute": uri(), "absolute_port": uri("", f"{HOST}:80"),
             "upper_host": uri("", HOST.upper())}
for name, location in LOCATIONS.items():
    case(f"post_content_location_{name}", "9110 §9.3.3", "optimal",
         "a POST's answer with explicit freshness and its own URI as Content-Location serves a GET",
         [Step(method="POST", body="x", response=Response(headers=[FRESH, ("Content-Location", location)])),
          cached(answer_of=1),
          Step(method="HEAD", expect="cache")])
case("post_content_location_expires", "9110 §9.3.3", "optimal", "explicit freshness can be Expires",
     [Step(method="POST", body="x", response=Response(headers=[("Expires", date(3600)), ("Content-Location", path())])),
      cached()])
case("post_content_location_relative", "9110 §9.3.3", "optimal",
     "a Content-Location is resolved against the target URI",
     [Step(method="POST", path="/a/b", body="x", response=Response(headers=[FRESH, ("Content-Location", "b")])),
      cached(path="/a/b")])
case("post_content_location_post_again", "§4", "MUST", "the stored answer does not serve another POST",
     [Step(method="POST", body="x", response=Response(headers=[FRESH, ("Content-Location", path())])),
      Step(method="POST", body="x", response=Response(headers=[FRESH, ("Content-Location", path())]))])
case("post_content_location_no_lifetime", "9110 §9.3.3", "MUST", "without explicit freshness it is not stored",
     [Step(method="POST", body="x", response=Response(headers=[OLD, ("Content-Location", path())])), fetched()])
case("post_content_location_public", "9110 §9.3.3", "MUST", "`public` is no explicit freshness",
     [Step(method="POST", body="x", response=Response(headers=cc("public", OLD, ("Content-Location", path())))),
      fetched()])
case("post_content_location_other", "9110 §9.3.3", "MUST", "with another Content-Location it serves neither",
     [Step(method="POST", body="x", response=Response(headers=[FRESH, ("Content-Location", path("/other"))])),
      fetched(),
      fetched(path="/other")])
case("post_content_location_other_origin", "9110 §9.3.3", "MUST", "with one of another origin it serves neither",
     [Step(method="POST", body="x", response=Response(headers=[FRESH, ("Content-Location", uri("", "other.example"))])),
      fetched(),
      fetched(headers=[("Host", "other.example")])])
case("post_content_location_query", "9110 §9.3.3", "MUST", "a Content-Location with another query is another URI",
     [Step(method="POST", body="x", response=Response(headers=[FRESH, ("Content-Location", path("?a"))])), fetched(),
      fetched(path="?a")])
for name, value in {"no_store": "max-age=3600, no-store", "private": "private, max-age=3600"}.items():
    case(f"post_content_location_{name}", "§3", "MUST", f"{name} counts for POST too",
         [Step(method="POST", body="x", response=Response(headers=cc(value, ("Content-Location", path())))), fetched()])
case("post_content_location_authorization", "§3.5", "MUST", "credentials count for POST too",
     [Step(method="POST", body="x", headers=[AUTHORIZATION],
           response=Response(headers=[FRESH, ("Content-Location", path())])), fetched()])
case("put_content_location", "9110 §9.3.4", "MUST", "responses to PUT are not cacheable, Content-Location or not",
     [Step(method="PUT", body="x", response=Response(headers=[FRESH, ("Content-Location", path())])), fetched()])
case("delete_content_location", "9110 §9.3.5", "MUST", "responses to DELETE are not cacheable",
     [Step(method="DELETE", response=Response(headers=[FRESH, ("Content-Location", path())])), fetched()])
case("post_replaces_a_stored_get", "9110 §9.3.3", "optimal", "it takes the place of what was stored",
     [Step(response=Response(headers=[FRESH])),
      Step(method="POST", body="x", response=Response(headers=[FRESH, ("Content-Location", path())])),
      cached(answer_of=2)])

# Incomplete responses (§3.3).
LONG = "x" * 1000
case("incomplete_length", "§3.3", "MUST", "a body shorter than its Content-Length is not used as the whole",
     [Step(response=Response(headers=[FRESH], body=LONG, cut=500), broken=True),
      fetched(response=Response(headers=[FRESH], body=LONG), body_is=LONG), cached(body_is=LONG)])
case("incomplete_chunked", "§3.3", "MUST", "nor is a chunked body without its last chunk",
     [Step(response=Response(headers=[FRESH], body=LONG, cut=500, framing="chunked"), broken=True),
      fetched(response=Response(headers=[FRESH], body=LONG), body_is=LONG), cached(body_is=LONG)])
case("incomplete_chunk", "§3.3", "MUST", "nor one that ends within a chunk",
     [Step(response=Response(raw=b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 b"64\r\nabc"),
           broken=True), fetched()])
case("incomplete_empty", "§3.3", "MUST", "nor one of which nothing came",
     [Step(response=Response(headers=[FRESH], body=LONG, cut=0), broken=True), fetched()])
case("incomplete_head", "§3.3", "MUST", "nor a head that was cut",
     [Step(response=Response(raw=b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nX-"), expect="either", status=502),
      fetched()])
case("incomplete_does_not_replace", "§3.3", "MUST", "an incomplete answer does not take the place of a stored one",
     [Step(response=Response(headers=cc("max-age=10, stale-if-error=3600", ("Age", "60")), body=LONG)),
      Step(response=Response(headers=[FRESH], body="y" * 1000, cut=500), broken=True),
      Step(expect="either", response=Response(headers=[FRESH], body=LONG), body_is=LONG)])
case("close_delimited", "9112 §6.3", "optimal", "a close-delimited body is complete at the end of the connection",
     reused(Response(headers=[FRESH], framing="close")))
case("http_1_0_origin", "9112 §6.3", "optimal", "so is an HTTP/1.0 answer",
     reused(Response(headers=[FRESH], framing="close", version="HTTP/1.0")))
case("chunked_whole", "9112 §6.3", "optimal", "a whole chunked body is stored",
     reused(Response(headers=[FRESH], framing="chunked")))
case("empty_body", "§3", "optimal", "an empty body is a whole one", reused(Response(headers=[FRESH], body="")))

# Pragma (§5.4).
case("pragma_in_response", "§5.4", "optimal", "Pragma in a response means nothing",
     reused(Response(headers=[FRESH, ("Pragma", "no-cache")]), response_headers={"Pragma": "no-cache"}))
case("pragma_in_response_expires", "§5.4", "optimal", "not even without Cache-Control",
     reused(Response(headers=[("Expires", date(3600)), ("Pragma", "no-cache")])))
case("pragma_in_response_no_lifetime", "§5.4", "MUST", "nor does it give a lifetime",
     not_reused(Response(headers=[("Pragma", "public, max-age=3600")])))

# Whose response it is (§4).
case("other_path", "§4", "MUST", "another path is another resource",
     [Step(response=Response(headers=[FRESH])), fetched(path="/x")])
case("other_query", "§4", "MUST", "another query is another resource",
     [Step(path="?a=1", response=Response(headers=[FRESH])), fetched(path="?a=2"), fetched(), cached(path="?a=1")])
case("empty_query", "§4", "MUST", "an empty query is not none",
     [Step(response=Response(headers=[FRESH])), fetched(path="?")])
case("path_is_case_sensitive", "§4", "MUST", "paths are case-sensitive",
     [Step(path="/a", response=Response(headers=[FRESH])), fetched(path="/A")])
case("other_host", "§4", "MUST", "another host is another resource",
     [Step(response=Response(headers=[FRESH])), fetched(headers=[("Host", "other.example")])])
case("other_port", "§4", "MUST", "another port is another resource",
     [Step(response=Response(headers=[FRESH])), fetched(headers=[("Host", f"{HOST}:8080")])])
case("host_case", "9110 §4.2.3", "optimal", "hosts are case-insensitive",
     [Step(response=Response(headers=[FRESH])), cached(headers=[("Host", HOST.upper())])])
case("host_default_port", "9110 §4.2.3", "optimal", "the default port is none",
     [Step(response=Response(headers=[FRESH])), cached(headers=[("Host", f"{HOST}:80")])])
case("absolute_form", "9112 §3.2.2", "optimal", "the absolute form names the same resource",
     [Step(response=Response(headers=[FRESH])), cached(path=uri())])
case("encoded_unreserved", "9110 §4.2.3", "optimal", "an encoded unreserved character is the character",
     [Step(path="/~a", response=Response(headers=[FRESH])), cached(path="/%7Ea")])
case("encoding_case", "9110 §4.2.3", "optimal", "hexadecimal digits are case-insensitive",
     [Step(path="/%c3%a4", response=Response(headers=[FRESH])), cached(path="/%C3%A4")])
case("encoded_slash", "9110 §4.2.3", "MUST", "an encoded reserved character is not the character",
     [Step(path="/a/b", response=Response(headers=[FRESH])), fetched(path="/a%2Fb")])
case("two_slashes", "9110 §4.2.3", "MUST", "two slashes are not one",
     [Step(path="/a/b", response=Response(headers=[FRESH])), fetched(path="/a//b")])
case("newer_replaces_older", "§4", "MUST", "of several stored responses the most recent is used",
     [Step(response=Response(headers=[FRESH])), Step(headers=[("Cache-Control", "no-cache")],
                                                     response=Response(headers=[FRESH])),
      cached(answer_of=2)])
case("unmarked", "§3", "optimal", "the harness's own mark is not what makes the cache work",
     [Step(response=Response(headers=[FRESH], mark=False)), cached(response_headers={ANSWER: None})])

add_tests(__name__, "Storing", CASES)

if __name__ == "__main__":
    unittest.main()
