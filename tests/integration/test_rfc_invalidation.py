"""RFC 9111 §4.4: what an unsafe request invalidates. Larder promises more than the RFC asks: an answer 5xx, or none,
purges the target too, because the origin may have changed; 4xx does not. Location and Content-Location count on 2xx and
3xx."""

import unittest

from .support.raw_client import HOST
from .support.rfc_case import Case, Response, Step, add_tests, cached, date, fetched, path, uri

CASES = []
FRESH = ("Cache-Control", "max-age=3600")
ETAG = ("ETag", '"v1"')
STORE = Response(headers=[FRESH])


def case(id, rfc, level, what, steps):  # pylint: disable=redefined-builtin
    CASES.append(Case(id, rfc if rfc[0].isdigit() else f"9111 {rfc}", level, what, steps))


def write(status=200, headers=(), method="POST", **options):
    """An unsafe request and its answer."""
    return Step(method=method, body="x", response=Response(status, headers, body="" if status == 205 else None),
                **options)


# The target URI.
for method in ("POST", "PUT", "DELETE", "PATCH", "FOO", "MKCOL", "COPY", "LOCK", "BASELINE-CONTROL", "LINK", "post",
               "get", "head", "X"):
    name = {"get": "lower_get", "head": "lower_head",
            "post": "lower_post"}.get(method, method.lower().replace("-", "_"))
    case(f"method_{name}", "§4.4", "MUST",
         f"a successful {method} invalidates its target (unknown methods may be unsafe)",
         [Step(response=STORE), write(method=method), fetched()])
for status in (200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 299, 300, 301, 302, 303, 304, 305, 307, 308, 399):
    if status in (206, 304):
        continue  # no answers to a POST
    extra = [("Location", "http://elsewhere.example/")] if status in (300, 301, 302, 303, 307, 308) else []
    case(f"status_invalidates_{status}", "§4.4", "MUST", f"a {status} to an unsafe request invalidates its target",
         [Step(response=STORE), write(status, extra), fetched()])
for status in (400, 401, 402, 403, 404, 405, 409, 410, 412, 413, 415, 422, 428, 429, 451, 499):
    extra = [("WWW-Authenticate", "Basic realm=a")] if status == 401 else []
    case(f"status_keeps_{status}", "§4.4", "optimal", f"a {status} to an unsafe request has changed nothing",
         [Step(response=STORE), write(status, extra), cached()])
for status in (500, 501, 502, 503, 504, 599):
    case(f"status_keeps_{status}", "§4.4", "optimal", f"a {status} invalidates nothing where no ttl of the rules applies",
         [Step(response=STORE), write(status), cached()])
for how in ("close", "reset", "garbage"):
    case(f"broken_{how}", "§4.4", "MAY", f"after an unsafe request that got no answer ({how}) Larder invalidates",
         [Step(response=STORE), Step(method="POST", body="x", response=Response(broken=how), expect="either"),
          fetched()])
case("broken_body", "§4.4", "MUST", "an answer whose body breaks off was an answer",
     [Step(response=STORE), Step(method="POST", body="x", response=Response(body="y" * 1000, cut=100), broken=True),
      fetched()])
for method in ("HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH"):
    case(f"safe_{method.lower()}", "§4.4", "optimal", f"{method} is safe and invalidates nothing",
         [Step(response=Response(headers=[FRESH], body="12345")),
          Step(method=method, expect="either", response=Response(headers=[FRESH], body="12345")),
          cached(answer_of=1)])
case("safe_get_redirect", "§4.4", "optimal", "a GET's Location invalidates nothing",
     [Step(path="/a", response=STORE), Step(response=Response(302, [("Location", path("/a"))])), cached(path="/a")])

case("with_query", "§4.4", "MUST", "the query is part of the target",
     [Step(path="?a=1", response=STORE), Step(path="?a=2", response=STORE), Step(response=STORE), write(path="?a=1"),
      fetched(path="?a=1"),
      cached(path="?a=2"), cached()])
case("others_stay", "§4.4", "optimal", "other resources stay",
     [Step(path="/a", response=STORE), Step(path="/b", response=STORE), Step(path="/a/b", response=STORE),
      write(path="/a"), fetched(path="/a"),
      cached(path="/b"), cached(path="/a/b")])
case("location_of_other_host_stays", "§4.4", "MUST", "a Location is of the target's host, not of every host",
     [Step(path="/other", headers=[("Host", "other.example")], response=STORE),
      write(201, [("Location", path("/other"))], path="/a"),
      cached(path="/other", headers=[("Host", "other.example")])])
case("other_host_stays", "§4.4", "MUST", "a write to one host invalidates nothing of another one (the origins differ)",
     [Step(response=STORE), Step(method="POST", body="x", headers=[("Host", "other.example")]), cached()])
case("all_variants", "§4.4", "MUST", "all stored responses of the target go",
     [Step(headers=[("X-A", "1")], response=Response(headers=[FRESH, ("Vary", "X-A")])),
      Step(headers=[("X-A", "2")], response=Response(headers=[FRESH, ("Vary", "X-A")])),
      cached(headers=[("X-A", "1")], answer_of=1), write(),
      fetched(headers=[("X-A", "1")], response=Response(headers=[FRESH, ("Vary", "X-A")])),
      fetched(headers=[("X-A", "2")])])
case("head_after_write", "§4.4", "MUST", "a HEAD is not answered from what was invalidated",
     [Step(response=STORE), Step(method="HEAD", expect="cache"), write(), Step(method="HEAD")])
case("error_response_goes", "§4.4", "MUST", "stored errors and redirects go too",
     [Step(response=Response(404, [FRESH])), cached(), write(201), fetched()])
case("heuristic_goes", "§4.4", "MUST", "what is fresh by a heuristic goes",
     [Step(response=Response(headers=[("Last-Modified", date(-8640000))])), cached(), write(), fetched()])
case("again_and_again", "§4.4", "MUST", "each write invalidates",
     [Step(response=STORE), write(), fetched(response=STORE), write(method="PUT"), fetched(response=STORE),
      cached(answer_of=5),
      write(204, method="DELETE"), fetched()])
case("validated_afterwards", "§4.4", "optimal", "what is invalid may still be validated, or is fetched whole",
     [Step(response=Response(headers=[FRESH, ETAG])), write(),
      Step(expect="either", status=200, response=lambda request: Response(304, [FRESH, ETAG])
           if request.fields.has("If-None-Match")
           else Response(headers=[FRESH, ETAG]), requests=1), Step(expect="either", requests=0)])
case("write_is_answered_whole", "§4", "MUST", "the answer of the write is the origin's",
     [Step(response=STORE), write(201, [("X-A", "a"), ("Location", path("/n"))], response_headers={"X-A": "a"}),
      fetched()])
case("equivalent_target", "9110 §4.2.3", "MUST", "an equivalent spelling is the same target",
     [Step(path="/~a", response=STORE), write(path="/%7Ea"), fetched(path="/~a")])
case("absolute_form", "9112 §3.2.2", "MUST", "so is the absolute form",
     [Step(response=STORE), write(path=uri()), fetched()])
case("host_case_of_write", "9110 §4.2.3", "MUST", "so is another spelling of the host",
     [Step(response=STORE), Step(method="POST", body="x", headers=[("Host", f"{HOST.upper()}:80")]), fetched()])
case("without_body", "§4.4", "MUST", "a write without a body is one",
     [Step(response=STORE), Step(method="POST", headers=[("Content-Length", "0")]), fetched()])
case("chunked_write_answer", "§4.4", "MUST", "a chunked answer is an answer",
     [Step(response=STORE), Step(method="POST", body="x", response=Response(framing="chunked")), fetched()])
case("interim_before", "§4.4", "MUST", "a 100 or 103 before it makes no difference",
     [Step(response=STORE), Step(method="POST", body="x", response=Response(interims=[(103, [("Link", "</a>")])])),
      fetched()])
case("interim_before_error", "§4.4", "optimal", "nor before an error",
     [Step(response=STORE), Step(method="POST", body="x", response=Response(404, interims=[(103, [("Link", "</a>")])])),
      cached()])

# Invalid means: not without asking, whatever else allows stale use.
case("then_while_revalidate", "§4.4", "MUST", "stale-while-revalidate does not serve what was invalidated",
     [Step(response=Response(headers=[("Cache-Control", "max-age=3600, stale-while-revalidate=3600")])), write(),
      fetched()])
case("then_stale_if_error", "§4.4", "MUST", "nor does stale-if-error",
     [Step(response=Response(headers=[("Cache-Control", "max-age=3600, stale-if-error=3600"), ETAG])), write(),
      Step(response=Response(503), status=503)])
case("then_max_stale", "§4.4", "MUST", "nor the client's max-stale",
     [Step(response=STORE), write(), fetched(headers=[("Cache-Control", "max-stale")])])
case("then_only_if_cached", "§4.4", "MUST", "nor only-if-cached",
     [Step(response=STORE), write(), Step(headers=[("Cache-Control", "only-if-cached")], expect="larder", status=504)])
case("then_condition", "§4.4", "MUST", "nor is a client's condition evaluated against it",
     [Step(response=Response(headers=[FRESH, ETAG])), write(),
      Step(headers=[("If-None-Match", '"v1"')], expect="either", status=200,
           response=Response(headers=[FRESH, ("ETag", '"v2"')]), requests=1)])
case("then_range", "§4.4", "MUST", "nor is a part of it given",
     [Step(response=Response(headers=[FRESH, ETAG], body="12345")), write(),
      Step(headers=[("Range", "bytes=0-1")], expect="either", requests=1,
           response=Response(headers=[FRESH, ("ETag", '"v2"')], body="67890"))])
case("stale_entry_goes", "§4.4", "MUST", "a stale stored response goes too",
     [Step(response=Response(headers=[("Cache-Control", "max-age=10, stale-if-error=3600"), ("Age", "60"), ETAG])),
      write(),
      Step(response=Response(503), status=503)])

# Location and Content-Location.
SAME_ORIGIN = {
    "path": path("/other"), "absolute": uri("/other"), "default_port": uri("/other", f"{HOST}:80"),
    "upper_host": uri("/other", HOST.upper()),
    "upper_scheme": lambda context: context.uri("/other").replace("http:", "HTTP:"),
    "network_path": lambda context: f"//{HOST}{context.path('/other')}",
    "relative": "other", "dot_relative": "./other", "dot_dot": "x/../other", "fragment": path("/other#part"),
    "equivalent": path("/%6Fther"),
    "dot_segments": path("/x/./../other"), "empty_port": uri("/other", f"{HOST}:"),
}
OTHER_ORIGIN = {
    "host": uri("/other", "other.example"), "subdomain": uri("/other", f"www.{HOST}"),
    "port": uri("/other", f"{HOST}:8080"),
    "scheme": uri("/other", HOST, "https"), "network_path": lambda context: f"//other.example{context.path('/other')}",
    "userinfo": lambda context: f"http://{HOST}@other.example{context.path('/other')}",
    "suffix": uri("/other", f"{HOST}.evil.example"), "scheme_port": uri("/other", f"{HOST}:80", "https"),
}
for field in ("Location", "Content-Location"):
    tag = field.lower().replace("-", "_")
    for name, value in SAME_ORIGIN.items():
        case(f"{tag}_{name}", "§4.4", "MAY", f"{field} of the same origin is invalidated ({name.replace('_', ' ')})",
             [Step(path="/other", response=STORE), Step(path="/a", response=STORE),
              write(201, [(field, value)], path="/a"),
              fetched(path="/other"), fetched(path="/a")])
    for name, value in OTHER_ORIGIN.items():
        other = {"host": "other.example", "network_path": "other.example", "userinfo": "other.example",
                 "subdomain": f"www.{HOST}", "port": f"{HOST}:8080",
                 "suffix": f"{HOST}.evil.example"}.get(name)
        steps = [Step(path="/other", response=STORE)]
        steps += [Step(path="/other", headers=[("Host", other)], response=STORE)] if other else []
        steps += [write(201, [(field, value)], path="/a"), cached(path="/other", answer_of=1)]
        steps += [cached(path="/other", headers=[("Host", other)], answer_of=2)] if other else []
        case(f"{tag}_other_{name}", "§4.4", "MUST", f"{field} of another origin is not ({name.replace('_', ' ')})",
             steps)
    for status in (400, 404, 409, 500, 503):
        case(f"{tag}_error_{status}", "§4.4", "MUST", f"{field} of a {status} is not invalidated",
             [Step(path="/other", response=STORE), write(status, [(field, path("/other"))], path="/a"),
              cached(path="/other")])
    for status in (200, 204, 302, 303, 307):
        case(f"{tag}_status_{status}", "§4.4", "MAY", f"{field} of a {status} is",
             [Step(path="/other", response=STORE), write(status, [(field, path("/other"))], path="/a"),
              fetched(path="/other")])
    for method in ("PUT", "DELETE", "PATCH", "FOO"):
        case(f"{tag}_{method.lower()}", "§4.4", "MAY", f"{field} of an answer to {method} is",
             [Step(path="/other", response=STORE), write(200, [(field, path("/other"))], method=method, path="/a"),
              fetched(path="/other")])
    case(f"{tag}_query", "§4.4", "MAY", f"{field} with a query invalidates that query",
         [Step(path="/other?q=1", response=STORE), Step(path="/other", response=STORE),
          write(201, [(field, path("/other?q=1"))], path="/a"),
          fetched(path="/other?q=1"), cached(path="/other")])
    for name, value in {"empty": "", "junk": "http://", "bad_escape": "%zz", "space": "/a b", "brackets": "http://[::1",
                        "long": "/" + "x" * 5000,
                        "mailto": "mailto:a@b.example", "port": f"http://{HOST}:99999/"}.items():
        case(f"{tag}_invalid_{name}", "§4.4", "MUST", f"an invalid {field} harms nothing, and the target itself goes",
             [Step(path="/a", response=STORE), Step(path="/other", response=STORE),
              write(201, [(field, value)], path="/a"), fetched(path="/a"),
              cached(path="/other")])
case("location_and_content_location", "§4.4", "MAY", "both count",
     [Step(path="/l", response=STORE), Step(path="/c", response=STORE),
      write(201, [("Location", path("/l")), ("Content-Location", path("/c"))], path="/a"),
      fetched(path="/l"), fetched(path="/c")])
case("location_is_relative_to_target", "§4.4", "MAY", "a relative reference is resolved against the target",
     [Step(path="/a/c", response=STORE), Step(path="/c", response=STORE), write(201, [("Location", "c")], path="/a/b"),
      fetched(path="/a/c"), cached(path="/c")])
case("location_not_prefix", "§4.4", "optimal", "what lies below Location stays",
     [Step(path="/other/x", response=STORE), write(201, [("Location", path("/other"))], path="/a"),
      cached(path="/other/x")])

add_tests(__name__, "Invalidation", CASES)

if __name__ == "__main__":
    unittest.main()
