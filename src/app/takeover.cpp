#include "larder/app/takeover.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace larder::app {

namespace asio = boost::asio;

namespace {
constexpr std::string_view hello = "larder takeover 1";
constexpr std::string_view ready = "ready";
constexpr std::string_view draining = "draining";
constexpr std::size_t most_descriptors = 250;  // the kernel's SCM_MAX_FD is 253
constexpr std::chrono::seconds answer_time{10};

std::string last_error() { return std::error_code(errno, std::system_category()).message(); }

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("takeover: the path is too long: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* plain(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // NOLINT: POSIX's way
}

int unix_socket(int flags) {
  const int descriptor = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
  if (descriptor < 0) throw std::runtime_error("takeover: cannot make a Unix socket: " + last_error());
  return descriptor;
}

// A connected socket, or -1 where nobody listens.
int connect_to(const std::string& path) {
  const auto address = address_of(path);
  const int descriptor = unix_socket(0);
  if (::connect(descriptor, plain(address), sizeof address) == 0) return descriptor;
  const int error = errno;
  ::close(descriptor);
  if (error == ENOENT || error == ECONNREFUSED) return -1;
  errno = error;
  throw std::runtime_error(fmt::format("takeover: cannot connect to {}: {}", path, last_error()));
}

struct Message {
  std::string text;
  std::vector<int> descriptors;
};

bool send_message(int to, std::string_view text, const std::vector<int>& descriptors = {}) {
  iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};  // NOLINT: only read
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    auto* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
  }
  return ::sendmsg(to, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

// Empty where the other side has closed, or on error.
Message receive_message(int from) {
  std::array<char, 256> text{};
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  std::vector<char> control(CMSG_SPACE(most_descriptors * sizeof(int)));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const auto n = ::recvmsg(from, &message, MSG_CMSG_CLOEXEC);
  Message received;
  if (n <= 0) return received;
  received.text.assign(text.data(), static_cast<std::size_t>(n));
  for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    received.descriptors.resize((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(received.descriptors.data(), CMSG_DATA(header), received.descriptors.size() * sizeof(int));
  }
  return received;
}

Message await_message(int from) {
  pollfd watched{.fd = from, .events = POLLIN, .revents = 0};
  const auto wait = static_cast<int>(std::chrono::milliseconds(answer_time).count());
  if (::poll(&watched, 1, wait) != 1) {
    throw std::runtime_error("takeover: the process that serves now does not answer; is it a Larder, and well?");
  }
  return receive_message(from);
}

// "sockets C A"
bool parse_counts(std::string_view text, std::size_t& clients, std::size_t& admin) {
  constexpr std::string_view word = "sockets ";
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  const auto* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, clients);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != ' ') return false;
  const auto second = std::from_chars(first.ptr + 1, end, admin);
  return second.ec == std::errc{} && second.ptr == end;
}

// Descriptors give away the port: nobody but our own user (or root) may have them.
bool is_our_own(int peer) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  return ::getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 &&
         (credentials.uid == ::geteuid() || credentials.uid == 0);
}
}  // namespace

std::unique_ptr<Predecessor> Predecessor::find(const std::string& path) {
  const int descriptor = connect_to(path);
  if (descriptor < 0) return nullptr;
  std::unique_ptr<Predecessor> predecessor(new Predecessor(descriptor));  // NOLINT: the constructor is private
  if (!send_message(descriptor, hello)) throw std::runtime_error("takeover: " + last_error());
  auto answer = await_message(descriptor);
  std::vector<net::ListeningSocket> all;
  for (const int one : answer.descriptors) all.push_back(net::ListeningSocket::adopt(one));
  std::size_t clients = 0;
  std::size_t admin = 0;
  if (!parse_counts(answer.text, clients, admin) || clients == 0 || clients + admin != all.size()) {
    throw std::runtime_error(fmt::format(
        "takeover: the process that serves now does not let itself be replaced: {}",
        answer.text.empty() ? "it has closed the connection (another user's, or ending)" : answer.text.substr(0, 200)));
  }
  auto& sockets = predecessor->sockets_;
  for (std::size_t i = 0; i < all.size(); ++i) {
    (i < clients ? sockets.clients : sockets.admin).push_back(std::move(all[i]));
  }
  return predecessor;
}

Predecessor::~Predecessor() { ::close(descriptor_); }

void Predecessor::release() {
  const bool is_told = send_message(descriptor_, ready);
  const auto answer = is_told ? await_message(descriptor_) : Message{};
  if (answer.text != draining) {
    throw std::runtime_error("takeover: the process that serves now has not stopped to accept; it goes on");
  }
}

class Successor::Peer : public std::enable_shared_from_this<Peer> {
 public:
  Peer(Successor& owner, int descriptor) : owner_(owner), stream_(owner.context_, descriptor), timer_(owner.context_) {}

  void start() {
    wait();
    timer_.expires_after(3 * answer_time);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->is_draining_ || !self->owner_.is_peer(*self)) return;
      spdlog::warn("takeover: the new process has not become ready in time; this one goes on");
      self->end();
    });
  }
  void end() {
    timer_.cancel();
    boost::system::error_code ignored;
    stream_.close(ignored);
    owner_.forget(*this);
  }
  void close() {
    timer_.cancel();
    boost::system::error_code ignored;
    stream_.close(ignored);
  }

 private:
  void wait() {
    stream_.async_wait(asio::posix::descriptor_base::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                         if (!error) self->read();
                       });
  }

  void read() {
    const auto message = receive_message(stream_.native_handle());
    for (const int unwanted : message.descriptors) ::close(unwanted);
    if (message.text == hello && !has_sockets_) {
      const auto& sockets = owner_.sockets_();
      std::vector<int> descriptors;
      for (const auto& one : sockets.clients) descriptors.push_back(one.descriptor());
      for (const auto& one : sockets.admin) descriptors.push_back(one.descriptor());
      if (descriptors.size() > most_descriptors) {
        (void)send_message(stream_.native_handle(), fmt::format("refused: more than {} sockets", most_descriptors));
        end();
        return;
      }
      has_sockets_ =
          send_message(stream_.native_handle(),
                       fmt::format("sockets {} {}", sockets.clients.size(), sockets.admin.size()), descriptors);
      spdlog::info("takeover: another process has our sockets and gets ready");
    } else if (message.text == ready && has_sockets_ && !is_draining_) {
      is_draining_ = true;
      owner_.has_taken_over_ = true;
      timer_.cancel();
      owner_.on_ready_();
      (void)send_message(stream_.native_handle(), draining);
    } else {
      if (!is_draining_) spdlog::warn("takeover: the new process has ended before it was ready; this one goes on");
      end();
      return;
    }
    wait();
  }

  Successor& owner_;
  asio::posix::stream_descriptor stream_;
  asio::steady_timer timer_;
  bool has_sockets_ = false;
  bool is_draining_ = false;
};

Successor::Successor(asio::io_context& context, std::string path, std::function<const ListeningSockets&()> sockets,
                     std::function<void()> on_ready)
    : context_(context),
      path_(std::move(path)),
      sockets_(std::move(sockets)),
      on_ready_(std::move(on_ready)),
      acceptor_(context) {}

Successor::~Successor() {
  close();
  if (peer_) peer_->close();
}

void Successor::listen() {
  if (const int other = connect_to(path_); other >= 0) {
    ::close(other);
    throw std::runtime_error(fmt::format("takeover: another process serves at {}", path_));
  }
  const auto address = address_of(path_);
  const int descriptor = unix_socket(SOCK_NONBLOCK);
  acceptor_.assign(descriptor);
  (void)::unlink(path_.c_str());
  if (::fchmod(descriptor, S_IRUSR | S_IWUSR) != 0 || ::bind(descriptor, plain(address), sizeof address) != 0 ||
      ::chmod(path_.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(descriptor, 4) != 0) {
    throw std::runtime_error(fmt::format("takeover: cannot listen on {}: {}", path_, last_error()));
  }
  is_bound_ = true;
  accept();
}

void Successor::close() noexcept {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  // After a takeover the path is the successor's.
  if (is_bound_ && !has_taken_over_) (void)::unlink(path_.c_str());
  is_bound_ = false;
}

void Successor::accept() {
  acceptor_.async_wait(asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    const int descriptor = ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) {
      if (!is_our_own(descriptor)) {
        spdlog::warn("takeover: refused to a process of another user");
        (void)send_message(descriptor, "refused: another user's process");
        ::close(descriptor);
      } else if (peer_ || has_taken_over_) {
        (void)send_message(descriptor, "refused: another process is taking over already");
        ::close(descriptor);
      } else {
        peer_ = std::make_shared<Peer>(*this, descriptor);
        peer_->start();
      }
    }
    accept();
  });
}

bool Successor::is_peer(const Peer& peer) const noexcept { return peer_.get() == &peer; }

void Successor::forget(Peer& peer) {
  if (is_peer(peer)) peer_.reset();
}

}  // namespace larder::app
