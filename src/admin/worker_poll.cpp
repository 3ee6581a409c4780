#include "larder/admin/worker_poll.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace larder::admin {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// Outlives the poll where a worker answers late. Touched on the poll's thread only.
struct WorkerPoll::Answers {
  std::vector<WorkerState> states;
};

namespace {

WorkerState look_at(proxy::Proxy& worker) {
  WorkerState state;
  state.servers = worker.origins().servers();
  state.origin = worker.origins().counters();
  worker.origins().latency().read_into(state.origin_latency);
  if (auto* const remote = worker.remote()) {
    state.redis = remote->connection().counters();
    state.redis_is_connected = remote->is_connected();
  }
  return state;
}

}  // namespace

WorkerPoll::WorkerPoll(asio::io_context& context, std::vector<proxy::Proxy*> workers)
    : context_(context), workers_(std::move(workers)), answers_(std::make_shared<Answers>()) {
  answers_->states.resize(workers_.size());
}

WorkerPoll::~WorkerPoll() = default;

net::Awaitable<std::vector<WorkerState>> WorkerPoll::ask(std::chrono::milliseconds patience) {
  struct Round {
    explicit Round(const net::Executor& executor) : changed(std::make_shared<net::WaitPoint>(executor)) {}
    std::vector<bool> answered;
    std::size_t left = 0;
    bool is_over = false;
    std::shared_ptr<net::WaitPoint> changed;
  };
  const auto round = std::make_shared<Round>(context_.get_executor());
  round->answered.resize(workers_.size());
  round->left = workers_.size();
  const auto asked = Clock::now();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    asio::post(workers_[i]->context(), [&own = context_, &worker = *workers_[i], answers = answers_, round, i, asked] {
      const auto delay = Clock::now() - asked;
      auto state = look_at(worker);
      state.has_answered = true;
      state.loop_delay = delay;
      asio::post(own, [answers, round, i, state = std::move(state)]() mutable {
        answers->states[i] = std::move(state);
        round->answered[i] = true;
        if (--round->left == 0) round->changed->notify();
      });
    });
  }
  asio::steady_timer timer(context_, patience);
  timer.async_wait([round](const boost::system::error_code& error) {
    if (error) return;
    round->is_over = true;
    round->changed->notify();
  });
  while (round->left > 0 && !round->is_over) co_await round->changed->wait();
  timer.cancel();
  auto states = answers_->states;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (round->answered[i]) continue;
    states[i].has_answered = false;
    states[i].loop_delay = Clock::now() - asked;
  }
  co_return states;
}

}  // namespace larder::admin
