#include "larder/proxy/remote_values.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fmt/format.h>

namespace larder::proxy {

namespace asio = boost::asio;

namespace {

std::int64_t steady_microseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::vector<std::string_view> views(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

// The reply to TIME in microseconds; 0 where it is none.
std::uint64_t time_of(const redis::Reply& reply) {
  if (reply.elements.size() != 2) return 0;
  constexpr std::uint64_t second = 1000000;
  return parse_number(reply.elements[0].text).value_or(0) * second + parse_number(reply.elements[1].text).value_or(0);
}

// The newest clock among the fields behind the first two.
std::uint64_t newest(const redis::Reply& reply, std::size_t a, std::size_t b) {
  std::uint64_t clock = 0;
  for (const auto i : {a, b}) {
    if (i < reply.elements.size()) clock = std::max(clock, parse_number(reply.elements[i].text).value_or(0));
  }
  return clock;
}

}  // namespace

RemoteValues::RemoteValues(asio::io_context& context, const RedisParameters& parameters, const ValueNames& names,
                           PurgeBus& bus, ErrorLog& errors)
    : context_(context),
      parameters_(parameters),
      names_(names),
      bus_(bus),
      errors_(errors),
      node_(bus.node()),
      connection_(context, parameters.connection, [this](redis::Event event, std::string_view detail) {
        run_known_ = false;
        tried_ = tried_ || event != redis::Event::connected;
        if (event == redis::Event::connected) {
          asio::co_spawn(context_.get_executor(), verify(), asio::detached);
        } else if (event == redis::Event::disconnected) {
          failed("connection of the key-value store", detail);
        }
      }) {}

void RemoteValues::stop() {
  stopped_ = true;
  connection_.stop();
}

void RemoteValues::failed(std::string_view what, std::string_view why) {
  if (stopped_) return;
  ++failures_;
  errors_.report(fmt::format("Redis {}: {}", what, why));
}

// As RemoteStore::verify(), and what time it is there.
net::Awaitable<void> RemoteValues::verify() {
  const std::vector<std::string_view> info_command{"INFO", "server"};
  const auto info = co_await connection_.command(info_command, parameters_.connection.connect_timeout);
  const std::vector<std::string_view> time_command{"TIME"};
  const auto time = co_await connection_.command(time_command, parameters_.connection.connect_timeout);
  if (!info || !time || time_of(*time) == 0) {
    if (connection_.is_ready()) connection_.reconnect();
    co_return;
  }
  see_time(time_of(*time));
  run_id_ = info->is_error() ? std::string{} : run_id_of(info->text);
  run_known_ = true;
}

std::uint64_t RemoteValues::time_after(std::chrono::milliseconds duration) {
  connection_.send({"TIME"}, duration, [this](const boost::system::result<redis::Reply>& reply) {
    if (!stopped_ && reply) see_time(time_of(*reply));
  });
  return time_at(duration);
}

std::uint64_t RemoteValues::time_at(std::chrono::milliseconds after) const {
  return static_cast<std::uint64_t>(redis_is_ahead_ + steady_microseconds() +
                                    std::chrono::duration_cast<std::chrono::microseconds>(after).count());
}

void RemoteValues::see_time(std::uint64_t redis_time) noexcept {
  if (redis_time != 0) redis_is_ahead_ = static_cast<std::int64_t>(redis_time) - steady_microseconds();
}

bool RemoteValues::is_readable() const {
  const bool is_it = run_known_ && connection_.is_ready() && bus_.is_attached_to(run_id_);
  tried_ = tried_ || is_it;
  return is_it;
}

net::Awaitable<std::optional<std::vector<std::optional<RemoteValue>>>> RemoteValues::read(
    std::vector<std::string> keys) {
  std::vector<std::string> names;
  std::vector<std::string> fields;
  names.reserve(keys.size());
  fields.reserve(keys.size());
  const auto log = names_.log();
  std::vector<std::vector<std::string_view>> commands;
  std::vector<std::string_view> state{"HMGET", log, "epoch", "flush"};
  for (const auto& key : keys) {
    names.push_back(names_.value(key));
    fields.push_back(flush_field(namespace_of(key)));
    commands.push_back({"GET", names.back()});
    commands.push_back({"PTTL", names.back()});
    state.push_back(fields.back());
  }
  commands.push_back(state);
  const auto replies = co_await connection_.pipeline(std::move(commands), parameters_.deadline);
  if (!replies || replies->size() != 2 * keys.size() + 1 || replies->back().elements.size() != keys.size() + 2) {
    failed("GET of values", replies ? "unexpected reply" : replies.error().message());
    co_return std::nullopt;
  }
  const auto& now = replies->back();
  const auto epoch = parse_number(now.elements[0].text);
  std::vector<std::optional<RemoteValue>> found(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto& reply = (*replies)[2 * i];
    if (reply.is_error() && reply.error_word() != "WRONGTYPE") {
      failed("GET of values", reply.text);
      co_return std::nullopt;
    }
    if (reply.kind != redis::Reply::Kind::string) continue;
    const auto record = read_value_record(reply.text);
    if (!record || record->text.empty()) {
      failed("value", "a record does not decode; it is taken for absent");
      continue;
    }
    const auto left = (*replies)[2 * i + 1].integer;
    if (record->epoch != epoch || record->version <= newest(now, 1, i + 2) || left <= 0) continue;
    found[i] = RemoteValue{.text = std::string(record->text),
                           .version = record->version,
                           .epoch = record->epoch,
                           .left = std::chrono::milliseconds(left)};
  }
  co_return found;
}

net::Awaitable<ChangeReply> RemoteValues::change(ValueChange& change) {
  change.not_after = time_at(parameters_.deadline);
  const auto new_epoch = std::to_string(random_number());
  const auto command = change_command(names_, change, node_, run_id_, new_epoch);
  const auto reply = co_await connection_.command(views(command), parameters_.deadline);
  auto made = reply ? parse_change(*reply) : ChangeReply{};
  see_time(made.time);
  if (made.outcome == ChangeOutcome::failed) {
    failed("change of a value",
           reply ? (reply->is_error() ? reply->text : "unexpected reply") : reply.error().message());
  } else if (made.outcome == ChangeOutcome::late) {
    failed("change of a value", "it came too late, or Redis's clock was changed");
  }
  co_return made;
}

net::Awaitable<LeaseReply> RemoteValues::lease(std::string key, std::chrono::milliseconds duration) {
  const auto token = fmt::format("{}.{}", node_, ++tokens_);
  const auto command = lease_command(names_, key, run_id_, duration, token);
  const auto reply = co_await connection_.command(views(command), parameters_.deadline);
  auto lease = reply ? parse_lease(*reply) : LeaseReply{};
  if (lease.kind == LeaseReply::Kind::failed) {
    failed("lease", reply ? (reply->is_error() ? reply->text : "unexpected reply") : reply.error().message());
  }
  co_return lease;
}

}  // namespace larder::proxy
