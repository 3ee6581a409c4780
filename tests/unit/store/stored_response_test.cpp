#include "larder/store/stored_response.hpp"

#include <doctest/doctest.h>
#include <string>
#include <utility>
#include <vector>

namespace larder::store {
namespace {

using FieldPairs = std::vector<std::pair<std::string_view, std::string_view>>;

StoredParts parts_with(int status, const FieldPairs& fields, std::string body) {
  StoredParts parts;
  parts.key = "cache:product:0123:4567";
  parts.base_key_size = 18;
  parts.canonical = "canonical";
  parts.type = "product";
  parts.target = "/api/products/42?x=1";
  parts.status = status;
  parts.reason = "OK";
  for (const auto& [name, value] : fields) parts.fields.add(name, value);
  parts.body = std::make_shared<const std::string>(std::move(body));
  return parts;
}

TEST_CASE("head: the table") {
  struct Row {
    int status;
    FieldPairs fields;
    std::string body;
    std::string expected;
  };
  const std::vector<Row> rows{
      {200, {}, "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Cache-Key: cache:product:0123\r\n"},
      {200,
       {{"Content-Type", "text/plain"}, {"X-Many", "a"}, {"x-many", "b"}},
       "hello",
       "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Many: a\r\nx-many: b\r\nContent-Length: 5\r\n"
       "X-Cache-Key: cache:product:0123\r\n"},
      {204, {{"ETag", "\"1\""}}, "", "HTTP/1.1 204 OK\r\nETag: \"1\"\r\nX-Cache-Key: cache:product:0123\r\n"},
      {304, {}, "", "HTTP/1.1 304 OK\r\nX-Cache-Key: cache:product:0123\r\n"},
      {200,
       {{"age", "7"},
        {"Date", "now"},
        {"x-cache", "HIT"},
        {"Cache-Status", "a; hit"},
        {"connection", "close"},
        {"Content-Length", "99"},
        {"X-Cache-Key", "theirs"},
        {"Empty", ""}},
       "1",
       "HTTP/1.1 200 OK\r\nDate: now\r\nCache-Status: a; hit\r\nEmpty: \r\nContent-Length: 1\r\nX-Cache-Key: "
       "cache:product:0123\r\n"},
  };
  for (const auto& row : rows) {
    const auto stored = StoredResponse::make(parts_with(row.status, row.fields, row.body));
    CHECK(stored->head() == row.expected);
    CHECK(stored->body() == row.body);
    const auto fields = stored->parts().fields.span();
    REQUIRE(fields.size() == row.fields.size());
    for (std::size_t i = 0; i < fields.size(); ++i) {
      CHECK(fields[i].name == row.fields[i].first);
      CHECK(fields[i].value == row.fields[i].second);
    }
  }
}

TEST_CASE("an empty reason keeps its space (RFC 9112 section 4)") {
  auto parts = parts_with(200, {}, "");
  parts.reason.clear();
  CHECK(StoredResponse::make(std::move(parts))->head().starts_with("HTTP/1.1 200 \r\n"));
}

TEST_CASE("a missing body is an empty one") {
  auto parts = parts_with(200, {}, "");
  parts.body = nullptr;
  CHECK(StoredResponse::make(std::move(parts))->body().empty());
}

TEST_CASE("has_validator") {
  struct Row {
    FieldPairs fields;
    bool expected;
  };
  const std::vector<Row> rows{
      {{}, false},
      {{{"ETag", "\"1\""}}, true},
      {{{"ETag", "W/\"1\""}}, true},
      {{{"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"}}, true},
      {{{"Last-Modified", "yesterday"}}, false},
  };
  for (const auto& row : rows) {
    CHECK(StoredResponse::make(parts_with(200, row.fields, ""))->has_validator() == row.expected);
  }
}

TEST_CASE("subject and base key") {
  auto parts = parts_with(200, {}, "");
  parts.tags = {"product:42", "list"};
  const auto stored = StoredResponse::make(std::move(parts));
  const auto subject = stored->subject();
  CHECK(subject.key == "cache:product:0123:4567");
  CHECK(subject.base_key == "cache:product:0123");
  CHECK(stored->base_key() == subject.base_key);
  CHECK(subject.type == "product");
  CHECK(subject.target == "/api/products/42?x=1");
  REQUIRE(subject.tags.size() == 2);
  CHECK(subject.tags[1] == "list");
}

TEST_CASE("memory_size counts what grows") {
  const auto base = StoredResponse::make(parts_with(200, {}, ""))->memory_size();
  CHECK(base >= sizeof(StoredResponse));
  CHECK(StoredResponse::make(parts_with(200, {}, std::string(10000, 'b')))->memory_size() >= base + 10000);
  const std::string value(3000, 'v');
  CHECK(StoredResponse::make(parts_with(200, {{"Long", value}}, ""))->memory_size() >= base + 3000);
  CHECK(StoredResponse::make(parts_with(200, {{"Age", value}}, ""))->memory_size() >= base + 3000);
  auto parts = parts_with(200, {}, "");
  parts.canonical.assign(5000, 'c');
  parts.tags.assign(10, std::string(100, 't'));
  CHECK(StoredResponse::make(std::move(parts))->memory_size() >= base + 6000);
}

}  // namespace
}  // namespace larder::store
