"""Range requests (RFC 9110 §14) from a stored whole, and partial responses that are stored, combined and completed
(RFC 9111 §3.3, §3.4)."""

import gzip
import re
import unittest

from .support.integration_case import PLAIN_RULES, IntegrationCase
from .support.rfc_case import PRESENT, Case, Response, Step, Where, add_tests, cached, date, fetched
from .support.waiting import in_parallel

# Every position of it is recognisable, so that a wrong slice shows.
DOC = "".join(f"{n:03d}." for n in range(250)).encode()
NEW = "".join(f"{n:03d}!" for n in range(250)).encode()
PACKED = gzip.compress(DOC, mtime=0)
SIZE = len(DOC)
FRESH = ("Cache-Control", "max-age=3600")
STALE = [("Cache-Control", "max-age=1, must-revalidate"), ("Age", "100")]
TAG = ("ETag", '"v1"')
NEW_TAG = ("ETag", '"v2"')
TYPE = ("Content-Type", "text/plain")


def verify(condition, what):
    if not condition:
        raise AssertionError(what)


# What the origin answers.
def whole(*more, body=DOC, tag=TAG, control=FRESH, **options):
    return Response(headers=[control, TYPE, *([tag] if tag else []), *more], body=body, **options)


def part(first, last, *more, size=SIZE, doc=DOC, tag=TAG, control=FRESH, **options):
    """A 206 with this part; `size` None where the complete length is not told."""
    length = "*" if size is None else size
    return Response(206, [control, TYPE, *([tag] if tag else []), ("Content-Range", f"bytes {first}-{last}/{length}"),
                          *more], body=doc[first:last + 1], **options)


def server(doc=DOC, tag=TAG, *more, control=FRESH, conditions=True):
    """An origin that serves ranges of `doc`, one at a time, and judges If-Range and If-None-Match."""
    def respond(request):
        current = tag[1] if tag else None
        wanted = request.fields.get("If-None-Match")
        if conditions and wanted is not None and current is not None and \
                current.removeprefix("W/") in wanted.replace("W/", ""):
            return Response(304, [control, tag])
        condition = request.fields.get("If-Range")
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.fields.get("Range", ""))
        holds = condition is None or (condition == current and not condition.startswith("W/"))
        if match is None or not holds or request.method != "GET":
            return whole(*more, body=doc, tag=tag, control=control)
        if match[1]:
            first, last = int(match[1]), min(int(match[2] or len(doc)), len(doc) - 1)
        else:
            first, last = max(0, len(doc) - int(match[2])), len(doc) - 1
        if first >= len(doc):
            return Response(416, [("Content-Range", f"bytes */{len(doc)}")])
        return part(first, last, *more, size=len(doc), doc=doc, tag=tag, control=control)

    return respond


# What the client asks and must be given.
def asked(spec, *more):
    return [("Range", spec if "=" in spec or not re.fullmatch(r"[-0-9, ]+", spec) else f"bytes={spec}"), *more]


def hit(spec, first, last, *more, doc=DOC, size=SIZE, **options):
    """This range, from the cache, as one plain part."""
    return cached(headers=asked(spec, *more), status=206, body_is=doc[first:last + 1],
                  response_headers={"Content-Range": f"bytes {first}-{last}/{'*' if size is None else size}",
                                    "Content-Length": str(last - first + 1), "Age": PRESENT, "Date": PRESENT,
                                    **({} if "If-Range" in dict(more) else {"Content-Type": "text/plain"})}, **options)


def asked_part(spec, response, *more, **options):
    """A range that the origin is asked for as it is, and whose answer is relayed."""
    return fetched(headers=asked(spec, *more), response=response, **options)


def given_whole(doc=DOC, *more, **options):
    return Step(headers=more, status=200, body_is=doc,
                response_headers={"Content-Range": None, "Content-Length": str(len(doc))}, **options)


def is_range_of(response, doc, first, last, size=SIZE):
    verify(response.status == 206, f"status {response.status}")
    verify(response.fields.get("Content-Range") == f"bytes {first}-{last}/{size}", response.fields.get("Content-Range"))
    verify(response.body == doc[first:last + 1], response.body[:100])


def parts_of(response):
    """The parts of a 206 as (first, last, bytes, content type), of multipart/byteranges or of a plain one."""
    kind = response.fields.get("Content-Type", "")
    if not kind.lower().startswith("multipart/byteranges"):
        match = re.fullmatch(r"bytes (\d+)-(\d+)/\d+", response.fields.get("Content-Range", ""))
        verify(match, f"neither parts nor a range: {response.raw_head}")
        return [(int(match[1]), int(match[2]), response.body, kind)]
    verify(not response.fields.has("Content-Range"), "Content-Range in the head of a multipart answer")
    boundary = re.search(r'boundary="?([^";]+)"?', kind)[1].encode()
    pieces = (b"\r\n" + response.body).split(b"\r\n--" + boundary)
    verify(pieces[-1].startswith(b"--"), f"no closing boundary: {response.body[-100:]!r}")
    found = []
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        match = re.search(rb"(?i)content-range: *bytes (\d+)-(\d+)/(\d+)", head)
        verify(match and int(match[3]) == SIZE, f"a part without Content-Range: {head!r}")
        found.append((int(match[1]), int(match[2]), content, head.decode("latin-1")))
    return found


def gives_parts(*wanted, order=True):
    """Exactly these parts, each with its bytes and type."""
    def check(response, *_):
        verify(response.status == 206, f"status {response.status}")
        found = parts_of(response)
        ranges = [(first, last) for first, last, _, _ in found]
        verify((ranges if order else sorted(ranges)) == list(wanted), f"{ranges} instead of {wanted}")
        for first, last, content, head in found:
            verify(content == DOC[first:last + 1], f"wrong bytes for {first}-{last}: {content!r}")
            verify("text/plain" in head.lower(), f"a part without the stored Content-Type: {head!r}")

    return check


def covers(*wanted):
    """Everything, or parts that hold all of these; every byte right, and not more than the whole and a little."""
    def check(response, *_):
        verify(len(response.body) <= 3 * SIZE, f"{len(response.body)} bytes")
        if response.status == 200:
            verify(response.body == DOC, "not the whole")
            return
        verify(response.status == 206, f"status {response.status}")
        found = parts_of(response)
        for first, last, content, _ in found:
            verify(content == DOC[first:last + 1], f"wrong bytes for {first}-{last}")
        for low, high in wanted:
            for position in range(low, high + 1):
                verify(any(first <= position <= last for first, last, _, _ in found), f"byte {position} is missing")

    return check


def status_in(*allowed):
    return lambda response, *_: verify(response.status in allowed, f"status {response.status}, not one of {allowed}")


def ignored(response, *_):
    """A Range that is not understood is ignored, or refused."""
    verify(response.status in (200, 400, 416), f"status {response.status}")
    verify(response.status != 200 or response.body == DOC, "not the whole")


STORED = Step(response=whole(("Last-Modified", date(-90000)), ("Content-Location", "/elsewhere"), ("Vary", "X-Foo"),
                             ("Expires", date(7200))))


def of_whole(case_id, level, what, *steps, rfc="9110 §14.2", stored=STORED):
    return Case(case_id, rfc, level, what, [stored, *steps])


WHOLE = [
    *[of_whole(f"whole_range_{name}", "SHOULD", f"a satisfiable range is answered with 206: {spec}",
               hit(spec, first, last))
      for name, spec, first, last in (
          ("first_byte", "0-0", 0, 0), ("first_ten", "0-9", 0, 9), ("middle", "100-199", 100, 199),
          ("last_ten", "990-999", 990, 999), ("past_the_end", "990-1999", 990, 999), ("everything", "0-999", 0, 999),
          ("open", "500-", 500, 999), ("open_last_byte", "999-", 999, 999), ("open_all", "0-", 0, 999),
          ("suffix", "-10", 990, 999), ("suffix_one", "-1", 999, 999), ("suffix_all", "-1000", 0, 999),
          ("suffix_longer_than_all", "-5000", 0, 999), ("leading_zeros", "00-009", 0, 9),
          ("last_past_64_bits", "0-18446744073709551616", 0, 999),
          ("suffix_past_64_bits", "-18446744073709551617", 0, 999),
          ("empty_list_member", "bytes=0-9,", 0, 9), ("empty_first_member", "bytes=,0-9", 0, 9))],
    of_whole("whole_range_unit_in_capitals", "MUST", "range units are case-insensitive", hit("BYTES=0-9", 0, 9),
             rfc="9110 §14.1"),
    *[of_whole(f"whole_unsatisfiable_{name}", "SHOULD", f"416 with the current length: {spec}",
               cached(headers=asked(spec), status=416,
                      response_headers={"Content-Range": f"bytes */{SIZE}", "Accept-Ranges": Where(
                          lambda value: value in (None, "bytes"), "absent or bytes")}), rfc="9110 §15.5.17")
      for name, spec in (("right_after_the_end", "1000-"), ("past_the_end", "5000-6000"), ("empty_suffix", "-0"),
                         ("past_64_bits", "99999999999999999999-"), ("all_of_several", "2000-2001,3000-"))],
    *[of_whole(f"whole_malformed_{name}", "MAY", f"an invalid Range is ignored or refused: {spec}",
               Step(headers=[("Range", spec)], expect="either", requests=0, check=ignored))
      for name, spec in (
          ("last_before_first", "bytes=9-0"), ("no_set", "bytes="), ("no_equals_sign", "bytes"),
          ("letters", "bytes=a-b"),
          ("dash_only", "bytes=-"), ("no_dash", "bytes=0"), ("two_dashes", "bytes=0-9-"), ("no_unit", "0-9"),
          ("colon", "bytes:0-9"), ("hexadecimal", "bytes=0x0-9"), ("double_dash", "bytes=--5"), ("plus", "bytes=+0-9"),
          ("parameter", "bytes=0-9;x"), ("quoted", '"bytes=0-9"'), ("inner_space", "bytes=0 - 9"),
          ("space_before_equals", "bytes =0-9"), ("one_of_two_invalid", "bytes=0-9,9-0"), ("empty", ""),
          ("like_content_range", "bytes 0-9/1000"), ("fraction", "bytes=0.0-9"), ("nothing_but_commas", "bytes=,,"))],
    of_whole("whole_unknown_unit", "MUST", "a range unit that is not understood is ignored",
             cached(headers=[("Range", "items=0-9")], status=200, body_is=DOC,
                    response_headers={"Content-Range": None})),
    of_whole("whole_two_range_lines", "MAY", "two Range lines are ignored, refused or taken as one list",
             Step(headers=[("Range", "bytes=0-9"), ("Range", "bytes=20-29")], expect="either", requests=0,
                  check=lambda response, *_: status_in(200, 400, 416)(response) if response.status != 206
                  else gives_parts((0, 9), (20, 29))(response))),
    of_whole("whole_range_on_head", "MUST", "Range is ignored on methods other than GET",
             cached(method="HEAD", headers=asked("0-9"), status=200,
                    response_headers={"Content-Range": None, "Content-Length": str(SIZE)})),
    *[Case(f"whole_range_on_{status}", "9110 §14.2", "MUST", "Range applies only where the answer would be 200", [
        Step(response=Response(status, [FRESH, TYPE, ("Location", "/x")], body=DOC)),
        cached(headers=asked("0-9"), status=status, body_is=DOC, response_headers={"Content-Range": None})])
      for status in (203, 300, 301, 404, 410)],
    of_whole("whole_206_has_the_fields_of_200", "MUST",
             "a 206 has the Date, Cache-Control, ETag, Expires, Content-Location and Vary of the 200",
             cached(headers=asked("0-9"), status=206, body_is=DOC[:10], response_headers={
                 "Date": PRESENT, "Cache-Control": "max-age=3600", "ETag": '"v1"', "Expires": date(7200),
                 "Content-Location": "/elsewhere", "Vary": "X-Foo", "Last-Modified": date(-90000)}),
             rfc="9110 §15.3.7"),
    of_whole("whole_206_is_not_stored_as_the_whole", "MUST", "after ranges the whole is still whole",
             hit("0-9", 0, 9), hit("990-", 990, 999), cached(answer_of=1, status=200), rfc="9111 §3.3"),
    of_whole("whole_empty_body", "SHOULD", "no byte range of an empty body is satisfiable",
             Step(headers=asked("0-"), expect="either", requests=0, check=lambda response, *_: verify(
                 (response.status, response.body) == (200, b"") or
                 (response.status == 416 and response.fields.get("Content-Range") == "bytes */0"), response.raw_head)),
             stored=Step(response=whole(body=b""))),
    of_whole("whole_of_a_chunked_response", "SHOULD", "a length learnt from the end of the body will do",
             hit("10-19", 10, 19), stored=Step(response=whole(framing="chunked"))),

    # Preconditions come first.
    of_whole("whole_if_none_match_before_range", "MUST", "Range is ignored where a condition would give 304",
             cached(headers=asked("0-9", ("If-None-Match", '"v1"')), status=304)),
    of_whole("whole_if_modified_since_before_range", "MUST", "Range is ignored where a condition would give 304",
             cached(headers=asked("0-9", ("If-Modified-Since", date(-90000))), status=304)),
    of_whole("whole_range_where_if_none_match_fails", "SHOULD", "a range whose other conditions hold is given",
             cached(headers=asked("0-9", ("If-None-Match", '"v0"')), status=206, body_is=DOC[:10])),
    of_whole("whole_unsatisfiable_but_not_modified", "MUST", "conditions are evaluated before Range",
             cached(headers=asked("5000-", ("If-None-Match", '"v1"')), status=304)),
]


def if_range(case_id, level, what, value, holds, stored=STORED):
    """Is the range given under this If-Range?"""
    step = hit("0-9", 0, 9, ("If-Range", value)) if holds else \
        cached(headers=asked("0-9", ("If-Range", value)), status=200, body_is=DOC,
               response_headers={"Content-Range": None})
    return of_whole(case_id, level, what, step, rfc="9110 §13.1.5", stored=stored)


IF_RANGE = [
    if_range("if_range_strong_tag", "SHOULD", "a matching strong entity tag lets the range be given", '"v1"', True),
    if_range("if_range_other_tag", "MUST", "Range is ignored where If-Range is false", '"v0"', False),
    if_range("if_range_weak_tag_of_the_client", "MUST", "entity tags are compared strongly", 'W/"v1"', False),
    if_range("if_range_weak_tag_on_both_sides", "MUST", "entity tags are compared strongly", 'W/"v1"', False,
             Step(response=whole(tag=("ETag", 'W/"v1"')))),
    if_range("if_range_weak_tag_stored", "MUST", "entity tags are compared strongly", '"v1"', False,
             Step(response=whole(tag=("ETag", 'W/"v1"')))),
    if_range("if_range_tag_where_none_is_stored", "MUST", "Range is ignored where If-Range is false", '"v1"', False,
             Step(response=whole(tag=None))),
    if_range("if_range_tag_in_other_case", "MUST", "entity tags are case-sensitive", '"V1"', False),
    if_range("if_range_date", "SHOULD", "a date that is exactly Last-Modified lets the range be given", date(-90000),
             True),
    if_range("if_range_later_date", "MUST", "a date must match exactly", date(-80000), False),
    if_range("if_range_earlier_date", "MUST", "a date must match exactly", date(-100000), False),
    if_range("if_range_date_of_date", "MUST", "Date is no validator", date(0), False),
    if_range("if_range_date_without_last_modified", "MUST", "a date must match exactly", date(-90000), False,
             Step(response=whole())),
    if_range("if_range_weak_date", "MUST", "a Last-Modified of the same second as Date is no strong validator",
             date(-10), False, Step(response=whole(("Last-Modified", date(-10)), ("Date", date(-10)), tag=None))),
    if_range("if_range_unquoted", "MUST", "what is no validator matches nothing", "v1", False),
    if_range("if_range_list", "MUST", "If-Range is no list", '"v1", "v2"', False),
    if_range("if_range_star", "MUST", "If-Range knows no '*'", "*", False),
    if_range("if_range_junk_date", "MUST", "what is no validator matches nothing", "yesterday", False),
    of_whole("if_range_without_range", "MUST", "If-Range without Range is ignored",
             cached(headers=[("If-Range", '"v0"')], status=200, body_is=DOC), rfc="9110 §13.1.5"),
    of_whole("if_range_unsatisfiable", "SHOULD", "a range that is not satisfiable is 416 where If-Range holds",
             cached(headers=asked("5000-", ("If-Range", '"v1"')), status=416), rfc="9110 §15.5.17"),
    of_whole("if_range_false_and_unsatisfiable", "MUST", "Range is ignored where If-Range is false",
             cached(headers=asked("5000-", ("If-Range", '"v0"')), status=200, body_is=DOC), rfc="9110 §13.1.5"),
    of_whole("if_range_206_without_more_fields", "SHOULD",
             "a 206 to a request with If-Range has no representation fields that the client knows already",
             cached(headers=asked("0-9", ("If-Range", '"v1"')), status=206, body_is=DOC[:10],
                    response_headers={"ETag": '"v1"', "Last-Modified": None}), rfc="9110 §15.3.7"),
]

MANY = ",".join(f"{n}-{n}" for n in range(0, 1000, 2))


def several(case_id, level, what, spec, check, rfc="9110 §14.2, §15.3.7.2"):
    return of_whole(case_id, level, what, Step(headers=asked(spec), expect="either", requests=0, check=check), rfc=rfc)


SEVERAL = [
    several("several_two", "SHOULD", "two ranges come as multipart/byteranges", "0-9,100-109",
            gives_parts((0, 9), (100, 109))),
    several("several_white_space", "SHOULD", "white space around commas is allowed", "bytes=0-9 , \t100-109",
            gives_parts((0, 9), (100, 109))),
    several("several_in_the_order_asked", "SHOULD", "parts come in the order of the request", "500-509,0-9",
            gives_parts((500, 509), (0, 9))),
    several("several_first_and_last_byte", "SHOULD", "a suffix may be one of several", "0-0,-1",
            gives_parts((0, 0), (999, 999))),
    several("several_one_unsatisfiable", "SHOULD", "ranges past the end are left out", "0-9,5000-",
            gives_parts((0, 9))),
    several("several_open_end", "SHOULD", "an open range may be one of several", "0-9,990-",
            gives_parts((0, 9), (990, 999))),
    several("several_with_four_parts", "SHOULD", "four parts", "0-9,200-209,400-409,600-609",
            gives_parts((0, 9), (200, 209), (400, 409), (600, 609))),
    several("several_overlapping", "MAY", "overlapping ranges may be coalesced, or all is given", "0-99,50-149",
            covers((0, 149))),
    several("several_equal", "MAY", "equal ranges may be coalesced, or all is given", "0-9,0-9", covers((0, 9))),
    several("several_adjacent", "MAY", "adjacent ranges may be coalesced", "0-9,10-19", covers((0, 19))),
    several("several_many", "MAY", "many small ranges cost no more than a few wholes", MANY,
            covers((0, 0), (500, 500))),
    several("several_many_open", "MAY", "many ranges of everything cost no more than a few wholes",
            ",".join(["0-"] * 100), covers((0, 999))),
    several("several_descending", "MAY", "a descending set of many ranges is bounded too",
            ",".join(reversed(MANY.split(","))), covers((0, 0))),
    of_whole("several_with_if_range", "SHOULD", "If-Range holds for several ranges too",
             Step(headers=asked("0-9,100-109", ("If-Range", '"v1"')), expect="either", requests=0,
                  check=lambda response, *_: verify([p[:2] for p in parts_of(response)] == [(0, 9), (100, 109)],
                                                    response.body)), rfc="9110 §13.1.5"),
    of_whole("several_has_no_stored_content_length", "MUST", "Content-Length is that of the answer",
             Step(headers=asked("0-9,100-109"), expect="either", requests=0,
                  check=lambda response, *_: verify(
                      response.status == 200 or
                      response.fields.get("Content-Length") in (None, str(len(response.body))),
                      response.raw_head)), rfc="9110 §15.3.7.2"),
]

STALE_WHOLE = [
    Case("stale_whole_confirmed", "9111 §4.3", "optimal", "a stale whole that is confirmed serves the range", [
        Step(response=Response(headers=[*STALE, TAG, TYPE], body=DOC)),
        Step(headers=asked("100-199"), response=server(), expect="either", requests=1,
             check=lambda response, *_: is_range_of(response, DOC, 100, 199)),
        hit("0-9", 0, 9),
    ]),
    Case("stale_whole_changed", "9111 §4.3", "MUST", "a whole that has changed serves nothing of the old one", [
        Step(response=Response(headers=[*STALE, TAG, TYPE], body=DOC)),
        Step(headers=asked("100-199"), response=server(NEW, NEW_TAG), expect="either", requests=1,
             check=lambda response, *_: verify(response.body in (NEW, NEW[100:200]), response.body[:100])),
        Step(response=server(NEW, NEW_TAG), expect="either", status=200, body_is=NEW),
        Step(headers=asked("0-9"), response=server(NEW, NEW_TAG), expect="either", status=206, body_is=NEW[:10]),
    ]),
    Case("whole_replaced_by_a_newer_part", "9111 §3.4", "MUST",
         "a part of a newer representation is not mixed with the old", [
        Step(response=server()),
        Step(headers=asked("0-499", ("Cache-Control", "no-cache")), response=server(NEW, NEW_TAG), expect="either",
             check=lambda response, *_: verify((response.status, response.body) in ((206, NEW[:500]), (200, NEW)),
                                               response.raw_head)),
        Step(response=server(NEW, NEW_TAG), expect="either", status=200,
             check=lambda response, *_: verify(response.body in (DOC, NEW), "a mixture")),
        Step(headers=asked("400-599"), response=server(NEW, NEW_TAG), expect="either", status=206,
             check=lambda response, *_: verify(response.body in (DOC[400:600], NEW[400:600]), "a mixture")),
    ]),
]

# Bytes 0-1 and 4-5.
TWO_PARTS = Response(206, [FRESH, TAG, ("Content-Type", "multipart/byteranges; boundary=B")],
                     body=b"--B\r\nContent-Range: bytes 0-1/1000\r\n\r\n00\r\n"
                          b"--B\r\nContent-Range: bytes 4-5/1000\r\n\r\n00\r\n--B--\r\n")

COLD = [
    Case("cold_range_is_passed_on", "9110 §14.2", "optimal", "a range of what is not stored is asked for as it is", [
        asked_part("100-199", server(), status=206, body_is=DOC[100:200], origin_headers={"Range": "bytes=100-199"},
                   response_headers={"Content-Range": f"bytes 100-199/{SIZE}", "ETag": '"v1"',
                                     "Content-Length": "100"}),
    ]),
    Case("cold_range_with_if_range_is_passed_on", "9110 §13.1.5", "MUST", "a condition on a range goes with it", [
        asked_part("100-199", server(), ("If-Range", '"v0"'), status=200, body_is=DOC,
                   origin_headers={"Range": "bytes=100-199", "If-Range": '"v0"'}),
    ]),
    Case("cold_range_answered_with_everything", "9111 §3", "optimal", "a 200 to a range request is stored as the whole",
         [
        Step(headers=asked("100-199"), response=whole(), expect="either", requests=1,
             check=lambda response, *_: covers((100, 199))(response)),
        cached(status=200, body_is=DOC),
        hit("0-9", 0, 9),
    ]),
    Case("cold_range_unsatisfiable", "9110 §15.5.17", "MUST", "the origin's 416 is relayed and answers nothing else", [
        asked_part("5000-", Response(416, [FRESH, ("Content-Range", f"bytes */{SIZE}")]), status=416,
                   response_headers={"Content-Range": f"bytes */{SIZE}"}),
        fetched(response=server(), status=200, body_is=DOC),
    ]),
    Case("cold_range_416_does_not_answer_another_range", "9111 §4", "MUST", "a 416 is for its own range", [
        asked_part("5000-", Response(416, [FRESH, ("Content-Range", f"bytes */{SIZE}")]), status=416),
        asked_part("0-9", server(), status=206, body_is=DOC[:10]),
    ]),
    Case("cold_several_ranges", "9110 §14.2", "MUST", "a multipart answer is relayed as it is", [
        Step(headers=asked("0-1,4-5"), response=TWO_PARTS, status=206, body_is=TWO_PARTS.body,
             response_headers={"Content-Type": "multipart/byteranges; boundary=B"}),
    ]),
    Case("cold_unknown_unit", "9110 §14.2", "MUST", "an unknown range unit and its 206 are relayed", [
        Step(headers=[("Range", "items=0-9")], status=206, body_is=b"ten items",
             response=Response(206, [FRESH, TAG, ("Content-Range", "items 0-9/99")], body=b"ten items"),
             origin_headers={"Range": "items=0-9"}, response_headers={"Content-Range": "items 0-9/99"}),
    ]),
    Case("cold_head_with_range", "9110 §14.2", "MUST", "HEAD with Range is answered as HEAD", [
        Step(method="HEAD", headers=asked("0-9"), response=whole(), status=200),
        fetched(response=whole(), status=200, body_is=DOC),
    ]),
]


def stored_part(case_id, level, what, first, *steps, rfc="9111 §3.3"):
    """A partial response is stored; what then?"""
    return Case(case_id, rfc, level, what, [first, *steps])


MIDDLE = asked_part("100-199", part(100, 199))
TAIL = asked_part("900-", part(900, 999))
HEADPART = asked_part("0-499", server(), status=206)
UNKNOWN = asked_part("0-99", part(0, 99, size=None))


def not_from_it(spec, first, last, *more, **options):
    """A range that what is stored does not hold: the origin is asked, and the right bytes are given."""
    return Step(headers=asked(spec, *more), response=server(), status=206, body_is=DOC[first:last + 1], **options)


PARTIAL = [
    *[stored_part(f"part_answers_{name}", "MAY", f"a stored part answers what lies in it: {spec}",
                  MIDDLE, hit(spec, first, last))
      for name, spec, first, last in (("itself", "100-199", 100, 199), ("its_middle", "120-129", 120, 129),
                                      ("its_first_byte", "100-100", 100, 100), ("its_last_byte", "199-199", 199, 199))],
    *[stored_part(f"tail_answers_{name}", "MAY", f"a stored part that reaches the end answers: {spec}",
                  TAIL, hit(spec, first, last))
      for name, spec, first, last in (("itself", "900-999", 900, 999), ("an_open_range", "950-", 950, 999),
                                      ("itself_open", "900-", 900, 999), ("a_suffix", "-50", 950, 999),
                                      ("its_length_as_suffix", "-100", 900, 999),
                                      ("past_the_end", "950-5000", 950, 999))],
    *[stored_part(f"part_does_not_answer_{name}", "MUST", f"a part does not answer what it lacks: {spec}",
                  MIDDLE, not_from_it(spec, first, last))
      for name, spec, first, last in (("what_is_before", "0-9", 0, 9), ("what_is_behind", "200-209", 200, 209),
                                      ("what_begins_before", "99-110", 99, 110),
                                      ("what_ends_behind", "190-200", 190, 200),
                                      ("an_open_range", "100-", 100, 999), ("a_suffix", "-50", 950, 999),
                                      ("more_on_both_sides", "50-250", 50, 250))],
    stored_part("tail_does_not_answer_a_longer_suffix", "MUST", "a part does not answer what it lacks",
                TAIL, not_from_it("-101", 899, 999)),
    stored_part("part_does_not_answer_the_whole", "MUST", "a partial response does not answer a request for everything",
                MIDDLE, given_whole(response=server(), expect="either", requests=1), cached(status=200, body_is=DOC)),
    stored_part("part_does_not_answer_head", "MUST", "a partial response is not everything for HEAD either",
                MIDDLE, Step(method="HEAD", response=server(), expect="either", status=200, response_headers={
                    "Content-Range": None,
                    "Content-Length": Where(lambda v: v in (None, str(SIZE)), "absent or 1000")})),
    stored_part("part_of_everything_is_the_whole", "MUST", "a 206 that holds everything may be used as a 200",
                asked_part("0-", part(0, 999)),
                given_whole(response=server(), expect="either"), rfc="9110 §15.3.7.3"),
    stored_part("unknown_length_answers_what_lies_in_it", "MAY", "the complete length may be unknown",
                UNKNOWN, hit("20-29", 20, 29, size=None)),
    stored_part("unknown_length_does_not_answer_an_open_range", "MUST",
                "where the end is unknown an open range is asked for",
                UNKNOWN, not_from_it("20-", 20, 999)),
    stored_part("unknown_length_does_not_answer_a_suffix", "MUST", "where the end is unknown a suffix is asked for",
                UNKNOWN, not_from_it("-20", 980, 999)),
    stored_part("unknown_length_does_not_answer_past_its_end", "MUST", "where the end is unknown nothing is clamped",
                UNKNOWN, not_from_it("20-150", 20, 150)),
    stored_part("part_answers_several_ranges_in_it", "MAY", "several ranges may be answered from one part",
                MIDDLE, Step(headers=asked("110-119,150-159"), response=whole(), expect="either",
                             check=covers((110, 119), (150, 159)))),
    stored_part("part_does_not_answer_several_ranges_beyond", "MUST", "every range must lie within what is stored",
                MIDDLE, Step(headers=asked("110-119,300-309"), response=whole(), expect="either", requests=1,
                             check=covers((110, 119), (300, 309)))),
    stored_part("part_tells_an_unsatisfiable_range", "MAY", "with the complete length known, a range past it is 416",
                MIDDLE, Step(headers=asked("5000-"), response=server(), expect="either", status=416,
                             response_headers={"Content-Range": f"bytes */{SIZE}"})),
    stored_part("part_if_range_holds", "SHOULD", "a matching strong entity tag lets the stored part be given",
                MIDDLE, hit("110-119", 110, 119, ("If-Range", '"v1"')), rfc="9110 §13.1.5"),
    stored_part("part_if_range_fails", "MUST", "where If-Range is false everything is wanted, which is not stored",
                MIDDLE, Step(headers=asked("110-119", ("If-Range", '"v0"')), response=server(), expect="either",
                             requests=1, status=200, body_is=DOC), rfc="9110 §13.1.5"),
    stored_part("part_if_range_weak", "MUST", "entity tags are compared strongly",
                asked_part("100-199", part(100, 199, tag=("ETag", 'W/"v1"'))),
                Step(headers=asked("110-119", ("If-Range", 'W/"v1"')), response=server(tag=("ETag", 'W/"v1"')),
                     expect="either", requests=1, status=200, body_is=DOC), rfc="9110 §13.1.5"),
    stored_part("part_not_marked_206_never", "MUST", "a part is always marked as 206",
                MIDDLE, Step(headers=[("If-None-Match", '"v0"')], response=server(), expect="either", status=200,
                             body_is=DOC)),
    stored_part("part_keeps_its_fields", "MUST", "a 206 has the fields of the stored one",
                asked_part("100-199", part(100, 199, ("X-Own", "kept"), ("Content-Language", "de"))),
                cached(headers=asked("110-119"), status=206, body_is=DOC[110:120],
                       response_headers={"X-Own": "kept", "Content-Language": "de", "ETag": '"v1"', "Age": PRESENT,
                                         "Content-Range": ["bytes 110-119/1000"]}), rfc="9110 §15.3.7"),
    stored_part("part_on_only_if_cached", "SHOULD", "only-if-cached is answered from the part or 504",
                MIDDLE, hit("110-119", 110, 119, ("Cache-Control", "only-if-cached")),
                Step(headers=asked("0-9", ("Cache-Control", "only-if-cached")), expect="larder", status=504),
                Step(headers=[("Cache-Control", "only-if-cached")], expect="larder", status=504), rfc="9111 §5.2.1.7"),
    stored_part("part_and_identity_of_a_coded_whole", "MUST", "a part of a coded form cannot be decoded",
                Step(headers=[("Range", "bytes=0-19"), ("Accept-Encoding", "gzip")], response=Response(
                    206, [FRESH, TAG, ("Vary", "Accept-Encoding"), ("Content-Encoding", "gzip"),
                          ("Content-Range", f"bytes 0-19/{len(PACKED)}")], body=PACKED[:20])),
                fetched(headers=[("Range", "bytes=0-9"), ("Accept-Encoding", "identity")], response=part(0, 9),
                        status=206,
                        body_is=DOC[:10]), rfc="9110 §14.1.2"),

    # Freshness, Vary, invalidation and directives.
    stored_part("stale_part_is_not_used", "MUST", "a stale part is not used without validation",
                asked_part("100-199", Response(206, [*STALE, TAG, ("Content-Range", "bytes 100-199/1000")],
                                               body=DOC[100:200])),
                Step(headers=asked("100-199"), response=server(NEW, NEW_TAG), expect="either", requests=1,
                     check=lambda response, *_: verify(response.body in (NEW[100:200], NEW), response.body[:50])),
                rfc="9111 §4"),
    stored_part("stale_part_confirmed", "MAY", "a stale part that is confirmed may be used",
                asked_part("100-199", Response(206, [*STALE, TAG, ("Content-Range", "bytes 100-199/1000")],
                                               body=DOC[100:200])),
                Step(headers=asked("100-199"), response=server(), expect="either", requests=1, status=206,
                     body_is=DOC[100:200]), rfc="9111 §4.3"),
    stored_part("stale_part_validated_for_the_whole", "MUST", "a 304 does not make a part whole",
                asked_part("100-199", Response(206, [*STALE, TAG, ("Content-Range", "bytes 100-199/1000")],
                                               body=DOC[100:200])),
                Step(response=server(), expect="either", status=200, body_is=DOC)),
    stored_part("part_no_cache_is_not_used", "MUST", "no-cache holds for parts",
                asked_part("0-9", part(0, 9, control=("Cache-Control", "no-cache, max-age=3600"))),
                Step(headers=asked("0-9"), response=server(NEW, NEW_TAG), expect="either", requests=1,
                     check=lambda response, *_: verify(response.body in (NEW[:10], NEW), response.body[:50])),
                rfc="9111 §5.2.2.4"),
    *[stored_part(f"part_{control.split('=')[0].replace('-', '_')}_is_not_stored", "MUST", f"{control} holds for parts",
                  asked_part("0-9", part(0, 9, control=("Cache-Control", f"{control}, max-age=3600"))),
                  asked_part("0-9", part(0, 9)), rfc="9111 §5.2.2")
      for control in ("no-store", "private")],
    stored_part("part_for_a_no_store_request_is_not_stored", "MUST", "request no-store holds for parts",
                asked_part("0-9", part(0, 9), ("Cache-Control", "no-store")), asked_part("0-9", part(0, 9)),
                rfc="9111 §5.2.1.5"),
    stored_part("part_for_authorization_is_not_stored", "MUST", "Authorization holds for parts",
                asked_part("0-9", part(0, 9), ("Authorization", "Basic YQ==")), asked_part("0-9", part(0, 9)),
                rfc="9111 §3.5"),
    stored_part("part_request_no_cache", "SHOULD", "request no-cache holds for parts",
                asked_part("0-9", part(0, 9)),
                Step(headers=asked("0-9", ("Cache-Control", "no-cache")), response=server(), expect="either",
                     requests=1,
                     status=206, body_is=DOC[:10]), rfc="9111 §5.2.1.4"),
    stored_part("part_vary_mismatch", "MUST", "selecting fields hold for parts",
                asked_part("0-9", part(0, 9, ("Vary", "X-Foo")), ("X-Foo", "1")),
                asked_part("0-9", part(0, 9, ("Vary", "X-Foo")), ("X-Foo", "2")), rfc="9111 §4.1"),
    stored_part("part_vary_match", "optimal", "selecting fields hold for parts",
                asked_part("0-9", part(0, 9, ("Vary", "X-Foo")), ("X-Foo", "1")), hit("0-9", 0, 9, ("X-Foo", "1")),
                rfc="9111 §4.1"),
    stored_part("part_vary_star", "MUST", "Vary: * holds for parts",
                asked_part("0-9", part(0, 9, ("Vary", "*"))), asked_part("0-9", part(0, 9, ("Vary", "*"))),
                rfc="9111 §4.1"),
    stored_part("part_is_invalidated", "MUST", "a write invalidates parts",
                asked_part("0-9", part(0, 9)), Step(method="PUT", body="x", response=Response(204)),
                asked_part("0-9", part(0, 9)), rfc="9111 §4.4"),
    stored_part("part_without_freshness_is_not_used", "MUST", "a part with neither lifetime nor validator is not used",
                asked_part("0-9", part(0, 9, tag=None, control=("X-Nothing", "x"))),
                asked_part("0-9", part(0, 9)), rfc="9111 §4.2"),
    stored_part("part_stale_while_revalidate", "MAY",
                "a stale part may be given while it is validated; it stays a part",
                asked_part("0-499", Response(206, [("Cache-Control", "max-age=1, stale-while-revalidate=3600"),
                                                   ("Age", "100"),
                                                   TAG, TYPE, ("Content-Range", "bytes 0-499/1000")], body=DOC[:500])),
                Step(headers=asked("100-199"), response=server(), expect="either", status=206, body_is=DOC[100:200],
                     background="maybe"),
                Step(response=server(), expect="either", status=200, body_is=DOC),
                Step(headers=asked("400-599"), response=server(), expect="either", status=206, body_is=DOC[400:600]),
                rfc="5861 §3, 9111 §3.3"),
    stored_part("part_stale_while_revalidate_changed", "MUST",
                "what the validation brings is not mixed with the stale part",
                asked_part("0-499", Response(206, [("Cache-Control", "max-age=1, stale-while-revalidate=3600"),
                                                   ("Age", "100"),
                                                   TAG, TYPE, ("Content-Range", "bytes 0-499/1000")], body=DOC[:500])),
                Step(headers=asked("100-199"), response=server(NEW, NEW_TAG), expect="either", status=206,
                     background="maybe", check=lambda response, *_: verify(
                         response.body in (DOC[100:200], NEW[100:200]), response.body[:50])),
                Step(response=server(NEW, NEW_TAG), expect="either", status=200, body_is=NEW), rfc="9111 §3.4"),
    stored_part("part_stale_if_error", "MUST", "on an error a stale part is not given as the whole",
                asked_part("0-499", Response(206, [("Cache-Control", "max-age=1, stale-if-error=3600"), ("Age", "100"),
                                                   TAG, TYPE, ("Content-Range", "bytes 0-499/1000")], body=DOC[:500])),
                Step(response=Response(503), expect="either", status=503),
                Step(headers=asked("400-599"), response=Response(503), expect="either", status=503),
                Step(headers=asked("100-199"), response=Response(503), expect="either", check=lambda response,
                     *_: verify(
                    response.status == 503 or (response.status, response.body) == (206, DOC[100:200]),
                    response.raw_head)),
                rfc="5861 §4, 9111 §3.3"),
    stored_part("part_max_stale", "MUST", "max-stale does not make a part the whole",
                asked_part("0-499", Response(206, [("Cache-Control", "max-age=1"), ("Age", "100"), TAG, TYPE,
                                                   ("Content-Range", "bytes 0-499/1000")], body=DOC[:500])),
                Step(headers=[("Cache-Control", "max-stale")], response=server(), expect="either", status=200,
                     body_is=DOC),
                Step(headers=asked("100-199", ("Cache-Control", "max-stale")), response=server(), expect="either",
                     status=206,
                     body_is=DOC[100:200])),
    stored_part("part_and_a_head_that_shows_a_change", "SHOULD", "a HEAD with another entity tag makes the part stale",
                asked_part("0-499", server()),
                Step(method="HEAD", response=server(NEW, NEW_TAG), expect="either", status=200),
                Step(response=server(NEW, NEW_TAG), expect="either", status=200, body_is=NEW), rfc="9111 §4.3.5"),
    stored_part("part_that_came_in_chunks", "MAY", "the framing of a part means nothing",
                asked_part("100-199", part(100, 199, framing="chunked")), hit("110-119", 110, 119)),
    stored_part("part_that_came_until_close", "MAY", "the framing of a part means nothing",
                asked_part("100-199", part(100, 199, framing="close")), hit("110-119", 110, 119)),
    stored_part("part_with_a_giant_length", "MUST",
                "a length told by the origin allocates nothing and promises nothing",
                asked_part("0-9", part(0, 9, size=18446744073709551615)),
                Step(response=server(), expect="either", status=200, body_is=DOC),
                Step(headers=asked("5-20"), response=server(), expect="either", status=206, body_is=DOC[5:21])),
    stored_part("part_with_a_giant_length_and_a_suffix", "MUST", "a length told by the origin promises nothing",
                asked_part("0-9", part(0, 9, size=9223372036854775807)),
                Step(headers=asked("-5"), response=server(), expect="either", status=206, body_is=DOC[-5:]),
                Step(headers=asked("9223372036854775800-"), response=server(), expect="either", status=416)),
    stored_part("part_at_giant_positions", "MUST", "positions past 2^63 are positions",
                Step(headers=asked("9223372036854775808-9223372036854775817"), expect="either", status=206,
                     body_is=DOC[:10],
                     response=Response(206, [FRESH, TAG, TYPE, ("Content-Range",
                                                                "bytes 9223372036854775808-9223372036854775817/*")],
                                       body=DOC[:10])),
                Step(headers=asked("0-9"), response=server(), expect="either", requests=1, status=206,
                     body_is=DOC[:10])),
    stored_part("part_replaced_by_a_whole", "MUST", "a newer whole takes the part's place",
                asked_part("0-499", server()), given_whole(NEW, ("Cache-Control", "no-cache"),
                                                           response=server(NEW, NEW_TAG)),
                Step(headers=asked("400-599"), response=server(NEW, NEW_TAG), expect="either", status=206,
                     body_is=NEW[400:600]), rfc="9111 §4"),
]

# Answers that must not be kept as parts. Each is relayed; the next request for the same range is asked again.
ODD = [(name, Response(206, [FRESH, TAG, TYPE, *[("Content-Range", line) for line in lines]], body=body))
       for name, lines, body in (
           ("last_before_first", ["bytes 9-0/1000"], DOC[:10]),
           ("length_not_past_last", ["bytes 0-9/5"], DOC[:10]),
           ("length_equal_to_last", ["bytes 0-9/9"], DOC[:10]),
           ("no_length", ["bytes 0-9"], DOC[:10]),
           ("equals_sign", ["bytes=0-9/1000"], DOC[:10]),
           ("no_range", ["bytes */1000"], DOC[:10]),
           ("none_at_all", [], DOC[:10]),
           ("empty", [""], DOC[:10]),
           ("two_lines", ["bytes 0-9/1000", "bytes 0-9/1000"], DOC[:10]),
           ("two_different_lines", ["bytes 0-9/1000", "bytes 10-19/1000"], DOC[:10]),
           ("unknown_unit", ["items 0-9/1000"], DOC[:10]),
           ("signed", ["bytes +0-9/1000"], DOC[:10]),
           ("hexadecimal", ["bytes 0x0-0x9/1000"], DOC[:10]),
           ("past_64_bits", ["bytes 18446744073709551616-18446744073709551625/*"], DOC[:10]),
           ("length_zero", ["bytes 0-0/0"], DOC[:1]),
           ("shorter_body", ["bytes 0-99/1000"], DOC[:10]),
           ("longer_body", ["bytes 0-9/1000"], DOC[:100]))]
NOT_STORED = [
    *[Case(f"odd_content_range_{name}", "9110 §14.4", "MUST", "a 206 with an invalid Content-Range is not reused", [
        Step(headers=asked("0-9"), response=response, expect="either", requests=1),
        asked_part("0-9", part(0, 9), status=206, body_is=DOC[:10]),
    ]) for name, response in ODD],
    *[Case(f"odd_content_range_{name}_is_not_the_whole", "9111 §3.3", "MUST",
           "a 206 with an invalid Content-Range answers no request for everything", [
               Step(headers=asked("0-9"), response=response, expect="either", requests=1),
               Step(response=server(), expect="either", requests=1, status=200, body_is=DOC),
           ]) for name, response in ODD if name in ("none_at_all", "unknown_unit", "two_lines", "longer_body")],
    Case("odd_multipart_is_not_stored", "9111 §3.3", "MUST", "what is not understood whole is not reused", [
        Step(headers=asked("0-1,4-5"), response=TWO_PARTS),
        Step(headers=asked("0-1"), response=server(), expect="either", status=206, body_is=DOC[:2]),
        Step(response=server(), expect="either", status=200, body_is=DOC),
    ]),
    Case("odd_206_without_a_range_request", "9111 §3.3", "MUST", "a 206 that nobody asked for answers nobody else", [
        Step(response=part(0, 99), expect="either", requests=1),
        Step(response=server(), expect="either", requests=1, status=200, body_is=DOC),
    ]),
    Case("odd_206_to_a_validation_without_range", "9111 §3.3, §4.3.3", "MUST",
         "a 206 to a validation request that asked for no range answers nobody else", [
             Step(response=Response(headers=[*STALE, TAG, TYPE], body=DOC)),
             Step(response=part(0, 99), expect="either", requests=1),
             Step(response=server(), expect="either", requests=1, status=200, body_is=DOC),
         ]),
    *[Case(f"odd_206_to_a_validation_{name}", "9111 §3.3, §4.3.3", "MUST",
           "a 206 to a validation request that asked for no range answers no request for everything", [
               first,
               Step(headers=asked("0-99", *more), response=part(0, 99), expect="either", requests=1),
               Step(response=server(), expect="either", status=200, body_is=DOC),
           ]) for name, first, more in (
               ("of_a_stale_whole_for_a_range", Step(response=Response(headers=[*STALE, TAG, TYPE], body=DOC)), ()),
               ("of_a_fresh_whole_for_a_range", Step(response=server()), [("Cache-Control", "no-cache")]))],
    Case("odd_200_with_content_range", "9110 §14.4", "MUST", "Content-Range on a 200 means nothing", [
        Step(response=whole(("Content-Range", "bytes 0-99/1000"))),
        Step(response=server(), expect="either", status=200, body_is=DOC),
        Step(headers=asked("100-199"), response=server(), expect="either", status=206, body_is=DOC[100:200]),
    ]),
    Case("odd_part_of_another_range_than_asked", "9110 §14.4", "MUST", "Content-Range tells what a part is, not Range",
         [
        asked_part("0-9", part(100, 109)),
        Step(headers=asked("0-9"), response=server(), expect="either", requests=1, status=206, body_is=DOC[:10]),
    ]),
    Case("odd_cut_part", "9111 §3.3", "MUST", "a part that ended early holds no more than came", [
        Step(headers=asked("0-499"), response=part(0, 499, cut=100), broken=True, requests=1),
        Step(headers=asked("200-299"), response=server(), expect="either", requests=1, status=206,
             body_is=DOC[200:300]),
    ]),
    Case("odd_cut_whole", "9111 §3.3", "MUST", "an incomplete response answers no request for everything", [
        Step(response=whole(cut=500), broken=True, requests=1),
        Step(response=server(), expect="either", requests=1, status=200, body_is=DOC),
        cached(status=200, body_is=DOC),
    ]),
    Case("odd_cut_whole_range_beyond", "9111 §3.3", "MUST", "an incomplete response answers only what it holds", [
        Step(response=whole(cut=500), broken=True, requests=1),
        Step(headers=asked("400-599"), response=server(), expect="either", requests=1, status=206,
             body_is=DOC[400:600]),
    ]),
    Case("odd_cut_whole_changed_since", "9111 §3.4", "MUST", "an incomplete response is not completed with another one",
         [
        Step(response=whole(cut=500), broken=True, requests=1),
        Step(response=server(NEW, NEW_TAG), expect="either", status=200, body_is=NEW),
    ]),
]


def two_parts(case_id, level, what, first, second, *steps, rfc="9111 §3.4"):
    return Case(case_id, rfc, level, what, [first, second, *steps])


def beyond(spec, first, last, doc=DOC, tag=TAG):
    """A range that spans what must not be combined: asked for, and right."""
    return Step(headers=asked(spec), response=server(doc, tag), expect="either", requests=1, status=206,
                body_is=doc[first:last + 1])


WEAK = ("ETag", 'W/"v1"')
LOW, HIGH = asked_part("0-99", part(0, 99)), asked_part("100-199", part(100, 199))

COMBINED = [
    two_parts("combined_where_they_meet", "MAY", "parts that meet and share a strong validator are one", LOW, HIGH,
              hit("50-149", 50, 149), hit("0-199", 0, 199)),
    two_parts("combined_in_reverse_order", "MAY", "the order in which parts came means nothing", HIGH, LOW,
              hit("50-149", 50, 149)),
    two_parts("combined_where_they_overlap", "MAY", "parts may overlap",
              asked_part("0-149", server(), status=206),
              Step(headers=asked("100-199"), response=server(), expect="either", requests=1, status=206,
                   body_is=DOC[100:200]),
              hit("100-180", 100, 180), hit("0-199", 0, 199)),
    two_parts("combined_where_they_overlap_when_refetched", "MAY", "parts may overlap",
              asked_part("0-149", server(), status=206),
              asked_part("100-199", server(conditions=False), ("Cache-Control", "no-cache"), status=206),
              hit("100-180", 100, 180), hit("0-199", 0, 199)),
    two_parts("combined_contained", "MAY", "a part inside another one changes nothing of its bytes",
              asked_part("0-199", part(0, 199)),
              asked_part("50-99", part(50, 99), ("Cache-Control", "no-cache")), hit("20-180", 20, 180)),
    two_parts("combined_three", "MAY", "three parts",
              LOW, asked_part("200-299", part(200, 299)), HIGH, hit("100-199", 100, 199)),
    two_parts("combined_into_the_whole", "MAY", "parts that make everything are a complete 200",
              asked_part("0-499", part(0, 499)), asked_part("500-999", part(500, 999)),
              given_whole(expect="cache"), hit("450-549", 450, 549), rfc="9110 §15.3.7.3"),
    two_parts("combined_into_the_whole_in_reverse_order", "MAY", "parts that make everything are a complete 200",
              asked_part("500-", part(500, 999)), asked_part("0-499", part(0, 499)),
              given_whole(expect="cache"), rfc="9110 §15.3.7.3"),
    two_parts("combined_length_learnt_later", "MAY", "a part that tells the complete length tells it for all",
              UNKNOWN, HIGH, hit("50-149", 50, 149)),
    two_parts("combined_fields_of_the_newer", "MUST", "fields of the newer part replace those of the older",
              asked_part("0-99", part(0, 99, ("X-Own", "older"), ("X-Only", "here"))),
              asked_part("100-199", part(100, 199, ("X-Own", "newer"))),
              Step(headers=asked("50-149"), response=server(), expect="either", status=206, body_is=DOC[50:150],
                   response_headers={"X-Own": Where(lambda value: value in ("newer", None), "newer"),
                                     "Content-Range": ["bytes 50-149/1000"]})),
    two_parts("not_combined_over_a_gap", "MUST", "what lies between two parts is not there",
              LOW, asked_part("200-299", part(200, 299)), beyond("50-249", 50, 249)),
    two_parts("not_combined_weak", "MUST", "a weak validator does not let parts be combined",
              asked_part("0-99", part(0, 99, tag=WEAK)), asked_part("100-199", part(100, 199, tag=WEAK)),
              beyond("50-149", 50, 149, tag=WEAK)),
    two_parts("not_combined_weak_and_strong", "MUST", "a weak validator does not let parts be combined",
              asked_part("0-99", part(0, 99)), asked_part("100-199", part(100, 199, tag=WEAK)),
              beyond("50-149", 50, 149)),
    two_parts("not_combined_without_validator", "MUST", "without a validator nothing is combined",
              asked_part("0-99", part(0, 99, tag=None)), asked_part("100-199", part(100, 199, tag=None)),
              beyond("50-149", 50, 149)),
    two_parts("not_combined_one_without_validator", "MUST", "without a validator nothing is combined",
              asked_part("0-99", part(0, 99)), asked_part("100-199", part(100, 199, tag=None)),
              beyond("50-149", 50, 149)),
    two_parts("not_combined_other_tag", "MUST", "parts of different representations are not combined",
              asked_part("0-99", part(0, 99)), asked_part("100-199", part(100, 199, doc=NEW, tag=NEW_TAG)),
              beyond("50-149", 50, 149, NEW, NEW_TAG)),
    two_parts("not_combined_other_length", "MUST", "equal tags with different lengths are not one representation",
              asked_part("0-99", part(0, 99)), asked_part("100-199", part(100, 199, size=2000)),
              Step(headers=asked("50-149"), response=server(), expect="origin", status=206, body_is=DOC[50:150])),
    two_parts("not_combined_same_date_weak", "MUST",
              "a Last-Modified that is not strong does not let parts be combined",
              asked_part("0-99", part(0, 99, ("Last-Modified", date(0)), ("Date", date(0)), tag=None)),
              asked_part("100-199", part(100, 199, ("Last-Modified", date(0)), ("Date", date(0)), tag=None)),
              beyond("50-149", 50, 149)),
    two_parts("not_combined_over_variants", "MUST", "parts of different variants are not combined",
              asked_part("0-99", part(0, 99, ("Vary", "X-Foo")), ("X-Foo", "1")),
              asked_part("100-199", part(100, 199, ("Vary", "X-Foo")), ("X-Foo", "2")),
              Step(headers=asked("50-149", ("X-Foo", "1")), response=server(), expect="either", requests=1, status=206,
                   body_is=DOC[50:150])),
    two_parts("not_combined_over_a_write", "MUST", "a part from before a write is gone",
              LOW, Step(method="POST", body="x", response=Response(204)), HIGH, beyond("50-149", 50, 149)),
    two_parts("part_of_the_stored_whole", "MUST", "a part with the whole's tag leaves the whole whole",
              Step(response=server()),
              Step(headers=asked("0-99", ("Cache-Control", "no-cache")), response=server(conditions=False),
                   expect="either", requests=1, check=covers((0, 99))),
              Step(response=server(), expect="either", status=200, body_is=DOC),
              Step(headers=asked("50-149"), response=server(), expect="either", status=206, body_is=DOC[50:150])),
]


def gap(spec="bytes=500-"):
    return {"Range": spec, "If-Range": '"v1"'}


def no_mixture(*docs):
    """One of these, whole, or an error; never a mixture."""
    return lambda response, *_: verify(response.status >= 500 or response.body in docs,
                                       f"{response.status} {response.body[:60]!r}…{response.body[-60:]!r}")


COMPLETED = [
    Case("completed_by_the_gap", "9111 §3.3", "MAY", "a stored beginning is completed by asking for the rest", [
        HEADPART,
        given_whole(response=server(), expect="either", requests=1, origin_headers=gap()),
        cached(status=200, body_is=DOC),
        hit("450-549", 450, 549),
    ]),
    Case("completed_on_a_changed_representation", "9111 §3.4", "MUST",
         "If-Range fails: the new whole replaces the part", [
        HEADPART,
        given_whole(NEW, response=server(NEW, NEW_TAG), expect="either", requests=1),
        cached(status=200, body_is=NEW),
    ]),
    Case("completed_by_a_200", "9111 §3.3", "MUST", "an origin that does not serve ranges gives all of it", [
        HEADPART,
        given_whole(response=whole(), expect="either", requests=1),
        cached(status=200, body_is=DOC),
    ]),
    Case("completed_weak", "9111 §3.4", "MUST", "a weak validator does not let a part be completed", [
        asked_part("0-499", server(DOC, WEAK), status=206),
        Step(response=server(NEW, WEAK), expect="either", status=200, body_is=NEW, origin_headers={"If-Range": None}),
    ]),
    Case("completed_without_validator", "9111 §3.4", "MUST", "without a validator a part is not completed", [
        asked_part("0-499", server(DOC, None), status=206),
        Step(response=server(NEW, None), expect="either", status=200, body_is=NEW, origin_headers={"Range": None}),
    ]),
    Case("completed_with_another_tag", "9111 §3.4", "MUST", "a 206 with another tag is not joined to the part", [
        HEADPART,
        Step(response=lambda request: part(500, 999, doc=NEW, tag=NEW_TAG) if request.fields.has("Range")
             else whole(body=NEW, tag=NEW_TAG), expect="either", check=no_mixture(NEW)),
        Step(response=server(NEW, NEW_TAG), expect="either", status=200, body_is=NEW),
    ]),
    Case("completed_without_a_tag_in_the_206", "9111 §3.4", "MUST", "a 206 without a tag is not joined to the part", [
        HEADPART,
        Step(response=lambda request: part(500, 999, doc=NEW, tag=None) if request.fields.has("Range")
             else whole(body=NEW, tag=NEW_TAG), expect="either", check=no_mixture(NEW)),
    ]),
    *[Case(f"completed_with_a_wrong_range_{name}", "9110 §14.4", "MUST",
           "a 206 that leaves a gap is not joined to the part", [
        HEADPART,
        Step(response=lambda request, first=first, last=last, size=size: part(first, last, size=size)
             if request.fields.has("Range") else whole(), expect="either", check=no_mixture(DOC)),
        Step(response=server(), expect="either", status=200, body_is=DOC),
    ]) for name, first, last, size in (("later", 600, 999, SIZE), ("earlier", 0, 499, SIZE), ("short", 500, 899, SIZE),
                                       ("other_length", 500, 999, 2000))],
    Case("completed_with_an_invalid_content_range", "9110 §14.4", "MUST", "an invalid Content-Range is not joined", [
        HEADPART,
        Step(response=lambda request: Response(206, [FRESH, TAG, ("Content-Range", "bytes 999-500/1000")],
                                               body=DOC[500:])
             if request.fields.has("Range") else whole(), expect="either", check=no_mixture(DOC)),
    ]),
    Case("completed_with_a_multipart", "9110 §14.4", "MUST", "a multipart answer is not joined", [
        HEADPART,
        Step(response=lambda request: Response(206, [FRESH, TAG, ("Content-Type", "multipart/byteranges; boundary=B")],
                                               body=b"--B\r\nContent-Range: bytes 500-999/1000\r\n\r\n" + DOC[500:] +
                                                    b"\r\n--B--\r\n")
             if request.fields.has("Range") else whole(), expect="either", check=no_mixture(DOC)),
    ]),
    Case("completed_with_a_416", "9110 §15.5.17", "optimal", "where the rest cannot be had all of it is asked for", [
        HEADPART,
        Step(response=lambda request: Response(416, [("Content-Range", "bytes */300")]) if request.fields.has("Range")
             else whole(body=NEW[:300], tag=NEW_TAG), expect="either", status=200, body_is=NEW[:300]),
    ]),
    *[Case(f"completed_with_a_{status}", "9111 §3.3", "MUST", "an error answers; the part is not given as the whole", [
        HEADPART,
        Step(response=lambda request, status=status: Response(status) if request.fields.has("Range") else whole(),
             expect="either", check=lambda response, _, __, status=status: verify(
                 response.status == status or response.body == DOC, response.raw_head)),
        Step(response=server(), expect="either", status=200, body_is=DOC),
    ]) for status in (404, 500, 503)],
    Case("completed_by_a_206_that_breaks_off", "9111 §3.3", "MUST", "what broke off is not a whole", [
        HEADPART,
        Step(response=lambda request: part(500, 999, cut=100) if request.fields.has("Range") else whole(cut=600),
             broken=True),
        Step(response=server(), expect="either", status=200, body_is=DOC),
    ]),
    *[Case(f"completed_by_a_{control.replace('-', '_')}_part", "9111 §3.4, §3", "MUST",
           "fields of the newer part replace the older: what they forbid is not stored", [
               HEADPART,
               Step(response=server(control=("Cache-Control", control)), expect="either", status=200, body_is=DOC),
               Step(response=server(NEW, NEW_TAG), expect="either", requests=1, status=200, body_is=NEW),
           ]) for control in ("no-store", "private")],
    Case("completed_from_many_parts", "9111 §3.4", "MUST", "many parts in any order stay right", [
        *[Step(headers=asked(f"{n * 20}-{n * 20 + 9}"), response=server(), expect="either", status=206,
               body_is=DOC[n * 20:n * 20 + 10]) for n in (*range(0, 50, 2), *range(1, 50, 2))],
        *[Step(headers=asked(f"{n * 20 + 3}-{n * 20 + 12}"), response=server(), expect="either", status=206,
               body_is=DOC[n * 20 + 3:n * 20 + 13]) for n in range(0, 50, 7)],
        given_whole(response=server(), expect="either"),
    ]),
    Case("completed_coded_whole", "9111 §3.4, 9110 §8.4", "MUST", "parts of a coded form make the coded form", [
        *[Step(headers=[("Range", f"bytes={first}-{last}"), ("Accept-Encoding", "gzip")], expect="either", status=206,
               response=part(first, last, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"), doc=PACKED,
                             size=len(PACKED)), body_is=PACKED[first:last + 1])
          for first, last in ((0, 99), (100, len(PACKED) - 1))],
        Step(headers=[("Accept-Encoding", "gzip")], expect="either", status=200, body_is=PACKED,
             response=whole(("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"), body=PACKED),
             response_headers={"Content-Encoding": "gzip", "Content-Range": None}),
        Step(headers=[("Accept-Encoding", "identity")], expect="either", status=200, body_is=DOC,
             response=whole(("Vary", "Accept-Encoding")), response_headers={"Content-Encoding": None}),
    ]),
    Case("completed_middle_part", "9111 §3.3", "MUST", "a part from the middle does not make a wrong whole", [
        MIDDLE, given_whole(response=server(), expect="either"), cached(status=200, body_is=DOC)]),
    Case("completed_tail_part", "9111 §3.3", "MUST", "a part from the end does not make a wrong whole", [
        TAIL, given_whole(response=server(), expect="either"), cached(status=200, body_is=DOC)]),
    Case("completed_range_over_the_end_of_the_part", "9111 §3.3", "MUST",
         "a range partly stored is right, however it is made", [
        HEADPART,
        Step(headers=asked("400-599"), response=server(), expect="either", requests=1, status=206, body_is=DOC[400:600],
             response_headers={"Content-Range": f"bytes 400-599/{SIZE}"}),
    ]),
    Case("completed_for_a_conditional_client", "9110 §13.1.2", "MUST",
         "the client's own condition is not mixed up with ours", [
        HEADPART,
        Step(headers=[("If-None-Match", '"other"')], response=server(), expect="either", status=200, body_is=DOC),
    ]),
    Case("completed_for_head", "9110 §9.3.2", "MUST", "HEAD completes nothing", [
        HEADPART,
        Step(method="HEAD", response=server(), expect="either", status=200, origin_headers=None,
             response_headers={"Content-Range": None}),
        given_whole(response=server(), expect="either"),
    ]),
    Case("completed_stale_part", "9111 §4.2", "MUST", "a stale part is completed only with what confirms it", [
        asked_part("0-499", Response(206, [*STALE, TAG, ("Content-Range", "bytes 0-499/1000")], body=DOC[:500])),
        Step(response=server(NEW, NEW_TAG), expect="either", status=200, body_is=NEW),
    ]),
    Case("completed_after_a_write", "9111 §4.4", "MUST", "a part from before a write completes nothing", [
        HEADPART,
        Step(method="POST", body="x", response=Response(204)),
        Step(response=server(), expect="either", status=200, body_is=DOC,
             origin_headers={"Range": None, "If-Range": None}),
    ]),
    Case("completed_freshness_of_the_newer", "9111 §3.4", "MUST",
         "the completed response has the newer part's lifetime", [
        HEADPART,
        given_whole(response=server(DOC, TAG, ("Age", "100"), control=("Cache-Control", "max-age=1, must-revalidate")),
                    expect="either"),
        Step(response=server(NEW, NEW_TAG), expect="either", requests=1, status=200, body_is=NEW),
    ]),
]

add_tests(__name__, "Whole", WHOLE)
add_tests(__name__, "IfRange", IF_RANGE)
add_tests(__name__, "Several", SEVERAL)
add_tests(__name__, "StaleWhole", STALE_WHOLE)
add_tests(__name__, "Cold", COLD)
add_tests(__name__, "Partial", PARTIAL)
add_tests(__name__, "NotStored", NOT_STORED)
add_tests(__name__, "Combined", COMBINED)
add_tests(__name__, "Completed", COMPLETED)

class Together(IntegrationCase):
    """Range requests that come at the same time: nobody is given another's part."""

    def serve(self, site, gate=None):
        respond = server()

        def handler(exchange):
            if gate:
                gate.pass_through()
            answer = respond(exchange.request)
            exchange.reply(answer.status, answer.headers, answer.body)

        site.on("/", handler)

    def check(self, response, spec):
        if spec is None:
            self.assertEqual((response.status, response.body), (200, DOC))
            return
        first, last = spec
        if response.status == 206:
            is_range_of(response, DOC, first, last)
        else:
            self.assertEqual((response.status, response.body), (200, DOC))

    def ask_together(self, specs, before=(), redis=False):
        site = self.origin()
        proxy = self.larder(site, rules=PLAIN_RULES, **({"redis": self.redis(), "memory": "off"} if redis else {}))
        self.serve(site)
        for first, last in before:
            proxy.get("/", {"Range": f"bytes={first}-{last}"})
        gate = self.gate()
        self.serve(site, gate)
        join = in_parallel(len(specs), lambda n: proxy.get(
            "/", {"Range": "bytes={}-{}".format(*specs[n])} if specs[n] else {}))
        gate.wait_for_arrivals()
        gate.open()
        for spec, response in zip(specs, join()):
            with self.subTest(spec):
                self.check(response, spec)
        for spec in specs:
            with self.subTest(afterwards=spec):
                self.check(proxy.get("/", {"Range": "bytes={}-{}".format(*spec)} if spec else {}), spec)

    def test_different_ranges_at_once(self):
        """RFC 9111 §4: a request is collapsed only with one whose answer it may be given."""
        for redis in (False, True):
            with self.subTest(redis=redis):
                self.ask_together([(0, 99), (100, 199), (50, 149), (900, 999)], redis=redis)

    def test_a_range_and_the_whole_at_once(self):
        """RFC 9111 §3.3: a part is not given to who asks for everything at the same time."""
        for redis in (False, True):
            with self.subTest(redis=redis):
                self.ask_together([(0, 99), None, (100, 199), None], redis=redis)

    def ask_while_validating(self, control, tag, doc):
        """A stale part is being validated for a range; others ask for more than it holds."""
        site = self.origin()
        proxy = self.larder(site, rules=PLAIN_RULES, workers=1)
        site.answers("/other", "x", {"Cache-Control": "no-store"})
        site.on("/", lambda exchange: exchange.reply(206, [("Cache-Control", control), ("Age", "100"), TAG, TYPE,
                                                           ("Content-Range", "bytes 0-499/1000")], DOC[:500]))
        self.assertEqual(proxy.get("/", {"Range": "bytes=0-499"}).status, 206)
        gate = self.gate()
        respond = server(doc, tag)

        def handler(exchange):
            gate.pass_through()
            answer = respond(exchange.request)
            exchange.reply(answer.status, answer.headers, answer.body)

        site.on("/", handler)
        specs = [(100, 199), None, (400, 599), (0, 99), None]
        clients = [self.connect(proxy) for _ in specs]
        for client, spec in zip(clients, specs):
            client.send_request("GET", "/", {"Range": "bytes={}-{}".format(*spec)} if spec else {})
            proxy.get("/other")  # later than that one, and by the same worker
        gate.wait_for_arrivals()
        gate.open()
        for client, spec in zip(clients, specs):
            with self.subTest(spec):
                response = client.read_response()
                if spec is None:
                    self.assertEqual((response.status, response.body), (200, doc), response.raw_head)
                elif response.status == 206:
                    self.assertIn(response.body, (DOC[spec[0]:spec[1] + 1], doc[spec[0]:spec[1] + 1]))
                else:
                    self.assertEqual((response.status, response.body), (200, doc), response.raw_head)

    def test_more_than_a_part_while_it_is_validated(self):
        """RFC 9111 §3.3: who joins the validation of a part, and asks for more than it holds, is not given the part."""
        for control in ("max-age=1", "max-age=1, stale-while-revalidate=3600"):
            for tag, doc in ((TAG, DOC), (NEW_TAG, NEW)):
                with self.subTest(control=control, tag=tag):
                    self.ask_while_validating(control, tag, doc)

    def test_completions_at_once(self):
        """RFC 9111 §3.4: who waits for the rest of a part is given what was asked for."""
        for redis in (False, True):
            with self.subTest(redis=redis):
                self.ask_together([None, (0, 599), (400, 599), None, (500, 999)], before=[(0, 499)], redis=redis)


if __name__ == "__main__":
    unittest.main()
