#include "larder/config/namespaces_reader.hpp"

#include <doctest/doctest.h>
#include <string>

namespace larder::config {
namespace {

struct Got {
  policy::Namespaces spaces;
  std::string faults;
};

Got read(const std::string& text) {
  std::vector<Fault> faults;
  const auto environment = [](std::string_view name) -> std::optional<std::string> {
    if (name == "TOKEN") return "from-the-environment";
    return std::nullopt;
  };
  const auto root = read_document(text, "rules.yaml", environment, faults);
  REQUIRE(root.has_value());
  Got got;
  got.spaces = read_namespaces(*root->find("namespaces"), "rules.yaml", faults);
  for (const auto& fault : faults) got.faults += format(fault) + "\n";
  return got;
}

TEST_CASE("namespaces with TTL and tokens") {
  const auto got = read(
      "namespaces:\n  session: 1h\n  user: { ttl: 30m, read: [a, b], write: \"${TOKEN}\" }\n  empty: { read: "
      "\"${NONE:-}\" "
      "}\n");
  CHECK(got.faults.empty());
  REQUIRE(got.spaces.all.size() == 4);
  CHECK(got.spaces.find("session")->ttl == policy::Seconds{3600});
  const auto* const user = got.spaces.find("user");
  CHECK(user->ttl == policy::Seconds{1800});
  CHECK(user->readers.size() == 2);
  REQUIRE(user->writers.size() == 1);
  CHECK(user->writers[0] == policy::token_digest("from-the-environment"));
  CHECK(got.spaces.find("empty")->readers.empty());
  CHECK(got.spaces.find("none")->name == "default");
}

TEST_CASE("the default namespace can be set, and off") {
  CHECK(read("namespaces: { default: 5m }\n").spaces.find("x")->ttl == policy::Seconds{300});
  CHECK(read("namespaces: { default: off, a: 1m }\n").spaces.find("x") == nullptr);
  CHECK(read("namespaces:\n").spaces.find("x") != nullptr);
}

TEST_CASE("faults have a line, and no token in them") {
  const struct {
    const char* text;
    const char* fault;
  } table[] = {{"namespaces: [a]\n", "rules.yaml:1: namespaces is not a mapping"},
               {"namespaces:\n  a b: 1h\n", "rules.yaml:2: \"a b\" cannot be the name of a namespace"},
               {"namespaces:\n  a: soon\n", "rules.yaml:2: namespaces.a: \"soon\" is no ttl"},
               {"namespaces:\n  a: 1500ms\n", "is no ttl"},
               {"namespaces:\n  a: 0\n", "is no ttl"},
               {"namespaces:\n  a: off\n", "only the default namespace can be off"},
               {"namespaces:\n  a: [1h]\n", "namespaces.a has no ttl"},
               {"namespaces:\n  a: { tll: 1h }\n", "there is no key \"tll\" in namespaces.a"},
               {"namespaces:\n  a: { write: se cret }\n", "namespaces.a.write: this is no token"},
               {"namespaces:\n  a: { read: [{x: secret}] }\n", "namespaces.a.read: this is no token"}};
  for (const auto& row : table) {
    CAPTURE(std::string(row.text));
    const auto got = read(row.text);
    CHECK(got.faults.find(row.fault) != std::string::npos);
    CHECK(got.faults.find("cret") == std::string::npos);
  }
}

}  // namespace
}  // namespace larder::config
