"""Responses of one target that differ: Vary and selecting header fields (RFC 9111 §4.1), selection and validation among
stored responses, and content codings served from one stored form (RFC 9110 §8.4, §12.5)."""

import gzip
import re
import struct
import unittest

from .support.integration_case import PLAIN_RULES, IntegrationCase
from .support.rfc_case import PRESENT, Case, Response, Step, Where, add_tests, cached, date, fetched
from .support.waiting import in_parallel

FRESH = ("Cache-Control", "max-age=3600")
# Stale on arrival, and no stale answer is allowed.
STALE = [("Cache-Control", "max-age=1, must-revalidate"), ("Age", "100")]


def varying(vary, *more, **options):
    """A fresh response with these Vary lines."""
    lines = [vary] if isinstance(vary, str) else vary
    return Response(headers=[FRESH, *[("Vary", line) for line in lines], *more], **options)


def pair(case_id, level, what, vary, first, second, same, rfc="9111 §4.1", more=()):
    """Two requests that differ in their selecting fields: the stored response may (`same`) or may not be reused."""
    return Case(case_id, rfc, level, what, [
        Step(headers=first, response=varying(vary, *more)),
        Step(headers=second, expect="cache" if same else "origin", response=varying(vary, *more)),
    ])


FOO = "X-Foo"
BAR = "X-Bar"

VARY = [
    # Which fields select.
    pair("vary_match", "optimal", "equal selecting fields match", FOO, [(FOO, "1")], [(FOO, "1")], True),
    pair("vary_mismatch", "MUST", "a response is not used unless all selecting fields match",
         FOO, [(FOO, "1")], [(FOO, "2")], False),
    pair("vary_absent_in_both", "optimal", "a field absent from both requests matches", FOO, [], [], True),
    pair("vary_absent_then_present", "MUST",
         "a field absent from one request matches only where it is absent from the other",
         FOO, [], [(FOO, "1")], False),
    pair("vary_present_then_absent", "MUST",
         "a field absent from one request matches only where it is absent from the other",
         FOO, [(FOO, "1")], [], False),
    pair("vary_empty_is_not_absent", "MUST", "a field that is present and empty is not absent",
         FOO, [(FOO, "")], [], False),
    pair("vary_absent_is_not_empty", "MUST", "a field that is present and empty is not absent",
         FOO, [], [(FOO, "")], False),
    pair("vary_other_field_differs", "optimal", "a field that Vary does not name does not count",
         FOO, [(FOO, "1"), (BAR, "1")], [(FOO, "1"), (BAR, "2")], True),
    pair("vary_two_fields_match", "optimal", "all named fields match",
         f"{FOO}, {BAR}", [(FOO, "1"), (BAR, "2")], [(FOO, "1"), (BAR, "2")], True),
    pair("vary_two_fields_in_another_order", "optimal", "the order of different fields in the request means nothing",
         f"{FOO}, {BAR}", [(FOO, "1"), (BAR, "2")], [(BAR, "2"), (FOO, "1")], True),
    pair("vary_first_of_two_differs", "MUST", "all selecting fields must match",
         f"{FOO}, {BAR}", [(FOO, "1"), (BAR, "2")], [(FOO, "3"), (BAR, "2")], False),
    pair("vary_second_of_two_differs", "MUST", "all selecting fields must match",
         f"{FOO}, {BAR}", [(FOO, "1"), (BAR, "2")], [(FOO, "1"), (BAR, "3")], False),
    pair("vary_values_swapped", "MUST", "a value belongs to its field",
         f"{FOO}, {BAR}", [(FOO, "1"), (BAR, "2")], [(FOO, "2"), (BAR, "1")], False),
    pair("vary_second_of_two_absent", "MUST", "all selecting fields must match",
         f"{FOO}, {BAR}", [(FOO, "1"), (BAR, "2")], [(FOO, "1")], False),
    pair("vary_lines_match", "optimal", "Vary may come in several lines",
         [FOO, BAR], [(FOO, "1"), (BAR, "2")], [(FOO, "1"), (BAR, "2")], True),
    pair("vary_second_line_counts", "MUST", "Vary may come in several lines, and all of them count",
         [FOO, BAR], [(FOO, "1"), (BAR, "2")], [(FOO, "1"), (BAR, "3")], False),
    pair("vary_first_line_counts", "MUST", "Vary may come in several lines, and all of them count",
         [FOO, BAR], [(FOO, "1"), (BAR, "2")], [(FOO, "3"), (BAR, "2")], False),
    pair("vary_name_case_match", "optimal", "field names are case-insensitive",
         "x-fOO", [("X-FOO", "1")], [("x-foo", "1")], True, rfc="9110 §5.1"),
    pair("vary_name_case_mismatch", "MUST", "field names are case-insensitive",
         "x-fOO", [("X-FOO", "1")], [("x-foo", "2")], False, rfc="9110 §5.1"),
    pair("vary_white_space_mismatch", "MUST", "white space about the names in Vary is no part of them",
         f" \t{FOO}\t ,   {BAR}  ", [(FOO, "1"), (BAR, "2")], [(FOO, "1"), (BAR, "3")], False, rfc="9110 §5.6.1"),
    pair("vary_empty_members_match", "MUST", "empty list members are ignored",
         f", ,{FOO},, ", [(FOO, "1")], [(FOO, "1")], True, rfc="9110 §5.6.1"),
    pair("vary_empty_members_mismatch", "MUST", "empty list members are ignored",
         f", ,{FOO},, ", [(FOO, "1")], [(FOO, "2")], False, rfc="9110 §5.6.1"),
    pair("vary_name_twice", "optimal", "a name may be repeated",
         f"{FOO}, {FOO.lower()}", [(FOO, "1")], [(FOO, "1")], True),
    pair("vary_empty", "optimal", "an empty Vary names no field", "", [(FOO, "1")], [(FOO, "2")], True),
    pair("vary_many_names", "MUST", "every one of many names counts",
         ", ".join(f"X-{n}" for n in range(20)), [(f"X-{n}", "1") for n in range(20)],
         [(f"X-{n}", "1") for n in range(19)] + [("X-19", "2")], False),
    pair("vary_on_host_like_fields", "MUST", "any request field may select: Cookie",
         "Cookie", [("Cookie", "a=1; b=2")], [("Cookie", "a=1; b=3")], False),
    pair("vary_on_user_agent", "MUST", "any request field may select: User-Agent",
         "User-Agent", [("User-Agent", "A/1")], [("User-Agent", "A/2")], False),
    pair("vary_on_referer", "MUST", "any request field may select: Referer",
         "Referer", [("Referer", "http://a/")], [("Referer", "http://b/")], False),
    pair("vary_on_origin", "MUST", "any request field may select: Origin",
         "Origin", [("Origin", "http://a")], [("Origin", "http://b")], False),
    pair("vary_on_range_like_unit", "MUST", "a name that no request has matches only its absence",
         "X-Never", [], [], True),
    # Vary: *
    pair("vary_star", "MUST", "a member '*' always fails to match", "*", [], [], False),
    pair("vary_star_with_equal_fields", "MUST", "a member '*' always fails to match",
         "*", [(FOO, "1"), ("*", "1")], [(FOO, "1"), ("*", "1")], False),
    pair("vary_star_last_in_list", "MUST", "a member '*' always fails to match",
         f"{FOO}, *", [(FOO, "1")], [(FOO, "1")], False),
    pair("vary_star_first_in_list", "MUST", "a member '*' always fails to match",
         f"*, {FOO}", [(FOO, "1")], [(FOO, "1")], False),
    pair("vary_star_in_second_line", "MUST", "a member '*' always fails to match",
         [FOO, "*"], [(FOO, "1")], [(FOO, "1")], False),
    pair("vary_star_and_empty_members", "MUST", "a member '*' always fails to match", ", *,", [], [], False),
    Case("vary_star_may_be_validated", "9111 §4.1", "MAY", "a response with Vary: * is never served unvalidated", [
        Step(response=varying("*", ("ETag", '"v1"'))),
        Step(expect="either", response=Response(304, [("ETag", '"v1"'), ("Vary", "*")]), requests=1,
             check=lambda response, _, __: _assert(response.status in (200, 304), response.status)),
    ]),
    # What no name can be.
    pair("vary_quoted_name", "MUST", "a Vary whose selecting fields cannot be known matches nothing",
         f'"{FOO}"', [(FOO, "1")], [(FOO, "2")], False),
    pair("vary_two_names_without_comma", "MUST", "a Vary whose selecting fields cannot be known matches nothing",
         f"{FOO} {BAR}", [(FOO, "1")], [(FOO, "2")], False),
    pair("vary_name_with_parameter", "MUST", "a Vary whose selecting fields cannot be known matches nothing",
         f"{FOO};q=1", [(FOO, "1")], [(FOO, "2")], False),
    pair("vary_names_separated_by_semicolon", "MUST", "a Vary whose selecting fields cannot be known matches nothing",
         f"{FOO};{BAR}", [(FOO, "1")], [(FOO, "2")], False),

    # How values match.
    pair("value_lines_combined", "optimal", "several lines match their combination",
         FOO, [(FOO, "a"), (FOO, "b")], [(FOO, "a, b")], True),
    pair("value_lines_in_another_order", "MUST", "the order of lines is part of the value",
         FOO, [(FOO, "a"), (FOO, "b")], [(FOO, "b"), (FOO, "a")], False),
    pair("value_second_line_differs", "MUST", "all lines of a selecting field count",
         FOO, [(FOO, "a"), (FOO, "b")], [(FOO, "a"), (FOO, "c")], False),
    pair("value_second_line_missing", "MUST", "all lines of a selecting field count",
         FOO, [(FOO, "a"), (FOO, "b")], [(FOO, "a")], False),
    pair("value_outer_white_space", "MUST", "white space around a field value is no part of it",
         FOO, [(FOO, "a")], [(FOO, "  a \t")], True, rfc="9110 §5.5"),
    pair("value_case_unknown_field", "MUST", "case counts where it is not known to mean nothing",
         FOO, [(FOO, "a")], [(FOO, "A")], False),
    pair("value_order_unknown_field", "MUST", "order counts where it is not known to mean nothing",
         FOO, [(FOO, "a, b")], [(FOO, "b, a")], False),
    pair("value_prefix", "MUST", "a longer value is another one", FOO, [(FOO, "a")], [(FOO, "a, b")], False),
    pair("value_inner_space_of_user_agent", "MUST", "white space is changed only where the field's syntax allows it",
         "User-Agent", [("User-Agent", "A/1 (b,c)")], [("User-Agent", "A/1 (b, c)")], False),
    pair("value_accept_language_white_space", "optimal", "white space in a list means nothing",
         "Accept-Language", [("Accept-Language", "en,de;q=0.5")], [("Accept-Language", "en ,  de ; q=0.5")], True),
    pair("value_accept_language_case", "optimal", "language ranges are case-insensitive",
         "Accept-Language", [("Accept-Language", "EN-us, de;q=0.5")], [("Accept-Language", "en-US, DE;Q=0.5")], True),
    pair("value_accept_language_order", "optimal", "qvalues tell the preference, order does not",
         "Accept-Language", [("Accept-Language", "en;q=0.8, de;q=0.5, fr")],
         [("Accept-Language", "fr, de;q=0.5, en;q=0.8")], True, rfc="9110 §12.5.4"),
    pair("value_accept_language_default_weight", "optimal", "no weight is a weight of 1",
         "Accept-Language", [("Accept-Language", "en;q=1.0, de;q=0.50")], [("Accept-Language", "en, de;q=0.5")], True,
         rfc="9110 §12.4.2"),
    pair("value_accept_language_lines", "optimal", "lines are combined and white space is folded",
         "Accept-Language", [("Accept-Language", "en"), ("Accept-Language", "de;q=0.5")],
         [("Accept-Language", "en,de;q=0.5")], True),
    pair("value_accept_language_other_weights", "MUST", "other preferences are another value",
         "Accept-Language", [("Accept-Language", "en;q=0.8, de;q=0.5")],
         [("Accept-Language", "en;q=0.5, de;q=0.8")], False),
    pair("value_accept_language_more_ranges", "MUST", "more ranges are another value",
         "Accept-Language", [("Accept-Language", "en")], [("Accept-Language", "en, de;q=0.5")], False),
    pair("value_accept_encoding_white_space_and_order", "optimal", "order and white space of codings mean nothing",
         "Accept-Encoding", [("Accept-Encoding", "gzip, br;q=0.5")], [("Accept-Encoding", "br ;q=0.5 ,gzip")], True,
         rfc="9110 §12.5.3"),
    pair("value_accept_encoding_case", "optimal", "content codings are case-insensitive",
         "Accept-Encoding", [("Accept-Encoding", "gzip, BR")], [("Accept-Encoding", "GZip, br")], True,
         rfc="9110 §8.4.1"),
    pair("value_accept_encoding_weight_forms", "optimal", "equal weights are equal in every form",
         "Accept-Encoding", [("Accept-Encoding", "gzip;q=1.000, br;q=0.50")], [("Accept-Encoding", "gzip, br;q=0.5")],
         True, rfc="9110 §12.4.2"),
    pair("value_accept_encoding_other", "MUST", "another coding is another value, where the stored response has none",
         "Accept-Encoding", [("Accept-Encoding", "gzip")], [("Accept-Encoding", "br")], False),
    pair("value_accept_white_space", "optimal", "white space in a list means nothing",
         "Accept", [("Accept", "text/html,application/json;q=0.5")],
         [("Accept", "text/html , application/json ;q=0.5")],
         True),
    pair("value_accept_type_case", "optimal", "media types are case-insensitive",
         "Accept", [("Accept", "Text/HTML")], [("Accept", "text/html")], True, rfc="9110 §8.3.1"),
    pair("value_accept_other_type", "MUST", "another media type is another value",
         "Accept", [("Accept", "text/html")], [("Accept", "text/plain")], False),
    pair("value_accept_other_parameter", "MUST", "a media type's parameter is part of it",
         "Accept", [("Accept", "text/html;level=1")], [("Accept", "text/html;level=2")], False),
    pair("value_like_an_encoding", "MUST", "no value can be mistaken for two",
         f"{FOO}, {BAR}", [(FOO, "1\t5:x-bar=1:2")], [(FOO, "1"), (BAR, "2")], False),
]


def _assert(condition, what):
    if not condition:
        raise AssertionError(what)


SELECTION = [
    Case("variants_are_kept_side_by_side", "9111 §4.1", "optimal", "each variant serves its own requests", [
        Step(headers=[(FOO, "1")], response=varying(FOO)),
        Step(headers=[(FOO, "2")], response=varying(FOO)),
        cached(headers=[(FOO, "1")], answer_of=1),
        cached(headers=[(FOO, "2")], answer_of=2),
        fetched(headers=[(FOO, "3")], response=varying(FOO)),
        cached(headers=[(FOO, "1")], answer_of=1),
    ]),
    Case("variants_with_different_bodies_and_fields", "9111 §4.1", "MUST", "fields and body come from the same variant",
         [
        Step(headers=[(FOO, "1")], response=varying(FOO, ("X-Own", "one"), body="one")),
        Step(headers=[(FOO, "2")], response=varying(FOO, ("X-Own", "two"), body="the second")),
        cached(headers=[(FOO, "1")], answer_of=1, response_headers={"X-Own": "one", "Content-Length": "3"}),
        cached(headers=[(FOO, "2")], answer_of=2, response_headers={"X-Own": "two", "Content-Length": "10"}),
    ]),
    Case("variants_under_different_vary_values", "9111 §4.1", "MUST",
         "each stored response has its own selecting fields", [
        Step(headers=[(FOO, "1"), (BAR, "1")], response=varying(FOO)),
        Step(headers=[(FOO, "2"), (BAR, "1")], response=varying(BAR)),
        fetched(headers=[(FOO, "2"), (BAR, "2")], response=varying(f"{FOO}, {BAR}")),
        fetched(headers=[(FOO, "3"), (BAR, "2")], response=varying(f"{FOO}, {BAR}")),
    ]),
    Case("variant_with_most_recent_date_wins", "9111 §4", "MUST",
         "of several suitable responses the one with the most recent Date is used", [
             Step(headers=[(FOO, "1"), (BAR, "1")], response=varying(FOO, ("Date", date(-60)))),
             Step(headers=[(FOO, "2"), (BAR, "1")], response=varying(BAR, ("Date", date(-30)))),
             cached(headers=[(FOO, "1"), (BAR, "1")], answer_of=2),
         ]),
    Case("variant_stored_later_with_an_older_date", "9111 §4", "MUST",
         "most recent is what Date says, not when it was stored", [
             Step(headers=[(FOO, "1"), (BAR, "1")], response=varying(FOO, ("Date", date(-30)))),
             Step(headers=[(FOO, "2"), (BAR, "1")], response=varying(BAR, ("Date", date(-90)))),
             cached(headers=[(FOO, "1"), (BAR, "1")], answer_of=1),
             # Redis holds the variants of one set of selecting header fields, the latest: the first response is gone there.
         ], tiers=("memory",)),
    Case("variant_replaced_by_the_same_selecting_fields", "9111 §4", "MUST",
         "a newer response for the same selecting fields is used instead of the older one", [
             Step(headers=[(FOO, "1")], response=varying(FOO)),
             fetched(headers=[(FOO, "1"), ("Cache-Control", "no-cache")], response=varying(FOO)),
             cached(headers=[(FOO, "1")], answer_of=2),
         ]),
    Case("vary_omitted_in_the_newer_response", "9111 §4.1", "SHOULD",
         "where some responses omit Vary, the most recent one with a valid Vary selects", [
             Step(headers=[(FOO, "1")], response=varying(FOO, ("Date", date(-60)))),
             Step(headers=[(FOO, "2")], response=Response(headers=[FRESH, ("Date", date(-30))])),
             cached(headers=[(FOO, "1")], answer_of=1),
         ]),
    Case("vary_omitted_in_the_older_response", "9111 §4.1", "SHOULD",
         "where some responses omit Vary, the most recent one with a valid Vary selects; others are not for everybody", [
             Step(headers=[(FOO, "1")], response=Response(headers=[FRESH, ("Date", date(-60))])),
             fetched(headers=[(FOO, "2"), ("Cache-Control", "no-cache")], response=varying(FOO, ("Date", date(-30)))),
             fetched(headers=[(FOO, "3")], response=varying(FOO)),
             cached(headers=[(FOO, "2")], answer_of=2),
         ]),
    Case("vary_omitted_then_added", "9111 §4.1", "SHOULD",
         "a response without Vary is no answer once the target varies", [
        Step(headers=[(FOO, "1")], response=Response(headers=[FRESH, ("Date", date(-60))])),
        fetched(headers=[(FOO, "1"), ("Cache-Control", "no-cache")], response=varying(FOO, ("Date", date(-30)))),
        fetched(headers=[(FOO, "2")], response=varying(FOO)),
        cached(headers=[(FOO, "1")], answer_of=2),
    ]),
    Case("vary_of_an_error_does_not_replace", "9111 §4.1", "optimal", "an unstorable answer leaves the variants alone",
         [
        Step(headers=[(FOO, "1")], response=varying(FOO)),
        fetched(headers=[(FOO, "2")], response=Response(500, [("Cache-Control", "no-store"), ("Vary", "*")])),
        cached(headers=[(FOO, "1")], answer_of=1),
    ]),
    Case("variants_head_uses_the_matching_one", "9110 §9.3.2", "optimal", "HEAD selects as GET does", [
        Step(headers=[(FOO, "1")], response=varying(FOO, body="1")),
        Step(headers=[(FOO, "2")], response=varying(FOO, body="22")),
        cached(method="HEAD", headers=[(FOO, "1")], response_headers={"Content-Length": "1"}),
        cached(method="HEAD", headers=[(FOO, "2")], response_headers={"Content-Length": "2"}),
        fetched(method="HEAD", headers=[(FOO, "3")], response=varying(FOO)),
    ]),
    Case("variants_all_invalidated_by_a_write", "9111 §4.4", "MUST", "invalidation reaches all variants", [
        Step(headers=[(FOO, "1")], response=varying(FOO)),
        Step(headers=[(FOO, "2")], response=varying(FOO)),
        Step(method="POST", body="x", response=Response(204)),
        fetched(headers=[(FOO, "1")], response=varying(FOO)),
        fetched(headers=[(FOO, "2")], response=varying(FOO)),
    ]),
    Case("variants_vary_is_sent_with_a_hit", "9110 §12.5.5", "MUST", "Vary stays in the stored response", [
        Step(headers=[(FOO, "1")], response=varying([FOO, BAR])),
        cached(headers=[(FOO, "1")], response_headers={"Vary": Where(
            lambda value: {m.strip().lower() for m in (value or "").split(",")} >= {FOO.lower(), BAR.lower()},
            "with both names")}),
    ]),
]


def language(tag, *more, **options):
    """A fresh response in this language that varies by Accept-Language."""
    return varying("Accept-Language", ("Content-Language", tag), *more, **options)


def preference(case_id, level, what, tag, first, second, same, vary="Accept-Language"):
    """A response in language `tag`, stored for `first`: is it an answer to `second`?"""
    response = varying(vary, ("Content-Language", tag)) if tag else varying(vary)
    return Case(case_id, "9111 §4.1, 9110 §12.5.4", level, what, [
        Step(headers=[("Accept-Language", first)], response=response),
        Step(headers=[("Accept-Language", second)], expect="cache" if same else "origin", response=response),
    ])


LANGUAGES = [
    preference("language_first_preference_is_stored", "optimal",
               "a stored response in the uniquely preferred language serves",
               "de", "de", "de, en;q=0.5", True),
    preference("language_first_preference_not_first_in_order", "optimal", "the weight tells the preference",
               "de", "de", "fr;q=0.7, de, en;q=0.5", True),
    preference("language_case", "optimal", "language tags are case-insensitive", "DE", "de", "De, en;q=0.5", True),
    preference("language_with_region", "optimal", "a tag with subtags is compared whole",
               "de-CH", "de-CH", "de-ch, de;q=0.9", True),
    preference("language_stored_for_a_longer_list", "optimal",
               "what was negotiated for a list is found by its language",
               "de", "de, en;q=0.5", "de", True),
    preference("language_second_preference_is_stored", "MUST",
               "what the origin has for the first preference is not known",
               "de", "de", "fr, de;q=0.5", False),
    preference("language_tie", "optimal", "order means nothing among equal weights", "de", "de", "fr, de", True),
    preference("language_not_acceptable", "MUST", "a weight of 0 is not acceptable", "de", "de", "de;q=0, en;q=0.5",
               False),
    preference("language_star_is_no_language", "MUST", "'*' names no language", "de", "de", "*, en;q=0.5", False),
    preference("language_unlabelled", "MUST", "nothing is known of a response without Content-Language",
               None, "de", "de, en;q=0.5", False),
    preference("language_of_two_languages", "MUST", "a response for two audiences is not chosen by one",
               "de, en", "de", "de, en;q=0.5", False),
    preference("language_prefix_of_another", "MUST", "a range that only begins like the tag is not that tag",
               "den", "den", "de, en;q=0.5", False),
    preference("language_malformed_weight", "MUST", "a malformed weight is no preference",
               "de", "de", "de;q=x, en", False),
    Case("language_absent_is_no_preference", "9111 §4.1", "MUST", "an absent field matches only its absence", [
        Step(headers=[("Accept-Language", "de")], response=language("de")),
        fetched(response=language("en")),
        cached(answer_of=2),
    ]),
    Case("language_best_of_two", "9111 §4.1", "optimal", "of two stored responses the preferred one serves", [
        Step(headers=[("Accept-Language", "de")], response=language("de")),
        Step(headers=[("Accept-Language", "en")], response=language("en")),
        cached(headers=[("Accept-Language", "en;q=0.9, de;q=0.8")], answer_of=2),
        cached(headers=[("Accept-Language", "en;q=0.8, de;q=0.9")], answer_of=1),
    ]),
    Case("language_other_selecting_field_differs", "9111 §4.1", "MUST",
         "every other selecting field must match as ever", [
        Step(headers=[("Accept-Language", "de"), (FOO, "1")],
             response=varying(f"Accept-Language, {FOO}", ("Content-Language", "de"))),
        fetched(headers=[("Accept-Language", "de, en;q=0.5"), (FOO, "2")],
                response=varying(f"Accept-Language, {FOO}", ("Content-Language", "de"))),
        cached(headers=[("Accept-Language", "de, en;q=0.5"), (FOO, "1")], answer_of=1),
    ]),
    Case("language_exact_match_before_preference", "9111 §4.1", "optimal", "what was stored for this very value serves",
         [
        Step(headers=[("Accept-Language", "de")], response=language("de", ("X-Own", "one"))),
        Step(headers=[("Accept-Language", "de, en;q=0.5"), ("Cache-Control", "no-cache")],
             response=language("de", ("X-Own", "two"))),
        cached(headers=[("Accept-Language", "de, en;q=0.5")], answer_of=2),
    ]),
]

VALIDATION = [
    Case("validation_of_the_matching_variant", "9111 §4.3.1", "MUST", "the selected variant's entity tag is sent", [
        Step(headers=[(FOO, "1")], response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"one"')])),
        Step(headers=[(FOO, "2")], response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"two"')])),
        Step(headers=[(FOO, "1")], expect="validated", answer_of=1,
             response=Response(304, [("ETag", '"one"'), ("Vary", FOO), FRESH]),
             origin_headers={"If-None-Match": re.compile('"one"'), FOO: "1"}),
        cached(headers=[(FOO, "1")], answer_of=1),
    ]),
    Case("validation_of_one_variant_leaves_the_others_stale", "9111 §4.3.4", "MUST",
         "a 304 freshens only what it confirms", [
             Step(headers=[(FOO, "1")], response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"one"')])),
             Step(headers=[(FOO, "2")], response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"two"')])),
             Step(headers=[(FOO, "1")], expect="validated", answer_of=1,
                  response=Response(304, [("ETag", '"one"'), ("Vary", FOO), FRESH])),
             Step(headers=[(FOO, "2")], expect="validated", answer_of=2,
                  response=Response(304, [("ETag", '"two"'), ("Vary", FOO), FRESH]),
                  origin_headers={"If-None-Match": re.compile('"two"')}),
         ]),
    Case("validators_of_other_variants_are_not_sent", "9111 §4.3.1", "optimal",
         "a request that no variant matches is not made conditional on their validators", [
             Step(headers=[(FOO, "1")], response=varying(FOO, ("ETag", '"one"'), ("Last-Modified", date(-9000)))),
             fetched(headers=[(FOO, "2")], response=varying(FOO, ("ETag", '"two"')),
                     origin_headers={"If-None-Match": None, "If-Modified-Since": None}),
         ]),
    Case("validators_of_other_variants_are_not_sent_when_stale", "9111 §4.3.1", "optimal",
         "a request that no variant matches is not made conditional on their validators", [
             Step(headers=[(FOO, "1")], response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"one"')])),
             fetched(headers=[(FOO, "2")], response=varying(FOO, ("ETag", '"two"')),
                     origin_headers={"If-None-Match": None, "If-Modified-Since": None}),
         ]),
    Case("validation_304_of_another_variant", "9111 §4.3.4", "MUST",
         "a 304 whose strong entity tag is not the selected response's does not update or release it", [
             Step(headers=[(FOO, "1")], response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"one"')])),
             Step(headers=[(FOO, "2")], response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"two"')])),
             Step(headers=[(FOO, "1")], expect="either", status=200,
                  response=lambda request: Response(304, [("ETag", '"two"'), ("Vary", FOO), FRESH])
                  if request.fields.has("If-None-Match") else varying(FOO, ("ETag", '"new"'), body="asked again"),
                  check=lambda response, *_: _assert(not response.body.endswith(b"step 1"),
                                                     "the variant that was not confirmed was given")),
             Step(headers=[(FOO, "1")], expect="either", response=varying(FOO, body="asked once more"),
                  check=lambda response, *_: _assert(not response.body.endswith(b"step 1"),
                                                     "the variant that was not confirmed was freshened")),
         ]),
    Case("validation_304_of_an_unknown_response", "9111 §4.3.4", "MUST",
         "a 304 with a strong entity tag that nothing stored has updates nothing", [
             Step(headers=[(FOO, "1")], response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"one"')])),
             Step(headers=[(FOO, "1")], expect="either", status=200,
                  response=lambda request: Response(304, [("ETag", '"other"'), ("Vary", FOO), FRESH])
                  if request.fields.has("If-None-Match") else varying(FOO, ("ETag", '"other"'), body="asked again"),
                  body_is="asked again"),
         ]),
    Case("validation_304_among_two_matching", "9111 §4.3.3", "MUST",
         "of two stored responses that match, the confirmed one is given", [
             Step(headers=[(FOO, "1"), (BAR, "1")],
                  response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"one"'), ("Date", date(-60))])),
             Step(headers=[(FOO, "2"), (BAR, "1")],
                  response=Response(headers=[*STALE, ("Vary", BAR), ("ETag", '"two"'), ("Date", date(-30))])),
             Step(headers=[(FOO, "1"), (BAR, "1")], expect="either", status=200,
                  response=lambda request: Response(304, [("ETag", '"one"'), FRESH])
                  if '"one"' in request.fields.get("If-None-Match", "") else varying(FOO, body="not asked about one"),
                  check=lambda response, *_: _assert(
                      response.body.endswith(b"step 1") or response.body == b"not asked about one", response.body)),
         ]),
    Case("validation_replaces_only_its_variant", "9111 §4.3.3", "optimal",
         "a 200 instead replaces the selected variant", [
        Step(headers=[(FOO, "1")], response=Response(headers=[*STALE, ("Vary", FOO), ("ETag", '"one"')])),
        Step(headers=[(FOO, "2")], response=varying(FOO, ("ETag", '"two"'))),
        fetched(headers=[(FOO, "1")], response=varying(FOO, ("ETag", '"three"'))),
        cached(headers=[(FOO, "1")], answer_of=3),
        cached(headers=[(FOO, "2")], answer_of=2),
    ]),
    Case("validation_client_condition_on_the_selected_variant", "9111 §4.3.2", "MUST",
         "If-None-Match is compared with the selected variant", [
             Step(headers=[(FOO, "1")], response=varying(FOO, ("ETag", '"one"'))),
             Step(headers=[(FOO, "2")], response=varying(FOO, ("ETag", '"two"'))),
             cached(headers=[(FOO, "1"), ("If-None-Match", '"one"')], status=304,
                    response_headers={"ETag": '"one"', "Vary": FOO}),
             cached(headers=[(FOO, "1"), ("If-None-Match", '"two"')], status=200, answer_of=1),
         ]),
    Case("validation_request_carries_selecting_fields", "9111 §4.3.1", "MUST",
         "a validation request has the fields by which the stored response was selected", [
             Step(headers=[("Accept-Language", "de"), (FOO, "1")],
                  response=Response(headers=[*STALE, ("Vary", f"{FOO}, Accept-Language"), ("ETag", '"one"')])),
             Step(headers=[("Accept-Language", "de"), (FOO, "1")], expect="validated",
                  response=Response(304, [("ETag", '"one"')]),
                  origin_headers={"Accept-Language": "de", FOO: "1"}),
         ]),
    Case("validation_304_changes_vary", "9111 §3.2", "MUST", "a 304's Vary replaces the stored one", [
        Step(headers=[(FOO, "1"), (BAR, "1")], response=Response(headers=[*STALE, ("ETag", '"one"')])),
        Step(headers=[(FOO, "1"), (BAR, "1")], expect="validated",
             response=Response(304, [("ETag", '"one"'), ("Vary", BAR), FRESH])),
        fetched(headers=[(FOO, "1"), (BAR, "2")], response=varying(BAR)),
    ]),
]

# Content codings. One body, and each of its coded forms, made without any library.
PLAIN = b"".join(b"line %d of a body that can be coded\n" % n for n in range(200))


def brotli_stored(data):
    """A Brotli stream of uncompressed metablocks (RFC 7932 §9.2)."""
    bits, length = 0, 0

    def put(value, count):
        nonlocal bits, length
        bits |= value << length
        length += count

    out = bytearray()
    put(0, 1)  # WBITS 16
    for begin in range(0, len(data), 65536):
        piece = data[begin:begin + 65536]
        put(0, 1)  # ISLAST
        put(0, 2)  # MNIBBLES 4
        put(len(piece) - 1, 16)
        put(1, 1)  # ISUNCOMPRESSED
        while length % 8:
            length += 1
        out += bits.to_bytes(length // 8, "little")
        out += piece
        bits = length = 0
    put(1, 1)  # ISLAST
    put(1, 1)  # ISEMPTY
    out += bits.to_bytes((length + 7) // 8, "little")
    return bytes(out)


def zstd_stored(data):
    """A Zstandard frame of raw blocks (RFC 8878 §3.1.1)."""
    out = bytearray(b"\x28\xb5\x2f\xfd" + b"\xa0" + struct.pack("<I", len(data)))  # single segment, 4 bytes of size
    pieces = [data[begin:begin + 65536] for begin in range(0, len(data), 65536)] or [b""]
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        out += struct.pack("<I", len(piece) << 3 | last)[:3] + piece
    return bytes(out)


CODED = {"gzip": gzip.compress(PLAIN, mtime=0), "br": brotli_stored(PLAIN), "zstd": zstd_stored(PLAIN)}


def coded(coding, *more, vary="Accept-Encoding", tag='"v1"', body=None, control="max-age=3600"):
    """A stored response in this coding."""
    return Response(headers=[("Cache-Control", control), ("Content-Encoding", coding), ("Content-Type", "text/plain"),
                             *([("Vary", vary)] if vary else []), *([("ETag", tag)] if tag else []), *more],
                    body=CODED.get(coding) if body is None else body)


NAMES_ACCEPT_ENCODING = Where(lambda value: value is not None and "accept-encoding" in value.lower(),
                              "with Accept-Encoding")


def as_coded(coding, accept):
    """The stored coded form, byte for byte."""
    return cached(headers=accept_encoding(accept), body_is=CODED[coding],
                  response_headers={"Content-Encoding": coding, "Content-Length": str(len(CODED[coding])),
                                    "ETag": '"v1"', "Vary": NAMES_ACCEPT_ENCODING})


def as_decoded(accept, body=PLAIN, tag='"v1"'):
    """The same content without a coding, from the cache, as a representation of its own."""
    return cached(headers=accept_encoding(accept), status=200, body_is=body,
                  response_headers={"Content-Encoding": None, "Content-Length": str(len(body)),
                                    "Content-Type": "text/plain", "Vary": NAMES_ACCEPT_ENCODING,
                                    "ETag": Where(lambda value: value != tag, f"another than {tag}")})


def accept_encoding(value):
    return [] if value is None else [("Accept-Encoding", value)]


CODINGS = []
for CODING in CODED:
    CODINGS += [Case(f"{CODING}_as_it_is_for_{name}", "9110 §12.5.3", "optimal",
                     f"the stored {CODING} form is acceptable to Accept-Encoding: {accept}",
                     [Step(headers=[("Accept-Encoding", CODING)], response=coded(CODING)), as_coded(CODING, accept)])
                for name, accept in (("itself", CODING), ("capitals", CODING.upper()),
                                     ("a_low_weight", f"{CODING};q=0.1"), ("weight_1_000", f"{CODING};q=1.000"),
                                     ("one_of_two", f"deflate, {CODING}"),
                                     ("identity_second", f"identity;q=0.5, {CODING}"),
                                     ("identity_excluded", f"identity;q=0, {CODING}"), ("star", "*"),
                                     ("star_with_weight", "*;q=0.5"),
                                     ("star_0_but_itself", f"{CODING};q=1.0, identity; q=0.5, *;q=0"),
                                     ("what_browsers_send", "gzip, deflate, br, zstd"))]
    CODINGS += [Case(f"{CODING}_decoded_for_{name}", "9110 §12.5.3", "optimal",
                     f"the stored {CODING} form is decoded once for Accept-Encoding: {accept}",
                     [Step(headers=[("Accept-Encoding", CODING)], response=coded(CODING)), as_decoded(accept),
                      as_decoded(accept), as_coded(CODING, CODING)])
                for name, accept in (("nothing_said", None), ("identity", "identity"), ("an_empty_field", ""),
                                     ("weight_0", f"{CODING};q=0"), ("weight_0_000", f"{CODING};q=0.000, *"),
                                     ("an_unknown_coding", "x-other"), ("star_0_but_identity", "*;q=0, identity;q=0.5"),
                                     ("weight_with_junk", f"{CODING};q=x"), ("weight_too_long", f"{CODING};q=0.0001"),
                                     ("weight_above_1", f"{CODING};q=2"))]
    CODINGS += [Case(f"{CODING}_not_given_to_{name}", "9110 §12.5.3", "MUST",
                     f"nothing acceptable can be made for Accept-Encoding: {accept}",
                     [Step(headers=[("Accept-Encoding", CODING)], response=coded(CODING)),
                      fetched(headers=accept_encoding(accept),
                              response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")]))])
                for name, accept in (("star_0", "*;q=0"), ("identity_0", f"identity;q=0, {CODING};q=0"),
                                     ("only_an_unknown_coding", "x-other, *;q=0"))]
    CODINGS += [
        Case(f"{CODING}_no_transform_forbids_decoding", "9110 §7.7, 9111 §5.2.2.6", "MUST",
             "no-transform: content is not transformed", [
                 Step(headers=[("Accept-Encoding", CODING)],
                      response=coded(CODING, control="max-age=3600, no-transform")),
                 fetched(headers=[("Accept-Encoding", "identity")],
                         response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
                 cached(headers=[("Accept-Encoding", CODING)], answer_of=1),
             ]),
        Case(f"{CODING}_decoded_head", "9110 §9.3.2", "SHOULD", "HEAD has the fields that GET would have", [
            Step(headers=[("Accept-Encoding", CODING)], response=coded(CODING)),
            cached(method="HEAD", headers=[("Accept-Encoding", "identity")], status=200,
                   response_headers={"Content-Encoding": None,
                                     "Content-Length": Where(lambda value: value in (None, str(len(PLAIN))),
                                                             "absent or that of the decoded form")}),
            cached(method="HEAD", headers=[("Accept-Encoding", CODING)], status=200,
                   response_headers={"Content-Encoding": CODING, "Content-Length": str(len(CODED[CODING]))}),
        ]),
        Case(f"{CODING}_decoded_entity_tag_in_a_condition", "9110 §13.1.2, §8.8.3", "MUST",
             "the decoded form's own entity tag is recognised", [
                 Step(headers=[("Accept-Encoding", CODING)], response=coded(CODING)),
                 as_decoded("identity"),
                 cached(headers=[("Accept-Encoding", "identity"),
                                 ("If-None-Match", lambda context: context.responses[1].fields.get("ETag"))],
                        status=304, response_headers={"Content-Encoding": None, "ETag": PRESENT}),
                 cached(headers=[("Accept-Encoding", CODING), ("If-None-Match", '"v1"')], status=304,
                        response_headers={"ETag": '"v1"'}),
                 cached(headers=[("Accept-Encoding", CODING), ("If-None-Match", '"other"')], status=200,
                        body_is=CODED[CODING]),
             ]),
        Case(f"{CODING}_decoded_from_damaged_bytes", "9110 §8.4", "MUST", "what cannot be decoded is asked for", [
            Step(headers=[("Accept-Encoding", CODING)], response=coded(CODING, body=b"these are not such bytes")),
            fetched(headers=[("Accept-Encoding", "identity")],
                    response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
        ]),
        Case(f"{CODING}_decoded_from_cut_bytes", "9110 §8.4", "MUST", "a coded form without its end is not a whole", [
            Step(headers=[("Accept-Encoding", CODING)], response=coded(CODING, body=CODED[CODING][:-5])),
            fetched(headers=[("Accept-Encoding", "identity")],
                    response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
        ]),
        Case(f"{CODING}_coded_range_is_of_the_coded_form", "9110 §14.1.2", "MUST",
             "byte ranges are of the selected representation, coding included", [
                 Step(headers=[("Accept-Encoding", CODING)], response=coded(CODING)),
                 cached(headers=[("Accept-Encoding", CODING), ("Range", "bytes=2-9")], status=206,
                        body_is=CODED[CODING][2:10],
                        response_headers={"Content-Encoding": CODING,
                                          "Content-Range": f"bytes 2-9/{len(CODED[CODING])}"}),
                 Step(headers=[("Accept-Encoding", "identity"), ("Range", "bytes=2-9")], expect="either", requests=0,
                      check=lambda response, *_: _range_or_whole(response)),
             ]),
    ]


def _range_or_whole(response):
    """Of the decoded form: the range, or all of it."""
    _assert(not response.fields.has("Content-Encoding"), "Content-Encoding on a decoded form")
    if response.status == 206:
        _assert(response.body == PLAIN[2:10], response.body)
        _assert(response.fields.get("Content-Range") == f"bytes 2-9/{len(PLAIN)}", response.fields.get("Content-Range"))
    else:
        _assert(response.status == 200 and response.body == PLAIN, f"{response.status} {response.body[:50]!r}")


CODINGS += [
    Case("gzip_as_it_is_for_x_gzip", "9110 §8.4.1.3", "SHOULD", "x-gzip is gzip", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip")), as_coded("gzip", "x-gzip")]),
    Case("x_gzip_is_decoded_too", "9110 §8.4.1.3", "SHOULD", "x-gzip is gzip", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("x-gzip", body=CODED["gzip"])),
        as_decoded("identity")]),
    Case("gzip_in_capitals_is_decoded_too", "9110 §8.4.1", "MUST", "content codings are case-insensitive", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("GZIP", body=CODED["gzip"])),
        as_decoded("identity")]),
    Case("gzip_weak_entity_tag_stays_weak", "9110 §8.8.3", "MUST", "a weak entity tag is not made strong by decoding", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip", tag='W/"v1"')),
        cached(headers=[("Accept-Encoding", "identity")], body_is=PLAIN, response_headers={
            "ETag": Where(lambda value: value is None or value.startswith("W/"), "weak or absent")}),
    ]),
    Case("gzip_without_entity_tag", "9110 §8.8.3", "MUST", "none is made up that would be the coded form's", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip", tag=None)),
        cached(headers=[("Accept-Encoding", "identity")], body_is=PLAIN, response_headers={"Content-Encoding": None}),
    ]),
    Case("gzip_of_several_members", "9110 §8.4.1.3", "optimal", "a gzip stream may have several members", [
        Step(headers=[("Accept-Encoding", "gzip")],
             response=coded("gzip", body=gzip.compress(PLAIN[:100]) + gzip.compress(PLAIN[100:]))),
        as_decoded("identity")]),
    Case("gzip_of_nothing", "9110 §8.4.1.3", "optimal", "an empty body is coded in a few bytes", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip", body=gzip.compress(b""))),
        as_decoded("identity", body=b"")]),
    Case("gzip_bomb", "9110 §8.4.1.3", "optimal", "a body that grows without bound is not decoded", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip", body=gzip.compress(bytes(48 << 20), 6))),
        fetched(headers=[("Accept-Encoding", "identity")],
                response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
        cached(headers=[("Accept-Encoding", "gzip")], answer_of=1),
    ]),
    Case("two_codings_are_not_decoded", "9110 §8.4", "MUST", "a response in two codings is left alone", [
        Step(headers=[("Accept-Encoding", "gzip")],
             response=coded("gzip, gzip", body=gzip.compress(CODED["gzip"]))),
        fetched(headers=[("Accept-Encoding", "identity")],
                response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
        cached(headers=[("Accept-Encoding", "gzip")], answer_of=1,
               response_headers={"Content-Encoding": "gzip, gzip"}),
    ]),
    Case("two_codings_on_two_lines_are_not_decoded", "9110 §8.4, §5.3", "MUST", "two lines are one list", [
        Step(headers=[("Accept-Encoding", "gzip")],
             response=coded("gzip", ("Content-Encoding", "br"), body=brotli_stored(CODED["gzip"]))),
        fetched(headers=[("Accept-Encoding", "identity")],
                response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
    ]),
    Case("unknown_coding_is_not_decoded", "9110 §8.4", "MUST", "an unknown coding is left alone", [
        Step(headers=[("Accept-Encoding", "x-other")], response=coded("x-other", body=b"?")),
        fetched(headers=[("Accept-Encoding", "identity")],
                response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
    ]),
    Case("unknown_coding_serves_whom_it_was_stored_for", "9111 §4.1", "optimal", "an equal value is the best match", [
        Step(headers=[("Accept-Encoding", "x-other")], response=coded("x-other", body=b"?")),
        fetched(headers=[("Accept-Encoding", "identity")],
                response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
        cached(headers=[("Accept-Encoding", "x-other")], answer_of=1),
    ]),
    Case("identity_form_serves_who_wants_no_coding", "9110 §12.5.3", "optimal",
         "an uncoded response serves everyone who accepts no coding", [
             Step(headers=[("Accept-Encoding", "identity")],
                  response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")])),
             cached(),
             cached(headers=[("Accept-Encoding", "gzip;q=0")]),
             cached(headers=[("Accept-Encoding", "")]),
             fetched(headers=[("Accept-Encoding", "identity;q=0")],
                     response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")])),
         ]),
    Case("identity_and_coded_forms_side_by_side", "9111 §4.1", "optimal", "each client gets the form that fits best", [
        Step(headers=[("Accept-Encoding", "identity")],
             response=Response(headers=[FRESH, ("Vary", "Accept-Encoding"), ("ETag", '"plain"')], body=PLAIN)),
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip", tag='"packed"')),
        cached(headers=[("Accept-Encoding", "gzip")], answer_of=2, response_headers={"ETag": '"packed"'}),
        cached(headers=[("Accept-Encoding", "identity")], answer_of=1, response_headers={"ETag": '"plain"'}),
        cached(answer_of=1, response_headers={"ETag": '"plain"'}),
    ]),
    Case("coded_forms_best_weight", "9111 §4.1", "optimal", "of two coded forms the preferred one serves", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip")),
        Step(headers=[("Accept-Encoding", "br, gzip;q=0"), ("Cache-Control", "no-cache")], response=coded("br")),
        cached(headers=[("Accept-Encoding", "gzip;q=0.5, br;q=0.9")], answer_of=2,
               response_headers={"Content-Encoding": "br"}),
        cached(headers=[("Accept-Encoding", "gzip;q=0.9, br;q=0.5")], answer_of=1,
               response_headers={"Content-Encoding": "gzip"}),
    ]),
    Case("coded_other_selecting_field_differs", "9111 §4.1", "MUST", "every other selecting field must match as ever", [
        Step(headers=[("Accept-Encoding", "gzip"), (FOO, "1")], response=coded("gzip", vary=f"Accept-Encoding, {FOO}")),
        fetched(headers=[("Accept-Encoding", "identity"), (FOO, "2")],
                response=coded("gzip", vary=f"Accept-Encoding, {FOO}")),
        fetched(headers=[("Accept-Encoding", "gzip;q=0.5"), (FOO, "3")],
                response=coded("gzip", vary=f"Accept-Encoding, {FOO}")),
        cached(headers=[("Accept-Encoding", "identity"), (FOO, "1")], body_is=PLAIN),
    ]),
    Case("coded_without_vary", "9110 §12.5.3", "optimal",
         "without Vary the coded form is either given as it is or decoded", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip", vary=None)),
        Step(headers=[("Accept-Encoding", "identity")], expect="either", status=200,
             response=Response(headers=[FRESH], body=PLAIN),
             check=lambda response, *_: _assert(
                 response.body == (CODED["gzip"] if response.fields.get("Content-Encoding") == "gzip" else PLAIN),
                 "Content-Encoding does not tell the body's form")),
    ]),
    Case("coded_form_is_not_coded_again", "9110 §8.4", "MUST", "a coded form is given in that coding once", [
        Step(headers=[("Accept-Encoding", "gzip, br")], response=coded("gzip")),
        cached(headers=[("Accept-Encoding", "br, gzip")], answer_of=1, response_headers={"Content-Encoding": ["gzip"]}),
    ]),
    Case("uncoded_form_stays_itself", "9110 §8.4, §8.8.3", "MUST",
         "whether or not an uncoded response is coded on the way, its fields tell the truth", [
             Step(headers=[("Accept-Encoding", "gzip")], body=None,
                  response=Response(headers=[FRESH, ("ETag", '"v1"'), ("Content-Type", "text/plain")], body=PLAIN)),
             Step(headers=[("Accept-Encoding", "gzip")], expect="cache",
                  check=lambda response, *_: _assert(
                      (response.body == PLAIN and not response.fields.has("Content-Encoding")) or
                      (response.fields.get("Content-Encoding") == "gzip" and
                       gzip.decompress(response.body) == PLAIN and response.fields.get("ETag") != '"v1"'),
                      response.raw_head)),
         ]),
    Case("coded_form_confirmed_by_304", "9111 §4.3.4", "MUST", "a 304 freshens the coded form, and so the decoded one",
         [
        Step(headers=[("Accept-Encoding", "gzip")],
             response=Response(headers=[*STALE, ("Content-Encoding", "gzip"), ("ETag", '"v1"'),
                                        ("Content-Type", "text/plain"), ("Vary", "Accept-Encoding")],
                               body=CODED["gzip"])),
        Step(headers=[("Accept-Encoding", "gzip")], expect="validated", body_is=CODED["gzip"],
             response=Response(304, [("ETag", '"v1"'), FRESH, ("Vary", "Accept-Encoding")])),
        as_decoded("identity"),
    ]),
    Case("coded_form_stale_for_who_cannot_decode", "9111 §4.3.1", "MUST",
         "a stale coded form is not decoded and given without validation", [
             Step(headers=[("Accept-Encoding", "gzip")],
                  response=Response(headers=[*STALE, ("Content-Encoding", "gzip"), ("ETag", '"v1"'),
                                             ("Vary", "Accept-Encoding")], body=CODED["gzip"])),
             Step(headers=[("Accept-Encoding", "identity")], expect="either", status=200,
                  response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body="the newer one"),
                  requests=1, body_is="the newer one"),
         ]),
    Case("gzip_decoded_404", "9110 §8.4", "optimal", "a coded form is undone whatever the status", [
        Step(headers=[("Accept-Encoding", "gzip")],
             response=Response(404, [FRESH, ("Vary", "Accept-Encoding"), ("Content-Encoding", "gzip")],
                               body=CODED["gzip"])),
        cached(headers=[("Accept-Encoding", "identity")], status=404, body_is=PLAIN,
               response_headers={"Content-Encoding": None}),
    ]),
    Case("gzip_decoded_digests", "9530 §2, §3", "MUST", "digests of the coded form are not those of the decoded one", [
        Step(headers=[("Accept-Encoding", "gzip")],
             response=coded("gzip", ("Content-Digest", "sha-256=:AAAA:"), ("Repr-Digest", "sha-256=:AAAA:"),
                            ("Digest", "sha-256=AAAA"), ("Content-MD5", "AAAA"))),
        cached(headers=[("Accept-Encoding", "identity")], body_is=PLAIN, response_headers={
            "Content-Digest": None, "Repr-Digest": None, "Digest": None, "Content-MD5": None}),
        cached(headers=[("Accept-Encoding", "gzip")], answer_of=1, response_headers={
            "Content-Digest": PRESENT, "Repr-Digest": PRESENT, "Digest": PRESENT, "Content-MD5": PRESENT}),
    ]),
    Case("gzip_decoded_if_range_of_the_coded_form", "9110 §13.1.5", "MUST",
         "the coded form's entity tag does not let a range of the decoded one be given", [
             Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip")),
             Step(headers=[("Accept-Encoding", "identity"), ("Range", "bytes=2-9"), ("If-Range", '"v1"')],
                  expect="either",
                  response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN), status=200,
                  body_is=PLAIN),
         ]),
    Case("gzip_decoded_if_range_of_its_own", "9110 §13.1.5", "MUST", "a weak entity tag lets no range be given", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip")),
        as_decoded("identity"),
        Step(headers=[("Accept-Encoding", "identity"), ("Range", "bytes=2-9"),
                      ("If-Range", lambda context: context.responses[1].fields.get("ETag"))], expect="either",
             check=lambda response, context, _: _assert(
                 response.body == PLAIN or response.body == PLAIN[2:10] and
                 not context.responses[1].fields.get("ETag").startswith("W/"), response.body[:50])),
    ]),
    Case("gzip_decoded_after_head", "9110 §9.3.2", "MUST", "HEAD of the decoded form spoils nothing", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip")),
        Step(method="HEAD", headers=[("Accept-Encoding", "identity")], expect="either",
             response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
        Step(headers=[("Accept-Encoding", "gzip")], expect="either", status=200, body_is=CODED["gzip"],
             response=coded("gzip")),
        Step(headers=[("Accept-Encoding", "identity")], expect="either", status=200, body_is=PLAIN,
             response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
    ]),
    Case("gzip_gone_after_a_write", "9111 §4.4", "MUST", "the decoded form goes with the coded one", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip")),
        as_decoded("identity"),
        Step(method="POST", body="x", response=Response(204)),
        fetched(headers=[("Accept-Encoding", "identity")],
                response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body="newer")),
    ]),
    Case("gzip_replaced", "9111 §4", "MUST", "the decoded form is that of the newest coded one", [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip")),
        as_decoded("identity"),
        fetched(headers=[("Accept-Encoding", "gzip"), ("Cache-Control", "no-cache")],
                response=coded("gzip", tag='"v2"', body=gzip.compress(b"newer"))),
        as_decoded("identity", body=b"newer", tag='"v2"'),
    ]),
    Case("request_no_transform", "9111 §5.2.1.6", "optimal", "a client that says no-transform gets nothing transformed",
         [
        Step(headers=[("Accept-Encoding", "gzip")], response=coded("gzip")),
        fetched(headers=[("Accept-Encoding", "identity"), ("Cache-Control", "no-transform")],
                response=Response(headers=[FRESH, ("Vary", "Accept-Encoding")], body=PLAIN)),
    ]),
]

# Larder keeps 64 variants of a target in memory (memory.max_variants).
CAP = [
    Case("variants_beyond_the_cap", "9111 §2", "MAY", "many variants are bounded, the newest stay", [
        *[Step(headers=[(FOO, str(n))], response=varying(FOO)) for n in range(80)],
        cached(headers=[(FOO, "79")], answer_of=80),
        cached(headers=[(FOO, "30")], answer_of=31),
        fetched(headers=[(FOO, "0")], response=varying(FOO)),
    ], tiers=("memory",)),
    Case("variants_many_in_redis", "9111 §2", "MAY", "many variants do not get mixed up", [
        *[Step(headers=[(FOO, str(n))], response=varying(FOO)) for n in range(80)],
        cached(headers=[(FOO, "79")], answer_of=80),
        cached(headers=[(FOO, "30")], answer_of=31),
    ], tiers=("redis",)),
]

add_tests(__name__, "Vary", VARY)
add_tests(__name__, "Selection", SELECTION)
add_tests(__name__, "Languages", LANGUAGES)
add_tests(__name__, "Validation", VALIDATION)
add_tests(__name__, "Codings", CODINGS)
add_tests(__name__, "Cap", CAP)

class Together(IntegrationCase):
    """Requests that differ in selecting fields and come at the same time: nobody is given another's variant."""

    def ask_together(self, name, values, respond, redis):
        site = self.origin()
        proxy = self.larder(site, rules=PLAIN_RULES, **({"redis": self.redis(), "memory": "off"} if redis else {}))
        gate = self.gate()

        def handler(exchange):
            gate.pass_through()
            exchange.reply(200, *respond(exchange.request.fields.get(name)))

        site.on("/", handler)
        join = in_parallel(len(values), lambda n: proxy.get("/", {} if values[n] is None else {name: values[n]}))
        gate.wait_for_arrivals()
        gate.open()
        return join()

    def test_variants_at_once(self):
        """RFC 9111 §4.1: who waits for another's answer is given it only where its selecting fields match."""
        values = ["1", "2", None, "3", "1", "2", None, "3"]
        for redis in (False, True):
            with self.subTest(redis=redis):
                answers = self.ask_together(
                    FOO, values, lambda value: ([FRESH, ("Vary", FOO)], f"for {value}"), redis)
                self.assertEqual([answer.text for answer in answers], [f"for {value}" for value in values])

    def ask_while_validating(self, name, control, first, respond, values):
        """The variant for `first` is stale and being validated; requests with other values come meanwhile."""
        site = self.origin()
        proxy = self.larder(site, rules=PLAIN_RULES, workers=1)
        site.answers("/other", "x", {"Cache-Control": "no-store"})

        def stale(exchange):
            fields, body = respond(exchange.request.fields.get(name))
            exchange.reply(200, [("Cache-Control", control), ("Age", "100"), *fields[1:]], body)

        site.on("/", stale)
        proxy.get("/", {name: first})
        gate = self.gate()

        def handler(exchange):
            gate.pass_through()
            fields, body = respond(exchange.request.fields.get(name))
            if dict(fields)["ETag"] in exchange.request.fields.get("If-None-Match", ""):
                exchange.reply(304, fields)
            else:
                exchange.reply(200, fields, body)

        site.on("/", handler)
        clients = [self.connect(proxy) for _ in values]
        for client, value in zip(clients, values):
            client.send_request("GET", "/", {} if value is None else {name: value})
            proxy.get("/other")  # later than that one, and by the same worker
        gate.wait_for_arrivals()
        gate.open()
        return [client.read_response() for client in clients]

    def test_another_variant_while_one_is_validated(self):
        """RFC 9111 §4.1: who joins the validation of a variant is given it only where its selecting fields match."""
        def respond(value):
            return [FRESH, ("Vary", FOO), ("ETag", f'"{value}"')], f"for {value}"

        values = ["1", "2", None, "1"]
        for control in ("max-age=1", "max-age=1, stale-while-revalidate=3600"):
            with self.subTest(control):
                answers = self.ask_while_validating(FOO, control, "1", respond, values)
                self.assertEqual([(answer.status, answer.text) for answer in answers],
                                 [(200, f"for {value}") for value in values])

    def test_another_coding_while_one_is_validated(self):
        """RFC 9110 §12.5.3: who joins the validation of a coded form is given what it accepts."""
        def respond(value):
            if "gzip" in (value or ""):
                return [FRESH, ("Vary", "Accept-Encoding"), ("ETag", '"packed"'),
                        ("Content-Encoding", "gzip")], CODED["gzip"]
            return [FRESH, ("Vary", "Accept-Encoding"), ("ETag", '"plain"')], PLAIN

        values = ["gzip", "identity", None, "gzip;q=0.5"]
        for control in ("max-age=1", "max-age=1, stale-while-revalidate=3600"):
            with self.subTest(control):
                for value, answer in zip(values, self.ask_while_validating("Accept-Encoding", control, "gzip", respond,
                                                                           values)):
                    packed = answer.fields.get("Content-Encoding") == "gzip"
                    self.assertTrue("gzip" in (value or "") or not packed, f"coded for {value}")
                    self.assertEqual((answer.status, answer.body), (200, CODED["gzip"] if packed else PLAIN))

    def test_codings_at_once(self):
        """RFC 9110 §12.5.3: who waits for another's answer is given it in a form that it accepts."""
        values = ["gzip", "identity", None, "gzip, br", "br", "identity", "gzip"]

        def respond(value):
            fields = [FRESH, ("Vary", "Accept-Encoding"), ("ETag", '"plain"')]
            if "gzip" not in (value or ""):
                return fields, PLAIN
            return [*fields[:2], ("ETag", '"packed"'), ("Content-Encoding", "gzip")], CODED["gzip"]

        for redis in (False, True):
            with self.subTest(redis=redis):
                for value, answer in zip(values, self.ask_together("Accept-Encoding", values, respond, redis)):
                    if answer.fields.get("Content-Encoding") == "gzip":
                        self.assertIn("gzip", value or "")
                        self.assertEqual((answer.body, answer.fields.get("ETag")), (CODED["gzip"], '"packed"'))
                    else:
                        self.assertEqual((answer.status, answer.body), (200, PLAIN))
                        self.assertNotEqual(answer.fields.get("ETag"), '"packed"')


if __name__ == "__main__":
    unittest.main()
