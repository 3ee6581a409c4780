"""RFC 9111 §4.2.4 and RFC 5861: when a stale response may be served and when never. §5.2.1: what a client may ask
for."""

import time
import unittest

from .support.larder_process import settings
from .support.rfc_case import Case, Response, Step, add_tests, between, cached, date, fetched, holds

CASES = []
DAY = 86400
FRESH = ("Cache-Control", "max-age=3600")
ETAG = ("ETag", '"v1"')
LATE = ("Age", "60")  # with max-age=10: stale for 50 seconds
ERRORS = (500, 502, 503, 504)


def case(id, rfc, level, what, steps, cases=CASES):  # pylint: disable=redefined-builtin
    cases.append(Case(id, rfc if rfc[0].isdigit() else f"9111 {rfc}", level, what, steps))


def cc(value, *more):
    return [("Cache-Control", value), *more]


# Without permission (§4.2.4).
case("stale_is_not_served", "§4.2.4", "MUST", "a stale response is not served without asking",
     [Step(response=Response(headers=cc("max-age=10", LATE))), fetched(), fetched()])
case("stale_expires_is_not_served", "§4.2.4", "MUST", "neither by Expires",
     [Step(response=Response(headers=[("Expires", date(-10))])), fetched()])
case("stale_heuristic_is_not_served", "§4.2.4", "MUST", "nor by a heuristic",
     [Step(response=Response(headers=[("Last-Modified", date(-1000)), ("Age", "500")])), fetched()])
for status in (404, 410, 301, 403):
    case(f"stale_{status}_to_a_refresh", "§4.2.4", "MUST", f"a {status} from the origin is no failure to hide",
         [Step(response=Response(headers=cc("max-age=10, stale-if-error=3600", LATE))),
          fetched(response=Response(status), status=status)])

# must-revalidate and its kin (§5.2.2.2, §5.2.2.8, §5.2.2.10).
STRICT = {"must_revalidate": "max-age=10, must-revalidate", "proxy_revalidate": "max-age=10, proxy-revalidate",
          "s_maxage": "s-maxage=10",
          "s_maxage_max_age": "max-age=3600, s-maxage=10", "must_revalidate_upper": "max-age=10, MUST-REVALIDATE",
          "must_revalidate_argument": "max-age=10, must-revalidate=foo", "no_cache": "max-age=10, no-cache"}
for name, value in STRICT.items():
    for how, response in (("503", Response(503)), ("500", Response(500)), ("reset", Response(broken="reset")),
                          ("close", Response(broken="close")),
                          ("garbage", Response(broken="garbage"))):
        case(f"{name}_{how}", "§4.2.4", "MUST",
             f"with {value} no stale response is served when the origin fails, whatever else is said",
             [Step(response=Response(headers=cc(f"{value}, stale-if-error=3600", LATE, ETAG))),
              Step(expect="either", response=response, check=holds(lambda response, seen: response.status >= 500,
                                                                   "the answer is an error"))])
    case(f"{name}_while_revalidate", "§4.2.4", "MUST", f"with {value} stale-while-revalidate does not count",
         [Step(response=Response(headers=cc(f"{value}, stale-while-revalidate=3600", LATE, ETAG))), fetched()])
    case(f"{name}_max_stale", "§4.2.4", "MUST", f"with {value} neither does the client's max-stale",
         [Step(response=Response(headers=cc(value, LATE))), fetched(headers=cc("max-stale"))])
    case(f"{name}_max_stale_number", "§4.2.4", "MUST", f"with {value} nor max-stale with a number",
         [Step(response=Response(headers=cc(value, LATE))), fetched(headers=cc("max-stale=1000"))])
    case(f"{name}_request_stale_if_error", "§4.2.4", "MUST", f"with {value} nor the client's stale-if-error",
         [Step(response=Response(headers=cc(value, LATE, ETAG))),
          Step(headers=cc("stale-if-error=3600"), response=Response(503), status=503)])
    case(f"{name}_validated", "§5.2.2.2", "optimal", f"what {value} makes stale is validated",
         [Step(response=Response(headers=cc(value, LATE, ETAG))),
          Step(expect="validated", response=Response(304, [FRESH, ETAG]))])
    case(f"{name}_only_if_cached", "§4.2.4", "MUST", f"with {value} only-if-cached does not make it usable",
         [Step(response=Response(headers=cc(value, LATE))), Step(headers=cc("only-if-cached, max-stale"),
                                                                 expect="larder", status=504)])
case("must_revalidate_504", "§5.2.2.2", "SHOULD", "the error is 504, unless another is more applicable",
     [Step(response=Response(headers=cc("max-age=10, must-revalidate", LATE, ETAG))),
      Step(expect="either", response=Response(broken="close"),
           check=holds(lambda response, seen: response.status in (502, 504), "it is 502 or 504"))])
case("must_revalidate_fresh", "§5.2.2.2", "optimal", "fresh responses are not concerned",
     [Step(response=Response(headers=cc("max-age=3600, must-revalidate, proxy-revalidate"))), cached()])
case("must_revalidate_second_line", "§5.2.2.2", "MUST", "on any line",
     [Step(response=Response(headers=[("Cache-Control", "max-age=10, stale-if-error=3600"),
                                      ("Cache-Control", "must-revalidate"), LATE])),
      Step(response=Response(503), status=503)])

# stale-while-revalidate (RFC 5861 §3).
SWR = cc("max-age=10, stale-while-revalidate=3600", LATE)
case("while_revalidate", "5861 §3", "optimal", "it is served stale at once and replaced in the background",
     [Step(response=Response(headers=SWR)), cached(background=True, response=Response(headers=[FRESH]),
                                                   response_headers={"Age": between(60, 65)}),
      cached(answer_of=2)])
case("while_revalidate_conditional", "5861 §3", "optimal", "the background request is conditional, and a 304 renews",
     [Step(response=Response(headers=[*SWR, ETAG])),
      cached(background=True, response=Response(304, [FRESH, ETAG]), origin_headers={"If-None-Match": '"v1"'},
             answer_of=1), cached(answer_of=1)])
case("while_revalidate_upper", "5861 §3", "optimal", "in any case of letters",
     [Step(response=Response(headers=cc("max-age=10, Stale-While-Revalidate=3600", LATE))),
      cached(background=True, response=Response(headers=[FRESH]))])
case("while_revalidate_max_age_zero", "5861 §3", "optimal", "with max-age=0 too",
     [Step(response=Response(headers=cc("max-age=0, stale-while-revalidate=3600"))),
      cached(background=True, response=Response(headers=[FRESH]))])
case("while_revalidate_expires", "5861 §3", "optimal", "with a past Expires too",
     [Step(response=Response(headers=cc("stale-while-revalidate=3600", ("Expires", date(-10))))),
      cached(background=True, response=Response(headers=[FRESH]))])
case("while_revalidate_with_time", "5861 §3", "optimal", "when the time has passed really",
     [Step(response=Response(headers=cc("max-age=1, stale-while-revalidate=3600"))),
      cached(background=True, response=Response(headers=[FRESH]),
             pause_until=lambda response: response.cache == "STALE"), cached(answer_of=2)])
case("while_revalidate_window", "5861 §3", "MUST", "beyond its window it is not served stale",
     [Step(response=Response(headers=cc("max-age=10, stale-while-revalidate=20", LATE))), fetched()])
case("while_revalidate_zero", "5861 §3", "MUST", "a window of zero is none",
     [Step(response=Response(headers=cc("max-age=10, stale-while-revalidate=0", LATE))), fetched()])
for name, value in {"word": "abc", "negative": "-1", "none": None, "empty": "", "fraction": "1000.5",
                    "single_quoted": "'1000'"}.items():
    directive = "stale-while-revalidate" if value is None else f"stale-while-revalidate={value}"
    case(f"while_revalidate_invalid_{name}", "§4.2.4", "MUST", f"an invalid window is none: {directive}",
         [Step(response=Response(headers=cc(f"max-age=10, {directive}", LATE))), fetched()])
for status in ERRORS:
    case(f"while_revalidate_fails_{status}", "5861 §3", "optimal", f"a {status} in the background leaves what there is",
         [Step(response=Response(headers=SWR)), cached(background=True, response=Response(status)),
          cached(background="maybe", response=Response(status), answer_of=1)])
case("while_revalidate_404", "5861 §3", "optimal", "a 404 in the background takes its place",
     [Step(response=Response(headers=SWR)), cached(background=True, response=Response(404, [FRESH])),
      cached(answer_of=2, status=404)])
case("while_revalidate_no_store", "§5.2.2.5", "MUST", "an answer in the background that is not to be stored is not",
     [Step(response=Response(headers=SWR)), cached(background=True, response=Response(headers=cc("no-store"))),
      Step(expect="either", check=holds(lambda response, seen: b"step 2" not in response.body,
                                        "the no-store answer is not stored"))])
case("while_revalidate_selecting_fields", "§4.3.1", "MUST", "the background request has the fields that Vary names",
     [Step(headers=[("X-A", "a")], response=Response(headers=[*SWR, ETAG, ("Vary", "X-A")])),
      cached(headers=[("X-A", "a")], background=True, response=Response(304, [FRESH, ETAG, ("Vary", "X-A")]),
             origin_headers={"X-A": "a"},
             origin_method="GET"), cached(headers=[("X-A", "a")])])
for name, directive in {"no_cache": "no-cache", "max_age_zero": "max-age=0", "max_age": "max-age=30",
                        "min_fresh": "min-fresh=1"}.items():
    case(f"while_revalidate_request_{name}", "§5.2.1", "MAY",
         f"a client that asks for {directive} does not get it stale",
         [Step(response=Response(headers=SWR)), fetched(headers=cc(directive))])
case("while_revalidate_no_warning", "§5.5", "optimal", "Warning is obsolete and not generated",
     [Step(response=Response(headers=SWR)), cached(background=True, response=Response(headers=[FRESH]),
                                                   response_headers={"Warning": None})])

# stale-if-error (RFC 5861 §4).
SIE = cc("max-age=10, stale-if-error=3600", LATE)
for status in ERRORS:
    case(f"if_error_{status}", "5861 §4", "optimal", f"a {status} is hidden by the stale response",
         [Step(response=Response(headers=SIE))] +
         [Step(expect="either", response=Response(status), answer_of=1, status=200, requests=1,
               response_headers={"Age": between(60, 65), "Warning": None})])
    case(f"if_error_validating_{status}", "5861 §4", "optimal", f"a {status} to a validation is hidden too",
         [Step(response=Response(headers=[*SIE, ETAG])), Step(expect="either", response=Response(status), answer_of=1,
                                                              status=200)])
    case(f"if_error_{status}_not_stored", "5861 §4", "MUST", f"a {status} does not take the stored response's place",
         [Step(response=Response(headers=SIE)), Step(expect="either", response=Response(status, [FRESH]), answer_of=1,
                                                     status=200),
          fetched(response=Response(headers=[FRESH])), cached(answer_of=3)])
for status in (501, 505, 507, 400, 429):
    case(f"if_error_not_{status}", "5861 §4", "optimal", f"a {status} is no such error",
         [Step(response=Response(headers=SIE)), fetched(response=Response(status), status=status)])
for how in ("reset", "close", "garbage"):
    case(f"if_error_{how}", "5861 §4", "optimal", f"a broken connection ({how}) is an error",
         [Step(response=Response(headers=SIE)), Step(expect="either", response=Response(broken=how), answer_of=1,
                                                     status=200)])
case("if_error_window", "5861 §4", "MUST", "beyond its window the error is shown",
     [Step(response=Response(headers=cc("max-age=10, stale-if-error=20", LATE))),
      fetched(response=Response(503), status=503)])
for name, value in {"word": "abc", "negative": "-1", "none": None, "zero": "0", "fraction": "1000.5"}.items():
    directive = "stale-if-error" if value is None else f"stale-if-error={value}"
    case(f"if_error_invalid_{name}", "§4.2.4", "MUST", f"an invalid window is none: {directive}",
         [Step(response=Response(headers=cc(f"max-age=10, {directive}", LATE))),
          fetched(response=Response(503), status=503)])
case("if_error_upper", "5861 §4", "optimal", "in any case of letters",
     [Step(response=Response(headers=cc("max-age=10, STALE-IF-ERROR=3600", LATE))),
      Step(expect="either", response=Response(503), answer_of=1, status=200)])
case("if_error_quoted", "§5.2", "optimal", "in either form of an argument",
     [Step(response=Response(headers=cc('max-age=10, stale-if-error="3600"', LATE))),
      Step(expect="either", response=Response(503), answer_of=1, status=200)])
case("if_error_request", "5861 §4", "optimal", "a client may ask for it",
     [Step(response=Response(headers=cc("max-age=10", LATE))),
      Step(headers=cc("stale-if-error=3600"), expect="either", response=Response(503), answer_of=1, status=200)])
case("if_error_request_window", "5861 §4", "MUST", "within its window",
     [Step(response=Response(headers=cc("max-age=10", LATE))),
      fetched(headers=cc("stale-if-error=20"), response=Response(503), status=503)])
case("if_error_no_permission", "§4.2.4", "optimal", "without it an error is shown",
     [Step(response=Response(headers=cc("max-age=10", LATE))), fetched(response=Response(503), status=503)])
case("if_error_then_well", "5861 §4", "optimal", "the origin is asked each time, and used again when it is well",
     [Step(response=Response(headers=SIE)), Step(expect="either", response=Response(503), answer_of=1, status=200,
                                                 requests=1),
      Step(expect="either", response=Response(503), answer_of=1, status=200, requests=1),
      fetched(response=Response(headers=[FRESH])), cached(answer_of=4)])
case("if_error_with_time", "5861 §4", "optimal", "when the time has passed really, with nothing to validate by",
     [Step(response=Response(headers=cc("max-age=1, stale-if-error=3600"))),
      Step(expect="either", response=Response(503), pause_until=lambda response: response.cache != "HIT", answer_of=1,
           status=200)])
case("must_revalidate_with_time", "§5.2.2.2", "MUST", "what must be revalidated when the time has passed is not served",
     [Step(response=Response(headers=cc("max-age=1, must-revalidate, stale-if-error=3600, stale-while-revalidate=3600"))),
      fetched(response=Response(503), pause_until=lambda response: response.cache != "HIT", status=503)])
case("s_maxage_with_time", "§5.2.2.10", "MUST", "nor is what s-maxage was given for",
     [Step(response=Response(headers=cc("s-maxage=1, stale-if-error=3600, stale-while-revalidate=3600"))),
      fetched(response=Response(503), pause_until=lambda response: response.cache != "HIT", status=503)])
case("only_if_cached_with_time", "§5.2.1.7", "SHOULD", "what has become stale with time is a 504 for only-if-cached",
     [Step(response=Response(headers=cc("max-age=1"))),
      Step(headers=cc("only-if-cached"), expect="larder", status=504,
           pause_until=lambda response: response.cache != "HIT")])
case("if_error_condition", "5861 §4", "optimal", "a client's own condition is evaluated against what is served",
     [Step(response=Response(headers=[*SIE, ETAG])),
      Step(headers=[("If-None-Match", '"v1"')], expect="either", response=Response(503), status=304)])
case("if_error_incomplete", "5861 §4", "MUST", "an answer that breaks off later is not mixed with the stored one",
     [Step(response=Response(headers=SIE, body="a" * 1000)),
      Step(response=Response(headers=[FRESH], body="b" * 2000, cut=1000), expect="either", broken=True),
      Step(expect="either", response=Response(headers=[FRESH], body="a" * 1000), body_is="a" * 1000)])

# Request directives (§5.2.1), honoured.
case("request_max_age_older", "§5.2.1.1", "MAY", "what is older than the request's max-age is not reused",
     [Step(response=Response(headers=[FRESH, LATE])), fetched(headers=cc("max-age=30"))])
case("request_max_age_younger", "§5.2.1.1", "optimal", "what is younger is",
     [Step(response=Response(headers=[FRESH, LATE])), cached(headers=cc("max-age=600"))])
case("request_max_age_zero", "§5.2.1.1", "MAY", "max-age=0 has it fetched anew",
     [Step(response=Response(headers=[FRESH])), fetched(headers=cc("max-age=0"), response=Response(headers=[FRESH])),
      cached(answer_of=2)])
case("request_max_age_no_longer_life", "§5.2.1.1", "MUST", "max-age does not make a stale response fresh",
     [Step(response=Response(headers=cc("max-age=10", LATE))), fetched(headers=cc("max-age=3600"))])
case("request_max_age_quoted", "§5.2", "optimal", "in either form of an argument",
     [Step(response=Response(headers=[FRESH, LATE])), fetched(headers=cc('max-age="30"'))])
case("request_max_age_with_max_stale", "§5.2.1.1", "optimal",
     "with max-stale a stale response younger than max-age is reused",
     [Step(response=Response(headers=cc("max-age=10", LATE))), cached(headers=cc("max-age=600, max-stale=600"))])
case("request_max_age_older_with_max_stale", "§5.2.1.1", "MAY", "max-stale does not lift max-age",
     [Step(response=Response(headers=cc("max-age=10", LATE))), fetched(headers=cc("max-age=30, max-stale"))])
case("request_min_fresh_short", "§5.2.1.3", "MAY", "what is not fresh for long enough is not reused",
     [Step(response=Response(headers=cc("max-age=100", LATE))), fetched(headers=cc("min-fresh=60"))])
case("request_min_fresh_long", "§5.2.1.3", "optimal", "what is fresh for long enough is",
     [Step(response=Response(headers=cc("max-age=100", LATE))), cached(headers=cc("min-fresh=20"))])
case("request_min_fresh_huge", "§1.2.2", "MUST", "a huge min-fresh overflows into nothing",
     [Step(response=Response(headers=[FRESH])), fetched(headers=cc("min-fresh=99999999999999999999"))])
case("request_max_stale_any", "§5.2.1.2", "optimal", "max-stale without a number accepts any",
     [Step(response=Response(headers=cc("max-age=10", LATE))),
      cached(headers=cc("max-stale"), response_headers={"Age": between(60, 65), "Warning": None})])
case("request_max_stale_enough", "§5.2.1.2", "optimal", "max-stale beyond the staleness accepts it",
     [Step(response=Response(headers=cc("max-age=10", LATE))), cached(headers=cc("max-stale=100"))])
case("request_max_stale_with_time", "§5.2.1.2", "optimal", "also what has become stale here, without any validator",
     [Step(response=Response(headers=cc("max-age=1"))), cached(headers=cc("max-stale"),
                                                               pause_until=lambda response: response.cache != "HIT")])
case("request_max_stale_validator", "§5.2.1.2", "optimal", "max-stale accepts what could be validated",
     [Step(response=Response(headers=cc("max-age=10", LATE, ETAG))),
      cached(headers=cc("max-stale"), response_headers={"Age": between(60, 65)})])
case("request_max_stale_too_little", "§4.2.4", "MUST", "max-stale below the staleness does not",
     [Step(response=Response(headers=cc("max-age=10", LATE))), fetched(headers=cc("max-stale=20"))])
case("request_max_stale_zero", "§4.2.4", "MUST", "max-stale=0 accepts nothing stale",
     [Step(response=Response(headers=cc("max-age=10", LATE))), fetched(headers=cc("max-stale=0"))])
case("request_max_stale_invalid", "§4.2.4", "MUST", "an invalid max-stale accepts nothing",
     [Step(response=Response(headers=cc("max-age=10", LATE))), fetched(headers=cc("max-stale=abc"))])
case("request_max_stale_huge", "§1.2.2", "optimal", "a huge max-stale is a large one",
     [Step(response=Response(headers=cc("max-age=10", LATE))), cached(headers=cc("max-stale=99999999999999999999"))])
case("request_max_stale_heuristic", "§5.2.1.2", "optimal", "max-stale accepts what a heuristic made stale",
     [Step(response=Response(headers=[("Last-Modified", date(-1000)), ("Age", "500")])),
      cached(headers=cc("max-stale"))])
case("request_max_stale_fresh", "§5.2.1.2", "optimal", "max-stale is no obstacle to a fresh response",
     [Step(response=Response(headers=[FRESH])), cached(headers=cc("max-stale=10"))])
case("request_max_stale_upper", "§5.2", "optimal", "in any case of letters",
     [Step(response=Response(headers=cc("max-age=10", LATE))), cached(headers=cc("Max-Stale"))])
case("request_no_cache", "§5.2.1.4", "MAY", "no-cache has it fetched anew, and that is stored",
     [Step(response=Response(headers=[FRESH])), fetched(headers=cc("no-cache"), response=Response(headers=[FRESH])),
      cached(answer_of=2)])
case("request_no_cache_upper", "§5.2", "MAY", "in any case of letters, among others, on any line",
     [Step(response=Response(headers=[FRESH])), fetched(headers=[("Cache-Control", "foo"),
                                                                 ("Cache-Control", 'bar="a, b", No-Cache')])])
case("request_no_cache_in_quotes", "§5.2", "optimal", "not within quotes",
     [Step(response=Response(headers=[FRESH])), cached(headers=cc('foo="no-cache, no-store, max-age=0"'))])
case("request_unknown_directives", "§5.2.3", "MUST", "unknown directives are ignored",
     [Step(response=Response(headers=[FRESH])),
      cached(headers=cc("foo, bar=baz, no-cachex, max-age-x=0, must-revalidate, s-maxage=0, private"))])
case("request_pragma_no_cache", "§5.4", "MAY", "Pragma: no-cache counts as no-cache where there is no Cache-Control",
     [Step(response=Response(headers=[FRESH])), fetched(headers=[("Pragma", "no-cache")])])
case("request_pragma_beside_cache_control", "§5.4", "optimal", "beside Cache-Control it does not",
     [Step(response=Response(headers=[FRESH])), cached(headers=[("Pragma", "no-cache"),
                                                                ("Cache-Control", "max-age=600")])])
case("request_pragma_other", "§5.4", "optimal", "another Pragma means nothing",
     [Step(response=Response(headers=[FRESH])), cached(headers=[("Pragma", "foo")])])
case("only_if_cached_nothing", "§5.2.1.7", "SHOULD", "only-if-cached with nothing stored is a 504",
     [Step(headers=cc("only-if-cached"), expect="larder", status=504), fetched()])
case("only_if_cached_fresh", "§5.2.1.7", "SHOULD", "with a fresh response it is that",
     [Step(response=Response(headers=[FRESH])), cached(headers=cc("only-if-cached"))])
case("only_if_cached_stale", "§5.2.1.7", "SHOULD", "with a stale one it is a 504",
     [Step(response=Response(headers=cc("max-age=10", LATE))),
      Step(headers=cc("only-if-cached"), expect="larder", status=504)])
case("only_if_cached_max_stale", "§5.2.1.7", "SHOULD", "unless the client accepts stale ones",
     [Step(response=Response(headers=cc("max-age=10", LATE))), cached(headers=cc("only-if-cached, max-stale"))])
case("only_if_cached_max_age", "§5.2.1.7", "SHOULD", "consistent with the request's other directives",
     [Step(response=Response(headers=[FRESH, LATE])), Step(headers=cc("only-if-cached, max-age=30"), expect="larder",
                                                           status=504),
      cached(headers=cc("only-if-cached, max-age=600"))])
case("only_if_cached_no_cache", "§5.2.1.7", "SHOULD", "with no-cache it cannot be fulfilled",
     [Step(response=Response(headers=[FRESH])), Step(headers=cc("only-if-cached, no-cache"), expect="larder",
                                                     status=504)])
case("only_if_cached_upper", "§5.2", "SHOULD", "in any case of letters",
     [Step(headers=cc("Only-If-Cached"), expect="larder", status=504)])
case("only_if_cached_head", "§5.2.1.7", "SHOULD", "for HEAD too",
     [Step(method="HEAD", headers=cc("only-if-cached"), expect="larder", status=504),
      Step(response=Response(headers=[FRESH])),
      cached(method="HEAD", headers=cc("only-if-cached"))])
case("request_directives_are_forwarded", "§5.2", "MUST", "a proxy passes cache directives through",
     [Step(headers=cc('max-age=5, min-fresh=6, no-transform, foo="a, b"'),
           origin_headers={"Cache-Control": 'max-age=5, min-fresh=6, no-transform, foo="a, b"'}),
      Step(headers=cc("no-cache"), origin_headers={"Cache-Control": "no-cache"}),
      Step(headers=cc("no-store"), origin_headers={"Cache-Control": "no-store"}),
      Step(headers=[("Pragma", "foo")], origin_headers={"Pragma": "foo"})])
DIRECTIVES = 'max-age=3600, s-maxage=3600, no-transform, must-understand, foo="a, b"'
case("response_directives_are_forwarded", "§5.2", "MUST",
     "also those of responses, known or not, from the cache or not",
     [Step(response=Response(headers=cc(DIRECTIVES)), response_headers={"Cache-Control": DIRECTIVES}),
      cached(response_headers={"Cache-Control": DIRECTIVES})])
case("uncacheable_directives_are_forwarded", "§5.2", "MUST", "also where nothing is stored",
     [Step(response=Response(headers=cc("no-store, private, foo")),
           response_headers={"Cache-Control": "no-store, private, foo"})])

add_tests(__name__, "Stale", CASES)

# The same directives under `client_directives: ignore`.
IGNORING = []
for name, directive in {"no_cache": "no-cache", "max_age_zero": "max-age=0", "max_age": "max-age=30",
                        "min_fresh": "min-fresh=36000",
                        "no_store": "no-store"}.items():
    case(f"ignored_{name}", "§5.2.1", "MAY",
         f"request directives are advisory: {directive} under client_directives: ignore",
         [Step(response=Response(headers=[FRESH, LATE])), cached(headers=cc(directive))], IGNORING)
case("ignored_pragma", "§5.4", "MAY", "so is Pragma", [Step(response=Response(headers=[FRESH])),
                                                       cached(headers=[("Pragma", "no-cache")])], IGNORING)
case("ignored_max_stale", "§4.2.4", "MAY", "max-stale allows nothing then",
     [Step(response=Response(headers=cc("max-age=10", LATE))), fetched(headers=cc("max-stale"))], IGNORING)
case("ignored_only_if_cached", "§5.2.1.7", "MAY", "only-if-cached is passed on then",
     [Step(headers=cc("only-if-cached"), expect="origin")], IGNORING)
case("ignored_directives_are_forwarded", "§5.2", "MUST", "they are passed on nevertheless",
     [Step(headers=cc("no-cache, foo"), origin_headers={"Cache-Control": "no-cache, foo"})], IGNORING)
add_tests(__name__, "IgnoringClients", IGNORING, rules="""
client_directives: ignore
types: { page: {} }
routes:
  - match: GET /**
    cache: page
""")


# An origin that does not answer in time.
def never(request):  # pylint: disable=unused-argument
    """No answer before Larder's patience ends."""
    time.sleep(1.5)
    return Response(broken="close")


TIMEOUTS = []
case("if_error_timeout", "5861 §4", "optimal", "an origin that does not answer in time is an error",
     [Step(response=Response(headers=SIE)), Step(expect="either", response=never, answer_of=1, status=200)], TIMEOUTS)
case("must_revalidate_timeout", "§5.2.2.2", "SHOULD", "a timeout is a 504 where the stale response must not be used",
     [Step(response=Response(headers=cc("max-age=10, must-revalidate, stale-if-error=3600", LATE))),
      Step(expect="either", response=never, status=504)],
     TIMEOUTS)
add_tests(__name__, "SlowOrigin", TIMEOUTS, settings=settings(origin={"read_timeout": "1s"}))

if __name__ == "__main__":
    unittest.main()
