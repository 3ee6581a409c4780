#include "larder/redis/reply.hpp"

namespace larder::redis {

std::string_view Reply::error_word() const noexcept {
  if (kind != Kind::error) return {};
  const std::string_view whole = text;
  return whole.substr(0, whole.find(' '));
}

}  // namespace larder::redis
