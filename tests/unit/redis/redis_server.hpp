#pragma once
// A real redis-server for a test: its own temporary directory, a Unix socket, a TCP port that was free, and a TLS port
// when asked for. It is ready when the constructor returns, and gone, whatever its state, when the destructor does.
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "larder/redis/connection.hpp"

namespace larder::redis::test {

/// A directory that goes away with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "larder-redis-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string file(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// A TCP port of 127.0.0.1 that was free a moment ago.
inline std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) ::close(fd);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

/// Runs a program to its end; throws unless it succeeds.
inline void run_program(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 0);
    ::dup2(null, 1);
    ::dup2(null, 2);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error(arguments[0] + " failed");
}

/// A throw-away CA and a server certificate for localhost and 127.0.0.1 signed by it.
class Certificates {
 public:
  Certificates() {
    const std::string key = "ec";
    const std::string curve = "ec_paramgen_curve:prime256v1";
    for (const char* authority : {"ca", "other_ca"})
      run_program({"openssl", "req", "-x509", "-newkey", key, "-pkeyopt", curve, "-nodes", "-days", "2", "-subj",
                   std::string("/CN=") + authority, "-keyout", file(authority) + ".key", "-out",
                   file(authority) + ".pem"});
    run_program({"openssl", "req", "-newkey", key, "-pkeyopt", curve, "-nodes", "-subj", "/CN=localhost", "-addext",
                 "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", file("server.key"), "-out",
                 file("server.csr")});
    run_program({"openssl", "x509", "-req", "-in", file("server.csr"), "-CA", ca(), "-CAkey", file("ca.key"),
                 "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", file("server.pem")});
  }
  [[nodiscard]] std::string ca() const { return file("ca.pem"); }
  [[nodiscard]] std::string other_ca() const { return file("other_ca.pem"); }
  [[nodiscard]] std::string certificate() const { return file("server.pem"); }
  [[nodiscard]] std::string key() const { return file("server.key"); }

 private:
  [[nodiscard]] std::string file(std::string_view name) const { return directory_.file(name); }
  TemporaryDirectory directory_;
};

class RedisServer {
 public:
  explicit RedisServer(std::vector<std::string> options = {}, const Certificates* certificates = nullptr)
      : options_(std::move(options)), certificates_(certificates) {
    for (int attempt = 0;; ++attempt) {
      port_ = free_port();
      tls_port_ = free_port();
      try {
        start();
        return;
      } catch (const std::runtime_error&) {
        if (attempt == 4) throw;  // someone else took the port each time?
      }
    }
  }
  ~RedisServer() { kill(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  /// Starts it (again) at the same addresses and returns when it accepts connections.
  void start() {
    std::vector<std::string> arguments{"redis-server",
                                       "--port",
                                       std::to_string(port_),
                                       "--unixsocket",
                                       socket_path(),
                                       "--dir",
                                       directory_.file(""),
                                       "--save",
                                       "",
                                       "--appendonly",
                                       "no",
                                       "--bind",
                                       "127.0.0.1",
                                       "--enable-debug-command",
                                       "yes"};
    if (certificates_ != nullptr)
      for (const std::string& argument :
           {std::string("--tls-port"), std::to_string(tls_port_), std::string("--tls-cert-file"),
            certificates_->certificate(), std::string("--tls-key-file"), certificates_->key(),
            std::string("--tls-ca-cert-file"), certificates_->ca(), std::string("--tls-auth-clients"),
            std::string("no")})
        arguments.push_back(argument);
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);

    int log[2];
    if (::pipe2(log, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(log[1], 1);
      ::dup2(log[1], 2);
      ::execvp(pointers[0], pointers.data());
      ::_exit(127);
    }
    ::close(log[1]);
    log_ = log[0];
    if (pid_ < 0) throw std::runtime_error("fork failed");
    await_ready();
  }

  void kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    pid_ = -1;
    if (log_ >= 0) ::close(log_);
    log_ = -1;
  }
  /// Stopped, it accepts connections (the kernel does) and says nothing. Returns when it has really stopped.
  void pause() {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  void resume() { ::kill(pid_, SIGCONT); }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string socket_path() const { return directory_.file("redis.sock"); }
  [[nodiscard]] ConnectionParameters tcp() const {
    ConnectionParameters parameters = quick();
    parameters.port = port_;
    return parameters;
  }
  [[nodiscard]] ConnectionParameters unix_socket() const {
    ConnectionParameters parameters = quick();
    parameters.transport = ConnectionParameters::Transport::unix_socket;
    parameters.host = socket_path();
    return parameters;
  }
  [[nodiscard]] ConnectionParameters tls() const {
    ConnectionParameters parameters = quick();
    parameters.transport = ConnectionParameters::Transport::tls;
    parameters.port = tls_port_;
    parameters.tls_ca_file = certificates_->ca();
    return parameters;
  }

 private:
  /// Retries soon, so that tests need not wait.
  static ConnectionParameters quick() {
    ConnectionParameters parameters;
    parameters.backoff_first = std::chrono::milliseconds(2);
    parameters.backoff_max = std::chrono::milliseconds(20);
    return parameters;
  }

  void await_ready() {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::string said;
    while (said.find("ready to accept connections at") == std::string::npos) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - std::chrono::steady_clock::now());
      pollfd readable{log_, POLLIN, 0};
      std::array<char, 4096> piece;
      ssize_t size = 0;
      if (left.count() > 0 && ::poll(&readable, 1, static_cast<int>(left.count())) > 0)
        size = ::read(log_, piece.data(), piece.size());
      if (size <= 0) {
        kill();
        throw std::runtime_error("redis-server did not start (is it installed?): " + said);
      }
      said.append(piece.data(), static_cast<std::size_t>(size));
    }
  }

  TemporaryDirectory directory_;
  std::vector<std::string> options_;
  const Certificates* certificates_;
  std::uint16_t port_ = 0;
  std::uint16_t tls_port_ = 0;
  pid_t pid_ = -1;
  int log_ = -1;
};

}  // namespace larder::redis::test
