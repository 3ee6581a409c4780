#include "larder/admin/webhook.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace larder::admin {

namespace asio = boost::asio;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, net::Executor>;

namespace {

/// How a try ended.
struct Tried {
  bool is_delivered = false;
  bool may_be_tried_again = true;
  std::string why;  ///< not delivered
};

net::OriginParameters connection_parameters(const WebhookParameters& webhook) {
  net::OriginParameters parameters;
  parameters.servers = {webhook.server};
  parameters.connect_timeout = webhook.deadline;
  parameters.read_timeout = webhook.deadline;
  parameters.queue_timeout = webhook.deadline;
  parameters.failed_server_pause = std::chrono::milliseconds(0);
  parameters.idle_connections = 0;
  parameters.connections = 1;
  return parameters;
}

Tried judge(int status) {
  if (status >= 200 && status < 300) return {.is_delivered = true, .may_be_tried_again = false, .why = {}};
  const bool is_final = status >= 400 && status < 500 && status != 408 && status != 429;
  return {.is_delivered = false, .may_be_tried_again = !is_final, .why = fmt::format("it answered {}", status)};
}

}  // namespace

// Shared with the coroutine that delivers, which may outlive the webhook.
struct Webhook::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& io, net::DeadlineWheel& deadlines, WebhookParameters given)
      : context(io),
        wheel(deadlines),
        parameters(std::move(given)),
        connecting(connection_parameters(parameters)),
        pool(io, deadlines, connecting) {}

  static net::Awaitable<void> deliver_all(std::shared_ptr<Impl> self);
  net::Awaitable<void> deliver(std::string body);
  net::Awaitable<Tried> try_once(std::string request);
  [[nodiscard]] std::string request_of(const std::string& body, const std::string& authority) const;

  asio::io_context& context;
  net::DeadlineWheel& wheel;
  const WebhookParameters parameters;
  const net::OriginParameters connecting;
  net::OriginPool pool;
  std::deque<std::string> messages;
  WebhookState counted;
  bool is_delivering = false;
  bool is_over = false;
};

Webhook::Webhook(asio::io_context& context, net::DeadlineWheel& wheel, WebhookParameters parameters)
    : impl_(std::make_shared<Impl>(context, wheel, std::move(parameters))) {}

Webhook::~Webhook() { impl_->is_over = true; }

void Webhook::post(std::string body) {
  auto& self = *impl_;
  if (self.messages.size() >= most_waiting_messages) {
    self.messages.pop_front();
    ++self.counted.failed;
    spdlog::error("[ALERT] the webhook at {} is too slow: the oldest message is given up", self.parameters.server);
  }
  self.messages.push_back(std::move(body));
  if (std::exchange(self.is_delivering, true)) return;
  asio::co_spawn(self.context.get_executor(), Impl::deliver_all(impl_), asio::detached);
}

WebhookState Webhook::state() const noexcept {
  auto state = impl_->counted;
  state.waiting = impl_->messages.size();
  return state;
}

net::Awaitable<void> Webhook::Impl::deliver_all(std::shared_ptr<Impl> self) {
  while (!self->is_over && !self->messages.empty()) {
    auto body = std::move(self->messages.front());
    self->messages.pop_front();
    co_await self->deliver(std::move(body));
  }
  self->is_delivering = false;
}

net::Awaitable<void> Webhook::Impl::deliver(std::string body) {
  auto pause = parameters.retry_first;
  auto request = request_of(body, pool.servers().front().authority);
  for (unsigned tried = 1;; ++tried) {
    auto text = request;
    const auto outcome = co_await try_once(std::move(text));
    if (outcome.is_delivered) {
      ++counted.delivered;
      co_return;
    }
    if (is_over) co_return;
    if (!outcome.may_be_tried_again || tried >= parameters.tries) {
      ++counted.failed;
      spdlog::error("[ALERT] the webhook at {} was not told: {}; given up after {} of {} tries", parameters.server,
                    outcome.why, tried, parameters.tries);
      co_return;
    }
    spdlog::warn("[ALERT] the webhook at {} was not told: {}; another try follows", parameters.server, outcome.why);
    Timer timer(context.get_executor(), pause);
    (void)co_await timer.async_wait(net::as_result);
    pause *= 2;
  }
}

std::string Webhook::Impl::request_of(const std::string& body, const std::string& authority) const {
  auto request = fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: larder\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
      "Connection: close\r\n",
      parameters.target, authority, body.size());
  if (!parameters.token.empty()) request += fmt::format("Authorization: Bearer {}\r\n", parameters.token);
  return request + "\r\n" + body;
}

net::Awaitable<Tried> Webhook::Impl::try_once(std::string request) {
  net::TriedServers tried;
  auto lease = co_await pool.acquire(tried, true);
  if (!lease) co_return Tried{.why = lease.error().message()};
  auto& connection = lease->connection();
  // One bound for all of it, however slowly it comes.
  bool is_late = false;
  net::Deadline deadline(wheel, [&] {
    is_late = true;
    connection.close();
  });
  deadline.arm(parameters.deadline);
  auto error = co_await connection.send(std::string_view(request));
  for (;;) {
    // An answer may be there although not all was taken.
    const auto head = connection.buffered_head(false);
    if (head && *head) {
      const auto status = (*head)->status;
      if (status >= 200) {
        connection.close();
        co_return judge(status);
      }
      continue;
    }
    if (head) error = head->error();
    if (!error) error = co_await connection.read_more();
    if (error) break;
  }
  connection.close();
  co_return Tried{.why = is_late ? "it did not answer in time" : error.message()};
}

}  // namespace larder::admin
