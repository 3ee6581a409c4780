#pragma once
// What is known of one request and its reply when the reply has been handed over: the session fills in what it has
// seen, the story what it has decided. Exists only while the access log is on.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace larder::net {

/// A text of at most `capacity` bytes, kept in place; what is longer is cut.
template <std::size_t capacity>
class BoundedText {
 public:
  // The bytes are left as they are.
  BoundedText() noexcept {}  // NOLINT(cppcoreguidelines-pro-type-member-init,modernize-use-equals-default)
  void assign(std::string_view text) noexcept {
    size_ = static_cast<std::uint16_t>(std::min(text.size(), capacity));
    std::copy_n(text.begin(), size_, bytes_.begin());
  }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<char, capacity> bytes_;
  std::uint16_t size_ = 0;
};

/// Made when the request's head is whole. Allocates nothing.
struct AccessRecord {
  using Clock = std::chrono::steady_clock;

  Clock::time_point begun = Clock::now();

  // The session's.
  int status = 0;           ///< of the final reply; 0 where there was none
  std::uint64_t bytes = 0;  ///< of the reply's content, as far as it was handed to the connection
  bool cut_short = false;   ///< the reply could not be ended

  // The story's. Texts that are not copied are literals.
  std::string_view cache;              ///< the value of X-Cache
  std::string_view reason;             ///< why no stored response was reused
  std::string_view detail;             ///< why the answer was not stored, or a stale one served
  std::string_view tier;               ///< that had the stored response
  bool collapsed = false;              ///< answered by another request's fill
  bool writes = false;                 ///< the method is unsafe
  std::chrono::nanoseconds origin{0};  ///< waited for an origin's response head; 0 where none was asked
  std::chrono::nanoseconds redis{0};   ///< waited for Redis
  BoundedText<640> key;                ///< as in X-Cache-Key
  bool hides_key = false;              ///< the key holds what the log must not
  BoundedText<64> type;
  BoundedText<256> route;       ///< "rules.yaml:12"
  BoundedText<64> traceparent;  ///< of a trace that begins here
};

/// Adds the time until it ends to a member of a record, where there is one.
class AccessLap {
 public:
  AccessLap(AccessRecord* record, std::chrono::nanoseconds AccessRecord::*member) noexcept
      : record_(record), member_(member) {
    if (record_ != nullptr) begun_ = AccessRecord::Clock::now();
  }
  AccessLap(const AccessLap&) = delete;
  AccessLap& operator=(const AccessLap&) = delete;
  ~AccessLap() {
    if (record_ != nullptr) record_->*member_ += AccessRecord::Clock::now() - begun_;
  }

 private:
  AccessRecord* record_;
  std::chrono::nanoseconds AccessRecord::*member_;
  AccessRecord::Clock::time_point begun_;
};

}  // namespace larder::net
