#include "larder/app/listening.hpp"

#include <charconv>
#include <cstdlib>
#include <fmt/format.h>
#include <stdexcept>
#include <unistd.h>

namespace larder::app {

namespace {
constexpr int first_passed = 3;  // SD_LISTEN_FDS_START
constexpr int most_passed = 1024;

std::string taken_from_environment(const char* name) {
  const char* const value = std::getenv(name);
  std::string text = value != nullptr ? value : "";
  (void)::unsetenv(name);
  return text;
}

int number(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : -1;
}

bool is_at(const net::ListeningSocket& socket, const net::Endpoint& endpoint) {
  const auto bound = socket.local_endpoint();
  return endpoint.port == bound.port() && endpoint.host == bound.address().to_string();
}
}  // namespace

std::vector<PassedSocket> passed_sockets() {
  const auto pid = taken_from_environment("LISTEN_PID");
  const auto count = taken_from_environment("LISTEN_FDS");
  const auto names = taken_from_environment("LISTEN_FDNAMES");
  std::vector<PassedSocket> passed;
  if (count.empty() || number(pid) != ::getpid()) return passed;
  const int all = number(count);
  if (all < 0 || all > most_passed)
    throw std::runtime_error(fmt::format("LISTEN_FDS={} is no number of sockets", count));
  std::string_view rest = names;
  for (int i = 0; i < all; ++i) {
    const auto colon = rest.find(':');
    passed.push_back({net::ListeningSocket::adopt(first_passed + i), std::string(rest.substr(0, colon))});
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
  }
  return passed;
}

ListeningSockets bind_sockets(const config::Settings& settings, unsigned workers) {
  ListeningSockets sockets;
  auto endpoint = settings.listen;
  for (unsigned i = 0; i < workers; ++i) {
    sockets.clients.push_back(net::ListeningSocket::bind(endpoint, workers > 1));
    endpoint.port = sockets.clients.front().local_endpoint().port();
  }
  if (settings.admin) sockets.admin.push_back(net::ListeningSocket::bind(*settings.admin, false));
  return sockets;
}

ListeningSockets sort_sockets(std::vector<PassedSocket> passed, const config::Settings& settings, unsigned workers) {
  ListeningSockets sockets;
  for (auto& one : passed) {
    const bool is_admin = one.name == "admin" || (settings.admin && is_at(one.socket, *settings.admin));
    if (is_admin && !settings.admin) {
      throw std::runtime_error("a socket named admin was handed over, but admin.listen is off: remove one of the two");
    }
    (is_admin ? sockets.admin : sockets.clients).push_back(std::move(one.socket));
  }
  sockets.outlive_us = !sockets.clients.empty();
  auto rest = settings;
  if (!sockets.admin.empty()) rest.admin.reset();
  if (sockets.clients.empty()) {
    auto bound = bind_sockets(rest, workers);
    sockets.clients = std::move(bound.clients);
    if (rest.admin) sockets.admin = std::move(bound.admin);
  } else if (rest.admin) {
    sockets.admin.push_back(net::ListeningSocket::bind(*rest.admin, false));
  }
  return sockets;
}

std::vector<std::vector<net::ListeningSocket>> share_out(std::vector<net::ListeningSocket> sockets, unsigned workers) {
  std::vector<std::vector<net::ListeningSocket>> shares(workers);
  const auto count = sockets.size();
  for (std::size_t i = count; i < workers; ++i) shares[i].push_back(sockets[i % count].duplicate());
  for (std::size_t i = 0; i < count; ++i) shares[i % workers].push_back(std::move(sockets[i]));
  return shares;
}

}  // namespace larder::app
