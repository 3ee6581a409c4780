#include "larder/net/listening_socket.hpp"

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace larder::net {

namespace asio = boost::asio;

namespace {
constexpr int backlog = 4096;

std::string last_error() { return std::error_code(errno, std::system_category()).message(); }

asio::ip::tcp::endpoint resolve(const Endpoint& endpoint) {
  boost::system::error_code error;
  const auto literal = asio::ip::make_address(endpoint.host, error);
  if (!error) return {literal, endpoint.port};
  asio::io_context context{1};
  asio::ip::tcp::resolver resolver(context);
  const auto results = resolver.resolve(endpoint.host, std::to_string(endpoint.port), asio::ip::tcp::resolver::passive);
  return *results.begin();
}

asio::ip::tcp::endpoint name_of(int descriptor) noexcept {
  asio::ip::tcp::endpoint endpoint;
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(descriptor, endpoint.data(), &size) == 0) endpoint.resize(size);
  return endpoint;
}

bool set_flags(int descriptor) noexcept {
  const int status = ::fcntl(descriptor, F_GETFL);
  return status >= 0 && ::fcntl(descriptor, F_SETFL, status | O_NONBLOCK) == 0 &&
         ::fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0;
}
}  // namespace

ListeningSocket ListeningSocket::bind(const Endpoint& endpoint, bool shared) {
  const auto address = resolve(endpoint);
  ListeningSocket socket(
      ::socket(address.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.protocol().protocol()));
  const int on = 1;
  const int descriptor = socket.descriptor_;
  bool is_bound = descriptor >= 0;
  if (is_bound) {
    (void)::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared) (void)::setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    is_bound = ::bind(descriptor, address.data(), static_cast<socklen_t>(address.size())) == 0 &&
               ::listen(descriptor, backlog) == 0;
  }
  if (!is_bound) {
    throw std::runtime_error(fmt::format("cannot listen on {}:{}: {}", endpoint.host, endpoint.port, last_error()));
  }
  socket.local_endpoint_ = name_of(descriptor);
  return socket;
}

ListeningSocket ListeningSocket::adopt(int descriptor) {
  ListeningSocket socket(descriptor);
  const auto option = [descriptor](int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
  };
  const int domain = option(SO_DOMAIN);
  if (option(SO_TYPE) != SOCK_STREAM || option(SO_ACCEPTCONN) != 1 || (domain != AF_INET && domain != AF_INET6)) {
    throw std::runtime_error(fmt::format("descriptor {} that was handed over is no listening TCP socket", descriptor));
  }
  if (!set_flags(descriptor)) {
    throw std::runtime_error(
        fmt::format("cannot use descriptor {} that was handed over: {}", descriptor, last_error()));
  }
  socket.local_endpoint_ = name_of(descriptor);
  return socket;
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), local_endpoint_(other.local_endpoint_) {}

ListeningSocket& ListeningSocket::operator=(ListeningSocket&& other) noexcept {
  if (this == &other) return *this;
  close();
  descriptor_ = std::exchange(other.descriptor_, -1);
  local_endpoint_ = other.local_endpoint_;
  return *this;
}

ListeningSocket ListeningSocket::duplicate() const {
  ListeningSocket copy(::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0));
  if (!copy.is_open()) throw std::runtime_error("cannot duplicate a listening socket: " + last_error());
  copy.local_endpoint_ = local_endpoint_;
  return copy;
}

void ListeningSocket::close() noexcept {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

}  // namespace larder::net
