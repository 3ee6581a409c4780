#include "larder/net/error.hpp"

namespace larder::net {
namespace {
class Category final : public boost::system::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "larder.net"; }
  [[nodiscard]] std::string message(int value) const override {
    switch (static_cast<Error>(value)) {
      case Error::client_gone:
        return "client closed the connection";
      case Error::client_timeout:
        return "client did not send or read in time";
      case Error::client_malformed_body:
        return "malformed request body";
      case Error::client_buffers_full:
        return "no room for the request body";
      case Error::origin_unresolved:
        return "origin's name has no address";
      case Error::origin_unreachable:
        return "cannot connect to origin";
      case Error::origin_connect_timeout:
        return "connecting to origin timed out";
      case Error::origin_timeout:
        return "origin did not answer in time";
      case Error::origin_closed:
        return "origin closed the connection before a whole response";
      case Error::origin_malformed:
        return "origin's response is not valid HTTP";
      case Error::origin_queue_full:
        return "as many requests wait for a connection to origin as may";
      case Error::origin_busy:
        return "no connection to origin became free in time";
      case Error::over_budget:
        return "a budget of memory is used up";
      case Error::cancelled:
        return "given up";
    }
    return "unknown error";
  }
};
}  // namespace

boost::system::error_code make_error_code(Error error) noexcept {
  static const Category category;
  return {static_cast<int>(error), category};
}

}  // namespace larder::net
