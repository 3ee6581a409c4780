#include "larder/proxy/shed.hpp"

#include <doctest/doctest.h>
#include <set>
#include <string>

#include "larder/net/error.hpp"
#include "larder/proxy/origin_fetch.hpp"

namespace larder::proxy {
namespace {

using net::Error;

TEST_CASE("every limit has a name, a key and a sentence") {
  std::set<std::string_view> names;
  std::set<std::string_view> keys;
  for (unsigned char i = 0; i < static_cast<unsigned char>(Shed::count_); ++i) {
    const auto shed = static_cast<Shed>(i);
    CHECK(names.insert(to_string(shed)).second);
    CHECK(keys.insert(limit_of(shed)).second);
    CHECK_FALSE(to_string(shed).empty());
    CHECK(limit_of(shed).find('.') != std::string_view::npos);
    CHECK_FALSE(explanation_of(shed).empty());
    CHECK_FALSE(proxy_error_of(shed).empty());
  }
  CHECK(to_string(Shed::count_).empty());
}

TEST_CASE("what is shed by which limit, and nothing else is a 503") {
  CHECK(shed_by(Error::origin_queue_full) == Shed::origin_queue);
  CHECK(shed_by(Error::origin_busy) == Shed::origin_queue_timeout);
  CHECK(shed_by(Error::client_buffers_full) == Shed::client_buffers);
  CHECK(shed_by(Error::over_budget) == Shed::fill_budget);
  for (const auto error : {Error::client_gone, Error::client_timeout, Error::client_malformed_body,
                           Error::origin_unresolved, Error::origin_unreachable, Error::origin_connect_timeout,
                           Error::origin_timeout, Error::origin_closed, Error::origin_malformed, Error::cancelled}) {
    CHECK_FALSE(shed_by(error));
    CHECK(status_of(error) != 503);
  }
  CHECK_FALSE(shed_by({}));
  CHECK(status_of(Error::origin_queue_full) == 503);
  CHECK(status_of(Error::client_buffers_full) == 503);
}

}  // namespace
}  // namespace larder::proxy
