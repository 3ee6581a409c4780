"""What has come after RFC 9111 or beside it: targeted fields (RFC 9213), cache groups (RFC 9875), No-Vary-Search, QUERY
(RFC 10008), Cache-Status (RFC 9211), and how stale extensions (RFC 5861) go with s-maxage."""

import re
import unittest

from .support.integration_case import PLAIN_RULES, IntegrationCase
from .support.rfc_case import PRESENT, Case, Response, Step, Where, add_tests, cached, date, fetched
from .support.waiting import eventually, in_parallel

CDN = "CDN-Cache-Control"
OURS = "Larder-Cache-Control"
FRESH = ("Cache-Control", "max-age=3600")
LONG_AGO = ("Last-Modified", date(-864000))


def verify(condition, what):
    if not condition:
        raise AssertionError(what)


# Targeted fields.
def targeted(case_id, level, what, fields, reused, section="§2.2", request=()):
    """Is a response with these fields reused without asking?"""
    return Case("targeted_" + case_id, f"9213 {section}", level, what, [
        Step(headers=request, response=Response(headers=fields)),
        Step(headers=request, expect="cache" if reused else "origin", response=Response(headers=fields)),
    ])


NO_STORE = ("Cache-Control", "no-store")
EXPIRED = ("Expires", date(-100))
# Faults of the Structured Field: (name, value that would otherwise give a lifetime, one that would forbid storing).
FAULTS = [
    ("capitals", "Max-Age=3600", "No-Store"), ("all_capitals", "MAX-AGE=3600", "NO-STORE"),
    ("junk_member", "max-age=3600, &", "no-store, &"), ("no_value", "max-age=", "no-store="),
    ("trailing_comma", "max-age=3600,", "no-store,"), ("empty_member", "max-age=3600,,public", "no-store,,public"),
    ("leading_comma", ",max-age=3600", ",no-store"), ("space_before_equals", "max-age =3600", "no-store =?1"),
    ("space_after_equals", "max-age= 3600", "no-store= ?1"), ("quoted_name", '"max-age"=3600', '"no-store"'),
    ("dangling_parameter", "max-age=3600;", "no-store;"), ("colon", "max-age:3600", "no-store:1"),
    ("no_name", "=3600", "=no-store"), ("no_comma", "max-age=3600 public", "no-store public"),
    ("too_many_digits", "max-age=3600, x=1234567890123456", "no-store, x=1234567890123456"),
    ("plus_sign", "max-age=+3600", "no-store, x=+1"), ("single_quotes", "max-age='3600'", "no-store, x='1'"),
    ("open_string", 'max-age=3600, x="a', 'no-store, x="a'), ("open_list", "max-age=3600, x=(1", "no-store, x=(1"),
    ("bad_boolean", "max-age=3600, x=?2", "no-store, x=?2"),
    ("non_ascii", 'max-age=3600, x="\xe9"', 'no-store, x="\xe9"'),
    ("semicolons", "max-age=3600; public; x=", "no-store; x="), ("leading_digit", "1x, max-age=3600", "1x, no-store"),
]

TARGETED = [
    targeted("gives_a_lifetime", "optimal", "a targeted field gives freshness by itself", [(CDN, "max-age=3600")],
             True),
    targeted("before_cache_control", "MUST", "Cache-Control is ignored where a targeted field is valid",
             [(CDN, "max-age=3600"), NO_STORE], True),
    targeted("before_cache_control_in_any_order", "MUST", "Cache-Control is ignored where a targeted field is valid",
             [NO_STORE, (CDN, "max-age=3600")], True),
    targeted("before_private", "MUST", "Cache-Control is ignored where a targeted field is valid",
             [(CDN, "max-age=3600"), ("Cache-Control", "private")], True),
    targeted("before_no_cache", "MUST", "Cache-Control is ignored where a targeted field is valid",
             [(CDN, "max-age=3600"), ("Cache-Control", "no-cache")], True),
    targeted("before_expires", "MUST", "Expires is ignored where a targeted field is valid",
             [(CDN, "max-age=3600"), EXPIRED], True),
    targeted("before_pragma", "optimal", "Pragma means nothing where there is something better",
             [(CDN, "max-age=3600"), ("Pragma", "no-cache")], True),
    targeted("no_store_before_cache_control", "MUST", "no-store of a targeted field counts",
             [(CDN, "no-store"), FRESH], False),
    targeted("private_before_cache_control", "MUST", "private of a targeted field counts", [(CDN, "private"), FRESH],
             False),
    targeted("no_cache_before_cache_control", "MUST", "no-cache of a targeted field counts",
             [(CDN, "no-cache"), FRESH], False),
    targeted("no_cache_makes_max_age_inoperative", "MUST", "no-cache and no-store make max-age inoperative",
             [(CDN, "max-age=3600, no-cache"), FRESH], False),
    targeted("no_store_makes_max_age_inoperative", "MUST", "no-cache and no-store make max-age inoperative",
             [(CDN, "max-age=3600, no-store"), FRESH], False),
    targeted("max_age_0_before_cache_control", "MUST", "a targeted lifetime of 0 counts", [(CDN, "max-age=0"), FRESH],
             False),
    targeted("shorter_than_cache_control", "MUST", "Cache-Control's longer lifetime is ignored",
             [(CDN, "max-age=50"), ("Cache-Control", "max-age=3600, s-maxage=3600"), ("Age", "100")], False),
    targeted("shorter_than_expires", "MUST", "Expires' longer lifetime is ignored",
             [(CDN, "max-age=50"), ("Expires", date(3600)), ("Age", "100")], False),
    targeted("without_lifetime_ignores_cache_control", "MUST",
             "Cache-Control is ignored even where the targeted field has no lifetime", [(CDN, "none"), FRESH], False),
    targeted("without_lifetime_ignores_expires", "MUST",
             "Expires is ignored even where the targeted field has no lifetime",
             [(CDN, "none"), ("Expires", date(3600))],
             False),
    targeted("without_lifetime_leaves_heuristics", "MAY", "without a lifetime the heuristic may give one",
             [(CDN, "none"), NO_STORE, LONG_AGO], True, section="§3.1"),
    targeted("s_maxage", "SHOULD", "other directives are implemented too: s-maxage",
             [(CDN, "max-age=1, s-maxage=3600"), ("Age", "100")], True),
    targeted("unknown_directive", "MUST", "unrecognised directives are ignored",
             [(CDN, 'max-age=3600, x-other=5, y="z", w=(1 2)'), NO_STORE], True),
    targeted("parameters", "MUST", "parameters are ignored", [(CDN, "max-age=3600;x=1;y"), NO_STORE], True,
             section="§2.1"),
    targeted("false_is_absent", "optimal", "a false directive is an absent one",
             [(CDN, "no-store=?0, max-age=3600"), NO_STORE], True, section="§2.1"),
    targeted("true_is_present", "MUST", "an explicit true is a present directive", [(CDN, "no-store=?1, max-age=3600")],
             False, section="§2.1"),
    targeted("last_of_two_values_longer", "optimal", "of two members with one key the last counts (RFC 9651 §4.2.2)",
             [(CDN, "max-age=0, max-age=3600"), NO_STORE], True, section="§2.1"),
    targeted("last_of_two_values_shorter", "MUST", "of two members with one key the last counts (RFC 9651 §4.2.2)",
             [(CDN, "max-age=3600, max-age=0")], False, section="§2.1"),
    targeted("lines_are_combined", "MUST", "several lines are one Dictionary",
             [(CDN, "max-age=3600"), (CDN, "no-store")], False, section="§2.1"),
    targeted("white_space_about_members", "MUST", "white space about commas is allowed",
             [(CDN, "  max-age=3600 \t,   public "), NO_STORE], True, section="§2.1"),
    targeted("age_counts", "MUST", "Age counts against the targeted lifetime",
             [(CDN, "max-age=3600"), ("Age", "4000")], False),
    targeted("private_with_names", "MUST", "private with a list of names does not become sharable by it",
             [(CDN, "private, max-age=3600")], False),
    # Values of another type.
    *[targeted(f"max_age_of_a_wrong_type_{name}", "SHOULD", "values of a wrong type are not consumed",
               [(CDN, f"max-age={value}"), FRESH], False, section="§2.1")
      for name, value in (("decimal", "3600.0"), ("string", '"3600"'), ("token", "a3600"), ("boolean", "?1"),
                          ("list", "(3600)"), ("bytes", ":MzYwMA==:"), ("negative", "-3600"))],
    targeted("max_age_without_value", "SHOULD", "max-age without a value is no lifetime", [(CDN, "max-age"), FRESH],
             False,
             section="§2.1"),
    # Our own field.
    targeted("ours_before_cdn", "MUST", "the first of the target list counts",
             [(CDN, "no-store"), (OURS, "max-age=3600"), NO_STORE], True),
    targeted("ours_forbids", "MUST", "the first of the target list counts",
             [(OURS, "no-store"), (CDN, "max-age=3600"), FRESH], False),
    targeted("ours_shorter", "MUST", "the first of the target list counts",
             [(OURS, "max-age=50"), (CDN, "max-age=3600"), FRESH, ("Age", "100")], False),
    targeted("ours_empty", "MUST", "an empty field is passed over", [(OURS, ""), (CDN, "max-age=3600"), NO_STORE],
             True),
    targeted("ours_faulty", "MUST", "a faulty field is passed over",
             [(OURS, "max-age=&"), (CDN, "max-age=3600"), NO_STORE],
             True),
    targeted("ours_faulty_and_cdn_forbids", "MUST", "a faulty field is passed over",
             [(OURS, "max-age=3600,"), (CDN, "no-store"), FRESH], False),
    targeted("name_in_other_case", "MUST", "field names are case-insensitive", [("cdn-cache-CONTROL", "max-age=3600"),
                                                                              NO_STORE], True),
    # Empty and faulty fields are ignored.
    targeted("empty_falls_back", "MUST", "an empty field is ignored", [(CDN, ""), FRESH], True, section="§2.1"),
    targeted("empty_falls_back_to_no_store", "MUST", "an empty field is ignored", [(CDN, ""), NO_STORE, LONG_AGO],
             False,
             section="§2.1"),
    targeted("empty_line_beside_another", "MUST", "an empty line changes nothing of a list... or is a fault",
             [(CDN, "no-store"), (CDN, "")], False, section="§2.1"),
    *[targeted(f"fault_{name}_gives_no_lifetime", "MUST", "a field with a parsing error is ignored",
               [(CDN, lifetime), NO_STORE], False, section="§2.1") for name, lifetime, _ in FAULTS],
    *[targeted(f"fault_{name}_forbids_nothing", "MUST", "a field with a parsing error is ignored",
               [(CDN, forbidding), FRESH], True, section="§2.1") for name, _, forbidding in FAULTS],
    # Fields of others.
    targeted("of_others_has_no_effect", "MUST", "a field that is not on the target list changes nothing",
             [("Other-Cache-Control", "max-age=3600"), NO_STORE], False),
    targeted("of_others_forbids_nothing", "MUST", "a field that is not on the target list changes nothing",
             [("Other-Cache-Control", "no-store"), ("Surrogate-Control", "no-store"), FRESH], True),
    Case("targeted_of_others_is_passed_through", "9213 §2.2", "MUST",
         "a field not on the target list is passed through", [
        Step(response=Response(headers=[FRESH, ("Other-Cache-Control", "max-age=1")]),
             response_headers={"Other-Cache-Control": "max-age=1"}),
        cached(response_headers={"Other-Cache-Control": "max-age=1"}),
    ]),
    Case("targeted_fields_are_not_forwarded", "9213 §3", "MAY", "what was meant for us is not sent on", [
        Step(response=Response(headers=[(CDN, "max-age=3600"), (OURS, "max-age=3600"),
                                        ("Cache-Control", "max-age=10")]),
             response_headers={CDN: None, OURS: None, "Cache-Control": "max-age=10"}),
        cached(response_headers={CDN: None, OURS: None, "Cache-Control": "max-age=10"}),
        cached(method="HEAD", response_headers={CDN: None, OURS: None}),
    ]),
    Case("targeted_fields_are_not_forwarded_unstored", "9213 §3", "MAY", "what was meant for us is not sent on", [
        Step(response=Response(headers=[(CDN, "no-store"), FRESH]),
             response_headers={CDN: None, "Cache-Control": "max-age=3600"}),
        Step(method="POST", body="x", response=Response(headers=[(CDN, "no-store")]), response_headers={CDN: None}),
    ]),
    Case("targeted_in_a_request", "9213 §2", "MUST", "in requests it means nothing", [
        Step(headers=[(CDN, "no-store")], response=Response(headers=[FRESH])),
        cached(headers=[(CDN, "no-cache, max-age=0"), (OURS, "no-cache")]),
    ]),
    Case("targeted_authorization_public", "9111 §3.5", "optimal", "public of a targeted field lets be shared", [
        Step(headers=[("Authorization", "Basic YQ==")], response=Response(headers=[(CDN, "public, max-age=3600")])),
        cached(headers=[("Authorization", "Basic YQ==")]),
    ]),
    Case("targeted_authorization_public_of_cache_control", "9213 §2.2, 9111 §3.5", "MUST",
         "public of the ignored Cache-Control lets nothing be shared", [
             Step(headers=[("Authorization", "Basic YQ==")],
                  response=Response(headers=[(CDN, "max-age=3600"), ("Cache-Control", "public, max-age=3600")])),
             fetched(headers=[("Authorization", "Basic YQ==")], response=Response(headers=[FRESH])),
         ]),
    Case("targeted_on_a_304", "9213 §2.2, 9111 §3.2", "MUST", "a 304's targeted field freshens", [
        Step(response=Response(headers=[(CDN, "max-age=1, must-revalidate"), ("Age", "100"), ("ETag", '"v1"')])),
        Step(expect="validated", response=Response(304, [(CDN, "max-age=3600"), ("ETag", '"v1"')])),
        cached(answer_of=1),
    ]),
    Case("targeted_must_revalidate", "9213 §2.2", "MUST", "must-revalidate of a targeted field counts", [
        Step(response=Response(headers=[(CDN, "max-age=1, must-revalidate, stale-if-error=3600"), ("Age", "100"),
                                        ("Cache-Control", "max-age=1, stale-if-error=3600")])),
        Step(response=Response(500), expect="either", requests=1, check=lambda response, *_: verify(
            response.status in (500, 504), f"a stale answer: {response.raw_head}")),
    ]),
    Case("targeted_stale_while_revalidate", "9213 §2.2, 5861 §3", "SHOULD",
         "stale-while-revalidate in a targeted field", [
        Step(response=Response(headers=[(CDN, "max-age=1, stale-while-revalidate=3600"), ("Age", "100"),
                                        ("Cache-Control", "no-store")])),
        cached(background=True, answer_of=1, response=Response(headers=[(CDN, "max-age=3600")])),
        Step(expect="either", answer_of=2),
    ]),
    Case("targeted_stale_if_error", "9213 §2.2, 5861 §4", "SHOULD", "stale-if-error in a targeted field", [
        Step(response=Response(headers=[(CDN, "max-age=1, stale-if-error=3600"), ("Age", "100")])),
        Step(response=Response(503), expect="either", requests=1, status=200, answer_of=1),
    ]),
]

# RFC 5861 beside s-maxage and its kin.
STALE_ON_ARRIVAL = ("Age", "100")


def stale_rule(case_id, what, control, while_revalidate, rfc="9111 §4.2.4, §5.2.2.10"):
    response = Response(headers=[("Cache-Control", control), STALE_ON_ARRIVAL])
    if while_revalidate:
        second = cached(background=True, answer_of=1, response=Response(headers=[FRESH]))
    else:
        second = fetched(response=Response(headers=[FRESH]))
    return Case(case_id, rfc, "optimal" if while_revalidate else "MUST", what, [Step(response=response), second])


STALE = [
    stale_rule("swr_with_max_age", "stale-while-revalidate lets a stale answer be given at once",
               "max-age=1, stale-while-revalidate=3600", True, "5861 §3"),
    stale_rule("swr_with_s_maxage", "s-maxage forbids stale answers, as proxy-revalidate does",
               "s-maxage=1, stale-while-revalidate=3600", False),
    stale_rule("swr_with_s_maxage_and_longer_max_age", "s-maxage forbids stale answers, as proxy-revalidate does",
               "s-maxage=1, max-age=3600, stale-while-revalidate=3600", False),
    stale_rule("swr_with_proxy_revalidate", "proxy-revalidate forbids stale answers",
               "max-age=1, proxy-revalidate, stale-while-revalidate=3600", False),
    stale_rule("swr_with_must_revalidate", "must-revalidate forbids stale answers",
               "max-age=1, must-revalidate, stale-while-revalidate=3600", False),
    stale_rule("swr_with_no_cache", "no-cache forbids answers that were not validated",
               "max-age=1, no-cache, stale-while-revalidate=3600", False),
    stale_rule("swr_past_its_time", "after its time nothing stale is given",
               "max-age=1, stale-while-revalidate=50", False, "5861 §3"),
    stale_rule("swr_malformed", "a malformed allowance allows nothing",
               "max-age=1, stale-while-revalidate=x", False, "5861 §3"),
    stale_rule("swr_without_value", "an allowance without a value allows nothing",
               "max-age=1, stale-while-revalidate", False, "5861 §3"),
    *[Case(f"sie_with_{name}", "9111 §4.2.4, §5.2.2.10", "MUST", f"{directive} forbids stale answers on errors too", [
        Step(response=Response(headers=[("Cache-Control", f"{directive}, stale-if-error=3600"), STALE_ON_ARRIVAL])),
        Step(response=Response(500), expect="either", requests=1,
             check=lambda response, *_: verify(response.status in (500, 504), f"a stale answer: {response.raw_head}")),
    ]) for name, directive in (("s_maxage", "s-maxage=1"), ("proxy_revalidate", "max-age=1, proxy-revalidate"),
                               ("must_revalidate", "max-age=1, must-revalidate"), ("no_cache", "max-age=1, no-cache"))],
    Case("sie_with_max_age", "5861 §4", "optimal", "stale-if-error lets a stale answer be given for a 5xx", [
        Step(response=Response(headers=[("Cache-Control", "max-age=1, stale-if-error=3600"), STALE_ON_ARRIVAL])),
        Step(response=Response(500), expect="either", requests=1, status=200, answer_of=1),
    ]),
]


# Cache groups.
def grouped(*values, path="/a", host=None, **options):
    """A fresh response at `path` in these groups."""
    return Step(path=path, headers=[("Host", host)] if host else (),
                response=Response(headers=[FRESH, *[("Cache-Groups", value) for value in values]]), **options)


def still_there(path="/a", host=None):
    return cached(path=path, headers=[("Host", host)] if host else ())


def gone(path="/a", host=None):
    return fetched(path=path, headers=[("Host", host)] if host else (), response=Response(headers=[FRESH]))


def write(*values, method="POST", status=200, path="/w"):
    return Step(method=method, path=path, body=None if method in ("GET", "HEAD") else "x",
                response=Response(status, [("Cache-Group-Invalidation", value) for value in values]))


def group_case(case_id, level, what, *steps, section="§2.2.1"):
    return Case("group_" + case_id, f"9875 {section}", level, what, list(steps))


GROUP_NAMES = [f"{n:02d}-{'x' * 29}" for n in range(32)]
ALL_GROUPS = ", ".join(f'"{name}"' for name in GROUP_NAMES)
INVALIDATION = "§3"
GROUPS = [
    group_case("is_invalidated", "MAY", "a write purges the group that it names", grouped('"g1"'), still_there(),
               write('"g1"'), gone(), section=INVALIDATION),
    group_case("all_members_are_invalidated", "MAY", "every member of the group is purged",
               grouped('"g1"'), grouped('"g1"', path="/b"), grouped('"g2", "g1"', path="/c?x=1"), write('"g1"'),
               gone(), gone("/b"), gone("/c?x=1"), section=INVALIDATION),
    group_case("others_stay", "optimal", "other groups and responses without a group stay",
               grouped('"g2"'), grouped(path="/b"), write('"g1"'), still_there(), still_there("/b"),
               section=INVALIDATION),
    *[group_case(f"by_{method.lower()}", "MAY", "any unsafe method can name a group",
                 grouped('"g1"'), write('"g1"', method=method), gone(), section=INVALIDATION)
      for method in ("PUT", "PATCH", "DELETE", "MADEUP")],
    *[group_case(f"ignored_on_{method.lower()}", "MUST", "Cache-Group-Invalidation is ignored on safe methods",
                 grouped('"g1"'), write('"g1"', method=method), still_there(), section=INVALIDATION)
      for method in ("GET", "HEAD", "OPTIONS", "QUERY", "PROPFIND")],
    group_case("ignored_on_trace", "MUST", "Cache-Group-Invalidation is ignored on safe methods",
               grouped('"g1"'), Step(method="TRACE", path="/w", response=Response(
                   headers=[("Cache-Group-Invalidation", '"g1"')]), expect="either"), still_there(),
               section=INVALIDATION),
    group_case("several_at_once", "MAY", "a write may name several groups",
               grouped('"g1"'), grouped('"g2"', path="/b"), grouped('"g3"', path="/c"), write('"g1", "g2"'), gone(),
               gone("/b"),
               still_there("/c"), section=INVALIDATION),
    group_case("on_several_lines", "MAY", "both fields may come in several lines",
               grouped('"g1"', '"g2"'), grouped('"g3"', path="/b"), write('"x"', '"g2"', '"g3"'), gone(), gone("/b"),
               section=INVALIDATION),
    group_case("parameters_are_ignored", "MUST", "unrecognised parameters are ignored",
               grouped('"g1";x=1;revalidate'), write('"g1";y'), gone()),
    group_case("names_are_case_sensitive", "MUST", "groups are compared character by character, case included",
               grouped('"G1"'), write('"g1"'), still_there()),
    group_case("names_are_compared_whole", "MUST", "groups are compared character by character",
               grouped('"g1"'), grouped('"g"', path="/b"), grouped('"g12"', path="/c"), write('"g*"', '"g1*"', '"?1"'),
               still_there(), still_there("/b"), still_there("/c")),
    group_case("name_with_escapes", "MUST", "escapes in Strings are no part of the name",
               grouped('"a\\"b\\\\c"'), grouped('"abc"', path="/b"), write('"a\\"b\\\\c"'), gone(), still_there("/b")),
    group_case("name_with_odd_characters", "MUST", "any String is a name",
               grouped('"*"'), grouped('"a, b"', path="/b"), grouped('"a"', path="/c"), write('"*", "a, b"'),
               gone(), gone("/b"), still_there("/c")),
    group_case("empty_name", "MUST", "the empty String is a name like others",
               grouped('""'), grouped('"g1"', path="/b"), write('""'), gone(), still_there("/b")),
    group_case("of_another_origin", "MUST", "only responses of the same origin share a group",
               grouped('"g1"', host="other.example"), grouped('"g1"'), write('"g1"'), gone(),
               still_there(host="other.example")),
    group_case("of_another_port", "MUST", "only responses of the same origin share a group",
               grouped('"g1"', host="api.example:8080"), write('"g1"'), still_there(host="api.example:8080")),
    group_case("of_the_same_origin_in_capitals", "optimal", "host names are case-insensitive",
               grouped('"g1"', host="API.example"), write('"g1"'), gone(host="API.example")),
    group_case("does_not_cascade", "MUST", "a grouped invalidation triggers no further ones",
               grouped('"g1", "g2"'), grouped('"g2"', path="/b"), write('"g1"'), gone(), still_there("/b")),
    group_case("thirty_two_on_a_response", "MUST", "at least 32 groups of 32 characters are supported",
               grouped(ALL_GROUPS), still_there(), write(f'"{GROUP_NAMES[31]}"'), gone(), section="§2"),
    group_case("thirty_two_on_a_write", "MUST", "at least 32 groups of 32 characters are supported",
               grouped(f'"{GROUP_NAMES[31]}"'), grouped(f'"{GROUP_NAMES[0]}"', path="/b"), write(ALL_GROUPS), gone(),
               gone("/b"),
               section="§3"),
    *[group_case(f"faulty_invalidation_{name}", "MUST", "what is no List of Strings names nothing",
                 grouped('"g1"'), write(value), still_there(), section=INVALIDATION)
      for name, value in (("token", "g1"), ("open_string", '"g1'), ("number", "1"), ("empty", ""),
                          ("trailing_comma", '"g1",'), ("junk", '"g1" "g2"'), ("single_quotes", "'g1'"))],
    *[group_case(f"faulty_groups_{name}", "MUST",
                 "what is no List of Strings puts into no group, and is no reason not to store",
                 grouped(value), still_there(), write('"g1"'), still_there(), section="§2")
      for name, value in (("token", "g1"), ("open_string", '"g1'), ("trailing_comma", '"g1",'), ("junk", '"g1" x'))],
    group_case("on_a_304", "MUST", "a 304's Cache-Groups replace the stored ones",
               Step(path="/a",
                    response=Response(headers=[("Cache-Control", "max-age=1, must-revalidate"), ("Age", "100"),
                                                          ("ETag", '"v1"')])),
               Step(path="/a", expect="validated",
                    response=Response(304, [FRESH, ("ETag", '"v1"'), ("Cache-Groups", '"g1"')])),
               still_there(), write('"g1"'), gone()),
    group_case("of_variants", "MAY", "variants are members like others",
               Step(path="/a", headers=[("X-Foo", "1")],
                    response=Response(headers=[FRESH, ("Vary", "X-Foo"), ("Cache-Groups", '"g1"')])),
               Step(path="/a", headers=[("X-Foo", "2")],
                    response=Response(headers=[FRESH, ("Vary", "X-Foo"), ("Cache-Groups", '"g2"')])),
               write('"g1"'),
               cached(path="/a", headers=[("X-Foo", "2")], answer_of=2),
               fetched(path="/a", headers=[("X-Foo", "1")], response=Response(headers=[FRESH, ("Vary", "X-Foo")]))),
    group_case("fields_are_passed_on", "optimal", "both fields are for other caches too",
               Step(path="/a", response=Response(headers=[FRESH, ("Cache-Groups", '"g1"')]),
                    response_headers={"Cache-Groups": '"g1"'}),
               cached(path="/a", response_headers={"Cache-Groups": '"g1"'}),
               Step(method="POST", path="/w", body="x",
                    response=Response(headers=[("Cache-Group-Invalidation", '"g1"')]),
                    response_headers={"Cache-Group-Invalidation": '"g1"'})),
]


# No-Vary-Search.
def search(case_id, level, what, value, first, second, same, section="§6"):
    """Does the response to ?first serve ?second under this No-Vary-Search?"""
    lines = [value] if isinstance(value, str) else value
    response = Response(headers=[FRESH, *[("No-Vary-Search", line) for line in lines or []]])
    return Case("search_" + case_id, f"No-Vary-Search {section}", level, what, [
        Step(path=first, response=response),
        Step(path=second, expect="cache" if same else "origin", response=response),
    ])


SEARCH = [
    search("params", "optimal", "params: no parameter matters", "params", "?a=1", "?b=2&c", True),
    search("params_and_no_query", "optimal", "params: no parameter matters", "params", "?a=1", "", True),
    search("params_explicit", "optimal", "params=?1 is params", "params=?1", "?a=1", "?a=2", True),
    search("named", "optimal", "params=(…): these do not matter", 'params=("utm" "ref")', "?utm=1&a=1",
           "?a=1&ref=x&utm=2",
           True),
    search("named_absent_and_present", "optimal", "params=(…): these do not matter", 'params=("utm")', "?a=1",
           "?utm=2&a=1",
           True),
    search("named_other_differs", "MUST", "params=(…): all others matter", 'params=("utm")', "?utm=1&a=1", "?utm=1&a=2",
           False),
    search("named_other_added", "MUST", "params=(…): all others matter", 'params=("utm")', "?a=1", "?a=1&b=1", False),
    search("named_is_not_a_prefix", "MUST", "names are compared whole", 'params=("utm")', "?utm_x=1", "?utm_x=2",
           False),
    search("named_case", "MUST", "names are case-sensitive", 'params=("utm")', "?UTM=1", "?UTM=2", False),
    search("except_others_differ", "optimal", "except=(…): all others do not matter", 'params, except=("id")',
           "?id=1&x=1", "?y=2&id=1", True),
    search("except_itself_differs", "MUST", "except=(…): these matter", 'params, except=("id")', "?id=1", "?id=2",
           False),
    search("except_itself_absent", "MUST", "except=(…): these matter", 'params, except=("id")', "?id=1", "?x=1", False),
    search("except_itself_twice", "MUST", "except=(…): these matter, each of them", 'params, except=("id")', "?id=1",
           "?id=1&id=1", False),
    search("except_empty_list", "optimal", "except=(): nothing matters", "params, except=()", "?a=1", "?a=2", True),
    search("key_order", "optimal", "key-order: the order of keys does not matter", "key-order", "?a=1&b=2", "?b=2&a=1",
           True),
    search("key_order_explicit", "optimal", "key-order=?1 is key-order", "key-order=?1", "?a=1&b=2", "?b=2&a=1", True),
    search("key_order_value_differs", "MUST", "key-order: values matter", "key-order", "?a=1&b=2", "?b=2&a=3", False),
    search("key_order_values_swapped", "MUST", "key-order: a value belongs to its key", "key-order", "?a=1&b=2",
           "?a=2&b=1",
           False),
    search("key_order_of_equal_keys", "MUST", "the order of values of one key matters", "key-order", "?a=1&a=2",
           "?a=2&a=1",
           False),
    search("key_order_of_equal_keys_kept", "optimal", "sorting is stable", "key-order", "?a=1&b=3&a=2", "?b=3&a=1&a=2",
           True),
    search("key_order_and_params", "optimal", "both together", 'key-order, params=("utm")', "?a=1&utm=1&b=2",
           "?b=2&a=1", True),
    search("params_without_key_order", "MUST", "without key-order the order matters", 'params=("utm")', "?a=1&b=2",
           "?b=2&a=1", False),
    search("except_without_key_order", "MUST", "without key-order the order matters", 'params, except=("a" "b")',
           "?a=1&b=2", "?b=2&a=1", False),
    search("on_two_lines", "optimal", "several lines are one Dictionary", ["key-order", 'params=("utm")'],
           "?a=1&utm=1&b=2", "?b=2&a=1", True, "§3"),
    search("unknown_member_beside", "MUST", "unknown members are ignored", 'params, x=1, y="z"', "?a=1", "?a=2", True,
           "§5.1"),
    # Parsing as application/x-www-form-urlencoded.
    search("form_empty_value", "optimal", "?a and ?a= are equal", "key-order", "?a", "?a=", True),
    search("form_percent", "optimal", "percent-encoding is decoded", "key-order", "?a=x%21", "?%61=x!", True),
    search("form_plus", "optimal", "+ is a space", "key-order", "?a=1+2", "?a=1%202", True),
    search("form_encoded_plus", "MUST", "an encoded plus is a plus", "key-order", "?a=1%2B2", "?a=1+2", False),
    search("form_empty_pairs", "optimal", "empty pairs are discarded", "key-order", "?a=1&&b=2&", "?a=1&b=2", True),
    search("form_no_query", "optimal", "no query and an empty one are equal", "key-order", "", "?", True),
    search("form_invalid_utf8", "MAY", "what is no UTF-8 is U+FFFD", "key-order", "?a=%f6", "?a=%ef%bf%bd", True),
    search("form_encoded_ampersand", "MUST", "an encoded ampersand separates nothing", "key-order", "?a=1%26b=2",
           "?a=1&b=2",
           False),
    search("form_encoded_equals", "MUST", "an encoded equals sign separates nothing", "key-order", "?a%3D1=2", "?a=1=2",
           False),
    search("form_encoded_name_in_list", "optimal", "listed names are decoded too", 'params=("%C3%A9+x")',
           "?%C3%A9+x=1", "?%c3%a9%20x=2", True, "§5.3"),
    # Without it, or where it says nothing, the URI counts as it is.
    search("absent", "MUST", "without the field the whole query counts", None, "?a=1", "?a=2", False),
    search("absent_order", "MUST", "without the field the order counts", None, "?a=1&b=2", "?b=2&a=1", False),
    search("absent_empty_value", "MUST", "without the field ?a and ?a= differ", None, "?a", "?a=", False),
    *[search(f"says_nothing_{name}", "MUST", f"this is the default variance: {value}", value, first, second, False,
             "§5.2")
      for name, value, first, second in (
          ("params_false", "params=?0", "?a=1", "?a=2"), ("empty_list", "params=()", "?a=1", "?a=2"),
          ("key_order_false", "key-order=?0", "?a=1&b=2", "?b=2&a=1"), ("unknown", "unknown-key", "?a=1", "?a=2"),
          ("empty", "", "?a=1", "?a=2"))],
    *[search(f"invalid_{name}", "MUST", f"what is invalid is the default variance: {value}", value, first, second,
             False, "§5.2")
      for name, value, first, second in (
          ("key_order_string", 'key-order="yes"', "?a=1&b=2", "?b=2&a=1"),
          ("key_order_integer", "key-order=1", "?a=1&b=2", "?b=2&a=1"),
          ("key_order_list", "key-order=()", "?a=1&b=2", "?b=2&a=1"),
          ("params_string", 'params="a"', "?a=1", "?a=2"), ("params_token", "params=a", "?a=1", "?a=2"),
          ("params_tokens", "params=(a)", "?a=1", "?a=2"), ("params_mixed", 'params=("a" b)', "?a=1", "?a=2"),
          ("list_and_except", 'params=("a"), except=("x")', "?a=1", "?a=2"),
          ("empty_list_and_except", "params=(), except=()", "?a=1", "?a=2"),
          ("params_false_and_except", 'params=?0, except=("x")', "?a=1", "?a=2"),
          ("except_tokens", "params, except=(x)", "?a=1", "?a=2"),
          ("except_string", 'params, except="x"', "?a=1", "?a=2"), ("except_true", "params, except=?1", "?a=1", "?a=2"),
          ("except_alone", 'except=("x")', "?a=1", "?a=2"), ("except_empty_alone", "except=()", "?a=1", "?a=2"),
          ("good_key_order_bad_params", "key-order, params=a", "?a=1&b=2", "?b=2&a=1"),
          ("capitals", "PARAMS", "?a=1", "?a=2"), ("trailing_comma", "params,", "?a=1", "?a=2"),
          ("open_list", 'params=("a"', "?a=1", "?a=2"), ("junk", "params &", "?a=1", "?a=2"),
          ("bad_second_line", ["params", "&"], "?a=1", "?a=2"))],
    search("other_path", "MUST", "only the query is compared so", "params", "/a?a=1", "/b?a=1", False),
    Case("search_other_host", "No-Vary-Search §6", "MUST", "only the query is compared so", [
        Step(path="?a=1", response=Response(headers=[FRESH, ("No-Vary-Search", "params")])),
        fetched(path="?a=1", headers=[("Host", "other.example")],
                response=Response(headers=[FRESH, ("No-Vary-Search", "params")])),
    ]),
    Case("search_exact_match_before_equivalence", "No-Vary-Search §7, 9111 §4", "MUST",
         "of an exact and an equivalent match the more recent one is used, or the exact one", [
             Step(path="?a=1", response=Response(headers=[FRESH, ("No-Vary-Search", "params"), ("Date", date(-60))])),
             fetched(path="?a=2", headers=[("Cache-Control", "no-cache")],
                     response=Response(headers=[FRESH, ("No-Vary-Search", "params"), ("Date", date(-30))])),
             cached(path="?a=2", answer_of=2),
         ]),
    Case("search_and_vary", "No-Vary-Search §7, 9111 §4.1", "MUST", "selecting fields must match as well", [
        Step(path="?a=1", headers=[("X-Foo", "1")],
             response=Response(headers=[FRESH, ("No-Vary-Search", "params"), ("Vary", "X-Foo")])),
        fetched(path="?a=2", headers=[("X-Foo", "2")],
                response=Response(headers=[FRESH, ("No-Vary-Search", "params"), ("Vary", "X-Foo")])),
    ]),
    Case("search_invalidated_where_it_was_stored", "9111 §4.4", "MUST", "a write to the stored target URI invalidates",
         [
        Step(path="?a=1", response=Response(headers=[FRESH, ("No-Vary-Search", "params")])),
        Step(method="POST", path="?a=1", body="x", response=Response(204)),
        fetched(path="?a=2", response=Response(headers=[FRESH, ("No-Vary-Search", "params")])),
    ]),
    Case("search_invalidated_by_an_equivalent_uri", "9111 §4.4", "MUST",
         "after a write to a target URI no older answer is given for it, under whatever URI it was stored", [
             Step(path="?a=1", response=Response(headers=[FRESH, ("No-Vary-Search", "params")])),
             cached(path="?a=2", answer_of=1),
             Step(method="POST", path="?a=2", body="x", response=Response(204)),
             fetched(path="?a=2", response=Response(headers=[FRESH, ("No-Vary-Search", "params")])),
         ]),
    Case("search_head", "No-Vary-Search §7", "optimal", "HEAD is served so too", [
        Step(path="?a=1", response=Response(headers=[FRESH, ("No-Vary-Search", "params")])),
        cached(method="HEAD", path="?a=2"),
    ]),
    Case("search_stale_is_validated", "No-Vary-Search §7", "MUST",
         "an equivalent stored response that is stale is not used as it is", [
        Step(path="?a=1", response=Response(headers=[("Cache-Control", "max-age=1, must-revalidate"), ("Age", "100"),
                                                     ("No-Vary-Search", "params")])),
        fetched(path="?a=2", response=Response(headers=[FRESH])),
    ]),
    Case("search_field_is_passed_on", "No-Vary-Search §3", "optimal", "it is for other caches too", [
        Step(path="?a=1", response=Response(headers=[FRESH, ("No-Vary-Search", "params")]),
             response_headers={"No-Vary-Search": "params"}),
        cached(path="?a=1", response_headers={"No-Vary-Search": "params"}),
    ]),
]

# QUERY.
QUERY_RULES = """
types: { page: {} }
routes:
  - match: [GET, QUERY] /**
    cache: page
"""
JSON = ("Content-Type", "application/json")


def query(body="q", *more, kind=JSON, **options):
    return {"method": "QUERY", "body": body, "headers": [*([kind] if kind else []), *more], **options}


def asked(*args, fields=(FRESH,), **options):
    return Step(**query(*args, **options), response=Response(headers=list(fields)))


def query_case(case_id, level, what, *steps, section="§2.7"):
    return Case("query_" + case_id, f"10008 {section}", level, what, list(steps))


QUERIES = [
    query_case("is_cached", "MAY", "a stored answer to QUERY serves an equal QUERY", asked(),
               Step(**query(), expect="cache")),
    query_case("other_content", "MUST", "the cache key incorporates the content", asked(), asked("r"),
               Step(**query(), expect="cache", answer_of=1), Step(**query("r"), expect="cache", answer_of=2)),
    query_case("other_content_of_equal_length", "MUST", "the cache key incorporates the content", asked("abc"),
               asked("abd")),
    query_case("longer_content", "MUST", "the cache key incorporates the content", asked("abc"), asked("abcabc")),
    query_case("empty_content", "MUST", "the cache key incorporates the content", asked("abc"), asked("")),
    query_case("content_over_several_reads", "MAY", "content of any length is incorporated",
               asked("x" * 200000), Step(**query("x" * 200000), expect="either"), asked("x" * 199999 + "y")),
    query_case("other_content_type", "MUST", "the cache key incorporates the content's type",
               asked(), asked(kind=("Content-Type", "text/plain"))),
    query_case("other_content_type_parameter", "MUST", "the cache key incorporates the content's type",
               asked(), asked(kind=("Content-Type", "application/json;charset=latin1"))),
    query_case("no_content_type", "MUST", "the cache key incorporates the content's type", asked(), asked(kind=None)),
    query_case("other_content_encoding", "MUST", "the cache key incorporates the content's metadata",
               asked(), asked("q", ("Content-Encoding", "gzip"))),
    query_case("other_content_language", "MUST", "the cache key incorporates the content's metadata",
               asked(), asked("q", ("Content-Language", "de"))),
    query_case("type_and_content_do_not_run_together", "MUST", "no type and content are mistaken for others",
               asked("b", kind=("Content-Type", "text/a")), asked("", kind=("Content-Type", "text/ab"))),
    query_case("content_type_in_capitals", "optimal", "media types are case-insensitive",
               asked(), Step(**query(kind=("content-type", "Application/JSON")), expect="either")),
    query_case("chunked_content", "MAY", "equal content in another framing is equal", asked("abc"), Step(
        method="QUERY", expect="cache", raw=lambda context: (
            f"QUERY {context.path()} HTTP/1.1\r\nHost: api.example\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n").encode())),
    query_case("does_not_answer_get", "MUST", "an answer to QUERY is no answer to GET", asked(),
               fetched(response=Response(headers=[FRESH])), Step(**query(), expect="cache", answer_of=1)),
    query_case("does_not_answer_head", "MUST", "an answer to QUERY is no answer to HEAD", asked(),
               fetched(method="HEAD", response=Response(headers=[FRESH]))),
    query_case("is_not_answered_by_get", "MUST", "an answer to GET is no answer to QUERY",
               Step(response=Response(headers=[FRESH])), asked(), cached(answer_of=1)),
    query_case("without_content_is_not_answered_by_get", "MUST", "an answer to GET is no answer to QUERY",
               Step(response=Response(headers=[FRESH])), asked("", kind=None)),
    query_case("does_not_answer_post", "MUST", "an answer to QUERY is no answer to POST", asked(),
               Step(method="POST", body="q", headers=[JSON], response=Response())),
    query_case("reaches_the_origin_whole", "MUST", "content is passed on as it is",
               Step(**query('{"a": 1}'), response=Response(headers=[FRESH]),
                    check=lambda _, __, requests: verify(requests[0].body == b'{"a": 1}', requests[0].body)),
               section="§2"),
    query_case("is_safe", "MUST", "a QUERY invalidates nothing",
               Step(response=Response(headers=[FRESH])), asked(fields=(("Location", "/x"),)), cached(answer_of=1),
               section="§2"),
    query_case("failing_invalidates_nothing", "MUST", "a QUERY invalidates nothing, whatever its answer",
               Step(response=Response(headers=[FRESH])), Step(**query(), response=Response(500)), cached(answer_of=1),
               section="§2"),
    query_case("without_freshness", "MUST", "without freshness nothing is reused", asked(fields=()), asked(fields=())),
    query_case("no_store", "MUST", "no-store holds for QUERY", asked(fields=(("Cache-Control", "no-store"),)), asked()),
    query_case("stale", "MUST", "freshness holds for QUERY",
               asked(fields=(("Cache-Control", "max-age=1, must-revalidate"), ("Age", "100"))), asked()),
    query_case("vary", "MUST", "Vary holds for QUERY",
               asked("q", ("X-Foo", "1"), fields=(FRESH, ("Vary", "X-Foo"))),
               asked("q", ("X-Foo", "2"), fields=(FRESH, ("Vary", "X-Foo"))),
               Step(**query("q", ("X-Foo", "1")), expect="cache", answer_of=1)),
    query_case("other_target", "MUST", "the target URI counts as ever", asked(path="?a=1"), asked(path="?a=2")),
    query_case("is_invalidated_by_a_write", "MUST", "a write to the target invalidates answers to QUERY", asked(),
               Step(method="POST", body="x", response=Response(204)), asked()),
    query_case("authorization", "MUST", "Authorization holds for QUERY",
               asked("q", ("Authorization", "Basic YQ==")), asked("q", ("Authorization", "Basic YQ=="))),
    query_case("only_if_cached", "SHOULD", "only-if-cached holds for QUERY",
               Step(**query("q", ("Cache-Control", "only-if-cached")), expect="larder", status=504), asked(),
               Step(**query("q", ("Cache-Control", "only-if-cached")), expect="cache")),
]
PLAIN_QUERIES = [
    query_case("without_a_rule_is_relayed", "optimal", "a route for GET alone caches no QUERY", asked(), asked()),
    query_case("without_a_rule_is_safe", "MUST", "a QUERY invalidates nothing",
               Step(response=Response(headers=[FRESH])), asked(), cached(answer_of=1), section="§2"),
    query_case("without_a_rule_is_not_answered_by_get", "MUST", "an answer to GET is no answer to QUERY",
               Step(response=Response(headers=[FRESH])), asked()),
]

# Cache-Status.
BARE = r'(?:"(?:[^"\\]|\\["\\])*"|[A-Za-z*][!#$%&\'*+.^_`|~0-9A-Za-z:/-]*|-?[0-9]{1,15}|\?[01])'
MEMBER = re.compile(rf"({BARE})((?: *; *[a-z*][a-z0-9_.*-]*(?:={BARE})?)*)")
PARAMETER = re.compile(rf"; *([a-z*][a-z0-9_.*-]*)(?:=({BARE}))?")


def members(value):
    """The members of a Cache-Status as (name, {parameter: text}); a parameter without a value is "?1"."""
    found, at = [], 0
    while True:
        match = MEMBER.match(value, at)
        verify(match, f"no List at {value[at:]!r} of {value!r}")
        found.append((match[1], {m[1]: m[2] or "?1" for m in PARAMETER.finditer(match[2])}))
        at = match.end()
        comma = re.compile(r"[ \t]*(,)?[ \t]*").match(value, at)
        at = comma.end()
        if not comma[1]:
            verify(at == len(value), f"junk {value[at:]!r} in {value!r}")
            return found


def says(**wanted):
    """Larder's member has these parameters (None: absent; a callable: a predicate), and is well formed."""
    def check(response, *_):
        value = response.fields.get("Cache-Status")
        verify(value is not None, "no Cache-Status")
        name, parameters = members(value)[-1]
        verify(name in ("Larder", '"Larder"'), f"the last member is {name}")
        verify(("hit" in parameters) != ("fwd" in parameters), f"hit and fwd are exclusive: {value}")
        for parameter, expected in wanted.items():
            parameter = parameter.replace("_", "-")
            given = parameters.get(parameter)
            if given == "?0" and expected is None:
                continue
            if callable(expected):
                verify(given is not None and expected(given), f"{parameter}={given} in {value}")
            else:
                verify(given == expected, f"{parameter}={given}, not {expected}, in {value}")

    return check


def number(low, high):
    return lambda text: re.fullmatch("-?[0-9]+", text) is not None and low <= int(text) <= high


def status_case(case_id, level, what, *steps, section="§2", rfc="9211"):
    return Case("status_" + case_id, f"{rfc} {section}", level, what, list(steps))


def at_once(*fields):
    """A response whose head and body come together: when its head is passed on, it is known whether it is stored."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return Response(raw=f"HTTP/1.1 200 OK\r\n{lines}Content-Length: 1\r\n\r\nx".encode())


STORED = Step(response=Response(headers=[FRESH, ("ETag", '"v1"')], body="0123456789"))
STALE_STORED = Step(response=Response(headers=[("Cache-Control", "max-age=1"), ("Age", "100"), ("ETag", '"v1"')]))
STATUS = [
    status_case("of_a_miss", "optimal", "nothing stored: uri-miss, and it was stored",
                Step(response=at_once(FRESH), check=says(fwd="uri-miss", stored="?1", hit=None, collapsed=None)),
                section="§2.2"),
    status_case("of_a_miss_whose_body_comes_later", "optimal", "nothing is said to be stored that might not be",
                Step(response=Response(headers=[FRESH], framing="chunked", cut=5), broken=True),
                Step(response=Response(headers=[FRESH]), check=says(fwd="uri-miss")), section="§2.5"),
    status_case("of_a_miss_ttl", "optimal", "ttl is what remains of the lifetime",
                Step(response=Response(headers=[FRESH, ("Age", "100")]), check=says(ttl=number(3490, 3500))),
                section="§2.4"),
    status_case("of_a_miss_not_stored", "optimal", "stored is absent or false where it was not stored",
                Step(response=Response(headers=[("Cache-Control", "no-store")]),
                     check=says(fwd="uri-miss", stored=None)),
                section="§2.5"),
    status_case("of_a_hit", "optimal", "hit with its remaining lifetime",
                STORED, cached(check=says(hit="?1", ttl=number(3590, 3600), fwd=None, stored=None)), section="§2.1"),
    status_case("of_a_hit_with_heuristic_ttl", "optimal", "ttl includes heuristic freshness",
                Step(response=Response(headers=[LONG_AGO])), cached(check=says(hit="?1", ttl=number(1, 86400))),
                section="§2.4"),
    status_case("of_a_hit_with_age", "optimal", "ttl counts the age on arrival",
                Step(response=Response(headers=[FRESH, ("Age", "1000")])),
                cached(check=says(hit="?1", ttl=number(2590, 2600))),
                section="§2.4"),
    status_case("of_a_head_hit", "optimal", "HEAD may be a hit", STORED, cached(method="HEAD", check=says(hit="?1"))),
    status_case("of_a_304_hit", "optimal", "a 304 made from the cache is a hit",
                STORED, cached(headers=[("If-None-Match", '"v1"')], status=304, check=says(hit="?1")), section="§2.1"),
    status_case("of_a_206_hit", "optimal", "a 206 made from the cache is a hit",
                STORED, cached(headers=[("Range", "bytes=0-1")], status=206, body_is="01", check=says(hit="?1")),
                section="§2.1"),
    status_case("of_a_vary_miss", "optimal", "stored for other selecting fields: vary-miss",
                Step(headers=[("X-Foo", "1")], response=Response(headers=[FRESH, ("Vary", "X-Foo")])),
                fetched(headers=[("X-Foo", "2")], response=at_once(FRESH, ("Vary", "X-Foo")),
                        check=says(fwd="vary-miss", stored="?1")), section="§2.2"),
    status_case("of_a_stale_one_confirmed", "optimal", "fwd=stale with fwd-status=304",
                STALE_STORED, Step(expect="validated", response=Response(304, [FRESH, ("ETag", '"v1"')]),
                                   check=says(fwd="stale", fwd_status="304")), section="§2.3"),
    status_case("of_a_stale_one_replaced", "optimal", "fwd=stale with the new answer's status, or none",
                STALE_STORED, fetched(response=at_once(FRESH), check=says(fwd="stale", stored="?1")),
                section="§2.2"),
    status_case("of_a_request_no_cache", "optimal", "fwd=request: the client's directives did not allow reuse",
                STORED, fetched(headers=[("Cache-Control", "no-cache")], response=Response(headers=[FRESH]),
                                check=says(fwd="request")), section="§2.2"),
    status_case("of_a_request_max_age", "optimal", "fwd=request: the client's directives did not allow reuse",
                Step(response=Response(headers=[FRESH, ("Age", "100")])),
                fetched(headers=[("Cache-Control", "max-age=10")], response=Response(headers=[FRESH]),
                        check=says(fwd="request")), section="§2.2"),
    *[status_case(f"of_{method.lower()}", "optimal", "fwd=method: the method must be forwarded",
                  STORED, Step(method=method, body="x", response=Response(), check=says(fwd="method", stored=None)),
                  section="§2.2") for method in ("POST", "PUT", "DELETE", "PATCH")],
    status_case("of_a_response_no_cache", "optimal", "no-cache needs validation: the stored response was not usable",
                Step(response=Response(headers=[("Cache-Control", "no-cache"), ("ETag", '"v1"')])),
                Step(expect="validated", response=Response(304, [("Cache-Control", "no-cache"), ("ETag", '"v1"')]),
                     check=says(fwd=lambda text: text in ("stale", "miss", "request"), fwd_status="304")),
                section="§2.2"),
    status_case("of_a_stale_hit", "optimal", "a stale answer is a hit with a negative ttl",
                Step(response=Response(headers=[("Cache-Control", "max-age=1, stale-while-revalidate=3600"),
                                                ("Age", "100")])),
                cached(background=True, answer_of=1, response=Response(headers=[FRESH]),
                       check=says(hit="?1", ttl=number(-110, -95))), section="§2.4"),
    status_case("of_a_stale_answer_on_error", "optimal", "hit and fwd are exclusive on stale-if-error too",
                Step(response=Response(headers=[("Cache-Control", "max-age=1, stale-if-error=3600"), ("Age", "100")])),
                Step(response=Response(500), expect="either", status=200, check=says(ttl=number(-110, -95))),
                section="§2.1"),
    status_case("of_an_error", "optimal", "fwd-status may be left out, or is the origin's",
                Step(response=Response(404), check=says(fwd="uri-miss", stored=None)), section="§2.3"),
    status_case("of_a_partial_one", "optimal", "fwd=partial: what is stored lacks what was asked",
                Step(headers=[("Range", "bytes=0-1")], status=206, response=Response(
                    206, [FRESH, ("ETag", '"v1"'), ("Content-Range", "bytes 0-1/10")], body="01")),
                Step(headers=[("Range", "bytes=4-5")], expect="origin", status=206, response=Response(
                    206, [FRESH, ("ETag", '"v1"'), ("Content-Range", "bytes 4-5/10")], body="45"),
                     check=says(fwd="partial")), section="§2.2"),
    status_case("of_a_completed_one", "optimal", "fwd=partial: everything was asked for",
                Step(headers=[("Range", "bytes=0-4")], status=206, response=Response(
                    206, [FRESH, ("ETag", '"v1"'), ("Content-Range", "bytes 0-4/10")], body="01234")),
                Step(expect="either", requests=1, status=200, body_is="0123456789",
                     response=lambda request: Response(206, [FRESH, ("ETag", '"v1"'),
                                                             ("Content-Range", "bytes 5-9/10")],
                                                       body="56789")
                     if request.fields.get("Range") == "bytes=5-" else Response(headers=[FRESH, ("ETag", '"v1"')],
                                                                               body="0123456789"),
                     check=says(fwd="partial")), section="§2.2"),
    status_case("key", "optimal", "key names the cache key", STORED,
                cached(check=lambda response, *_: says(key=f'"{response.key}"')(response)), section="§2.7"),
    status_case("key_of_a_miss", "optimal", "key names the cache key",
                Step(response=Response(headers=[FRESH]),
                     check=lambda response, *_: says(key=f'"{response.key}"')(response)), section="§2.7"),
    status_case("detail_of_a_hit", "optimal", "detail is a String or Token", STORED,
                cached(check=says(detail=lambda text: re.fullmatch('"[^"]*"|[A-Za-z*][^"]*', text) is not None)),
                section="§2.8"),
    status_case("detail_of_what_was_not_stored", "optimal", "detail names the reason",
                Step(response=Response(headers=[("Cache-Control", "private")]),
                     check=says(detail=lambda text: "private" in text)), section="§2.8"),
    status_case("of_others_on_a_miss", "SHOULD", "what other caches said stays in front",
                Step(response=Response(headers=[FRESH, ("Cache-Status",
                                                        'OriginCache; hit; ttl=1100, "Other One"; fwd=miss')]),
                     check=lambda response, *_: verify(
                         [name for name, _ in members(response.fields.get("Cache-Status"))] ==
                         ["OriginCache", '"Other One"', "Larder"], response.fields.all("Cache-Status")))),
    status_case("of_others_on_a_miss_that_came_at_once", "SHOULD", "what other caches said stays in front",
                Step(response=at_once(FRESH, ("Cache-Status", "OriginCache; hit; ttl=1100")),
                     check=lambda response, *_: verify(
                         [name for name, _ in members(response.fields.get("Cache-Status"))] == ["OriginCache",
                                                                                                "Larder"],
                         response.fields.all("Cache-Status")))),
    status_case("of_others_on_a_hit", "SHOULD", "what other caches said stays in front",
                Step(response=Response(headers=[FRESH, ("Cache-Status", "OriginCache; hit; ttl=1100")])),
                cached(check=lambda response, *_: verify(
                    [name for name, _ in members(response.fields.get("Cache-Status"))] == ["OriginCache", "Larder"],
                    response.fields.all("Cache-Status")))),
    status_case("of_others_on_a_write", "SHOULD", "what other caches said stays in front",
                Step(method="POST", body="x", response=Response(headers=[("Cache-Status", "OriginCache; fwd=method")]),
                     check=lambda response, *_: verify(
                         [name for name, _ in members(response.fields.get("Cache-Status"))] == ["OriginCache",
                                                                                                "Larder"],
                         response.fields.all("Cache-Status")))),
    status_case("not_on_504", "SHOULD", "an answer of our own, made from nothing stored, has no member of ours",
                Step(headers=[("Cache-Control", "only-if-cached")], expect="larder", status=504,
                     response_headers={"Cache-Status": None})),
    status_case("not_on_502", "SHOULD", "an answer of our own, made from nothing stored, has no member of ours",
                Step(response=Response(broken="garbage"), expect="either", status=502,
                     response_headers={"Cache-Status": None})),
    status_case("not_on_400", "SHOULD", "an answer of our own, made from nothing stored, has no member of ours",
                Step(raw=b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", expect="larder", status=400,
                     response_headers={"Cache-Status": None})),
    status_case("of_a_purged_one", "optimal", "after a write it is a miss",
                STORED, Step(method="POST", body="x", response=Response(204)),
                fetched(response=Response(headers=[FRESH]),
                        check=says(fwd=lambda text: text in ("uri-miss", "miss", "stale")))),
]
OFF_AND_ON_RULES = """
routes:
  - match: GET /**
    cache: off
"""
BYPASS = [
    status_case("of_a_route_that_is_off", "optimal", "fwd=bypass: configured not to handle it",
                Step(response=Response(headers=[FRESH]), check=says(fwd="bypass", stored=None)),
                fetched(response=Response(headers=[FRESH]), check=says(fwd="bypass")), section="§2.2"),
]
# Nothing is written to Redis there, so that nothing can be waited for.
for case in BYPASS:
    case.tiers = ("memory",)

add_tests(__name__, "Targeted", TARGETED)
add_tests(__name__, "StaleRules", STALE)
add_tests(__name__, "Groups", GROUPS)
add_tests(__name__, "Search", SEARCH)
add_tests(__name__, "Query", QUERIES, rules=QUERY_RULES)
add_tests(__name__, "PlainQuery", PLAIN_QUERIES)
add_tests(__name__, "Status", STATUS)
add_tests(__name__, "Bypass", BYPASS, rules=OFF_AND_ON_RULES)


class Together(IntegrationCase):
    """Requests that come at the same time."""

    def test_queries_at_once(self):
        """RFC 10008 §2.7: who waits for another's answer has asked the same."""
        site = self.origin()
        proxy = self.larder(site, rules=QUERY_RULES)
        gate = self.gate()

        def handler(exchange):
            gate.pass_through()
            exchange.reply(200, [FRESH], b"answer to " + exchange.request.body)

        site.on("/", handler)
        bodies = ["a", "b", "a", "c", "", "b"]
        join = in_parallel(len(bodies), lambda n: proxy.request("QUERY", "/", [JSON], bodies[n]))
        get = in_parallel(2, lambda _: proxy.get("/"))
        gate.wait_for_arrivals()
        gate.open()
        self.assertEqual([answer.text for answer in join()], [f"answer to {body}" for body in bodies])
        self.assertEqual({answer.text for answer in get()}, {"answer to "})

    def test_search_parameters_at_once(self):
        """No-Vary-Search §7: before an answer has told what does not matter, nobody is given another's."""
        site = self.origin()
        proxy = self.larder(site, rules=PLAIN_RULES)
        gate = self.gate()

        def handler(exchange):
            gate.pass_through()
            exchange.reply(200, [FRESH, ("No-Vary-Search", 'params=("utm")')], exchange.request.target)

        site.on("/", handler)
        targets = ["/?a=1&utm=1", "/?a=2&utm=1", "/?utm=2&a=1", "/?utm=2&a=2"]
        join = in_parallel(len(targets), lambda n: proxy.get(targets[n]))
        gate.wait_for_arrivals()
        gate.open()
        for target, answer in zip(targets, join()):
            self.assertIn(target[-3:] if target.endswith(("a=1", "a=2")) else target[2:5], answer.text)

    def test_a_group_is_purged_while_its_member_is_fetched(self):
        """RFC 9875 §3 and Larder's promise: what was asked for before a write is not given after it."""
        for redis in (False, True):
            with self.subTest(redis=redis):
                site = self.origin()
                proxy = self.larder(site, rules=PLAIN_RULES,
                                    **({"redis": self.redis(), "memory": "off"} if redis else {}))
                gate = self.gate()
                fields = [FRESH, ("Cache-Groups", '"g1"')]
                site.on("/a", lambda exchange: (gate.pass_through(), exchange.reply(200, fields, "older")))
                site.answers("/w", "", [("Cache-Group-Invalidation", '"g1"')], method="POST")
                join = in_parallel(1, lambda _: proxy.get("/a"))
                gate.wait_for_arrivals()
                self.assertEqual(proxy.request("POST", "/w", body="x").status, 200)
                gate.open()
                join()
                site.answers("/a", "newer", fields)
                self.assertEqual(proxy.get("/a").text, "newer")


class Collapsed(IntegrationCase):
    """Requests that share a fill."""

    def test_status_of_collapsed_requests(self):
        """RFC 9211 §2.6: who shared another's forward request says so."""
        site = self.origin()
        proxy = self.larder(site, rules=PLAIN_RULES)
        gate = self.gate()
        site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, [FRESH], "x")))
        join = in_parallel(4, lambda _: proxy.get("/"))
        gate.wait_for_arrivals()
        # Nothing tells from outside that the others have joined; one more request does, as they have been sent before.
        eventually(lambda: site.count("/") == 1, "the origin has one request")
        late = in_parallel(4, lambda _: proxy.get("/"))
        gate.open()
        answers = join() + late()
        self.assertEqual(site.count("/"), 1)
        parameters = [members(answer.fields.get("Cache-Status"))[-1][1] for answer in answers]
        leaders = [one for one in parameters if "fwd" in one and one.get("collapsed", "?0") == "?0"]
        self.assertEqual(len(leaders), 1, parameters)
        for one in parameters:
            self.assertNotEqual("hit" in one, "fwd" in one, one)
            if one.get("collapsed") == "?1":
                self.assertIn("fwd", one)


if __name__ == "__main__":
    unittest.main()
