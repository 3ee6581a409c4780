#include "larder/net/log_output.hpp"

#include <array>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <future>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace larder::net {
namespace {

namespace fs = std::filesystem;

// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "larder-log-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::string text_of(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

TEST_CASE("a file is appended to, and nobody else may read it") {
  const Folder folder;
  const auto file = folder.file("log");
  std::ofstream(file) << "before\n";
  LogOutput output(file);
  CHECK(output.write("one\ntwo\n"));
  CHECK(text_of(file) == "before\none\ntwo\n");

  const auto fresh = folder.file("fresh");
  const LogOutput other(fresh);
  struct stat found {};
  REQUIRE(::stat(fresh.c_str(), &found) == 0);
  CHECK((found.st_mode & 07U) == 0);
}

TEST_CASE("a file that cannot be opened is named") {
  try {
    const LogOutput output("/no/such/folder/log");
    FAIL("it was opened");
  } catch (const std::runtime_error& error) {
    CHECK(std::string(error.what()) == "cannot open the log /no/such/folder/log: No such file or directory");
  }
}

TEST_CASE("a rotated file is opened anew; where that fails, the old one stays") {
  const Folder folder;
  const auto file = folder.file("log");
  LogOutput output(file);
  CHECK_FALSE(output.reopen_if_asked());
  CHECK(output.write("one\n"));
  fs::rename(file, folder.file("log.1"));
  CHECK(output.write("two\n"));
  LogOutput::ask_to_reopen();
  CHECK(output.reopen_if_asked());
  CHECK_FALSE(output.reopen_if_asked());
  CHECK(output.last_error().empty());
  CHECK(output.write("three\n"));
  CHECK(text_of(folder.file("log.1")) == "one\ntwo\n");
  CHECK(text_of(file) == "three\n");

  fs::rename(file, folder.file("log.2"));
  fs::create_directory(file);
  LogOutput::ask_to_reopen();
  CHECK(output.reopen_if_asked());
  CHECK_FALSE(output.last_error().empty());
  CHECK(output.write("four\n"));
  CHECK(text_of(folder.file("log.2")) == "three\nfour\n");
}

TEST_CASE("a full disk is an error that is told") {
  if (!fs::exists("/dev/full")) return;
  LogOutput output("/dev/full");
  CHECK_FALSE(output.write("one\n"));
  CHECK(output.last_error() == "No space left on device");
}

TEST_CASE("a reader that does not read is waited for, until it is time to give up") {
  const Folder folder;
  const auto pipe = folder.file("pipe");
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  LogOutput output(pipe);
  std::string lines;
  while (lines.size() < (1U << 20U)) lines += std::string(99, 'x') + "\n";
  auto written = std::async(std::launch::async, [&] { return output.write(lines); });
  // It has filled the pipe and waits.
  std::string received;
  std::array<char, 65536> piece{};
  while (received.size() < lines.size()) {
    pollfd waiting{.fd = reader, .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&waiting, 1, 20000) == 1);
    const auto n = ::read(reader, piece.data(), piece.size());
    REQUIRE(n > 0);
    received.append(piece.data(), static_cast<std::size_t>(n));
  }
  CHECK(written.get());
  CHECK(received == lines);

  output.give_up_at(LogOutput::Clock::now());
  CHECK_FALSE(output.write(lines));
  CHECK(output.last_error() == "it takes no more");
  ::close(reader);
}

}  // namespace
}  // namespace larder::net
