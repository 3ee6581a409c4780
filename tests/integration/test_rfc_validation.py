"""RFC 9111 §4.3: conditional requests that we send and receive, what 304, 200 and errors do to what is stored, and
HEAD."""

import unittest

from .support.rfc_case import PRESENT, Case, Response, Step, Where, add_tests, between, cached, date, fetched, holds

CASES = []
FRESH = ("Cache-Control", "max-age=3600")
STALE = [("Cache-Control", "max-age=10"), ("Age", "60")]
ETAG = ("ETag", '"v1"')
MODIFIED = ("Last-Modified", date(-5000))
NO_CACHE = [("Cache-Control", "no-cache")]


def case(id, rfc, level, what, steps):  # pylint: disable=redefined-builtin
    CASES.append(Case(id, rfc if rfc[0].isdigit() else f"9111 {rfc}", level, what, steps))


# §4.3.1: sending.
for name, etag in {"strong": '"v1"', "weak": 'W/"v1"', "empty": '""', "comma": '"a,b"', "backslash": '"a\\b"',
                   "obs_text": '"\xe9\xff"', "star": '"*"', "single_quotes": "\"'v1'\"", "long": '"' + "v" * 2000 + '"',
                   "slash": '"W/v1"',
                   "angle": '"<v1>"', "weak_empty": 'W/""'}.items():
    case(f"sends_etag_{name}", "§4.3.1", "MUST", "the stored entity tag is sent in If-None-Match, as it came",
         [Step(response=Response(headers=[*STALE, ("ETag", etag)])),
          Step(expect="validated", response=Response(304, [FRESH, ("ETag", etag)]),
               origin_headers={"If-None-Match": etag}, requests=1),
          cached(answer_of=1)])
case("sends_last_modified", "§4.3.1", "SHOULD", "the stored Last-Modified is sent in If-Modified-Since",
     [Step(response=Response(headers=[*STALE, MODIFIED])),
      Step(expect="validated", response=Response(304, [FRESH, MODIFIED]),
           origin_headers={"If-Modified-Since": date(-5000), "If-None-Match": None}),
      cached(answer_of=1)])
case("sends_both", "§4.3.1", "SHOULD", "both validators are sent",
     [Step(response=Response(headers=[*STALE, MODIFIED, ETAG])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG]),
           origin_headers={"If-Modified-Since": date(-5000), "If-None-Match": '"v1"'}),
      cached(answer_of=1)])
for form in ("rfc850", "asctime"):
    case(f"sends_last_modified_{form}", "9110 §13.1.3", "optimal",
         "If-Modified-Since is the exact string that came in Last-Modified",
         [Step(response=Response(headers=[*STALE, ("Last-Modified", date(-5000, form))])),
          Step(expect="validated", response=Response(304, [FRESH]),
               origin_headers={"If-Modified-Since": date(-5000, form)})])
case("sends_no_condition_without_validator", "§4.3.1", "MUST", "without a validator the request is unconditional",
     [Step(response=Response(headers=[*STALE])),
      fetched(origin_headers={"If-None-Match": None, "If-Modified-Since": None, "If-Match": None, "If-Range": None,
                              "If-Unmodified-Since": None})])
case("sends_no_condition_for_invalid_date", "9110 §13.1.3", "MUST", "an invalid Last-Modified is no validator",
     [Step(response=Response(headers=[*STALE, ("Last-Modified", "long ago")])),
      fetched(origin_headers={"If-None-Match": None})])
case("sends_no_date_as_validator", "§4.3.1", "optimal", "Date is no Last-Modified",
     [Step(response=Response(headers=[*STALE])), fetched(origin_headers={"If-Modified-Since": None})])
case("sends_other_fields", "§4.3.1", "MUST",
     "the request that is made conditional is the client's: its fields go along",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(expect="validated", headers=[("X-A", "a"), ("Accept-Language", "de"), ("Cookie", "c=d")],
           response=Response(304, [FRESH, ETAG]),
           origin_method="GET", origin_headers={"X-A": "a", "Accept-Language": "de", "Cookie": "c=d"})])
case("sends_no_if_match", "§4.3.1", "optimal", "a validation has no If-Match",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG]),
           origin_headers={"If-Match": None, "If-Range": None, "If-Unmodified-Since": None})])
case("validates_on_request_no_cache", "§5.2.1.4", "MAY", "a request with no-cache has a fresh response validated",
     [Step(response=Response(headers=[FRESH, ETAG])),
      Step(headers=NO_CACHE, expect="validated", response=Response(304, [FRESH, ETAG]),
           origin_headers={"If-None-Match": '"v1"'}), cached(answer_of=1)])
case("validates_on_request_max_age_zero", "§5.2.1.1", "MAY", "so has one with max-age=0",
     [Step(response=Response(headers=[FRESH, ETAG, ("Age", "5")])),
      Step(headers=[("Cache-Control", "max-age=0")], expect="validated", response=Response(304, [FRESH, ETAG]),
           origin_headers={"If-None-Match": '"v1"'})])
case("validates_redirect", "§4.3", "optimal", "a stale response without 200 is fetched anew, not taken for confirmed",
     [Step(response=Response(301, [*STALE, ETAG, ("Location", "/x")])),
      Step(expect="either", response=lambda request: Response(304, [FRESH, ETAG]) if request.fields.has("If-None-Match")
           else Response(301, [FRESH, ETAG, ("Location", "/x")]), status=301)])
case("validation_keeps_serving", "§4.3", "optimal", "validated once, it is reused until it is stale again",
     [Step(response=Response(headers=[*STALE, ETAG])), Step(expect="validated", response=Response(304, [FRESH, ETAG])),
      cached(answer_of=1), cached(answer_of=1), Step(method="HEAD", expect="cache")])
case("validation_when_time_passes", "§4.3", "optimal", "what has become stale with time is validated",
     [Step(response=Response(headers=[("Cache-Control", "max-age=1"), ETAG])),
      Step(expect="validated", response=Response(304, [FRESH, ETAG]),
           pause_until=lambda response: response.cache != "HIT"), cached(answer_of=1)])

# The client's own conditions while we validate (§4.3.2).
case("union_other_etag", "§4.3.2", "MUST", "a 304 for a tag that the client has not is a 200 for the client",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(headers=[("If-None-Match", '"other"')], expect="validated", response=Response(304, [FRESH, ETAG]),
           status=200,
           origin_headers={"If-None-Match": Where(lambda value: value and '"v1"' in value, 'with "v1"')}),
      cached(answer_of=1)])
case("union_same_etag", "§4.3.2", "SHOULD", "a 304 for a tag that the client has is a 304 for the client",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(headers=[("If-None-Match", '"v0", "v1"')], expect="validated", response=Response(304, [FRESH, ETAG]),
           status=304,
           response_headers={"ETag": '"v1"'}), cached(answer_of=1)])
case("union_star", "§4.3.2", "SHOULD", "so it is with *",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(headers=[("If-None-Match", "*")], expect="either", response=Response(304, [FRESH, ETAG]), status=304)])
case("union_changed", "§4.3.3", "MUST", "a new representation goes to a client with an old tag",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(headers=[("If-None-Match", '"v1"')], response=Response(headers=[FRESH, ("ETag", '"v2"')]), status=200),
      cached(answer_of=2)])
case("union_changed_to_the_clients", "§4.3.2", "SHOULD", "a client that has the new one already is told so",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(headers=[("If-None-Match", '"v2"')], expect="either", status=304,
           response=lambda request: Response(304, [FRESH, ("ETag", '"v2"')])
           if '"v2"' in request.fields.get("If-None-Match", "")
           else Response(headers=[FRESH, ("ETag", '"v2"')]))])
case("union_if_modified_since_older", "§4.3.2", "MUST",
     "a client whose copy is older than the confirmed one gets it whole",
     [Step(response=Response(headers=[*STALE, MODIFIED])),
      Step(headers=[("If-Modified-Since", date(-9000))], expect="validated", response=Response(304, [FRESH, MODIFIED]),
           status=200,
           origin_headers={"If-Modified-Since": date(-5000)})])
case("union_if_modified_since_same", "§4.3.2", "SHOULD", "a client whose copy is the confirmed one gets a 304",
     [Step(response=Response(headers=[*STALE, MODIFIED])),
      Step(headers=[("If-Modified-Since", date(-5000))], expect="validated", response=Response(304, [FRESH, MODIFIED]),
           status=304)])
for name, etag, status in (("match", '"v1"', 304), ("mismatch", '"v0"', 200)):
    case(f"cold_if_none_match_{name}", "§4.3.2", "SHOULD",
         f"with nothing stored, the condition of a client still makes a {status}",
         [Step(headers=[("If-None-Match", etag)], expect="either", status=status,
               response=lambda request: Response(304, [FRESH, ETAG]) if request.fields.get("If-None-Match") == '"v1"'
               else Response(headers=[FRESH, ETAG])),
          Step(expect="either", status=200, response=Response(headers=[FRESH, ETAG], body="whole"),
               check=holds(lambda response, seen: response.body, "the body is the whole one"))])
for field, value in (("If-Match", '"v2"'), ("If-Unmodified-Since", date(-9000))):
    name = field.lower().replace("-", "_")
    case(f"{name}_is_not_for_us", "§4.3.2", "MUST", f"{field} is no cache's to evaluate",
         [Step(response=Response(headers=[FRESH, ETAG, MODIFIED])),
          Step(headers=[(field, value)], expect="either", status=200)])
    case(f"{name}_is_forwarded", "§4.3.2", "MUST", f"{field} is forwarded where the request is",
         [Step(headers=[(field, value)], response=Response(412, []), origin_headers={field: value}),
          Step(response=Response(headers=[FRESH]))])
    case(f"{name}_with_no_cache_is_forwarded", "9110 §13.2.1", "optimal",
         f"{field} reaches the origin where the cache is not to answer",
         [Step(response=Response(headers=[FRESH, ETAG])), Step(headers=[(field, value), *NO_CACHE],
                                                               response=Response(412), origin_headers={field: value})])
case("post_if_none_match_is_forwarded", "§4.3.2", "MUST", "a condition on an unsafe method is for the origin",
     [Step(response=Response(headers=[FRESH, ETAG])),
      Step(method="PUT", body="x", headers=[("If-None-Match", "*")], response=Response(412),
           origin_headers={"If-None-Match": "*"})])

# Conditions answered from the cache (§4.3.2, RFC 9110 §13).
STORED_ETAG = [FRESH, ETAG, MODIFIED]
CONDITIONS = {
    "etag": (STORED_ETAG, [("If-None-Match", '"v1"')], 304),
    "etag_weak_of_strong": (STORED_ETAG, [("If-None-Match", 'W/"v1"')], 304),
    "etag_list": (STORED_ETAG, [("If-None-Match", '"v0", "v1"')], 304),
    "etag_list_first": (STORED_ETAG, [("If-None-Match", '"v1" , "v2"')], 304),
    "etag_list_no_space": (STORED_ETAG, [("If-None-Match", '"v0","v1","v2"')], 304),
    "etag_list_weak": (STORED_ETAG, [("If-None-Match", 'W/"v0", W/"v1"')], 304),
    "etag_list_empty_members": (STORED_ETAG, [("If-None-Match", ', ,"v1", ,')], 304),
    "etag_lines": (STORED_ETAG, [("If-None-Match", '"v0"'), ("If-None-Match", '"v1"')], 304),
    "etag_star": (STORED_ETAG, [("If-None-Match", "*")], 304),
    "etag_many": (STORED_ETAG, [("If-None-Match", ", ".join(f'"x{i}"' for i in range(500)) + ', "v1"')], 304),
    "etag_other": (STORED_ETAG, [("If-None-Match", '"v2"')], 200),
    "etag_list_other": (STORED_ETAG, [("If-None-Match", '"v2", "v3", W/"v4"')], 200),
    "etag_case": (STORED_ETAG, [("If-None-Match", '"V1"')], 200),
    "etag_prefix": (STORED_ETAG, [("If-None-Match", '"v"')], 200),
    "etag_longer": (STORED_ETAG, [("If-None-Match", '"v11"')], 200),
    "etag_space": (STORED_ETAG, [("If-None-Match", '" v1 "')], 200),
    "etag_unquoted": (STORED_ETAG, [("If-None-Match", "v1")], 200),
    "etag_no_end_quote": (STORED_ETAG, [("If-None-Match", '"v1')], 200),
    "etag_no_begin_quote": (STORED_ETAG, [("If-None-Match", 'v1"')], 200),
    "etag_single_quotes": (STORED_ETAG, [("If-None-Match", "'v1'")], 200),
    "etag_quoted_star": (STORED_ETAG, [("If-None-Match", '"*"')], 200),
    "etag_empty": (STORED_ETAG, [("If-None-Match", "")], 200),
    "etag_within_other": (STORED_ETAG, [("If-None-Match", '"a"v1"b"')], 200),
    "weak_stored": ([FRESH, ("ETag", 'W/"v1"')], [("If-None-Match", '"v1"')], 304),
    "weak_stored_weak": ([FRESH, ("ETag", 'W/"v1"')], [("If-None-Match", 'W/"v1"')], 304),
    "weak_stored_other": ([FRESH, ("ETag", 'W/"v1"')], [("If-None-Match", 'W/"v2"')], 200),
    "comma_stored": ([FRESH, ("ETag", '"a,b"')], [("If-None-Match", '"a,b"')], 304),
    "comma_stored_parts": ([FRESH, ("ETag", '"a,b"')], [("If-None-Match", '"a", "b"')], 200),
    "comma_in_list": ([FRESH, ("ETag", '"v1"')], [("If-None-Match", '"x,\\", "v1"')], 304),
    "empty_stored": ([FRESH, ("ETag", '""')], [("If-None-Match", '""')], 304),
    "empty_stored_other": ([FRESH, ("ETag", '""')], [("If-None-Match", '"v1"')], 200),
    "no_etag_stored": ([FRESH], [("If-None-Match", '"v1"')], 200),
    "no_etag_stored_star": ([FRESH], [("If-None-Match", "*")], 304),
    "unquoted_stored": ([FRESH, ("ETag", "v1")], [("If-None-Match", '"v1"')], 200),
    "since_same": ([FRESH, MODIFIED], [("If-Modified-Since", date(-5000))], 304),
    "since_later": ([FRESH, MODIFIED], [("If-Modified-Since", date(-4999))], 304),
    "since_now": ([FRESH, MODIFIED], [("If-Modified-Since", date(0))], 304),
    "since_earlier": ([FRESH, MODIFIED], [("If-Modified-Since", date(-5001))], 200),
    "since_epoch": ([FRESH, MODIFIED], [("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")], 200),
    "since_rfc850": ([FRESH, MODIFIED], [("If-Modified-Since", date(-5000, "rfc850"))], 304),
    "since_asctime": ([FRESH, MODIFIED], [("If-Modified-Since", date(-5000, "asctime"))], 304),
    "since_rfc850_earlier": ([FRESH, MODIFIED], [("If-Modified-Since", date(-5001, "rfc850"))], 200),
    "since_stored_asctime": ([FRESH, ("Last-Modified", date(-5000, "asctime"))], [("If-Modified-Since", date(-5000))],
                             304),
    "since_invalid": ([FRESH, MODIFIED], [("If-Modified-Since", "now")], 200),
    "since_empty": ([FRESH, MODIFIED], [("If-Modified-Since", "")], 200),
    "since_number": ([FRESH, MODIFIED], [("If-Modified-Since", "4102444800")], 200),
    "since_two_lines": ([FRESH, MODIFIED], [("If-Modified-Since", date(0)), ("If-Modified-Since", date(0))], 200),
    "since_no_last_modified_date": ([FRESH, ("Date", date(-100))], [("If-Modified-Since", date(-50))], 304),
    "since_no_last_modified_same_date": ([FRESH, ("Date", date(-100))], [("If-Modified-Since", date(-100))], 304),
    "since_no_last_modified_before_date": ([FRESH, ("Date", date(-100))], [("If-Modified-Since", date(-200))], 200),
    "since_with_etag_stored": (STORED_ETAG, [("If-Modified-Since", date(-5000))], 304),
    "both_match": (STORED_ETAG, [("If-None-Match", '"v1"'), ("If-Modified-Since", date(-5000))], 304),
    "etag_before_since_changed": (STORED_ETAG, [("If-None-Match", '"v2"'), ("If-Modified-Since", date(0))], 200),
    "etag_before_since_same": (STORED_ETAG, [("If-None-Match", '"v1"'), ("If-Modified-Since", date(-9000))], 304),
    "etag_before_since_no_etag_stored": ([FRESH, MODIFIED], [("If-None-Match", '"v1"'), ("If-Modified-Since", date(0))],
                                         200),
    "since_ignored_beside_invalid_etag": (STORED_ETAG, [("If-None-Match", "v2"), ("If-Modified-Since", date(0))], 200),
}
for name, (stored, conditions, status) in CONDITIONS.items():
    level = "SHOULD" if status == 304 else "MUST"
    case(f"condition_{name}", "§4.3.2", level, f"answered from the cache with {status}: {name.replace('_', ' ')}",
         [Step(response=Response(headers=stored)), cached(headers=conditions, status=status), cached(answer_of=1)])
case("condition_no_date_no_last_modified", "§4.3.2", "SHOULD",
     "without Date and Last-Modified the time of receipt counts",
     [Step(response=Response(headers=[FRESH], date=False)), cached(headers=[("If-Modified-Since", date(60))],
                                                                   status=304),
      cached(headers=[("If-Modified-Since", date(-3600))], status=200)])
case("condition_head", "§4.3.2", "SHOULD", "a HEAD's condition is evaluated as a GET's",
     [Step(response=Response(headers=STORED_ETAG)), cached(method="HEAD", headers=[("If-None-Match", '"v1"')],
                                                           status=304),
      cached(method="HEAD", headers=[("If-None-Match", '"v2"')], status=200)])
for status in (404, 301, 500):
    case(f"condition_on_{status}", "9110 §13.2.1", "MUST", f"conditions are ignored where the answer is a {status}",
         [Step(response=Response(status, [*STORED_ETAG] + ([("Location", "/x")] if status == 301 else []))),
          cached(headers=[("If-None-Match", '"v1"')], status=status),
          cached(headers=[("If-None-Match", "*")], status=status),
          cached(headers=[("If-Modified-Since", date(0))], status=status)])
case("condition_304_fields", "9110 §15.4.5", "MUST", "a 304 has what a 200 would have had of these fields",
     [Step(response=Response(headers=[("Cache-Control", "max-age=3600, foo"), ETAG, ("Content-Location", "/cl"),
                                      ("Vary", "X-Nothing"),
                                      ("Expires", date(100)), ("Date", date(-5)), MODIFIED])),
      cached(headers=[("If-None-Match", '"v1"')], status=304,
             response_headers={"Cache-Control": "max-age=3600, foo", "ETag": '"v1"', "Content-Location": "/cl",
                               "Vary": "X-Nothing",
                               "Expires": date(100), "Date": date(-5), "Age": between(5, 10)})])
case("condition_304_has_no_body", "9110 §15.4.5", "MUST", "a 304 has no body, chunked or not",
     [Step(response=Response(headers=[FRESH, ETAG], framing="chunked")),
      cached(headers=[("If-None-Match", '"v1"')], status=304,
             response_headers={"Transfer-Encoding": None, "ETag": '"v1"', "Date": PRESENT})])
case("condition_304_by_date_without_etag", "9110 §15.4.5", "optimal", "a 304 without ETag tells Last-Modified",
     [Step(response=Response(headers=[FRESH, MODIFIED])),
      cached(headers=[("If-Modified-Since", date(0))], status=304, response_headers={"Last-Modified": date(-5000)})])

# §4.3.3: what comes back.
case("replaced_by_200", "§4.3.3", "MUST", "a full response is used, and stored instead",
     [Step(response=Response(headers=[*STALE, ETAG])), fetched(response=Response(headers=[FRESH, ("ETag", '"v2"')]),
                                                               status=200), cached(answer_of=2)])
case("replaced_by_200_same_etag", "§4.3.3", "MUST", "even with the same entity tag",
     [Step(response=Response(headers=[*STALE, ETAG])), fetched(response=Response(headers=[FRESH, ETAG]), status=200),
      cached(answer_of=2)])
case("replaced_by_200_no_validator", "§4.3.3", "MUST", "even without one",
     [Step(response=Response(headers=[*STALE, ETAG])), fetched(response=Response(headers=[FRESH]), status=200),
      cached(answer_of=2)])
case("replaced_fields_do_not_mix", "§4.3.3", "MUST", "the old response's fields do not come with the new one",
     [Step(response=Response(headers=[*STALE, ETAG, ("X-Old", "o")])),
      fetched(response=Response(headers=[FRESH]), response_headers={"X-Old": None, "ETag": None}),
      cached(answer_of=2, response_headers={"X-Old": None, "ETag": None})])
for status in (404, 410, 403, 301):
    case(f"validation_{status}", "§4.3.3", "MUST", f"a {status} to a validation is used for the request",
         [Step(response=Response(headers=[*STALE, ETAG])),
          fetched(response=Response(status, [FRESH] + ([("Location", "/x")] if status == 301 else [])), status=status),
          cached(answer_of=2, status=status)])
for status in (500, 502, 503, 504):
    case(f"validation_{status}", "§4.3.3", "MUST",
         f"without permission to be stale, a {status} is forwarded, not hidden",
         [Step(response=Response(headers=[("Cache-Control", "max-age=10, must-revalidate"), ("Age", "60"), ETAG])),
          fetched(response=Response(status), status=status)])
    case(f"validation_{status}_keeps", "§4.3.3", "optimal",
         f"after a {status} the stored response can still be validated",
         [Step(response=Response(headers=[*STALE, ETAG])), fetched(response=Response(status), status=status),
          Step(expect="validated", response=Response(304, [FRESH, ETAG]), answer_of=1), cached(answer_of=1)])
case("validation_reset", "§4.3.3", "MUST", "a broken validation is an error where stale use is forbidden",
     [Step(response=Response(headers=[("Cache-Control", "max-age=10, must-revalidate"), ("Age", "60"), ETAG])),
      Step(expect="either", response=Response(broken="reset"),
           check=holds(lambda response, seen: response.status in (502, 504), "it is 502 or 504"))])

# §4.3.4: which stored response a 304 is about.
def answers_other(new):
    """Conditional requests are answered with a 304 about something else, others in full."""
    return lambda request: (Response(304, [FRESH, *new])
                            if request.fields.has("If-None-Match") or request.fields.has("If-Modified-Since")
                            else Response(headers=[FRESH, ("ETag", '"v9"')], body="fetched anew"))


for name, stored, new in (("strong", [ETAG], [("ETag", '"v2"')]),
                          ("weak_stored_strong_new", [("ETag", 'W/"v1"')], [("ETag", '"v1"')]),
                          ("weak", [("ETag", 'W/"v1"')], [("ETag", 'W/"v2"')]),
                          ("etag_same_last_modified", [ETAG, MODIFIED], [("ETag", '"v2"'), MODIFIED]),
                          ("case", [ETAG], [("ETag", '"V1"')])):
    case(f"other_304_{name}", "§4.3.4", "MUST",
         "a 304 about another representation updates nothing and confirms nothing",
         [Step(response=Response(headers=[*STALE, *stored], body="stored")),
          Step(expect="either", response=answers_other(new), status=200, body_is="fetched anew"),
          cached(body_is="fetched anew")])
case("weak_304_of_weak", "§4.3.4", "optimal", "a weak tag confirms the stored response with the same weak tag",
     [Step(response=Response(headers=[*STALE, ("ETag", 'W/"v1"')])),
      Step(expect="validated", response=Response(304, [FRESH, ("ETag", 'W/"v1"')])),
      cached(answer_of=1)])
case("weak_304_of_strong", "§4.3.4", "optimal", "a weak tag corresponds to the strong one with the same text",
     [Step(response=Response(headers=[*STALE, ETAG])),
      Step(expect="validated", response=Response(304, [FRESH, ("ETag", 'W/"v1"')])), cached(answer_of=1)])
case("bare_304_of_etag", "§4.3.4", "optimal", "a 304 without a validator confirms what the request named",
     [Step(response=Response(headers=[*STALE, ETAG])), Step(expect="validated", response=Response(304, [FRESH])),
      cached(answer_of=1)])
case("bare_304_of_last_modified", "§4.3.4", "optimal", "with Last-Modified too",
     [Step(response=Response(headers=[*STALE, MODIFIED])), Step(expect="validated", response=Response(304, [FRESH])),
      cached(answer_of=1)])
case("date_304_of_last_modified", "§4.3.4", "optimal", "a 304 with the same Last-Modified confirms",
     [Step(response=Response(headers=[*STALE, MODIFIED])),
      Step(expect="validated", response=Response(304, [FRESH, MODIFIED])), cached(answer_of=1)])
case("bare_304_without_lifetime", "§4.3.4", "optimal", "a 304 without a lifetime renews the stored one",
     [Step(response=Response(headers=[("Cache-Control", "max-age=600"), ("Age", "1000"), ETAG])),
      Step(expect="validated", response=Response(304, [ETAG])),
      cached(answer_of=1, response_headers={"Age": between(0, 5)})])
case("bare_304_without_date", "§4.2.3", "optimal", "without a Date it is as of its receipt, not of the old Date",
     [Step(response=Response(headers=[("Cache-Control", "max-age=600"), ("Date", date(-1000)), ETAG])),
      Step(expect="validated", response=Response(304, [ETAG], date=False)),
      cached(answer_of=1, response_headers={"Age": between(0, 5)})])
case("chunked_304", "9110 §15.4.5", "optimal", "a Content-Length in a 304 announces no body",
     [Step(response=Response(headers=[*STALE, ETAG], body="12345")),
      Step(expect="validated", response=Response(304, [FRESH, ETAG, ("Content-Length", "5")])), cached(answer_of=1),
      Step(method="HEAD", expect="cache", response_headers={"Content-Length": "5"})])

# §4.3.5: HEAD.
BODY = "12345"


def after_head(stored, head, last, **options):
    """A stored GET, a HEAD that reaches the origin, and what comes then."""
    return [Step(response=Response(headers=stored, body=BODY)),
            Step(method="HEAD", headers=NO_CACHE, expect="either",
                 response=Response(headers=head, **{"body": BODY, **options})), last]


case("head_other_etag", "§4.3.5", "SHOULD", "a HEAD with another ETag makes the stored response stale",
     after_head([FRESH, ETAG], [FRESH, ("ETag", '"v2"')], fetched()))
case("head_other_last_modified", "§4.3.5", "SHOULD", "one with another Last-Modified does",
     after_head([FRESH, MODIFIED], [FRESH, ("Last-Modified", date(-4000))], fetched()))
case("head_other_length", "§4.3.5", "SHOULD", "one with another Content-Length does",
     after_head([FRESH], [FRESH], fetched(), body="1234567"))
case("head_other_length_same_etag", "§4.3.5", "SHOULD", "even with the same ETag",
     after_head([FRESH, ETAG], [FRESH, ETAG], fetched(), body="1234567"))
case("head_new_etag", "§4.3.5", "SHOULD", "one with an ETag where none was stored does",
     after_head([FRESH], [FRESH, ETAG], fetched()))
case("head_one_of_two_differs", "§4.3.5", "SHOULD", "each validator that came must match",
     after_head([FRESH, ETAG, MODIFIED], [FRESH, ETAG, ("Last-Modified", date(-4000))], fetched()))
case("head_same", "§4.3.5", "SHOULD", "one that shows the same keeps it fresh",
     after_head([FRESH, ETAG, MODIFIED], [FRESH, ETAG, MODIFIED, ("X-New", "n")],
                cached(answer_of=1, response_headers={"X-New": "n"})))
case("head_same_without_validators", "§4.3.5", "SHOULD", "the same length without any validator is the same",
     after_head([FRESH], [FRESH, ("X-New", "n")], cached(answer_of=1, response_headers={"X-New": "n"})))
case("head_no_length", "§4.3.5", "SHOULD", "a HEAD without Content-Length can match",
     after_head([FRESH, ETAG], [FRESH, ETAG, ("X-New", "n")], cached(answer_of=1, response_headers={"X-New": "n"}),
                framing="close"))
case("head_freshens", "§4.3.5", "SHOULD", "a HEAD renews a stale response's lifetime",
     [Step(response=Response(headers=[*STALE, ETAG], body=BODY)),
      Step(method="HEAD", expect="either", response=lambda request: Response(304, [FRESH, ETAG])
           if request.fields.has("If-None-Match")
           else Response(headers=[FRESH, ETAG], body=BODY)), cached(answer_of=1)])
case("head_shortens", "§4.3.5", "SHOULD", "a HEAD can end a lifetime",
     after_head([FRESH, ETAG], [("Cache-Control", "max-age=0"), ETAG],
                Step(expect="either", check=holds(lambda response, seen: bool(seen), "the origin is asked"),
                     response=Response(304, [FRESH, ETAG]))))
case("head_error_changes_nothing", "§4.3.5", "optimal", "a HEAD that fails says nothing of what is stored",
     [Step(response=Response(headers=[FRESH, ETAG])), Step(method="HEAD", headers=NO_CACHE, response=Response(500),
                                                           expect="either"), cached(answer_of=1)])
case("head_stale_is_right", "§4", "MUST", "a HEAD for a stale response is not answered from it",
     [Step(response=Response(headers=[*STALE], body=BODY)),
      Step(method="HEAD", response=Response(headers=[FRESH], body="1234567"),
                                                                  response_headers={"Content-Length": "7"})])
case("head_other_etag_validates_then", "§4.3.5", "optimal", "what a HEAD made stale is replaced by the next GET",
     [*after_head([FRESH, ETAG], [FRESH, ("ETag", '"v2"')],
                  fetched(response=Response(headers=[FRESH, ("ETag", '"v2"')]))), cached(answer_of=3)])

add_tests(__name__, "Validation", CASES)

if __name__ == "__main__":
    unittest.main()
