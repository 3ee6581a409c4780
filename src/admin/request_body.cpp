#include "larder/admin/request_body.hpp"

#include <fmt/format.h>

#include "larder/http/message.hpp"
#include "larder/net/error.hpp"

namespace larder::admin {

net::Awaitable<std::variant<std::string, Answer>> read_body(net::Exchange& exchange, std::size_t most) {
  using BodyOrAnswer = std::variant<std::string, Answer>;
  const auto too_large = [most] {
    return failure(413, "body_too_large", fmt::format("the body has more than {} bytes", most));
  };
  std::string text;
  if (exchange.body == nullptr) co_return BodyOrAnswer(std::move(text));
  if (exchange.body->length().value_or(0) > most) co_return BodyOrAnswer(too_large());
  if (exchange.expects_continue) {
    http::ResponseHead go_on;
    go_on.status = 100;
    (void)co_await exchange.reply.interim(go_on);
  }
  for (;;) {
    const auto piece = co_await exchange.body->read();
    if (!piece) {
      const bool is_slow = piece.error() == net::Error::client_timeout;
      co_return BodyOrAnswer(is_slow ? failure(408, "body_timeout", "the body did not come in time")
                                     : failure(400, "bad_body", "the body was cut short or is framed wrongly"));
    }
    if (piece->empty()) break;
    if (text.size() + piece->size() > most) co_return BodyOrAnswer(too_large());
    text += *piece;
  }
  co_return BodyOrAnswer(std::move(text));
}

}  // namespace larder::admin
