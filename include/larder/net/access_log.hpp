#pragma once
// The access log: each worker puts what it has served into a queue of its own, one thread writes them all.
//
// What a hit pays while the log is on: two looks at the clock, one copy of a few hundred bytes; no lock, no allocation,
// no system call (but when its queue is half full: then the writer is woken before its time). A worker never waits:
// what does not fit into its queue is counted, and the log says how many are missing. Lines are formatted by the
// writer.
#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "larder/http/message.hpp"
#include "larder/net/access_line.hpp"
#include "larder/net/access_record.hpp"
#include "larder/net/log_output.hpp"
#include "larder/net/parameters.hpp"

namespace larder::net {

class AccessLog;

/// One worker's end of the log. note() on that worker's thread only.
class AccessLane {
 public:
  AccessLane(AccessLog& log, const AccessLogParameters& parameters, std::uint64_t seed);

  /// Notes a request that is over, if it is chosen: by chance (`sample`), or by what happened (`always`).
  void note(const http::RequestHead& request, std::string_view client_address, std::string_view request_id,
            AccessRecord& record) noexcept;
  /// Notes a request that was refused before its head could be understood.
  void note_refused(std::string_view client_address, int status, std::string_view why) noexcept;

 private:
  friend class AccessLog;

  [[nodiscard]] bool is_chosen(const AccessRecord& record, std::chrono::nanoseconds total) noexcept;
  void put(const AccessEntry& entry) noexcept;

  AccessLog& log_;
  const AccessLogParameters& parameters_;
  std::uint64_t random_;  ///< of the choice by chance
  boost::lockfree::spsc_queue<char> queue_;
  std::atomic<std::uint64_t> dropped_{0};  ///< written by the worker alone
  std::uint64_t told_ = 0;                 ///< of dropped_; the writer's
};

/// What the log has done so far.
struct AccessLogTotals {
  std::uint64_t written = 0;  ///< lines
  std::uint64_t dropped = 0;  ///< requests that found their queue full
  std::uint64_t lost = 0;     ///< lines that the file did not take
};

class AccessLog {
 public:
  /// One lane for each worker. Throws std::runtime_error where the file cannot be opened.
  AccessLog(AccessLogParameters parameters, std::vector<std::string> secret_parameters, unsigned lanes);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  [[nodiscard]] AccessLane& lane(std::size_t index) noexcept { return *lanes_[index]; }
  /// Begins to write.
  void start();
  /// Writes what is queued, but not for longer than a second, and ends.
  void stop();
  /// From any thread: the writer looks at the queues at once.
  void wake() noexcept;
  [[nodiscard]] AccessLogTotals totals() const noexcept;

 private:
  void run();
  void drain();
  void drain(AccessLane& lane);
  void flush();

  const AccessLogParameters parameters_;
  const std::vector<std::string> secret_parameters_;
  LogOutput output_;
  std::vector<std::unique_ptr<AccessLane>> lanes_;
  std::vector<char> popped_;  ///< whole entries of one lane
  std::string lines_;
  std::uint64_t line_count_ = 0;  ///< in lines_
  bool is_failing_ = false;       ///< the file takes no lines
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<bool> woken_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  ///< guarded by mutex_
  std::thread writer_;
};

}  // namespace larder::net
