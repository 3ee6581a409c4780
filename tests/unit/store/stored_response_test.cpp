#include "larder/store/stored_response.hpp"

#include <chrono>
#include <doctest/doctest.h>
#include <memory>
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
    const auto all = stored->fields();
    const auto fields = all.span();
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
  CHECK(subject.tags.strings() == std::vector<std::string>{"product:42", "list"});
}

TEST_CASE("every part comes back as it was given") {
  policy::Lifetime lifetime;
  lifetime.freshness_lifetime = policy::Seconds{-5};
  lifetime.source = policy::LifetimeSource::rule_override;
  lifetime.corrected_initial_age = policy::Seconds{1'000'000'000'000};
  lifetime.response_time = policy::TimePoint{std::chrono::milliseconds{1'700'000'000'123}};
  lifetime.stale_while_revalidate = policy::Seconds{60};
  lifetime.stale_if_error = policy::Seconds{86400};
  lifetime.no_cache = true;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, StoredResponse::inline_body,
                                 StoredResponse::inline_body + 1, std::size_t{100'000}}) {
    for (const bool is_complete : {true, false}) {
      CAPTURE(size);
      CAPTURE(is_complete);
      auto parts = parts_with(203, {{"A", "1"}, {"CDN-Cache-Control", "max-age=1"}, {"Empty", ""}}, "");
      parts.body = std::make_shared<const std::string>(size, 'b');
      parts.selecting = "selecting fields";
      parts.origin = "http://a.example";
      parts.target = "canonical";  // which the canonical request has too
      parts.tags = {"", "a", std::string(300, 't')};
      parts.priority = policy::Priority::high;
      parts.stamp = {.epoch = ~0ULL, .clock = 0, .sequence = 12345};
      parts.lifetime = lifetime;
      parts.reason = "";
      if (!is_complete) {
        parts.extent = std::make_shared<const policy::Extent>(policy::Extent{.ranges = {}, .complete_length = 7});
      }
      const auto tags = parts.tags;
      const auto stored = StoredResponse::make(std::move(parts));
      CHECK(stored->key() == "cache:product:0123:4567");
      CHECK(stored->base_key() == "cache:product:0123");
      CHECK(stored->canonical() == "canonical");
      CHECK(stored->selecting() == "selecting fields");
      CHECK(stored->type() == "product");
      CHECK(stored->origin() == "http://a.example");
      CHECK(stored->target() == "canonical");
      CHECK(stored->tags().strings() == tags);
      CHECK(stored->priority() == policy::Priority::high);
      CHECK(stored->status() == 203);
      CHECK(stored->reason().empty());
      CHECK(stored->stamp().epoch == ~0ULL);
      CHECK(stored->stamp().clock == 0);
      CHECK(stored->stamp().sequence == 12345);
      const auto read = stored->lifetime();
      CHECK(read.freshness_lifetime == lifetime.freshness_lifetime);
      CHECK(read.source == lifetime.source);
      CHECK(read.corrected_initial_age == lifetime.corrected_initial_age);
      CHECK(read.response_time == lifetime.response_time);
      CHECK(read.stale_while_revalidate == lifetime.stale_while_revalidate);
      CHECK(read.stale_if_error == lifetime.stale_if_error);
      CHECK_FALSE(read.must_revalidate);
      CHECK(read.no_cache);
      CHECK(stored->body() == std::string(size, 'b'));
      CHECK(stored->is_complete() == is_complete);
      if (!is_complete) CHECK(stored->extent()->complete_length == 7);
      const auto fields = stored->fields();
      REQUIRE(fields.size() == 3);
      CHECK(fields.span()[1].name == "CDN-Cache-Control");
      CHECK(fields.span()[1].value == "max-age=1");
      CHECK(fields.span()[2].value.empty());
    }
  }
}

TEST_CASE("a large body is shared with a successor, a small one copied") {
  for (const std::size_t size : {StoredResponse::inline_body, StoredResponse::inline_body + 1}) {
    auto first = StoredResponse::make(parts_with(200, {}, std::string(size, 'b')));
    auto parts = parts_with(200, {{"ETag", "\"2\""}}, "");
    parts.body = first->shared_body();
    const auto successor = StoredResponse::make(std::move(parts));
    CHECK((successor->body().data() == first->body().data()) == (size > StoredResponse::inline_body));
    first = nullptr;
    CHECK(successor->body() == std::string(size, 'b'));
  }
}

TEST_CASE("what a million of them cost: little beyond key, head and body") {
  auto parts = parts_with(200, {{"Content-Type", "application/json"}, {"ETag", "\"1\""}}, std::string(1024, 'b'));
  parts.canonical = "1product/api/products/42?x=1";
  parts.key = "cache:product:0123456789abcdef0123456789abcdef";
  parts.base_key_size = parts.key.size();
  parts.lifetime.response_time = policy::TimePoint{std::chrono::hours{24 * 365 * 50}};
  parts.stamp.epoch = ~0ULL;
  const auto stored = StoredResponse::make(std::move(parts));
  const auto own = stored->canonical().size() + stored->head().size() + stored->body().size();
  CHECK(stored->memory_size() <= own + 144);
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
