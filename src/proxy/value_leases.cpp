#include "larder/proxy/value_leases.hpp"

#include <algorithm>

namespace larder::proxy {

bool ValueLeases::is_held(std::string_view key, Time now) const {
  const auto found = leases_.find(key);
  return found != leases_.end() && found->second.until > now;
}

bool ValueLeases::is_valid(std::string_view key, std::string_view token, Time now) const {
  const auto found = leases_.find(key);
  return found != leases_.end() && found->second.until > now && !token.empty() && found->second.token == token;
}

bool ValueLeases::hold(std::string_view key, std::string_view token, Time until, Time now) {
  auto found = leases_.find(key);
  if (found == leases_.end()) {
    if (leases_.size() >= most_) {
      std::erase_if(leases_,
                    [now](const auto& lease) { return lease.second.until <= now && lease.second.queue.empty(); });
    }
    if (leases_.size() >= most_) return false;
    found = leases_.try_emplace(std::string(key)).first;
  }
  found->second.token = token;
  found->second.until = until;
  return true;
}

void ValueLeases::end(Lease& lease, bool wake_all) {
  lease.token.clear();
  lease.until = Time{};
  for (const auto& waiting : lease.queue) {
    waiting->timer_.cancel();
    if (!wake_all) break;
  }
}

void ValueLeases::end(std::string_view key) {
  const auto found = leases_.find(key);
  if (found == leases_.end()) return;
  end(found->second, false);
  drop_if_idle(found, Time{});
}

void ValueLeases::changed(std::string_view key) {
  const auto found = leases_.find(key);
  if (found == leases_.end()) return;
  end(found->second, true);
  drop_if_idle(found, Time{});
}

void ValueLeases::changed_if(const std::function<bool(std::string_view key)>& is_one) {
  for (auto at = leases_.begin(); at != leases_.end();) {
    const auto here = at++;
    if (!is_one(here->first)) continue;
    end(here->second, true);
    drop_if_idle(here, Time{});
  }
}

void ValueLeases::drop_if_idle(Leases::iterator at, Time now) {
  if (at->second.until <= now && at->second.queue.empty()) leases_.erase(at);
}

net::Awaitable<void> ValueLeases::wait(std::string key, Time until, std::shared_ptr<LeaseWait> me) {
  const auto at = leases_.find(key);
  if (at == leases_.end() || me->is_abandoned()) co_return;
  auto& queue = at->second.queue;
  queue.push_back(me);
  ++waiting_;
  const bool is_first = queue.size() == 1;
  me->timer_.expires_at(is_first ? std::min(until, at->second.until) : until);
  (void)co_await me->timer_.async_wait(net::as_result);
  // Entries with a queue are never dropped.
  const auto found = leases_.find(key);
  auto& waiting = found->second.queue;
  const bool was_first = waiting.front() == me;
  std::erase(waiting, me);
  --waiting_;
  if (was_first && !waiting.empty()) waiting.front()->timer_.cancel();
  drop_if_idle(found, std::chrono::steady_clock::now());
}

}  // namespace larder::proxy
