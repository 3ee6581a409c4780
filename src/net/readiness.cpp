#include "larder/net/readiness.hpp"

#include <boost/system/system_error.hpp>
#include <cerrno>
#include <unistd.h>

namespace larder::net {

namespace {
[[noreturn]] void throw_errno(const char* what) {
  throw boost::system::system_error(errno, boost::system::system_category(), what);
}
}  // namespace

Readiness::Readiness(asio::execution_context& context)
    : asio::execution_context::service(context), set_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (set_ < 0) throw_errno("epoll_create1");
  descriptor_.emplace(static_cast<asio::io_context&>(context).get_executor(), set_);
  wait();
}

Readiness::~Readiness() = default;

void Readiness::shutdown() {
  while (!watched_.empty()) {
    auto& watched = watched_.front();
    watched_.pop_front();
    watched.on_shutdown();
  }
  descriptor_.reset();
}

void Readiness::watch(int descriptor, std::uint32_t events, Watched& watched) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watched;
  if (::epoll_ctl(set_, EPOLL_CTL_ADD, descriptor, &event) != 0) throw_errno("epoll_ctl");
  watched_.push_back(watched);
}

void Readiness::forget(int descriptor, Watched& watched) noexcept {
  for (auto i = next_; i < batch_size_; ++i) {
    if (batch_[i].data.ptr == &watched) batch_[i].data.ptr = nullptr;
  }
  if (!watched.is_linked()) return;
  watched.unlink();
  epoll_event unused{};
  (void)::epoll_ctl(set_, EPOLL_CTL_DEL, descriptor, &unused);
}

void Readiness::wait() {
  descriptor_->async_wait(asio::posix::descriptor_base::wait_read, [this](const error_code& error) {
    if (error || !descriptor_) return;
    dispatch();
    wait();
  });
}

void Readiness::dispatch() noexcept {
  const auto n = ::epoll_wait(set_, batch_.data(), static_cast<int>(batch_.size()), 0);
  batch_size_ = n > 0 ? static_cast<std::size_t>(n) : 0;
  for (next_ = 0; next_ < batch_size_;) {
    const auto& event = batch_[next_++];
    if (event.data.ptr != nullptr) static_cast<Watched*>(event.data.ptr)->on_events(event.events);
  }
  batch_size_ = next_ = 0;
}

}  // namespace larder::net
