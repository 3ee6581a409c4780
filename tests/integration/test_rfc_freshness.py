"""RFC 9111 §4.2: freshness lifetime, heuristics, age, and every odd form in which origins write them (§1.2.2, §5.1,
§5.2, §5.3)."""

import time
import unittest

from .support.rfc_case import Case, Response, Step, add_tests, between, cached, date, fetched, holds, not_reused, reused

DAY = 86400
CASES = []


def case(id, section, level, what, steps):  # pylint: disable=redefined-builtin
    CASES.append(Case(id, f"9111 {section}", level, what, steps))


def cc(value, *more):
    """Cache-Control and further fields."""
    return [("Cache-Control", value), *more]


def expires(offset, *more, form=None):
    return [("Expires", date(offset, form)), *more]


def table(prefix, section, level, what, rows, fields, outcome):
    """One case per row: `rows` maps ids to values, `fields` makes header fields of a value."""
    for name, value in rows.items():
        case(f"{prefix}_{name}", section, level, f"{what}: {value!r}" if isinstance(value, str) else f"{what}: {name}",
             outcome(Response(headers=fields(value))))


# §4.2.1: which lifetime counts.
case("max_age", "§4.2.1", "optimal", "max-age gives a lifetime", reused(Response(headers=cc("max-age=3600"))))
case("s_maxage", "§4.2.1", "optimal", "s-maxage gives a lifetime", reused(Response(headers=cc("s-maxage=3600"))))
case("expires_future", "§4.2.1", "optimal", "Expires minus Date is a lifetime", reused(Response(headers=expires(3600))))
case("nothing_to_go_by", "§4.2.2", "optimal", "without any lifetime nor Last-Modified nothing is reused",
     not_reused(Response()))
case("max_age_zero", "§4.2.1", "MUST", "max-age=0 is stale at once", not_reused(Response(headers=cc("max-age=0"))))
case("s_maxage_zero", "§4.2.1", "MUST", "s-maxage=0 is stale at once", not_reused(Response(headers=cc("s-maxage=0"))))
case("s_maxage_before_max_age", "§4.2.1", "optimal", "s-maxage counts before max-age",
     reused(Response(headers=cc("max-age=1, s-maxage=3600", ("Age", "60")))))
case("s_maxage_before_max_age_reversed", "§4.2.1", "optimal", "s-maxage counts before max-age, in either order",
     reused(Response(headers=cc("s-maxage=3600, max-age=1", ("Age", "60")))))
case("s_maxage_zero_before_max_age", "§4.2.1", "MUST", "s-maxage=0 counts before a long max-age",
     not_reused(Response(headers=cc("max-age=3600, s-maxage=0"))))
case("s_maxage_short_before_max_age", "§5.2.2.10", "MUST",
     "a passed s-maxage counts before a max-age that has not passed",
     not_reused(Response(headers=cc("max-age=3600, s-maxage=10", ("Age", "60")))))
case("s_maxage_on_its_own_line", "§4.2.1", "MUST", "s-maxage on a second line counts too",
     not_reused(Response(headers=[("Cache-Control", "max-age=3600"), ("Cache-Control", "s-maxage=0")])))
case("max_age_before_past_expires", "§5.3", "MUST", "with max-age, a past Expires is ignored",
     reused(Response(headers=cc("max-age=3600", ("Expires", date(-3600))))))
case("max_age_before_future_expires", "§5.3", "MUST", "with max-age=0, a future Expires is ignored",
     not_reused(Response(headers=cc("max-age=0", ("Expires", date(3600))))))
case("max_age_before_invalid_expires", "§5.3", "MUST", "with max-age, an invalid Expires is ignored",
     reused(Response(headers=cc("max-age=3600", ("Expires", "0")))))
case("s_maxage_before_past_expires", "§5.3", "MUST", "with s-maxage, a past Expires is ignored",
     reused(Response(headers=cc("s-maxage=3600", ("Expires", date(-3600))))))
case("s_maxage_before_future_expires", "§5.3", "MUST", "with s-maxage=0, a future Expires is ignored",
     not_reused(Response(headers=cc("s-maxage=0", ("Expires", date(3600))))))
case("past_max_age_before_future_expires", "§5.3", "MUST", "a passed max-age counts, whatever Expires says",
     not_reused(Response(headers=cc("max-age=10", ("Age", "60"), ("Expires", date(3600))))))
case("empty_cache_control_with_expires", "§4.2.1", "optimal", "Expires counts beside a Cache-Control without max-age",
     reused(Response(headers=[("Cache-Control", ""), ("Expires", date(3600))])))
case("public_with_expires", "§4.2.1", "optimal", "Expires counts beside `public`",
     reused(Response(headers=cc("public", ("Expires", date(3600))))))
case("surrogate_control_is_not_cache_control", "§4.2.1", "MUST", "max-age counts in Cache-Control only",
     not_reused(Response(headers=[("X-Cache-Control", "max-age=3600"), ("Surrogate-Control", "max-age=3600")])))
case("request_max_age_is_no_response_max_age", "§5.2", "MUST", "a directive of the request is none of the response",
     [Step(headers=[("Cache-Control", "max-age=3600")]), fetched()])

# §4.2: fresh means freshness_lifetime > current_age.
case("age_below_lifetime", "§4.2", "optimal", "a lifetime above the age is fresh",
     reused(Response(headers=cc("max-age=100", ("Age", "90")))))
case("age_equals_lifetime", "§4.2", "MUST", "a lifetime equal to the age is stale",
     not_reused(Response(headers=cc("max-age=100", ("Age", "100")))))
case("age_above_lifetime", "§4.2", "MUST", "a lifetime below the age is stale",
     not_reused(Response(headers=cc("max-age=100", ("Age", "101")))))
case("age_counts_against_expires", "§4.2.3", "MUST", "Age counts against Expires too",
     not_reused(Response(headers=expires(100, ("Age", "200")))))
case("max_age_passes", "§4.2", "MUST", "what is fresh becomes stale as time passes",
     [Step(response=Response(headers=cc("max-age=1"))),
      fetched(pause_until=lambda response: response.cache != "HIT")])
case("s_maxage_passes", "§4.2", "MUST", "s-maxage passes",
     [Step(response=Response(headers=cc("s-maxage=1, max-age=600"))),
      fetched(pause_until=lambda response: response.cache != "HIT")])
case("expires_passes", "§4.2", "MUST", "the time of Expires passes",
     [Step(response=Response(headers=expires(2))), fetched(pause_until=lambda response: response.cache != "HIT")])

# §4.2.3: age.
case("age_is_generated", "§4", "MUST", "a reused response has an Age",
     reused(Response(headers=cc("max-age=3600")), response_headers={"Age": between(0, 5)}))
case("age_is_replaced", "§4", "MUST", "the Age that came is replaced by the current one, in one line",
     reused(Response(headers=cc("max-age=3600", ("Age", "100"))), response_headers={"Age": between(100, 105)},
            check=holds(lambda response, seen: len(response.fields.all("Age")) == 1, "there is one Age line")))
case("age_counts_on", "§4.2.3", "MUST", "the time in the cache is part of the age",
     [Step(response=Response(headers=cc("max-age=3600", ("Age", "100")))),
      cached(pause_until=lambda response: (response.age or 0) > 100, response_headers={"Age": between(101, 110)})])
case("apparent_age", "§4.2.3", "MUST", "an old Date makes an age where there is no Age",
     reused(Response(headers=cc("max-age=3600", ("Date", date(-100)))), response_headers={"Age": between(100, 105)}))
case("apparent_age_stale", "§4.2.3", "MUST", "an old Date makes a response stale",
     not_reused(Response(headers=cc("max-age=60", ("Date", date(-100))))))
case("date_older_than_age", "§4.2.3", "MUST", "the greater of both ages counts: Date's",
     reused(Response(headers=cc("max-age=3600", ("Date", date(-100)), ("Age", "10"))),
            response_headers={"Age": between(100, 105)}))
case("age_older_than_date", "§4.2.3", "MUST", "the greater of both ages counts: Age's",
     reused(Response(headers=cc("max-age=3600", ("Date", date(-10)), ("Age", "100"))),
            response_headers={"Age": between(100, 105)}))
case("age_with_old_date_stale", "§4.2.3", "MUST", "a small Age does not hide an old Date",
     not_reused(Response(headers=cc("max-age=60", ("Date", date(-100)), ("Age", "1")))))
case("ancient_date", "§4.2.3", "MUST", "a Date of 1994 makes a response stale",
     not_reused(Response(headers=cc("max-age=3600", ("Date", "Thu, 01 Dec 1994 16:00:00 GMT")))))


def slow(request):  # pylint: disable=unused-argument
    """An answer that is a good second on its way."""
    time.sleep(1.1)
    return Response(headers=cc("max-age=3600", ("Age", "100")))


case("response_delay_counts", "§4.2.3", "MUST",
     "Age counts from when the request was sent, not from when the answer came",
     [Step(response=slow), cached(response_headers={"Age": between(101, 110)})])

# Clock skew between the origin and us.
case("date_in_the_future", "§4.2.3", "MUST", "a Date ahead of our clock is an apparent age of zero, not a negative one",
     reused(Response(headers=cc("max-age=3600", ("Date", date(1000)))), response_headers={"Age": between(0, 5)}))
case("date_in_the_far_future", "§4.2.3", "MUST", "neither is one in the year 2100",
     reused(Response(headers=cc("max-age=3600", ("Date", "Fri, 01 Jan 2100 00:00:00 GMT"))),
            response_headers={"Age": between(0, 5)}))
case("skewed_expires_ahead", "§4.2.1", "optimal", "Expires counts from Date: an origin an hour ahead gives 100 s",
     reused(Response(headers=expires(3700, ("Date", date(3600))))))
case("skewed_expires_not_longer", "§4.2.1", "MUST", "an Expires in our future that is Date's past is stale",
     not_reused(Response(headers=expires(3500, ("Date", date(3600))))))
case("skewed_expires_with_age", "§4.2.1", "MUST", "an Expires far ahead is worth no more than Expires minus Date",
     not_reused(Response(headers=expires(3700, ("Date", date(3600)), ("Age", "200")))))
case("skewed_expires_behind", "§4.2.1", "optimal", "with a clock behind ours the lifetime is still Expires minus Date",
     reused(Response(headers=expires(3500, ("Date", date(-100))))))
case("old_date_makes_expires_stale", "§4.2.3", "MUST", "a lifetime that Date's age has used up is stale",
     not_reused(Response(headers=expires(-100, ("Date", date(-200))))))
case("expires_equals_date", "§4.2.1", "MUST", "Expires equal to Date is stale at once",
     not_reused(Response(headers=expires(0, ("Date", date(0))))))
case("expires_before_date", "§4.2.1", "MUST", "Expires before Date is stale",
     not_reused(Response(headers=expires(-3600, ("Date", date(0))))))

# Without a Date.
case("no_date_max_age", "§4.2.3", "optimal", "without a Date the age counts from its receipt",
     reused(Response(headers=cc("max-age=3600"), date=False), response_headers={"Age": between(0, 5)}))
case("no_date_expires_future", "§4.2.1", "optimal", "without a Date, Expires counts from its receipt",
     reused(Response(headers=expires(3600), date=False)))
case("no_date_expires_past", "§4.2.1", "MUST", "without a Date, a past Expires is stale",
     not_reused(Response(headers=expires(-1), date=False)))
case("no_date_age", "§4.2.3", "MUST", "without a Date, Age counts",
     not_reused(Response(headers=cc("max-age=100", ("Age", "200")), date=False)))
table("invalid_date", "§4.2.3", "MAY", "an invalid Date may be replaced by the time of receipt (RFC 9110 §6.6.1)",
      {"junk": "yesterday", "empty": "", "number": "1700000000"},
      lambda value: cc("max-age=3600", ("Date", value)), reused)

# §5.2: how Cache-Control is written.
table("cc_form", "§5.2", "MUST",
      "directive names are compared case-insensitively, unknown ones and empty members ignored", {
    "upper": "MAX-AGE=3600",
    "mixed": "mAx-AgE=3600",
    "s_maxage_upper": "S-MAXAGE=3600",
    "unknown_before": "foo, max-age=3600",
    "unknown_after": "max-age=3600, foo",
    "unknown_with_value": "foo=bar, max-age=3600",
    "unknown_with_number": "foo=0, max-age=3600",
    "unknown_quoted": 'foo="bar", max-age=3600',
    "comma_in_quotes": 'foo="bar, baz", max-age=3600',
    "directive_in_quotes": 'foo="no-store, max-age=0", max-age=3600',
    "escape_in_quotes": 'foo="a\\"b, no-store, \\"", max-age=3600',
    "escaped_backslash": 'foo="a\\\\", max-age=3600',
    "empty_quotes": 'foo="", max-age=3600',
    "no_space": "public,max-age=3600,foo",
    "much_space": "public   ,   max-age=3600   ,   foo",
    "tabs": "public\t,\tmax-age=3600\t",
    "empty_members": ", ,max-age=3600,, ,",
    "longer_name": "max-age-x=0, max-age=3600",
    "prefixed_name": "xmax-age=0, x-max-age=0, max-age=3600",
    "no_store_like": "no-storex, no-store-please, xno-store, max-age=3600",
    "immutable": "max-age=3600, immutable",
    "leading_zeros": "max-age=0003600",
    "obs_text_in_quotes": 'foo="\xe9\xff", max-age=3600',
    "many": "a, b, c, d=1, e=2, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, max-age=3600",
    "value_less_equals": "foo=, max-age=3600",
}, cc, reused)
table("cc_quoted", "§5.2", "optimal", "recipients ought to accept both forms of an argument",
      {"max_age": 'max-age="3600"', "s_maxage": 's-maxage="3600"', "max_age_escaped": 'max-age="3\\600"'}, cc, reused)
case("cc_quoted_zero", "§5.2", "MUST", "a quoted s-maxage counts before max-age",
     not_reused(Response(headers=cc('max-age=3600, s-maxage="0"'))))
case("cc_lines", "§5.2", "MUST", "several lines are one list",
     reused(Response(headers=[("Cache-Control", "public"), ("Cache-Control", "foo"),
                              ("Cache-Control", "max-age=3600")])))
case("cc_lines_restriction", "§5.2", "MUST", "a restriction on a later line counts",
     not_reused(Response(headers=[("Cache-Control", "max-age=3600"), ("Cache-Control", "no-store")])))
case("cc_lines_empty", "§5.2", "optimal", "an empty line is no obstacle",
     reused(Response(headers=[("Cache-Control", ""), ("Cache-Control", "max-age=3600")])))
case("cc_field_name_case", "§5.2", "MUST", "the field's own name is case-insensitive",
     reused(Response(headers=[("cAcHe-CoNtRoL", "max-age=3600")])))

# §4.2.1: invalid lifetimes are stale.
INVALID_SECONDS = {
    "negative": "-3600", "plus": "+3600", "fraction": "3600.5", "point_zero": "3600.0", "exponent": "36e2",
    "hex": "0x3600", "word": "abc", "junk_after": "3600abc", "junk_before": "abc3600", "single_quoted": "'3600'",
    "unit": "3600s", "semicolon": "3600; foo=bar", "space_within": "3600 3600", "empty": "",
    "empty_quotes": '""', "space_before": " 3600", "quoted_space": '" 3600"', "unterminated": '"3600',
    "underscore": "3_600",
    "comma": '"3,600"', "unicode": "\xb2", "equals": "=3600", "quoted_negative": '"-1"', "colon": "1:00:00",
}
table("invalid_max_age", "§4.2.1", "SHOULD", "a max-age that is no whole number is stale", INVALID_SECONDS,
      lambda value: cc(f"max-age={value}"), not_reused)
case("invalid_max_age_no_value", "§4.2.1", "SHOULD", "max-age without a value is stale",
     not_reused(Response(headers=cc("max-age"))))
case("invalid_max_age_space_before_equals", "§4.2.1", "SHOULD", "`max-age =3600` is none",
     not_reused(Response(headers=cc("max-age =3600"))))
table("invalid_s_maxage", "§4.2.1", "SHOULD", "an invalid s-maxage is stale and hides max-age",
      {name: INVALID_SECONDS[name] for name in ("negative", "fraction", "word", "empty", "single_quoted", "unit")},
      lambda value: cc(f"max-age=3600, s-maxage={value}"), not_reused)
case("invalid_max_age_before_expires", "§4.2.1", "SHOULD", "an invalid max-age is not mended by Expires",
     not_reused(Response(headers=cc("max-age=abc", ("Expires", date(3600))))))
case("invalid_max_age_no_heuristic", "§4.2.2", "MUST", "an invalid max-age is not mended by a heuristic",
     not_reused(Response(headers=cc("max-age=abc", ("Last-Modified", date(-100 * DAY))))))
case("unterminated_quote", "§4.2.1", "SHOULD", "what an unterminated quotation swallows gives no lifetime",
     not_reused(Response(headers=cc('foo="bar, max-age=3600'))))

# Huge values (§1.2.2).
HUGE = {"2_31_less_1": "2147483647", "2_31": "2147483648", "2_32": "4294967296", "2_63": "9223372036854775808",
        "2_64": "18446744073709551616", "40_digits": "9" * 40, "400_digits": "9" * 400}
table("huge_max_age", "§1.2.2", "MUST", "a value too large to represent is the largest there is, never negative", HUGE,
      lambda value: cc(f"max-age={value}"), reused)
table("huge_s_maxage", "§1.2.2", "MUST", "so is an s-maxage", {name: HUGE[name] for name in ("2_32", "2_64")},
      lambda value: cc(f"max-age=0, s-maxage={value}"), reused)
table("huge_age", "§1.2.2", "MUST", "a huge Age is no small or negative one",
      {name: HUGE[name] for name in ("2_31", "2_32", "2_63", "2_64", "40_digits")},
      lambda value: cc("max-age=3600", ("Age", value)), not_reused)
case("huge_age_of_huge_max_age", "§1.2.2", "MUST", "calculations that overflow do not make it fresh",
     not_reused(Response(headers=cc("max-age=2147483648", ("Age", "2147483648")))))
case("huge_max_age_with_age", "§1.2.2", "MUST", "a huge max-age with some Age is fresh",
     reused(Response(headers=cc("max-age=99999999999999999999", ("Age", "1000")))))

# Several values, and conflicts (§4.2.1).
case("max_age_twice_least_first", "§4.2.1", "SHOULD", "of two, the first counts, or it is stale",
     not_reused(Response(headers=cc("max-age=0, max-age=3600"))))
case("max_age_twice_on_lines", "§4.2.1", "SHOULD", "of two lines, the first counts, or it is stale",
     not_reused(Response(headers=[("Cache-Control", "max-age=0"), ("Cache-Control", "max-age=3600")])))
case("s_maxage_twice_least_first", "§4.2.1", "SHOULD", "of two s-maxage, the first counts, or it is stale",
     not_reused(Response(headers=cc("s-maxage=0, max-age=3600, s-maxage=3600"))))
case("max_age_twice_not_longer", "§4.2.1", "SHOULD", "neither rule gives a lifetime beyond the first",
     not_reused(Response(headers=cc("max-age=100, max-age=3600", ("Age", "200")))))
case("expires_twice_past_first", "§4.2.1", "SHOULD", "of two Expires, the first counts, or it is stale",
     not_reused(Response(headers=[("Expires", date(-3600)), ("Expires", date(3600))])))
case("expires_twice_not_longer", "§4.2.1", "SHOULD", "neither rule gives a lifetime beyond the first Expires",
     not_reused(Response(headers=[("Age", "200"), ("Expires", date(100)), ("Expires", date(3600))])))
case("max_age_and_no_cache", "§4.2.1", "MUST", "of max-age and no-cache the stricter counts",
     not_reused(Response(headers=cc("max-age=3600, no-cache"))))
case("no_cache_and_max_age", "§4.2.1", "MUST", "in either order",
     not_reused(Response(headers=cc("no-cache, max-age=3600"))))
case("max_age_and_must_revalidate", "§5.2.2.2", "optimal", "must-revalidate says nothing of a fresh response",
     reused(Response(headers=cc("max-age=3600, must-revalidate"))))
case("max_age_and_proxy_revalidate", "§5.2.2.8", "optimal", "proxy-revalidate says nothing of a fresh response",
     reused(Response(headers=cc("max-age=3600, proxy-revalidate"))))

# §5.3: Expires, in every valid form.
table("expires_form", "§4.2", "MUST", "all three forms of an HTTP-date are accepted (RFC 9110 §5.6.7)",
      {"imf": None, "rfc850": "rfc850", "asctime": "asctime"}, lambda form: expires(3600, form=form), reused)
table("expires_case", "§4.2", "SHOULD", "dates are matched case-insensitively", {
    "lower": "%a, %d %b %Y %H:%M:%S GMT",
    "upper": "%a, %d %b %Y %H:%M:%S GMT ",
    "rfc850_lower": "%A, %d-%b-%y %H:%M:%S GMT",
    "asctime_upper": "%a %b %e %H:%M:%S %Y",
}, lambda form: [("Expires", lambda context: (date(3600, form)(context).upper() if form.endswith(("GMT ", "%Y"))
                                              else date(3600, form)(context).lower()).strip())], reused)
table("expires_far", "§5.3", "optimal", "a far future is no fault",
      {"year_2038": "Wed, 20 Jan 2038 00:00:00 GMT", "year_2107": "Tue, 08 Feb 2107 00:00:00 GMT",
       "year_3000": "Wed, 01 Jan 3000 00:00:00 GMT", "year_9999": "Fri, 31 Dec 9999 23:59:59 GMT"},
      lambda value: [("Expires", value)], reused)
case("expires_white_space", "§5.3", "MUST", "white space around the value is no part of it",
     reused(Response(headers=[("Expires", lambda context: f"  {date(3600)(context)} \t")])))
table("date_form", "§4.2.3", "MUST", "Date is read in all three forms", {"rfc850": "rfc850", "asctime": "asctime"},
      lambda form: cc("max-age=60", ("Date", date(-100, form))), not_reused)
table("date_form_expires", "§4.2.1", "MUST", "Expires minus Date is computed from any form",
      {"rfc850": "rfc850", "asctime": "asctime"},
      lambda form: expires(3700, ("Date", date(3600, form)), ("Age", "50")), reused)

# … and in invalid ones.
table("expires_invalid", "§5.3", "MUST", "an invalid date is in the past", {
    "zero": "0", "minus_one": "-1", "empty": "", "word": "never", "number": "4102444800",
    "iso": "2099-01-01T00:00:00Z", "iso_local": "2099-01-01 00:00:00",
    "no_day": "01 Jan 2099 00:00:00 GMT", "no_time": "Thu, 01 Jan 2099 GMT", "no_seconds": "Thu, 01 Jan 2099 00:00 GMT",
    "no_zone": "Thu, 01 Jan 2099 00:00:00", "no_comma": "Thu 01 Jan 2099 00:00:00 GMT",
    "one_digit_day": "Thu, 1 Jan 2099 00:00:00 GMT",
    "dashes": "Thu, 01-Jan-2099 00:00:00 GMT", "day_32": "Thu, 32 Jan 2099 00:00:00 GMT",
    "day_0": "Thu, 00 Jan 2099 00:00:00 GMT", "february_30": "Mon, 30 Feb 2099 00:00:00 GMT",
    "hour_24": "Thu, 01 Jan 2099 24:00:00 GMT", "minute_60": "Thu, 01 Jan 2099 00:60:00 GMT",
    "second_61": "Thu, 01 Jan 2099 00:00:61 GMT", "month_name": "Thu, 01 Foo 2099 00:00:00 GMT",
    "month_number": "Thu, 01 01 2099 00:00:00 GMT", "long_month": "Thu, 01 January 2099 00:00:00 GMT",
    "day_name": "Foo, 01 Jan 2099 00:00:00 GMT", "long_day_name": "Thursday, 01 Jan 2099 00:00:00 GMT",
    "two_digit_year": "Thu, 01 Jan 99 00:00:00 GMT", "three_digit_year": "Thu, 01 Jan 299 00:00:00 GMT",
    "five_digit_year": "Thu, 01 Jan 20990 00:00:00 GMT", "one_digit_hour": "Thu, 01 Jan 2099 0:00:00 GMT",
    "text_after": "Thu, 01 Jan 2099 00:00:00 GMT please", "text_before": "at Thu, 01 Jan 2099 00:00:00 GMT",
    "quoted": '"Thu, 01 Jan 2099 00:00:00 GMT"', "single_quoted": "'Thu, 01 Jan 2099 00:00:00 GMT'",
    "two_spaces": "Thu,  01 Jan 2099 00:00:00 GMT", "tab": "Thu,\t01 Jan 2099 00:00:00 GMT",
    "no_space": "Thu,01 Jan 2099 00:00:00 GMT", "dots": "Thu, 01 Jan 2099 00.00.00 GMT",
    "fraction": "Thu, 01 Jan 2099 00:00:00.000 GMT", "negative_year": "Thu, 01 Jan -2099 00:00:00 GMT",
    "list": "Thu, 01 Jan 2099 00:00:00 GMT, Thu, 01 Jan 2099 00:00:00 GMT", "seconds_from_now": "3600",
    "max_age": "max-age=3600", "rfc850_imf_year": "Thursday, 01-Jan-2099 00:00:00 GMT",
    "asctime_no_year": "Thu Jan  1 00:00:00", "asctime_gmt": "Thu Jan  1 00:00:00 2099 GMT", "obs_text": "\xff\xfe",
}, lambda value: [("Expires", value)], not_reused)
table("expires_zone", "§4.2", "SHOULD", "a zone other than GMT is invalid",
      {"utc": "UTC", "z": "Z", "est": "EST", "pst": "PST", "plus": "+0000", "minus": "-0000", "minus_eight": "-0800",
       "gmt_plus": "GMT+1", "utc_lower": "utc"},
      lambda zone: [("Expires", lambda context: date(3600)(context).replace("GMT", zone))], not_reused)
table("expires_ancient", "§5.3", "MUST", "the far past is past",
      {"year_1970": "Thu, 01 Jan 1970 00:00:00 GMT", "year_1969": "Wed, 31 Dec 1969 23:59:59 GMT",
       "year_1900": "Mon, 01 Jan 1900 00:00:00 GMT", "year_1601": "Mon, 01 Jan 1601 00:00:00 GMT",
       "year_0001": "Mon, 01 Jan 0001 00:00:00 GMT", "year_0000": "Sat, 01 Jan 0000 00:00:00 GMT"},
      lambda value: [("Expires", value)], not_reused)
case("expires_rfc850_more_than_50_years_ahead", "§5.3", "MUST",
     "a two-digit year that looks more than 50 years ahead is the past one (RFC 9110 §5.6.7)",
     not_reused(Response(headers=[("Expires", lambda context: date(60 * 31557600, "rfc850")(context))])))
case("expires_rfc850_40_years_ahead", "§5.3", "MUST", "one that is 40 years ahead is in the future",
     reused(Response(headers=[("Expires", lambda context: date(40 * 31557600, "rfc850")(context))])))
case("invalid_expires_no_heuristic", "§4.2.2", "MUST", "an invalid Expires is explicit: no heuristic",
     not_reused(Response(headers=[("Expires", "0"), ("Last-Modified", date(-100 * DAY))])))

# §4.2.2: heuristics.
OLD = ("Last-Modified", date(-100 * DAY))
for status in (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501):
    case(f"heuristic_status_{status}", "§4.2.2", "optimal",
         f"a {status} with Last-Modified is given a heuristic lifetime (RFC 9110 §15.1)",
         reused(Response(status, [OLD] + ([("Location", "/elsewhere")] if status in (300, 301, 308) else []))))
for status in (201, 202, 205, 302, 303, 307, 400, 401, 403, 406, 408, 409, 411, 413, 415, 416, 417, 422, 429, 431, 451,
               500,
               502, 503, 504, 505, 299, 399, 499, 599):
    case(f"no_heuristic_status_{status}", "§4.2.2", "MUST", f"a {status} is not heuristically cacheable",
         not_reused(Response(status, [OLD], body="" if status == 205 else None)))
for status in (201, 202, 302, 403, 500, 503, 299, 499, 599):
    case(f"public_heuristic_status_{status}", "§5.2.2.9", "optimal",
         f"`public` marks a {status} as cacheable, with a heuristic lifetime",
         reused(Response(status, cc("public", OLD))))
case("heuristic_with_query", "§4.2.2", "optimal", "a query is no obstacle to a heuristic",
     [Step(path="?q=1", response=Response(headers=[OLD])), cached(path="?q=1")])
case("heuristic_within_a_tenth", "§4.2.2", "optimal", "within a tenth of the time since Last-Modified it is fresh",
     reused(Response(headers=[("Last-Modified", date(-10000)), ("Age", "900")])))
case("heuristic_beyond_a_tenth", "§4.2.2", "SHOULD", "beyond a tenth it is stale",
     not_reused(Response(headers=[("Last-Modified", date(-10000)), ("Age", "1100")])))
case("heuristic_is_bounded", "§4.2.2", "optimal", "ten years without a change are not a year of lifetime",
     not_reused(Response(headers=[("Last-Modified", date(-3650 * DAY)), ("Age", str(60 * DAY))])))
case("heuristic_counts_from_date", "§4.2.2", "SHOULD", "the interval is that between Last-Modified and Date",
     not_reused(Response(headers=[("Last-Modified", date(-10000)), ("Date", date(-9000))])))
case("heuristic_modified_now", "§4.2.2", "SHOULD", "what was modified just now has no heuristic lifetime",
     not_reused(Response(headers=[("Last-Modified", date(0))])))
case("heuristic_modified_in_the_future", "§4.2.2", "SHOULD", "what is modified in the future has none",
     not_reused(Response(headers=[("Last-Modified", date(3600))])))
case("heuristic_invalid_last_modified", "§4.2.2", "SHOULD", "an invalid Last-Modified gives none",
     not_reused(Response(headers=[("Last-Modified", "long ago")])))
case("heuristic_etag_only", "§4.2.2", "optimal", "an ETag says nothing of a lifetime",
     not_reused(Response(headers=[("ETag", '"v1"')])))
table("no_heuristic_beside", "§4.2.2", "MUST", "no heuristic beside an explicit expiration time",
      {"max_age": "max-age=0", "s_maxage": "s-maxage=0", "no_cache": "no-cache"}, lambda value: cc(value, OLD),
      not_reused)
case("no_heuristic_beside_past_expires", "§4.2.2", "MUST", "no heuristic beside a past Expires",
     not_reused(Response(headers=expires(-1, OLD))))
case("no_heuristic_beside_passed_max_age", "§4.2.2", "MUST", "no heuristic where max-age has passed",
     not_reused(Response(headers=cc("max-age=10", OLD, ("Age", "60")))))
case("heuristic_beside_unknown_directive", "§4.2.2", "optimal", "an unknown directive does not forbid a heuristic",
     reused(Response(headers=cc("foo=bar", OLD))))
case("heuristic_with_must_revalidate", "§4.2.2", "optimal", "must-revalidate does not forbid a heuristic",
     reused(Response(headers=cc("must-revalidate", OLD))))

# §5.1: Age.
for name, lines in {"list": ["50, 200"], "lines": ["50", "200"], "list_no_space": ["50,200"],
                    "list_junk_after": ["50, abc"]}.items():
    case(f"age_first_member_{name}", "§5.1", "SHOULD", "of several members the first counts",
         reused(Response(headers=cc("max-age=100", *[("Age", line) for line in lines])),
                response_headers={"Age": between(50, 60)}))
for name, lines in {"list": ["200, 50"], "lines": ["200", "50"], "list_junk_after": ["200, abc"]}.items():
    case(f"age_first_member_stale_{name}", "§5.1", "SHOULD",
         "of several members the first counts, where it makes stale",
         not_reused(Response(headers=cc("max-age=100", *[("Age", line) for line in lines]))))
table("age_invalid", "§5.1", "SHOULD", "an invalid Age is ignored", {
    "word": "abc", "negative": "-1", "negative_large": "-200", "fraction": "200.5", "empty": "", "quoted": '"200"',
    "unit": "200s",
    "space_within": "200 200", "plus": "+200", "hex": "0x200", "parameter": "200;foo=bar",
    "first_member_word": "abc, 200",
}, lambda value: cc("max-age=100", ("Age", value)),
      lambda response: reused(response, response_headers={"Age": between(0, 5)}))
case("age_negative_gives_no_longer_life", "§5.1", "MUST",
     "a negative Age does not make a response younger than its Date",
     not_reused(Response(headers=cc("max-age=60", ("Age", "-1000"), ("Date", date(-100))))))
case("age_invalid_date_still_counts", "§5.1", "MUST", "beside an invalid Age the Date counts",
     not_reused(Response(headers=cc("max-age=60", ("Age", "abc"), ("Date", date(-100))))))
case("age_leading_zeros", "§5.1", "SHOULD", "leading zeros are digits",
     reused(Response(headers=cc("max-age=100", ("Age", "0050"))), response_headers={"Age": between(50, 60)}))
case("age_zero", "§5.1", "optimal", "Age: 0 is a valid age", reused(Response(headers=cc("max-age=100", ("Age", "0")))))

add_tests(__name__, "Freshness", CASES)

if __name__ == "__main__":
    unittest.main()
