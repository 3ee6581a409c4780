#pragma once
// The story of one request (README, "The life of a request"). One Proxy per worker; what workers share is in Shared.
//
//   answer_at_once   a hit in memory, with no suspension: hit.cpp
//   answer           everything: story.cpp, which goes on to
//     look up        memory, then (leading a fill) Redis
//     miss           lead, follow or go alone: miss.cpp
//     write          unsafe methods, and the purges they cause: write.cpp
//     relay          what the cache has no part in: relay.cpp
#include <memory>
#include <optional>
#include <string>

#include "larder/net/exchange.hpp"
#include "larder/net/origin_pool.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/policy/reuse.hpp"
#include "larder/policy/rules.hpp"
#include "larder/proxy/counters.hpp"
#include "larder/proxy/forward.hpp"
#include "larder/proxy/origin_fetch.hpp"
#include "larder/proxy/parameters.hpp"
#include "larder/proxy/purge_bus.hpp"
#include "larder/proxy/remote_store.hpp"
#include "larder/store/fill_table.hpp"
#include "larder/store/memory_store.hpp"

namespace larder::proxy {

/// What all workers share. Everything outlives the workers.
struct Shared {
  std::shared_ptr<const policy::RuleSet> rules;
  CacheParameters cache;
  bool trust_forwarded = false;
  bool preserve_host = true;
  net::Milliseconds tunnel_idle_timeout{3600000};
  Coherence coherence = Coherence::bounded;
  std::chrono::milliseconds coherence_bound{1000};
  store::PurgeLog& log;
  store::MemoryStore& memory;
  store::FillTable& fills;
  PurgeBus* bus = nullptr;  ///< null without Redis
  ErrorLog& origin_errors;
};

/// Reads the clock once per decision; the pure layers get it as an argument.
inline policy::TimePoint wall_clock() noexcept { return policy::Clock::now(); }

/// The fwd parameter of Cache-Status (RFC 9211 §2.2).
std::string_view forward_reason(policy::NotReused reason) noexcept;

/// Used on its worker's thread.
class Proxy {
 public:
  /// `remote` may be null (no Redis). All references must outlive the proxy.
  Proxy(Shared& shared, boost::asio::io_context& context, net::DeadlineWheel& wheel, net::OriginPool& origins,
        RemoteStore* remote, WorkerCounters& counters);
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  /// The callables for a listener; valid as long as the proxy.
  net::Handler handler();

  /// Purges here, then in Redis (or the journal), and returns when the promise holds: for writes and for admin.
  net::Awaitable<void> purge(std::vector<policy::Selector> selectors);

  [[nodiscard]] WorkerCounters& counters() noexcept { return counters_; }
  [[nodiscard]] RemoteStore* remote() noexcept { return remote_; }
  [[nodiscard]] net::OriginPool& origins() noexcept { return origins_; }
  [[nodiscard]] Shared& shared() noexcept { return shared_; }
  [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }

 private:
  template <class T>
  using Awaitable = net::Awaitable<T>;

  // A request on its way through the cache. Owns copies of what must outlive the client's session: a fill goes on when
  // its leader's client has gone.
  struct Transaction {
    std::string method;
    std::string target;
    std::string scheme;
    std::string authority;
    std::string client_address;
    http::FieldList fields;  ///< end-to-end fields only
    http::RequestHead request;
    policy::RouteMatch match;
    policy::RequestCacheControl client;
    policy::CacheKey key;
    std::vector<std::string> tags;
    store::StoredPtr stale;    ///< found, but not to be served without asking the origin
    SteadyTime redis_until{};  ///< when this request must be done with Redis
    policy::NotReused reason = policy::NotReused::absent;

    [[nodiscard]] policy::PurgeSubject subject() const noexcept;
    [[nodiscard]] const policy::Route& route() const noexcept { return *match.route; }
  };
  using TransactionPtr = std::shared_ptr<Transaction>;

  // What X-Cache, Cache-Status and the like will say.
  struct Labels {
    policy::CacheOutcome outcome = policy::CacheOutcome::bypass;
    std::string_view key;      ///< X-Cache-Key; empty where there is none, or where the stored head has it
    std::string_view forward;  ///< Cache-Status fwd= reason; a hit where empty
    int forward_status = 0;    ///< fwd-status
    bool stored = false;
    bool collapsed = false;
    std::string_view detail;
    std::optional<policy::Seconds> ttl;
    std::optional<policy::Seconds> age;
  };

  // How following a fill ended.
  enum class Followed : unsigned char {
    replied,       ///< the client has its answer (or is gone)
    go_alone,      ///< the answer is not storable: ask for oneself
    other_variant  ///< the fill is of another variant: join one's own
  };

  // story.cpp
  Awaitable<void> answer(net::Exchange& exchange);
  Awaitable<void> get(net::Exchange& exchange, const http::RequestHead& request);
  TransactionPtr make_transaction(const http::RequestHead& request, std::string_view client_address) const;
  [[nodiscard]] bool is_trusted(const store::StoredResponse& stored, policy::TimePoint now) const noexcept;

  // hit.cpp
  bool answer_at_once(net::Exchange& exchange);
  void serve_stored(net::Exchange& exchange, const http::RequestHead& request, const store::StoredPtr& stored,
                    const Labels& labels, policy::TimePoint now);
  void count(const policy::Route* route, policy::CacheOutcome outcome) noexcept;

  // labels.cpp
  void append_labels(std::string& lines, const Labels& labels) const;

  // miss.cpp
  Awaitable<void> miss(net::Exchange& exchange, TransactionPtr transaction);
  Awaitable<void> lead(net::Exchange* exchange, TransactionPtr transaction, std::string join_key,
                       std::shared_ptr<store::Fill> fill, bool listed);
  Awaitable<Followed> follow(net::Exchange& exchange, TransactionPtr transaction, store::FillReader& reader,
                             bool leads);
  Awaitable<bool> look_up_remote(TransactionPtr transaction);
  Awaitable<void> pump(TransactionPtr transaction, std::string join_key, std::shared_ptr<store::Fill> fill,
                       std::shared_ptr<OriginResponse> response, policy::Lifetime lifetime);
  void finish_fill(const TransactionPtr& transaction, const std::string& join_key,
                   const std::shared_ptr<store::Fill>& fill, const policy::Lifetime& lifetime,
                   http::FieldSpan trailers);
  store::StoredPtr freshen(const TransactionPtr& transaction, const http::ResponseHead& not_modified,
                           const store::PurgeStamp& stamp, policy::TimePoint request_time,
                           policy::TimePoint response_time);
  void keep(const store::StoredPtr& stored, const store::PurgeStamp& stamp);
  void refresh_in_background(const TransactionPtr& transaction);

  // relay.cpp
  Awaitable<void> relay(net::Exchange& exchange, const http::RequestHead& request, Labels labels,
                        const policy::Route* route);
  Awaitable<void> relay_response(net::Exchange& exchange, OriginResponse& response, const Labels& labels);
  Awaitable<void> relay_upgraded(net::Exchange& exchange, OriginResponse& response);
  void reply_with_failure(net::Exchange& exchange, const OriginResponse& response, const Labels& labels);
  void report_origin_error(std::string_view method, std::string_view target, const OriginResponse& response);
  OriginRequest origin_request(net::Exchange* exchange, const http::RequestHead& request, http::FieldSpan fields,
                               std::string_view client_address) const;

  // write.cpp
  Awaitable<void> write(net::Exchange& exchange, const http::RequestHead& request);
  std::vector<policy::Selector> selectors_of(const http::RequestHead& request,
                                             const http::ResponseHead* response) const;

  Shared& shared_;
  boost::asio::io_context& context_;
  net::DeadlineWheel& wheel_;
  net::OriginPool& origins_;
  RemoteStore* remote_;
  WorkerCounters& counters_;
  policy::RouteMatch match_;  ///< scratch of answer_at_once
  std::string canonical_;     ///< scratch of answer_at_once
  std::string lines_;         ///< scratch of serve_stored
};

}  // namespace larder::proxy
