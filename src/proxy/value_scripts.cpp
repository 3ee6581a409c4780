#include "larder/proxy/value_scripts.hpp"

#include <array>
#include <charconv>
#include <span>

#include "larder/proxy/purge_scripts.hpp"

namespace larder::proxy {
namespace {

constexpr std::string_view record_epoch = "{\"epoch\":\"";
constexpr std::string_view record_version = "\",\"version\":";
constexpr std::string_view record_value = ",\"value\":";

// Whether a record is alive, by a log's epoch and the clock of its last flush.
constexpr std::string_view is_alive_lua = R"lua(
local function is_alive(record, epoch, flushed)
  if not record then return false end
  local of, version = string.match(record, '^{"epoch":"(%d+)","version":(%d+),')
  return of == epoch and tonumber(version) > flushed
end
local function flushed_at(log, field)
  local flushes = redis.call('HMGET', log, 'flush', field)
  return math.max(tonumber(flushes[1] or '0'), tonumber(flushes[2] or '0'))
end
)lua";

// KEYS: the log, the value, the lease. ARGV behind those of record_purge_lua(): 7 kind, 8 not after, 9 text, 10 TTL in
// milliseconds, 11 flush field of the namespace, 12 lease, 13 base clock, 14 base epoch, 15 the key's selector, 16 its
// namespace's, 17 the node's mark.
constexpr std::string_view before_change_lua = R"lua(
local kind, lease, base = ARGV[7], ARGV[12], ARGV[13]
local now = redis.call('TIME')
local time = string.format('%.0f', now[1] * 1000000 + now[2])
if ARGV[8] ~= '' and tonumber(time) > tonumber(ARGV[8]) then return {'late', time} end
local known = redis.call('HMGET', KEYS[1], 'epoch', 'clock', 'floor', 'run')
local flushed = flushed_at(KEYS[1], ARGV[11])
if lease ~= '' then
  local of, granted = string.match(lease, '^(%d+)%-(%d+)%-')
  if redis.call('GET', KEYS[3]) ~= lease or of ~= known[1] or known[4] ~= ARGV[2] or tonumber(granted) < flushed then
    return {'lease_lost', time}
  end
end
local in_conflict = false
if base ~= '' then
  in_conflict = known[1] ~= ARGV[14] or known[4] ~= ARGV[2] or tonumber(base) < tonumber(known[3])
  if not in_conflict then
    for c = tonumber(base) + 1, tonumber(known[2]) do
      local made = redis.call('HGET', KEYS[1], string.format('%d', c))
      if not made or (not string.find(made, ARGV[17], 1, true) and (string.find(made, ARGV[15], 1, true) or
          string.find(made, ARGV[16], 1, true) or string.find(made, '4:all:,', 1, true))) then
        in_conflict = true
        break
      end
    end
  end
end
if kind == 'offer' then
  if in_conflict then return {'conflict', time} end
  kind = 'set'
end
)lua";

constexpr std::string_view change_lua = R"lua(
local outcome
if kind == 'set' and not in_conflict then
  redis.call('SET', KEYS[2], '{"epoch":"' .. epoch .. '","version":' .. text .. ',"value":' .. ARGV[9] .. '}', 'PX', ARGV[10])
  outcome = 'stored'
elseif kind == 'set' then
  redis.call('UNLINK', KEYS[2])
  outcome = 'conflict'
elseif kind == 'clear' then
  outcome = is_alive(redis.call('GET', KEYS[2]), epoch, flushed) and 'cleared' or 'absent'
  redis.call('UNLINK', KEYS[2])
elseif kind == 'flush' then
  redis.call('HSET', log, ARGV[11], text)
  outcome = 'flushed'
else
  outcome = 'released'
end
if kind ~= 'flush' then redis.call('UNLINK', KEYS[3]) end
return {epoch, text, outcome, time}
)lua";

// KEYS: the log, the value, the lease. ARGV: run, flush field, milliseconds, token.
constexpr std::string_view lease_lua = R"lua(
local state = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'clock')
if not state[2] or state[1] ~= ARGV[1] then return {'foreign'} end
if is_alive(redis.call('GET', KEYS[2]), state[2], flushed_at(KEYS[1], ARGV[2])) then return {'present'} end
local held = redis.call('GET', KEYS[3])
if held and string.match(held, '^(%d+)%-') == state[2] then return {'held', redis.call('PTTL', KEYS[3])} end
local token = state[2] .. '-' .. state[3] .. '-' .. ARGV[4]
redis.call('SET', KEYS[3], token, 'PX', ARGV[3])
return {'granted', token}
)lua";

const std::string& change_script() {
  static const std::string text =
      std::string(is_alive_lua).append(before_change_lua).append(record_purge_lua()).append(change_lua);
  return text;
}

const std::string& lease_script() {
  static const std::string text = std::string(is_alive_lua).append(lease_lua);
  return text;
}

std::string_view name_of(ValueChange::Kind kind) noexcept {
  constexpr std::array<std::string_view, 5> names{"set", "offer", "clear", "flush", "release"};
  return names[static_cast<std::size_t>(kind)];
}

std::string payload_of(const policy::Selector& selector) { return encode_payload(std::span(&selector, 1)); }

// Digits in front of `rest`, which they are taken from.
std::optional<std::uint64_t> take_number(std::string_view& rest) noexcept {
  const auto size = rest.find_first_not_of("0123456789");
  if (size == std::string_view::npos) return std::nullopt;
  const auto number = parse_number(rest.substr(0, size));
  rest.remove_prefix(size);
  return number;
}

bool take(std::string_view& rest, std::string_view text) noexcept {
  if (!rest.starts_with(text)) return false;
  rest.remove_prefix(text.size());
  return true;
}

}  // namespace

std::string flush_field(std::string_view space) {
  return space.empty() ? std::string("flush") : "flush:" + std::string(space);
}

std::optional<ValueRecord> read_value_record(std::string_view record) {
  auto rest = record;
  ValueRecord read;
  if (!take(rest, record_epoch)) return std::nullopt;
  const auto epoch = take_number(rest);
  if (!epoch || !take(rest, record_version)) return std::nullopt;
  const auto version = take_number(rest);
  if (!version || !take(rest, record_value)) return std::nullopt;
  read.epoch = *epoch;
  read.version = *version;
  read.beginning = record.substr(0, record.size() - rest.size());
  if (rest.ends_with('}')) read.text = rest.substr(0, rest.size() - 1);
  return read;
}

std::string_view namespace_of(std::string_view key) noexcept {
  const auto colon = key.find(':');
  return colon == std::string_view::npos ? std::string_view{} : key.substr(0, colon);
}

policy::Selector selector_of(const ValueChange& change) {
  using policy::SelectorKind;
  if (change.kind != ValueChange::Kind::flush) return {SelectorKind::key, change.key};
  if (change.key.empty()) return {SelectorKind::all, {}};
  return {SelectorKind::type, change.key};
}

policy::Selector node_mark(std::string_view node) {
  return {policy::SelectorKind::tag, policy::own_tag_mark + std::string("node:").append(node)};
}

std::vector<std::string> change_command(const ValueNames& names, const ValueChange& change, std::string_view node,
                                        std::string_view run_id, std::string_view new_epoch) {
  const bool is_flush = change.kind == ValueChange::Kind::flush;
  const std::string space(is_flush ? std::string_view(change.key) : namespace_of(change.key));
  const std::array selectors{selector_of(change), node_mark(node)};
  const auto log = names.log();
  return {"EVAL",
          change_script(),
          "3",
          log,
          names.value(is_flush ? std::string_view{} : change.key),
          names.lease(is_flush ? std::string_view{} : change.key),
          log,
          std::string(run_id),
          std::string(new_epoch),
          std::string(most_selectors),
          encode_payload(selectors),
          encode_mark({.node = std::string(node), .made = {}}),
          std::string(name_of(change.kind)),
          change.not_after ? std::to_string(*change.not_after) : std::string{},
          std::string(change.text),
          std::to_string(change.ttl.count()),
          flush_field(space),
          std::string(change.lease),
          change.base_clock ? std::to_string(*change.base_clock) : std::string{},
          std::to_string(change.base_epoch),
          payload_of(selectors.front()),
          payload_of({policy::SelectorKind::type, space}),
          payload_of(selectors.back())};
}

ChangeReply parse_change(const redis::Reply& reply) {
  ChangeReply change;
  if (reply.kind != redis::Reply::Kind::array || reply.elements.size() < 2) return change;
  const auto& elements = reply.elements;
  constexpr std::array<std::pair<std::string_view, ChangeOutcome>, 8> outcomes{
      {{"stored", ChangeOutcome::stored},
       {"conflict", ChangeOutcome::conflict},
       {"cleared", ChangeOutcome::cleared},
       {"absent", ChangeOutcome::absent},
       {"flushed", ChangeOutcome::flushed},
       {"released", ChangeOutcome::released},
       {"late", ChangeOutcome::late},
       {"lease_lost", ChangeOutcome::lease_lost}}};
  const bool is_refusal = elements.size() == 2;
  if (!is_refusal && elements.size() != 4) return change;
  const auto& name = elements[is_refusal ? 0 : 2].text;
  change.time = parse_number(elements.back().text).value_or(0);
  if (!is_refusal) {
    const auto epoch = parse_number(elements[0].text);
    const auto clock = parse_number(elements[1].text);
    if (!epoch || !clock) return change;
    change.epoch = *epoch;
    change.clock = *clock;
  }
  for (const auto& [text, outcome] : outcomes) {
    const bool refuses = outcome == ChangeOutcome::late || outcome == ChangeOutcome::lease_lost;
    if (name == text && (refuses == is_refusal || outcome == ChangeOutcome::conflict)) change.outcome = outcome;
  }
  return change;
}

std::vector<std::string> lease_command(const ValueNames& names, std::string_view key, std::string_view run_id,
                                       std::chrono::milliseconds duration, std::string_view token) {
  return {"EVAL",
          lease_script(),
          "3",
          names.log(),
          names.value(key),
          names.lease(key),
          std::string(run_id),
          flush_field(namespace_of(key)),
          std::to_string(duration.count()),
          std::string(token)};
}

LeaseReply parse_lease(const redis::Reply& reply) {
  LeaseReply lease;
  if (reply.kind != redis::Reply::Kind::array || reply.elements.empty()) return lease;
  const auto& name = reply.elements.front().text;
  if (name == "present") lease.kind = LeaseReply::Kind::present;
  if (reply.elements.size() != 2) return lease;
  if (name == "granted") {
    lease.kind = LeaseReply::Kind::granted;
    lease.token = reply.elements[1].text;
  } else if (name == "held") {
    lease.kind = LeaseReply::Kind::held;
    lease.left = std::chrono::milliseconds(std::max<std::int64_t>(reply.elements[1].integer, 1));
  }
  return lease;
}

}  // namespace larder::proxy
