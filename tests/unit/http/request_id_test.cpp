#include "larder/http/request_id.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::http;
using Fields = std::vector<Field>;

TEST_CASE("request ids that may be taken over") {
  const std::string longest(RequestId::longest, 'a');
  for (const std::string_view good : std::vector<std::string_view>{
           "a", "0", "7f3c-11.2_x~+/=:", "Root=1-5759e988-bd862e3fe1be46a994272793", longest}) {
    CAPTURE(good);
    CHECK(RequestId::is_well_formed(good));
  }
  const std::string too_long(RequestId::longest + 1, 'a');
  for (const std::string_view bad :
       std::vector<std::string_view>{"", "a b", "a\"b", "a\\b", "a;b", "<a>", "a\nb", "a\x7F", "\xC3\xA4", "$(id)",
                                     "a`b", "a'b", "a,b", too_long}) {
    CAPTURE(bad);
    CHECK_FALSE(RequestId::is_well_formed(bad));
  }
}

TEST_CASE("an id is taken from the only field of its name") {
  RequestId id;
  CHECK(id.empty());
  CHECK(id.take(Fields{{"Host", "a"}, {"x-request-id", "abc-1"}}, "X-Request-Id"));
  CHECK(id.view() == "abc-1");
  CHECK_FALSE(id.take(Fields{}, "X-Request-Id"));
  CHECK_FALSE(id.take(Fields{{"X-Request-Id", "a b"}}, "X-Request-Id"));
  CHECK_FALSE(id.take(Fields{{"X-Request-Id", "a"}, {"X-Request-ID", "b"}}, "X-Request-Id"));
  CHECK(id.view() == "abc-1");
  id.clear();
  CHECK(id.empty());
}

TEST_CASE("an id is made of two numbers") {
  RequestId id;
  id.make(0x0123456789abcdefU, 0xf);
  CHECK(id.view() == "0123456789abcdef000000000000000f");
  CHECK(RequestId::is_well_formed(id.view()));
}
