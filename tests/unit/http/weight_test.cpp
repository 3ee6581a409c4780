#include "larder/http/weight.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace larder::http;

TEST_CASE("qvalues") {
  struct Case {
    std::string_view text;
    std::optional<unsigned> value;
  };
  const Case cases[] = {
      {"0", 0},        {"1", 1000},    {"0.", 0},     {"1.", 1000},   {"0.0", 0},     {"0.000", 0},   {"1.0", 1000},
      {"1.000", 1000}, {"0.5", 500},   {"0.50", 500}, {"0.500", 500}, {"0.001", 1},   {"0.999", 999}, {"0.05", 50},
      {"", {}},        {".5", {}},     {".", {}},     {"2", {}},      {"00", {}},     {"01", {}},     {"00.5", {}},
      {"0.0000", {}},  {"0.1234", {}}, {"1.001", {}}, {"1.1", {}},    {"1.0000", {}}, {"-1", {}},     {"-0.5", {}},
      {"+1", {}},      {"0,5", {}},    {"0.5 ", {}},  {" 0.5", {}},   {"0.a", {}},    {"0x1", {}},    {"1e0", {}},
      {"\"1\"", {}},   {"0.5.", {}},   {"0..5", {}},  {"nan", {}},    {"inf", {}},    {"1;", {}},     {"0.-1", {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(parse_qvalue(c.text) == c.value);
  }
  CHECK_FALSE(parse_qvalue(std::string_view("0.\0", 3)));
  CHECK_FALSE(parse_qvalue(std::string(100000, '0')));
  for (unsigned thousandths = 0; thousandths < 1000; ++thousandths) {
    const auto digits = std::to_string(1000 + thousandths).substr(1);
    CHECK(parse_qvalue("0." + digits) == thousandths);
  }
}

TEST_CASE("weighted tokens") {
  struct Case {
    std::string_view member, token;
    std::optional<unsigned> weight;
  };
  const Case cases[] = {
      {"gzip", "gzip", 1000},
      {"gzip;q=0.5", "gzip", 500},
      {"GZIP \t; \tQ=0.5", "GZIP", 500},
      {"*;q=0", "*", 0},
      {"en-US;q=1.0", "en-US", 1000},
      {"gzip;", "gzip", {}},
      {"gzip;q", "gzip", {}},
      {"gzip;q=", "gzip", {}},
      {"gzip;q =1", "gzip", {}},
      {"gzip;q= 1", "gzip", {}},
      {"gzip;q=\"1\"", "gzip", {}},
      {"gzip;q=1;q=1", "gzip", {}},
      {"gzip;;q=1", "gzip", {}},
      {"gzip;q=1;", "gzip", {}},
      {"gzip;x=1", "gzip", {}},
      {"gzip;x=1;q=1", "gzip", {}},
      {"gzip;q=1.5", "gzip", {}},
      {"gzip q=1", "", 1000},
      {"gz ip;q=0.5", "", 500},
      {";q=0.5", "", 500},
      {"", "", 1000},
      {"\"gzip\"", "", 1000},
  };
  for (const Case& c : cases) {
    CAPTURE(c.member);
    const auto read = parse_weighted_token(c.member);
    CHECK(read.token == c.token);
    CHECK(read.weight == c.weight);
  }
}
