#include "larder/net/access_log.hpp"

#include <algorithm>
#include <array>
#include <spdlog/spdlog.h>
#include <utility>

#include "larder/http/trace_context.hpp"

namespace larder::net {

namespace {

// How long a line may wait for its writer.
constexpr std::chrono::milliseconds write_interval{100};
constexpr std::chrono::seconds stop_deadline{1};
// Lines are written in batches of about this size.
constexpr std::size_t batch = 256UL << 10;
constexpr std::uint32_t all_of_them = 1000000;

}  // namespace

AccessLane::AccessLane(AccessLog& log, const AccessLogParameters& parameters, std::uint64_t seed)
    : log_(log), parameters_(parameters), random_(seed | 1U), queue_(parameters.queue) {}

// Successful and quick requests are the many: they go by chance.
bool AccessLane::is_chosen(const AccessRecord& record, std::chrono::nanoseconds total) noexcept {
  const auto& always = parameters_.always;
  if (parameters_.sample_ppm >= all_of_them) return true;
  const bool is_error = record.status >= 500 || record.status == 0 || record.cut_short;
  if ((always.errors && is_error) || (always.client_errors && record.status >= 400 && record.status < 500) ||
      (always.slow && total >= parameters_.slow && record.status != 101) || (always.writes && record.writes) ||
      (always.misses && record.cache == "MISS")) {
    return true;
  }
  if (parameters_.sample_ppm == 0) return false;
  // xorshift64: any sequence without a period in the traffic does.
  random_ ^= random_ << 13U;
  random_ ^= random_ >> 7U;
  random_ ^= random_ << 17U;
  return (random_ >> 11U) % all_of_them < parameters_.sample_ppm;
}

void AccessLane::note(const http::RequestHead& request, std::string_view client_address, std::string_view request_id,
                      AccessRecord& record) noexcept {
  const auto ended = AccessRecord::Clock::now();
  const std::chrono::nanoseconds total = ended - record.begun;
  if (!is_chosen(record, total)) return;
  const auto made = record.traceparent.view();
  const auto trace = made.empty() ? http::find_traceparent(request.fields) : http::parse_traceparent(made);
  put({.ended_ns = ended.time_since_epoch().count(),
       .total_ns = total.count(),
       .origin_ns = record.origin.count(),
       .redis_ns = record.redis.count(),
       .bytes = record.bytes,
       .target_size = static_cast<std::uint32_t>(request.target.size()),
       .status = static_cast<std::uint16_t>(record.status),
       .is_http_1_0 = request.version == http::Version::http_1_0,
       .collapsed = record.collapsed,
       .cut_short = record.cut_short,
       .client = client_address,
       .method = request.method,
       .host = request.authority,
       .target = request.target,
       .request_id = request_id,
       .trace_id = trace ? trace->trace_id : std::string_view{},
       .cache = record.cache,
       .reason = record.reason,
       .detail = record.detail,
       .tier = record.tier,
       .key = record.key.view(),
       .type = record.type.view(),
       .route = record.route.view()});
}

void AccessLane::note_refused(std::string_view client_address, int status, std::string_view why) noexcept {
  AccessRecord record;
  record.status = status;
  // Whoever wants errors wants to know of these: nothing else tells of them.
  const bool is_wanted = parameters_.always.errors || parameters_.always.client_errors;
  if (!is_wanted && !is_chosen(record, {})) return;
  AccessEntry entry;
  entry.ended_ns = record.begun.time_since_epoch().count();
  entry.status = static_cast<std::uint16_t>(status);
  entry.client = client_address;
  entry.detail = why;
  put(entry);
}

void AccessLane::put(const AccessEntry& entry) noexcept {
  std::array<char, largest_entry>
      packed;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled as far as it is used
  const auto size = pack_entry(entry, packed);
  const auto room = queue_.write_available();
  if (room < size) {
    dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return;
  }
  // In one go: the writer sees whole entries only.
  queue_.push(packed.data(), size);
  if (room - size < parameters_.queue / 2) log_.wake();
}

AccessLog::AccessLog(AccessLogParameters parameters, std::vector<std::string> secret_parameters, unsigned lanes)
    : parameters_(std::move(parameters)), secret_parameters_(std::move(secret_parameters)), output_(parameters_.file) {
  auto seed = static_cast<std::uint64_t>(AccessRecord::Clock::now().time_since_epoch().count());
  for (unsigned i = 0; i < lanes; ++i) {
    // Mixed (splitmix64), so that the lanes do not choose alike.
    seed += 0x9E3779B97F4A7C15U;
    auto mixed = (seed ^ (seed >> 30U)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
    lanes_.push_back(std::make_unique<AccessLane>(*this, parameters_, mixed ^ (mixed >> 31U)));
  }
  popped_.resize(parameters_.queue);
}

AccessLog::~AccessLog() { stop(); }

void AccessLog::start() {
  writer_ = std::thread([this] { run(); });
}

void AccessLog::stop() {
  if (!writer_.joinable()) return;
  output_.give_up_at(LogOutput::Clock::now() + stop_deadline);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

void AccessLog::wake() noexcept {
  // Without the mutex a wake may be lost; the writer looks again soon all the same.
  if (!woken_.exchange(true, std::memory_order_relaxed)) wake_.notify_one();
}

AccessLogTotals AccessLog::totals() const noexcept {
  AccessLogTotals totals{
      .written = written_.load(std::memory_order_relaxed), .dropped = 0, .lost = lost_.load(std::memory_order_relaxed)};
  for (const auto& lane : lanes_) totals.dropped += lane->dropped_.load(std::memory_order_relaxed);
  return totals;
}

void AccessLog::run() {
  for (;;) {
    bool is_last = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, write_interval, [this] { return stopping_ || woken_.load(std::memory_order_relaxed); });
      is_last = stopping_;
    }
    woken_.store(false, std::memory_order_relaxed);
    try {
      drain();
    } catch (const std::exception& error) {
      spdlog::error("access log: {}", error.what());
    }
    if (is_last) return;
  }
}

void AccessLog::drain() {
  if (output_.reopen_if_asked()) {
    if (output_.last_error().empty()) {
      spdlog::info("access log: {} was opened anew", output_.file());
    } else {
      spdlog::error("access log: {} cannot be opened anew: {}; the old one stays in use", output_.file(),
                    output_.last_error());
    }
  }
  for (const auto& lane : lanes_) drain(*lane);
  flush();
}

void AccessLog::drain(AccessLane& lane) {
  using std::chrono::system_clock;
  const auto dropped = lane.dropped_.load(std::memory_order_relaxed);
  const auto size = lane.queue_.pop(popped_.data(), popped_.size());
  // The clocks side by side: entries carry the steady one.
  const auto steady_now = AccessRecord::Clock::now().time_since_epoch();
  const auto now = system_clock::now();
  std::string_view bytes(popped_.data(), size);
  while (const auto entry = unpack_entry(bytes)) {
    const auto age = steady_now - std::chrono::nanoseconds(entry->ended_ns);
    append_line(lines_, *entry, parameters_.format, now - std::chrono::duration_cast<system_clock::duration>(age),
                secret_parameters_);
    ++line_count_;
    if (lines_.size() >= batch) flush();
  }
  if (const auto missing = dropped - std::exchange(lane.told_, dropped); missing > 0) {
    append_dropped_line(lines_, missing, parameters_.format, now);
    spdlog::warn("access log: {} requests were not logged, as the queue (access_log.queue) was full", missing);
  }
}

void AccessLog::flush() {
  if (lines_.empty()) return;
  const bool is_written = output_.write(lines_);
  (is_written ? written_ : lost_).fetch_add(line_count_, std::memory_order_relaxed);
  // One word when it begins and one when it is over: the file may be on a full disk for hours.
  if (is_written == is_failing_) {
    is_failing_ = !is_written;
    if (is_failing_) {
      spdlog::error("access log: {} takes no lines: {}; they are lost until it does", output_.file(),
                    output_.last_error());
    } else {
      spdlog::warn("access log: {} takes lines again; {} were lost so far", output_.file(), lost_.load());
    }
  }
  lines_.clear();
  line_count_ = 0;
}

}  // namespace larder::net
