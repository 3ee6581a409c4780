#include "larder/proxy/forward.hpp"

#include <doctest/doctest.h>
#include <string>
#include <utility>
#include <vector>

namespace larder::proxy {
namespace {

using Fields = std::vector<http::Field>;

http::RequestHead request_with(const Fields& fields, http::Version version = http::Version::http_1_1) {
  return {.method = "GET",
          .target = "/a?b",
          .scheme = "http",
          .authority = "client.example:81",
          .version = version,
          .fields = fields};
}

std::string head_for(const Fields& fields, const ForwardedBody& body = {}, ForwardParameters parameters = {},
                     std::string_view upgrade = {}, http::Version version = http::Version::http_1_1) {
  const Via via("Larder");
  parameters.via = via.of(version);
  std::string head;
  append_origin_request_head(head, request_with(fields, version), "origin.example", body, upgrade, parameters);
  return head;
}

// Values of a field in a serialised head, in order.
std::vector<std::string> values(const std::string& head, const std::string& name) {
  std::vector<std::string> result;
  const auto line = "\r\n" + name + ": ";
  for (auto at = head.find(line); at != std::string::npos; at = head.find(line, at + 1)) {
    const auto start = at + line.size();
    result.push_back(head.substr(start, head.find("\r\n", start) - start));
  }
  return result;
}

TEST_CASE("a request head, whole") {
  CHECK(head_for({{"Host", "client.example:81"}, {"Accept", "a"}, {"x-Y", "1"}, {"X-y", "2"}}, {},
                 {.via = {}, .client_address = "192.0.2.1"}) ==
        "GET /a?b HTTP/1.1\r\n"
        "Host: origin.example\r\n"
        "Accept: a\r\n"
        "x-Y: 1\r\n"
        "X-y: 2\r\n"
        "Via: 1.1 Larder\r\n"
        "X-Forwarded-For: 192.0.2.1\r\n"
        "X-Forwarded-Proto: http\r\n"
        "X-Forwarded-Host: client.example:81\r\n"
        "Forwarded: for=192.0.2.1;host=\"client.example:81\";proto=http\r\n"
        "\r\n");
}

TEST_CASE("request id and trace: ours in place of the client's, or the client's as they are") {
  const Fields fields{{"X-Request-ID", "theirs"}, {"traceparent", "t"}, {"TraceState", "s"}};
  const auto passed = head_for(fields);
  CHECK(values(passed, "X-Request-ID") == std::vector<std::string>{"theirs"});
  CHECK(values(passed, "traceparent") == std::vector<std::string>{"t"});
  CHECK(values(passed, "TraceState") == std::vector<std::string>{"s"});

  ForwardParameters ours;
  ours.request_id_field = "X-Request-Id";
  ours.request_id.make(0, 1);
  ours.traceparent = "made";
  const auto replaced = head_for(fields, {}, ours);
  CHECK(values(replaced, "X-Request-Id") == std::vector<std::string>{"00000000000000000000000000000001"});
  CHECK(values(replaced, "X-Request-ID").empty());
  CHECK(values(replaced, "traceparent") == std::vector<std::string>{"made"});
  CHECK(values(replaced, "TraceState").empty());
}

TEST_CASE("what the client says of itself counts only where it is trusted") {
  const Fields fields{{"x-forwarded-for", "10.0.0.1"},
                      {"X-Forwarded-For", "10.0.0.2"},
                      {"X-Forwarded-Proto", "https"},
                      {"X-Forwarded-Host", "evil"},
                      {"Forwarded", "for=10.0.0.1"},
                      {"Via", "1.0 a"},
                      {"via", "1.1 b"},
                      {"Host", "evil"}};
  const auto replaced = head_for(fields, {}, {.via = {}, .client_address = "192.0.2.1"});
  CHECK(values(replaced, "X-Forwarded-For") == std::vector<std::string>{"192.0.2.1"});
  CHECK(values(replaced, "X-Forwarded-Proto") == std::vector<std::string>{"http"});
  CHECK(values(replaced, "X-Forwarded-Host") == std::vector<std::string>{"client.example:81"});
  CHECK(values(replaced, "Forwarded") ==
        std::vector<std::string>{"for=192.0.2.1;host=\"client.example:81\";proto=http"});
  CHECK(values(replaced, "Via") ==
        std::vector<std::string>{"1.0 a, 1.1 b, 1.1 Larder"});  // a chain, whoever is trusted
  CHECK(values(replaced, "Host") == std::vector<std::string>{"origin.example"});
  CHECK(replaced.find("evil") == std::string::npos);
  CHECK(replaced.find("10.0.0.1") == std::string::npos);

  const auto appended = head_for(fields, {}, {.via = {}, .client_address = "192.0.2.1", .trust_forwarded = true});
  CHECK(values(appended, "X-Forwarded-For") == std::vector<std::string>{"10.0.0.1, 10.0.0.2, 192.0.2.1"});
  CHECK(values(appended, "X-Forwarded-Proto") == std::vector<std::string>{"https"});
  CHECK(values(appended, "X-Forwarded-Host") == std::vector<std::string>{"evil"});
  CHECK(values(appended, "Forwarded") ==
        std::vector<std::string>{"for=10.0.0.1, for=192.0.2.1;host=\"client.example:81\";proto=http"});
}

TEST_CASE("addresses and versions") {
  const auto head = head_for({}, {}, {.via = {}, .client_address = "2001:db8::1"}, {}, http::Version::http_1_0);
  CHECK(values(head, "X-Forwarded-For") == std::vector<std::string>{"2001:db8::1"});
  CHECK(values(head, "Forwarded") ==
        std::vector<std::string>{"for=\"[2001:db8::1]\";host=\"client.example:81\";proto=http"});
  CHECK(values(head, "Via") == std::vector<std::string>{"1.0 Larder"});
  CHECK(head.starts_with("GET /a?b HTTP/1.1\r\n"));
  const auto nobody = head_for({});
  CHECK(values(nobody, "X-Forwarded-For").empty());
}

TEST_CASE("the body's framing is ours to say") {
  struct Case {
    Fields fields;
    ForwardedBody body;
    std::vector<std::string> lengths;
    std::vector<std::string> codings;
  };
  const std::vector<Case> cases{
      {{}, {}, {}, {}},
      {{{"Content-Length", "5"}}, {true, 5}, {"5"}, {}},
      {{{"content-length", "5"}, {"Content-Length", "5"}}, {true, 5}, {"5"}, {}},
      {{{"Content-Length", "5, 5"}}, {true, 5}, {"5"}, {}},
      {{}, {true, std::nullopt}, {}, {"chunked"}},
      {{{"Content-Length", "0"}}, {}, {"0"}, {}},
      {{{"Content-Length", "00"}}, {}, {"0"}, {}},
  };
  for (const auto& c : cases) {
    const auto head = head_for(c.fields, c.body);
    CAPTURE(head);
    CHECK(values(head, "Content-Length") == c.lengths);
    CHECK(values(head, "Transfer-Encoding") == c.codings);
    CHECK(values(head, "content-length").empty());
  }
}

TEST_CASE("Expect and Upgrade only where they are meant") {
  const auto plain = head_for({{"Expect", "100-continue"}});
  CHECK(values(plain, "Expect").empty());
  CHECK(values(plain, "Connection").empty());
  const auto expects =
      head_for({{"expect", "100-continue"}}, {true, 1}, {.via = {}, .client_address = {}, .expects_continue = true});
  CHECK(values(expects, "Expect") == std::vector<std::string>{"100-continue"});
  const auto upgrade = head_for({}, {}, {}, "websocket");
  CHECK(values(upgrade, "Connection") == std::vector<std::string>{"upgrade"});
  CHECK(values(upgrade, "Upgrade") == std::vector<std::string>{"websocket"});
}

TEST_CASE("the fields of a response") {
  const std::chrono::system_clock::time_point now{std::chrono::seconds(784111777)};
  const Via via("L");
  const auto fields_of = [&](const Fields& fields, http::Version version = http::Version::http_1_1) {
    const http::ResponseHead head{.status = 200, .reason = {}, .version = version, .fields = fields};
    std::vector<std::pair<std::string, std::string>> result;
    const auto list = response_fields(head, via.of(version), now);
    for (const auto& field : list.span()) result.emplace_back(field.name, field.value);
    return result;
  };
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  CHECK(fields_of({}) == Pairs{{"Via", "1.1 L"}, {"Date", "Sun, 06 Nov 1994 08:49:37 GMT"}});
  CHECK(fields_of({{"date", "x"}}, http::Version::http_1_0) == Pairs{{"date", "x"}, {"Via", "1.0 L"}});
  CHECK(fields_of({{"Date", "x"},
                   {"Connection", "close, X-Hop"},
                   {"X-Hop", "1"},
                   {"Keep-Alive", "timeout=5"},
                   {"Transfer-Encoding", "chunked"},
                   {"content-length", "5"},
                   {"x-cache", "HIT"},
                   {"X-Cache-Key", "k"},
                   {"Set-Cookie", "a"},
                   {"Set-Cookie", "b"},
                   {"Via", "1.1 o"},
                   {"X", "y"}}) ==
        Pairs{{"Date", "x"}, {"Set-Cookie", "a"}, {"Set-Cookie", "b"}, {"Via", "1.1 o"}, {"X", "y"}, {"Via", "1.1 L"}});
}

TEST_CASE("Connection options that are fields") {
  CHECK(!names_other_fields(Fields{}));
  CHECK(!names_other_fields(Fields{{"Connection", "close"}}));
  CHECK(!names_other_fields(Fields{{"Connection", "Keep-Alive, Upgrade,, CLOSE"}}));
  CHECK(names_other_fields(Fields{{"Connection", "close, X"}}));
  CHECK(names_other_fields(Fields{{"Connection", "close"}, {"connection", "x"}}));
  CHECK(names_other_fields(Fields{{"Connection", "close;x"}}));
  CHECK(!names_other_fields(Fields{{"X-Connection", "x"}}));
}

}  // namespace
}  // namespace larder::proxy
