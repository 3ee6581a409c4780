#include "larder/http/trace_context.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::http;
using Fields = std::vector<Field>;

TEST_CASE("traceparent (W3C Trace Context, section 3.2)") {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string parent = "00f067aa0ba902b7";
  const auto whole = "00-" + trace + "-" + parent + "-01";
  const auto found = parse_traceparent(whole);
  REQUIRE(found);
  CHECK(found->trace_id == trace);
  CHECK(found->parent_id == parent);
  CHECK(found->sampled);
  CHECK_FALSE(parse_traceparent("00-" + trace + "-" + parent + "-00")->sampled);
  CHECK(parse_traceparent("00-" + trace + "-" + parent + "-0b")->sampled);
  CHECK(parse_traceparent("cc-" + trace + "-" + parent + "-01-what the future brings"));

  const std::vector<std::string> bad{"",
                                     "00",
                                     "ff-" + trace + "-" + parent + "-01",
                                     "0g-" + trace + "-" + parent + "-01",
                                     "00-" + trace + "-" + parent + "-01-x",
                                     "cc-" + trace + "-" + parent + "-01x",
                                     "00-" + trace + "-" + parent + "-0",
                                     "00-" + trace + "-" + parent + "-0X",
                                     "00_" + trace + "-" + parent + "-01",
                                     "00-" + trace + "_" + parent + "-01",
                                     "00-" + std::string(32, '0') + "-" + parent + "-01",
                                     "00-" + trace + "-" + std::string(16, '0') + "-01",
                                     "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + parent + "-01"};
  for (const auto& value : bad) {
    CAPTURE(value);
    CHECK_FALSE(parse_traceparent(value));
  }

  CHECK(find_traceparent(Fields{{"Traceparent", whole}})->trace_id == trace);
  CHECK_FALSE(find_traceparent(Fields{{"traceparent", whole}, {"traceparent", whole}}));
  CHECK_FALSE(find_traceparent(Fields{{"tracestate", whole}}));
}

TEST_CASE("a traceparent that is made is valid, whatever the numbers") {
  CHECK(make_traceparent(0xaU, 0xbU, 0xcdU) == "00-000000000000000a000000000000000b-00000000000000cd-01");
  const auto of_zeros = make_traceparent(0, 0, 0);
  REQUIRE(parse_traceparent(of_zeros));
  CHECK(parse_traceparent(of_zeros)->sampled);
}
