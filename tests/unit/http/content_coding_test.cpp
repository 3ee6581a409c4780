#include "larder/http/content_coding.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::http;
using Fields = std::vector<Field>;
using Lines = std::initializer_list<std::string_view>;

namespace {

Fields lines(std::string_view name, Lines values) {
  Fields fields{{"Host", "a"}};
  for (const auto value : values) fields.push_back({name, value});
  return fields;
}

}  // namespace

TEST_CASE("Accept-Encoding") {
  struct Case {
    Lines lines;
    unsigned identity, gzip, br, zstd;
  };
  const Case cases[] = {
      {{}, 1000, 0, 0, 0},
      {{""}, 1000, 0, 0, 0},
      {{" , ,"}, 1000, 0, 0, 0},
      {{"gzip"}, 1, 1000, 0, 0},
      {{"x-gzip"}, 1, 1000, 0, 0},
      {{"GZip, BR , zStd"}, 1, 1000, 1000, 1000},
      {{"gzip", "br;q=0.5"}, 1, 1000, 500, 0},
      {{"gzip;q=0.2", "", "zstd;q=0.999"}, 1, 200, 0, 999},
      {{"identity"}, 1000, 0, 0, 0},
      {{"identity;q=0.5, gzip"}, 500, 1000, 0, 0},
      {{"identity;q=0"}, 0, 0, 0, 0},
      {{"identity;q=0, gzip"}, 0, 1000, 0, 0},
      {{"*"}, 1000, 1000, 1000, 1000},
      {{"*;q=0"}, 0, 0, 0, 0},
      {{"*;q=0, identity;q=0.1"}, 100, 0, 0, 0},
      {{"*;q=0, gzip"}, 0, 1000, 0, 0},
      {{"*;q=0.5, gzip;q=1.0, br;q=0"}, 500, 1000, 0, 500},
      {{"gzip;q=0"}, 1, 0, 0, 0},
      {{"compress, deflate"}, 1, 0, 0, 0},
      // Faults, each in one member only.
      {{"gzip;q=2, br"}, 1, 0, 1000, 0},
      {{"gzip;q=0.1234, br"}, 1, 0, 1000, 0},
      {{"gzip;q=, br"}, 1, 0, 1000, 0},
      {{"gzip;q=\"1\", br"}, 1, 0, 1000, 0},
      {{"gzip;x=1, br"}, 1, 0, 1000, 0},
      {{"gzip br"}, 1, 0, 0, 0},
      {{"gzip;br"}, 1, 0, 0, 0},
      {{"\"gzip\", br"}, 1, 0, 1000, 0},
      {{"\"gzip, br"}, 1, 0, 1000, 0},  // the quote is never closed
      {{"gzipp, xgzip, brr, b"}, 1, 0, 0, 0},
      {{"identity;q=x"}, 0, 0, 0, 0},
      {{"*;q=x"}, 0, 0, 0, 0},
      // Contradictions: the lowest.
      {{"gzip, gzip;q=0"}, 1, 0, 0, 0},
      {{"gzip;q=0.5", "x-gzip;q=0.7"}, 1, 500, 0, 0},
      {{"*, *;q=0"}, 0, 0, 0, 0},
      {{"gzip, gzip;q=bad"}, 1, 0, 0, 0},
  };
  for (const Case& c : cases) {
    const Fields fields = lines("accept-Encoding", c.lines);
    CAPTURE(combined(fields, "Accept-Encoding").value_or("(none)"));
    const auto accept = AcceptEncoding::of(fields);
    CHECK(accept.quality(Coding::identity) == c.identity);
    CHECK(accept.quality(Coding::gzip) == c.gzip);
    CHECK(accept.quality(Coding::br) == c.br);
    CHECK(accept.quality(Coding::zstd) == c.zstd);
    CHECK(accept.quality(Coding::other) == 0);
    CHECK(accept.accepts_any_coding() == (c.gzip + c.br + c.zstd > 0));
  }
  CHECK(AcceptEncoding().quality(Coding::identity) == 1000);
  CHECK_FALSE(AcceptEncoding().accepts_any_coding());
}

TEST_CASE("Accept-Encoding of hostile length") {
  std::string many;
  for (int i = 0; i < 50000; ++i) many += "\"gzip;q=0.5,";
  CHECK(AcceptEncoding::of(Fields{{"Accept-Encoding", many}}).quality(Coding::gzip) == 0);
  const std::string name(1000000, 'a');
  CHECK(AcceptEncoding::of(Fields{{"Accept-Encoding", name}}).quality(Coding::identity) == 1);
}

TEST_CASE("Content-Encoding") {
  struct Case {
    Lines lines;
    Coding coding;
  };
  const Case cases[] = {
      {{}, Coding::identity},
      {{""}, Coding::identity},
      {{","}, Coding::identity},
      {{"identity"}, Coding::identity},
      {{"gzip"}, Coding::gzip},
      {{"GZIP"}, Coding::gzip},
      {{"x-gzip"}, Coding::gzip},
      {{" gzip ,"}, Coding::gzip},
      {{"", "br"}, Coding::br},
      {{"zstd"}, Coding::zstd},
      {{"deflate"}, Coding::other},
      {{"compress"}, Coding::other},
      {{"aws-chunked"}, Coding::other},
      {{"gzip, gzip"}, Coding::other},
      {{"gzip", "br"}, Coding::other},
      {{"gzip, identity"}, Coding::other},
      {{"identity, gzip"}, Coding::other},
      {{"gzip;q=1"}, Coding::other},
      {{"gzip br"}, Coding::other},
      {{"\"gzip\""}, Coding::other},
      {{"*"}, Coding::other},
  };
  for (const Case& c : cases) {
    const Fields fields = lines("content-encoding", c.lines);
    CAPTURE(combined(fields, "Content-Encoding").value_or("(none)"));
    CHECK(content_coding(fields) == c.coding);
  }
}

TEST_CASE("names of codings") {
  for (const auto coding : {Coding::identity, Coding::gzip, Coding::br, Coding::zstd}) {
    CHECK(parse_coding(to_string(coding)) == coding);
  }
  CHECK(to_string(Coding::other).empty());
  CHECK(parse_coding("") == Coding::other);
}
