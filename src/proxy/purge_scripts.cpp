#include "larder/proxy/purge_scripts.hpp"

#include <charconv>

namespace larder::proxy {

std::string_view remove_script() noexcept {
  return R"lua(
local removed = 0
for i, key in ipairs(KEYS) do
  if redis.call('GETRANGE', key, 0, #ARGV[i] - 1) == ARGV[i] then removed = removed + redis.call('UNLINK', key) end
end
return removed
)lua";
}

namespace {
// Begins the log where there is none of this run of Redis, raises its clock, records the payload and publishes it.
// Leaves `epoch`, and the clock as `text`.
constexpr std::string_view record_purge = R"lua(
local log, channel, run, new_epoch, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local payload, mark = ARGV[5], ARGV[6]
local state = redis.call('HMGET', log, 'run', 'epoch', 'floor')
local epoch, floor = state[2], tonumber(state[3] or '0')
if not epoch or state[1] ~= run then
  epoch, floor = new_epoch, 0
  redis.call('DEL', log)
  redis.call('HSET', log, 'epoch', epoch, 'clock', 0, 'floor', 0, 'run', run)
  redis.call('PUBLISH', channel, 'e ' .. epoch .. ' 0')
end
local clock = redis.call('HINCRBY', log, 'clock', 1)
local text = string.format('%d', clock)
redis.call('HSET', log, text, payload)
if clock - floor > tonumber(most) then
  local first = string.format('%d', floor + 1)
  redis.call('HDEL', log, first)
  redis.call('HSET', log, 'floor', first)
end
redis.call('PUBLISH', channel, 'p ' .. epoch .. ' ' .. text .. ' ' .. mark .. ' ' .. payload)
return {epoch, text}
)lua";
constexpr std::string_view record_purge_result = "return {epoch, text}\n";
static_assert(record_purge.ends_with(record_purge_result));
}  // namespace

std::string_view record_purge_lua() noexcept {
  return record_purge.substr(0, record_purge.size() - record_purge_result.size());
}

std::string_view purge_script() noexcept { return record_purge; }

std::string_view attach_script() noexcept {
  return R"lua(
local log, channel, run, new_epoch, known_epoch, known_clock = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local state = redis.call('HMGET', log, 'epoch', 'clock', 'floor', 'run')
local epoch, clock, floor = state[1], tonumber(state[2] or '0'), tonumber(state[3] or '0')
if not epoch or state[4] ~= run then
  epoch, clock, floor = new_epoch, 0, 0
  redis.call('DEL', log)
  redis.call('HSET', log, 'epoch', epoch, 'clock', 0, 'floor', 0, 'run', run)
  redis.call('PUBLISH', channel, 'e ' .. epoch .. ' 0')
end
redis.call('PUBLISH', channel, 'h ' .. ARGV[6])
local result = {epoch, string.format('%d', clock), string.format('%d', floor)}
local from = floor
if epoch == known_epoch and known_clock > floor then from = known_clock end
for c = from + 1, clock do
  local payload = redis.call('HGET', log, string.format('%d', c))
  if payload then
    result[#result + 1] = string.format('%d', c)
    result[#result + 1] = payload
  end
end
return result
)lua";
}

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::string encode_payload(std::span<const policy::Selector> selectors) {
  std::string payload;
  for (const auto& selector : selectors) {
    const auto text = policy::encode(selector);
    payload.append(std::to_string(text.size())).append(":").append(text).append(",");
  }
  return payload;
}

std::optional<std::vector<policy::Selector>> decode_payload(std::string_view payload) {
  std::vector<policy::Selector> selectors;
  while (!payload.empty()) {
    const auto colon = payload.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto size = parse_number(payload.substr(0, colon));
    payload.remove_prefix(colon + 1);
    if (!size || *size >= payload.size() || payload[*size] != ',') return std::nullopt;
    auto selector = policy::parse_selector(payload.substr(0, *size));
    if (!selector) return std::nullopt;
    selectors.push_back(std::move(*selector));
    payload.remove_prefix(*size + 1);
  }
  return selectors;
}

namespace {
// Takes the text up to the next space.
std::string_view word(std::string_view& rest) {
  const auto space = rest.find(' ');
  const auto first = rest.substr(0, space);
  rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
  return first;
}
}  // namespace

std::string encode_mark(const PurgeMark& mark) {
  const auto since = mark.made.value_or(std::chrono::system_clock::time_point{}).time_since_epoch();
  return mark.node + "@" + std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

std::optional<PurgeMark> decode_mark(std::string_view text) {
  const auto at = text.find('@');
  if (at == 0 || at == std::string_view::npos) return std::nullopt;
  const auto made = parse_number(text.substr(at + 1));
  // Later than any time that the clock can tell is no time.
  constexpr std::uint64_t latest = std::uint64_t{1} << 53U;
  if (!made || *made > latest) return std::nullopt;
  PurgeMark mark{.node = std::string(text.substr(0, at)), .made = {}};
  if (*made > 0) {
    const auto since = std::chrono::microseconds(static_cast<std::int64_t>(*made));
    mark.made.emplace(std::chrono::duration_cast<std::chrono::system_clock::duration>(since));
  }
  return mark;
}

std::optional<PushMessage> parse_push(std::string_view message) {
  PushMessage push;
  const auto kind = word(message);
  if (kind == "h") {
    push.kind = PushMessage::Kind::hello;
    push.node = message;
    return push;
  }
  const auto epoch = parse_number(word(message));
  const auto clock = parse_number(word(message));
  if (!epoch || !clock) return std::nullopt;
  push.epoch = *epoch;
  push.clock = *clock;
  if (kind == "e") {
    push.kind = PushMessage::Kind::epoch;
    return push;
  }
  if (kind != "p") return std::nullopt;
  auto mark = decode_mark(word(message));
  auto selectors = decode_payload(message);
  if (!mark || !selectors) return std::nullopt;
  push.kind = PushMessage::Kind::purge;
  push.selectors = std::move(*selectors);
  push.node = std::move(mark->node);
  push.made = mark->made;
  return push;
}

std::optional<AttachReply> parse_attach(const redis::Reply& reply) {
  if (reply.kind != redis::Reply::Kind::array || reply.elements.size() < 3 || reply.elements.size() % 2 == 0) {
    return std::nullopt;
  }
  const auto& elements = reply.elements;
  const auto epoch = parse_number(elements[0].text);
  const auto clock = parse_number(elements[1].text);
  const auto floor = parse_number(elements[2].text);
  if (!epoch || !clock || !floor) return std::nullopt;
  AttachReply attach{*epoch, *clock, *floor, {}};
  for (std::size_t i = 3; i + 1 < elements.size(); i += 2) {
    const auto at = parse_number(elements[i].text);
    auto selectors = decode_payload(elements[i + 1].text);
    if (!at || !selectors) return std::nullopt;
    attach.purges.emplace_back(*at, std::move(*selectors));
  }
  return attach;
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_purge(const redis::Reply& reply) {
  if (reply.kind != redis::Reply::Kind::array || reply.elements.size() != 2) return std::nullopt;
  const auto epoch = parse_number(reply.elements[0].text);
  const auto clock = parse_number(reply.elements[1].text);
  if (!epoch || !clock) return std::nullopt;
  return std::pair{*epoch, *clock};
}

std::string run_id_of(std::string_view info) {
  constexpr std::string_view name = "run_id:";
  const auto at = info.find(name);
  if (at == std::string_view::npos) return {};
  const auto value = info.substr(at + name.size());
  return std::string(value.substr(0, value.find_first_of("\r\n")));
}

std::vector<std::string_view> purge_command(std::string_view log_key, std::string_view run_id,
                                            std::string_view new_epoch, std::string_view payload,
                                            std::string_view mark) {
  return {"EVAL", purge_script(), "1", log_key, log_key, run_id, new_epoch, most_selectors, payload, mark};
}

}  // namespace larder::proxy
