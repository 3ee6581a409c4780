#include "larder/app/file_watch.hpp"

#include <array>
#include <cerrno>
#include <filesystem>
#include <set>
#include <spdlog/spdlog.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace larder::app {

namespace asio = boost::asio;

FileWatch::FileWatch(asio::io_context& context, std::function<void()> on_change, std::chrono::milliseconds settle_time)
    : context_(context),
      on_change_(std::move(on_change)),
      settle_time_(settle_time),
      events_(context),
      timer_(context) {}

void FileWatch::watch(const std::vector<std::string>& files) {
  boost::system::error_code ignored;
  events_.close(ignored);
  timer_.cancel();
  files_ = files;
  known_ = states();
  if (files_.empty()) return;
  const int descriptor = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (descriptor < 0) {
    spdlog::warn("the configuration cannot be watched for changes: {}",
                 std::error_code(errno, std::system_category()).message());
    return;
  }
  events_.assign(descriptor);
  std::set<std::string> folders;
  for (const auto& file : files_) {
    const std::filesystem::path path(file);
    folders.insert(path.has_parent_path() ? path.parent_path().string() : ".");
    // Where the file is a link, it may be written to where it lies.
    std::error_code error;
    const auto real = std::filesystem::canonical(path, error);
    if (!error) folders.insert(real.parent_path().string());
  }
  for (const auto& folder : folders) {
    constexpr std::uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ATTRIB;
    if (::inotify_add_watch(descriptor, folder.c_str(), changes) < 0) {
      spdlog::warn("{} cannot be watched for changes: {}", folder,
                   std::error_code(errno, std::system_category()).message());
    }
  }
  wait();
}

FileWatch::State FileWatch::state_of(const std::string& file) {
  struct ::stat status {};
  if (::stat(file.c_str(), &status) != 0) return {};
  return {.exists = true,
          .device = status.st_dev,
          .inode = status.st_ino,
          .size = status.st_size,
          .seconds = status.st_mtim.tv_sec,
          .nanoseconds = status.st_mtim.tv_nsec};
}

std::vector<FileWatch::State> FileWatch::states() const {
  std::vector<State> all;
  all.reserve(files_.size());
  for (const auto& file : files_) all.push_back(state_of(file));
  return all;
}

void FileWatch::wait() {
  events_.async_wait(asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    // What happened is found by comparing; here only that something did.
    std::array<char, 4096> events{};
    while (::read(events_.native_handle(), events.data(), events.size()) > 0) {
    }
    // A file that is being written, or two that are replaced together, are one change.
    timer_.expires_after(settle_time_);
    timer_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) compare();
    });
    wait();
  });
}

void FileWatch::compare() {
  auto now = states();
  if (now == known_) return;
  known_ = std::move(now);
  on_change_();
}

}  // namespace larder::app
