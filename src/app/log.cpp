#include "larder/app/log.hpp"

#include <csignal>
#include <ctime>
#include <fmt/format.h>
#include <iterator>
#include <memory>
#include <mutex>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include "larder/http/log_text.hpp"
#include "larder/net/access_line.hpp"
#include "larder/net/log_output.hpp"

namespace larder::app {

namespace {

using std::chrono::system_clock;

constexpr std::chrono::seconds end_deadline{1};

void append_local_time(std::string& out, system_clock::time_point time) {
  using namespace std::chrono;
  const auto seconds = system_clock::to_time_t(floor<std::chrono::seconds>(time));
  const auto rest = duration_cast<milliseconds>(time - floor<std::chrono::seconds>(time)).count();
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[40];
  out.append(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &local));
  fmt::format_to(std::back_inserter(out), ".{:03}", rest);
  out.append(text, std::strftime(text, sizeof text, "%z", &local));
}

// Formats, escapes and writes. Each line is written at once.
class OutputSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit OutputSink(const net::LogParameters& parameters) : format_(parameters.format), output_(parameters.file) {}

  net::LogOutput& output() noexcept { return output_; }
  /// Whose dropped lines are told; it writes here, and ends its thread before it goes. Not an owner: the thread would
  /// wait for itself where it were the last one.
  void watch(spdlog::details::thread_pool& pool) { pool_ = &pool; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (output_.reopen_if_asked() && !output_.last_error().empty()) {
      write(system_clock::now(), "error",
            fmt::format("the log {} cannot be opened anew: {}; the old one stays in use", output_.file(),
                        output_.last_error()));
    }
    if (pool_ != nullptr) {
      const auto dropped = pool_->overrun_counter();
      if (dropped > told_) {
        write(system_clock::now(), "warning",
              fmt::format("{} older lines were dropped, as the log's queue (log.queue) was full", dropped - told_));
        told_ = dropped;
      }
    }
    const auto level = spdlog::level::to_string_view(message.level);
    write(message.time, {level.data(), level.size()}, {message.payload.data(), message.payload.size()});
  }
  void flush_() override {}

 private:
  void write(system_clock::time_point time, std::string_view level, std::string_view text) {
    line_.clear();
    append_log_line(line_, format_, time, level, text);
    (void)output_.write(line_);  // where that fails there is nobody to tell
  }

  const net::LogFormat format_;
  net::LogOutput output_;
  spdlog::details::thread_pool* pool_ = nullptr;  ///< null while lines are written at once
  std::size_t told_ = 0;                          ///< of the pool's dropped lines
  std::string line_;
};

// Of the log in use; used between begin_log() and end_log(), on the main thread.
std::weak_ptr<OutputSink> sink_in_use;

extern "C" void on_reopen_signal(int) { net::LogOutput::ask_to_reopen(); }

}  // namespace

void append_log_line(std::string& out, net::LogFormat format, system_clock::time_point time, std::string_view level,
                     std::string_view text) {
  if (format == net::LogFormat::json) {
    out += "{\"time\":\"";
    net::append_time(out, time);
    out.append("\",\"event\":\"log\",\"level\":\"").append(level).append("\",\"message\":\"");
    http::append_json_text(out, text);
    out += "\"}\n";
    return;
  }
  append_local_time(out, time);
  out.append(" ").append(level).append(" ");
  http::append_log_text(out, text);
  out += '\n';
}

void log_to_stderr() {
  auto sink = std::make_shared<OutputSink>(net::LogParameters{});
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("larder", std::move(sink)));
}

void begin_log(const net::LogParameters& parameters, config::LogLevel level) {
  auto sink = std::make_shared<OutputSink>(parameters);
  const auto pool = std::make_shared<spdlog::details::thread_pool>(parameters.queue, 1U);
  sink->watch(*pool);
  sink_in_use = sink;
  auto logger = std::make_shared<spdlog::async_logger>("larder", std::move(sink), pool,
                                                       spdlog::async_overflow_policy::overrun_oldest);
  spdlog::details::registry::instance().set_tp(pool);  // which keeps it
  spdlog::set_default_logger(std::move(logger));
  spdlog::set_level(spdlog::level::from_str(std::string(config::to_string(level))));
}

void end_log() {
  if (const auto sink = sink_in_use.lock()) sink->output().give_up_at(net::LogOutput::Clock::now() + end_deadline);
  // The thread first, which writes what is queued; then what it has written with.
  spdlog::details::registry::instance().set_tp(nullptr);
  spdlog::shutdown();
}

void reopen_logs_on_signal() {
  struct sigaction action {};
  action.sa_handler = on_reopen_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  (void)sigaction(SIGUSR1, &action, nullptr);
}

}  // namespace larder::app
