#pragma once
// The story of one request (README, "The life of a request"). One Proxy per worker; what workers share is in Shared.
//
//   answer_at_once   a hit in memory, with no suspension: hit.cpp
//   ask_redis_first  a hit in Redis: hit.cpp
//   answer           everything: story.cpp, which goes on to
//     look up        memory, then (leading a fill) Redis
//     miss           lead, follow or go alone: miss.cpp
//     ask            what the origin is asked, and what its answer confirms or completes: validate.cpp, partial.cpp
//     head           HEAD that no stored response answers: head.cpp
//     write          unsafe methods, and the purges they cause: write.cpp
//     shadow         what the cache would have done, while the origin answers; and hits that are verified: check.cpp
//     relay          what the cache has no part in: relay.cpp
//   warm             a request that no client has made: warm.cpp
//   inspect          what would happen to a request, for explanations: inspect.cpp
#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "larder/net/access_record.hpp"
#include "larder/net/exchange.hpp"
#include "larder/net/origin_pool.hpp"
#include "larder/policy/admission.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/policy/extent.hpp"
#include "larder/policy/normal_request.hpp"
#include "larder/policy/reuse.hpp"
#include "larder/policy/rules.hpp"
#include "larder/proxy/answer_checks.hpp"
#include "larder/proxy/counters.hpp"
#include "larder/proxy/forward.hpp"
#include "larder/proxy/inspection.hpp"
#include "larder/proxy/origin_fetch.hpp"
#include "larder/proxy/parameters.hpp"
#include "larder/proxy/purge_bus.hpp"
#include "larder/proxy/remote_store.hpp"
#include "larder/proxy/terms.hpp"
#include "larder/proxy/warmed.hpp"
#include "larder/store/decoded_bodies.hpp"
#include "larder/store/fill_table.hpp"
#include "larder/store/memory_store.hpp"
#include "larder/store/variance_index.hpp"

namespace larder::proxy {

/// What all workers share. Everything outlives the workers.
struct Shared {
  /// The present rules, for who is not answering a request: read and, by a reload, replaced on the admin API's thread
  /// alone. Requests are answered under Terms, which begin with these and the next three.
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
  store::VarianceIndex& variances;
  store::DecodedBodies& decoded;
  PurgeBus* bus = nullptr;  ///< null without Redis
  ErrorLog& origin_errors;
  ErrorLog& overload;  ///< requests that are refused because a limit is reached
  std::shared_ptr<AnswerChecks> checks = std::make_shared<AnswerChecks>();
  TraceParameters trace{};
  std::vector<std::string> secret_parameters{};  ///< of queries; what of them is in a key is not logged
  std::string admin_token{};                     ///< as in Terms, which begin with it
  /// Another process answers the same clients (one that is being replaced, or its successor), and without Redis neither
  /// hears of the other's purges: nothing is served from memory or shared.
  std::atomic<bool> is_doubled{false};
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

  /// The terms of requests that begin from now on; the rules' routes are numbered (policy::number_routes).
  void adopt(TermsPtr terms);
  [[nodiscard]] const TermsPtr& terms() const noexcept { return terms_; }

  /// Purges here, then in Redis (or the journal), and returns when the promise holds: for writes and for admin. True
  /// where Redis has taken it, or there is none.
  net::Awaitable<bool> purge(std::vector<policy::Selector> selectors);

  /// What the tiers hold for a GET, HEAD or QUERY (without its content) whose route caches it, and what would happen to
  /// it now. `request`: with its end-to-end fields; what it points at outlives the call. Nothing is counted or stored.
  net::Awaitable<Inspection> inspect(TermsPtr terms, const http::RequestHead& request);

  /// Sees to it that the answer to this request is stored, and that it is fresh for longer than `fresh_for` or was
  /// fetched after `since`; fetches it where it is not. Nothing is counted as a use.
  net::Awaitable<WarmResult> warm(std::shared_ptr<const policy::NormalRequest> request, policy::Seconds fresh_for,
                                  policy::TimePoint since);

  [[nodiscard]] WorkerCounters& counters() noexcept { return counters_; }
  [[nodiscard]] RemoteStore* remote() noexcept { return remote_; }
  [[nodiscard]] net::OriginPool& origins() noexcept { return origins_; }
  [[nodiscard]] Shared& shared() noexcept { return shared_; }
  [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }
  [[nodiscard]] net::DeadlineWheel& wheel() noexcept { return wheel_; }

 private:
  template <class T>
  using Awaitable = net::Awaitable<T>;

  // What became of a fill.
  struct FillEnd {
    int status = 0;         ///< of the origin's answer
    net::error_code error;  ///< there was none, or it was cut short
    policy::NotStored not_stored = policy::NotStored::none;
  };

  // A request on its way through the cache. Owns copies of what must outlive the client's session: a fill goes on when
  // its leader's client has gone.
  struct Transaction {
    TermsPtr terms;  ///< with which it began; match points into their rules
    std::string method;
    std::string target;
    std::string purge_target;  ///< policy::purge_target()
    std::string scheme;
    std::string authority;
    std::string origin;  ///< http::origin_text(); empty where the route's hosts share their responses
    std::string client_address;
    http::FieldList fields;  ///< end-to-end fields only
    http::RequestHead request;
    policy::RouteMatch match;
    policy::RequestCacheControl client;
    policy::CacheKey key;
    std::size_t path_size = 0;                  ///< of key.canonical, up to the query; 0 where no variance applies
    std::vector<policy::CacheKey> varied_keys;  ///< under which it may be stored too (No-Vary-Search)
    std::vector<std::string> tags;
    std::vector<std::string> vary_names;          ///< selecting header fields of what Redis holds of it
    std::optional<std::string> content;           ///< of a QUERY
    store::StoredPtr stale;                       ///< found, but not to be served without asking the origin
    SteadyTime redis_until{};                     ///< when this request must be done with Redis
    std::optional<store::Lookup> found_in_redis;  ///< where it was asked already
    bool may_ask_redis = false;                   ///< Redis has not been asked yet, and may be
    bool may_join = true;  ///< what others fetch is of use: every purge of the fleet is known here
    policy::NotReused reason = policy::NotReused::absent;
    FillEnd fetched;  ///< what became of the fill that it has led

    [[nodiscard]] policy::PurgeSubject subject() const noexcept;
    [[nodiscard]] const policy::Route& route() const noexcept { return *match.route; }
  };
  using TransactionPtr = std::shared_ptr<Transaction>;

  // What X-Cache, Cache-Status and the like will say.
  struct Labels {
    policy::CacheOutcome outcome = policy::CacheOutcome::bypass;
    std::string_view key;         ///< X-Cache-Key; empty where there is none, or where the stored head has it
    std::string_view stored_key;  ///< the key that the stored head has
    policy::NotReused reason = policy::NotReused::none;  ///< why no stored response was reused
    std::string_view forward;                            ///< Cache-Status fwd= reason; a hit where empty
    int forward_status = 0;                              ///< fwd-status
    bool is_local = false;  ///< our own answer, made of nothing stored: it gets no Cache-Status (RFC 9211 §2)
    bool stored = false;
    bool collapsed = false;
    std::string_view detail;
    std::optional<policy::Seconds> ttl;
    std::optional<policy::Seconds> age;
    policy::LifetimeSource source = policy::LifetimeSource::none;  ///< of the lifetime that `ttl` comes from

    // Of a stored response, as old as it is `now`. `detail`: the tier that had it, or why it is
    // served stale.
    static Labels from_cache(policy::CacheOutcome outcome, const policy::Lifetime& lifetime, policy::TimePoint now,
                             std::string_view detail) {
      Labels labels;
      labels.outcome = outcome;
      labels.detail = detail;
      labels.source = lifetime.source;
      labels.age = lifetime.current_age(now);
      labels.ttl = lifetime.freshness_lifetime - *labels.age;
      return labels;
    }
    // Of a response that the origin had to be asked for.
    static Labels from_origin(const Transaction& transaction) {
      Labels labels;
      labels.outcome = policy::CacheOutcome::miss;
      labels.key = transaction.key.key;
      labels.reason = transaction.reason;
      labels.forward = forward_reason(transaction.reason);
      return labels;
    }
  };

  // How the origin is asked.
  struct Question {
    http::FieldList fields;
    bool validates = false;          ///< with the validators of what is stale
    std::optional<policy::Gap> gap;  ///< only for what is missing of it
  };

  // A whole response made of what is stored and of the missing part, which is still to be read.
  struct Completion {
    http::FieldList fields;
    policy::Lifetime lifetime;
    std::uint64_t length = 0;
    std::string_view before;  ///< stored bytes in front of the missing ones; `stored` keeps them
    std::string_view behind;
    store::StoredPtr stored;
  };

  // What was relayed of a body, up to a bound.
  struct BodyCopy {
    std::string bytes;
    std::size_t most = 0;
    bool is_cut = false;  ///< there was more
  };

  // What a 304 or the head of a HEAD has made of a stored response.
  struct Freshened {
    store::StoredPtr stored;
    policy::NotStored reason = policy::NotStored::none;  ///< why it is for the client that asked alone, if it is
  };

  struct Leading;
  struct FreshAnswer;

  // How following a fill ended.
  enum class Followed : unsigned char {
    replied,       ///< the client has its answer (or is gone)
    go_alone,      ///< the answer is not storable: ask for oneself
    other_variant  ///< the fill is of another variant: join one's own
  };

  // story.cpp
  Awaitable<void> answer(net::Exchange& exchange);
  Awaitable<void> answer_uncached(net::Exchange& exchange, TermsPtr terms, http::FieldList fields,
                                  policy::Admission admission);
  Awaitable<void> get(net::Exchange& exchange, TransactionPtr transaction);
  Awaitable<void> query(net::Exchange& exchange, const TermsPtr& terms, const http::RequestHead& request,
                        const policy::Route* route);
  TransactionPtr make_transaction(const TermsPtr& terms, const http::RequestHead& request,
                                  std::string_view client_address, std::optional<std::string> content) const;
  [[nodiscard]] TransactionPtr make_end_to_end_transaction(const TermsPtr& terms, const net::Exchange& exchange) const;
  [[nodiscard]] policy::CacheKey key_under(const Transaction& transaction, const policy::QueryVariance& variance) const;
  store::Lookup find_in_memory(const Transaction& transaction, bool count_hit);
  bool serve_if_usable(net::Exchange& exchange, const TransactionPtr& transaction, const store::StoredPtr& stored,
                       std::string_view tier);
  [[nodiscard]] bool is_alive(const store::StoredResponse& stored) const;
  [[nodiscard]] bool may_join(bool current) const noexcept;
  [[nodiscard]] bool may_serve_on_error(const Transaction& transaction, policy::TimePoint now) const;
  [[nodiscard]] bool is_confirmed_by(const store::StoredResponse& stored, http::FieldSpan answer_fields) const;
  [[nodiscard]] bool is_trusted(const store::StoredResponse& stored, policy::TimePoint now) const noexcept;

  // hit.cpp
  bool name(const http::RequestHead& request);
  [[nodiscard]] bool has_other_names() const;
  [[nodiscard]] bool is_named(const net::Exchange& exchange) const noexcept;
  [[nodiscard]] static bool needs_the_story(const http::RequestHead& request);
  bool answer_at_once(net::Exchange& exchange);
  bool serve_if_fresh(net::Exchange& exchange, const TermsPtr& terms, const policy::Route& route,
                      const store::StoredPtr& stored, std::string_view tier, policy::TimePoint now);
  [[nodiscard]] std::size_t freed_without(const void* retained, void (*release)(const void*)) const;
  [[nodiscard]] std::optional<policy::CacheKey> key_to_ask_redis_for(const net::Exchange& exchange);
  Awaitable<void> ask_redis_first(net::Exchange& exchange, TermsPtr terms, policy::CacheKey key,
                                  const policy::Route& route);
  [[nodiscard]] store::StoredPtr acceptable_form(const Transaction& transaction, const store::StoredPtr& stored);
  void serve_stored(net::Exchange& exchange, const Terms& terms, const http::RequestHead& request,
                    const store::StoredPtr& stored, const Labels& labels, policy::TimePoint now);
  void count(net::Exchange& exchange, const policy::Route* route, policy::CacheOutcome outcome) noexcept;
  // A reason why something is not stored or not reused, in all and of its route.
  void count(const policy::Route* route, policy::NotStored reason) noexcept;
  void count(const policy::Route* route, policy::NotReused reason) noexcept;
  void count_redis_hit(net::Exchange* exchange) noexcept;
  [[nodiscard]] RouteCounters* counters_of(const policy::Route* route) noexcept;

  // inspect.cpp
  [[nodiscard]] Usability usability(const Transaction& transaction, const store::StoredPtr& stored,
                                    policy::TimePoint now);
  [[nodiscard]] TierFinding finding_of(const Transaction& transaction, std::string_view tier, store::Lookup found,
                                       bool is_trustworthy);

  // warm.cpp
  Awaitable<bool> lasts_for(TransactionPtr transaction, policy::Seconds fresh_for, policy::TimePoint since);
  Awaitable<store::StoredPtr> fill_ahead(TransactionPtr transaction);
  Awaitable<store::StoredPtr> read_to_end(store::FillReader& reader);
  [[nodiscard]] WarmResult end_of_fill(Transaction& transaction, const store::StoredPtr& stored) const;

  // labels.cpp
  void append_labels(std::string& lines, const Terms& terms, const Labels& labels, const net::Exchange& exchange) const;
  void identify(net::Exchange& exchange);
  void note_route(net::AccessRecord& record, const policy::Route& route) const;
  [[nodiscard]] static bool wants_explanation(const Terms& terms, const http::RequestHead& request);
  static void append_explanation(std::string& lines, const Terms& terms, const Labels& labels,
                                 const http::RequestHead& request);

  // miss.cpp
  Awaitable<void> miss(net::Exchange& exchange, TransactionPtr transaction);
  Awaitable<void> join(net::Exchange& exchange, TransactionPtr transaction, std::shared_ptr<store::Fill> fill);
  Awaitable<void> go_alone(net::Exchange& exchange, TransactionPtr transaction);
  Awaitable<void> lead(net::Exchange* exchange, TransactionPtr transaction, std::string join_key,
                       std::shared_ptr<store::Fill> fill);
  Awaitable<void> deliver(std::shared_ptr<Leading> shared_leading);
  [[nodiscard]] std::optional<policy::NotReused> is_lately_unstorable(const net::Exchange& exchange);
  Awaitable<void> pass(net::Exchange& exchange, TermsPtr terms, policy::NotReused why, std::string key,
                       const policy::Route& route);
  void serve(Leading& leading, const store::StoredPtr& stored, policy::CacheOutcome outcome, std::string_view detail);
  void serve_found_in_redis(Leading& leading);
  [[nodiscard]] OriginRequest next_question(Leading& leading, bool is_first);
  bool is_of_use(Leading& leading);
  bool serve_stale_on_error(Leading& leading);
  bool report_error(Leading& leading);
  bool serve_freshened(Leading& leading);
  policy::NotStored judge(Leading& leading) const;
  Labels decline(Leading& leading, policy::NotStored reason);
  void stream(std::shared_ptr<Leading> shared_leading);
  store::Append append(Leading& leading, std::string_view& rest);
  Awaitable<void> pump(std::shared_ptr<Leading> leading);
  void finish_fill(Leading& leading);
  Awaitable<Followed> follow(net::Exchange& exchange, TransactionPtr transaction, store::FillReader& reader,
                             bool leads);
  void reply_with_failure_of_fill(net::Exchange& exchange, const Transaction& transaction, const store::FillView& view,
                                  Labels labels);
  Followed serve_answer_of_fill(net::Exchange& exchange, const Transaction& transaction, const store::FillView& view,
                                Labels labels);
  [[nodiscard]] std::optional<Followed> may_not_read(const Transaction& transaction, store::FillReader& reader,
                                                     const store::FillView& view) const;
  bool begin_reply_from_fill(net::Exchange& exchange, const Transaction& transaction, const store::FillView& view,
                             Labels labels);
  [[nodiscard]] bool asks_redis(const Transaction& transaction) const noexcept;
  Awaitable<bool> look_up_remote(TransactionPtr transaction);
  Awaitable<store::Lookup> find_in_redis(TransactionPtr transaction);
  bool absorb_remote(Transaction& transaction, store::Lookup found);
  void refresh_in_background(const TransactionPtr& transaction);

  // validate.cpp
  [[nodiscard]] Question make_question(const Transaction& transaction, bool passes_range, bool is_shared) const;
  [[nodiscard]] store::StoredParts parts_of(const Transaction& transaction, const store::PurgeStamp& stamp,
                                            const policy::Lifetime& lifetime, http::FieldSpan fields) const;
  [[nodiscard]] std::vector<std::string> tags_of(const Transaction& transaction, std::vector<std::string> rule_tags,
                                                 http::FieldSpan fields) const;
  [[nodiscard]] std::string selecting_of(const Transaction& transaction, http::FieldSpan fields) const;
  void name_variant(store::StoredParts& parts) const;
  store::StoredPtr find_confirmed(const Transaction& transaction, http::FieldSpan not_modified_fields) const;
  Freshened freshen(const Transaction& transaction, http::FieldSpan answer_fields, const store::PurgeStamp& stamp,
                    policy::TimePoint request_time, policy::TimePoint response_time);
  void supersede(const Transaction& transaction, const store::StoredResponse& stored);
  policy::NotStored keep(const Transaction& transaction, const store::StoredPtr& stored,
                         const store::PurgeStamp& stamp);
  void drop(const store::StoredResponse& stored);

  // partial.cpp
  std::shared_ptr<Completion> complete(const Transaction& transaction, const Question& question,
                                       const OriginResponse& response, policy::TimePoint request_time,
                                       policy::TimePoint response_time) const;
  [[nodiscard]] bool is_missing_part(const Transaction& transaction, const Question& question,
                                     const OriginResponse& response) const;
  Awaitable<void> serve_part(net::Exchange& exchange, TransactionPtr transaction, OriginResponse& response,
                             bool completes, store::PurgeStamp stamp, policy::TimePoint request_time,
                             policy::TimePoint response_time);
  [[nodiscard]] bool fits(const Transaction& transaction, const policy::Gap& gap) const noexcept;
  store::StoredPtr keep_part(const Transaction& transaction, http::FieldSpan answer_fields, http::ByteRange part,
                             std::optional<std::uint64_t> complete_length, std::string bytes, bool completes,
                             bool is_storable, const store::PurgeStamp& stamp, policy::TimePoint request_time,
                             policy::TimePoint response_time);

  // head.cpp
  Awaitable<void> head(net::Exchange& exchange, TransactionPtr transaction);
  policy::NotStored absorb_head(Transaction& transaction, const OriginResponse& response,
                                const store::PurgeStamp& stamp, policy::TimePoint request_time,
                                policy::TimePoint response_time);

  // check.cpp
  void compare(CheckKind kind, const Transaction& transaction, const store::StoredPtr& stored,
               const store::StoredPtr& form, const FreshAnswer& fresh);
  void remember_credentials(const Transaction& transaction, std::string_view name);
  Awaitable<ShadowOutcome> look_up_in_shadow(net::Exchange& exchange, TransactionPtr transaction);
  Awaitable<void> shadow(net::Exchange& exchange, TransactionPtr transaction);
  void verify_by_chance(const net::Exchange& exchange, const TermsPtr& terms, const policy::Route& route,
                        const store::StoredPtr& stored);
  Awaitable<void> verify(TransactionPtr transaction, store::StoredPtr stored, store::BudgetShare share,
                         std::shared_ptr<const bool> place);

  // relay.cpp
  Awaitable<void> relay(net::Exchange& exchange, const Terms& terms, const http::RequestHead& request, Labels labels,
                        const policy::Route* route, const std::string* content = nullptr);
  Awaitable<void> relay_response(net::Exchange& exchange, const Terms& terms, OriginResponse& response,
                                 const Labels& labels, BodyCopy* copy = nullptr);
  void hide_targeted_fields(const Terms& terms, http::FieldList& fields) const;
  Awaitable<void> relay_upgraded(net::Exchange& exchange, const Terms& terms, OriginResponse& response);
  void reply_with_failure(net::Exchange& exchange, const Terms& terms, const OriginResponse& response,
                          const Labels& labels);
  void report_origin_error(std::string_view method, std::string_view target, const OriginResponse& response);
  OriginRequest origin_request(net::Exchange* exchange, const Terms& terms, const http::RequestHead& request,
                               std::string_view client_address, const std::string* content = nullptr);

  // write.cpp
  Awaitable<void> write(net::Exchange& exchange, const TermsPtr& terms, const http::RequestHead& request);
  void keep_answer_to_post(const TermsPtr& terms, const http::RequestHead& request, const http::ResponseHead& head,
                           std::string body, std::string_view client_address, const store::PurgeStamp& before,
                           bool delivered, policy::TimePoint request_time, policy::TimePoint response_time);
  std::vector<policy::Selector> selectors_of(const Terms& terms, const http::RequestHead& request,
                                             const http::ResponseHead* response) const;

  Shared& shared_;
  boost::asio::io_context& context_;
  net::DeadlineWheel& wheel_;
  net::OriginPool& origins_;
  RemoteStore* remote_;
  WorkerCounters& counters_;
  const Via via_;
  std::mt19937_64 random_;  ///< of request ids, traces and what is chosen by chance
  std::shared_ptr<const bool> verifying_ = std::make_shared<const bool>(true);  ///< one more owner per verification
  std::chrono::steady_clock::time_point verify_second_;                         ///< when `verified_in_second_` began
  unsigned verified_in_second_ = 0;
  TermsPtr terms_;  ///< the present ones
  // The request that was named last.
  std::uint64_t named_ = 1;   ///< its number
  policy::RouteMatch match_;  ///< views of it
  std::string canonical_;
  std::size_t path_size_ = 0;  ///< of canonical_, up to the query; 0 where no variance applies
  policy::NotReused named_reason_ = policy::NotReused::absent;  ///< why memory had nothing for it, where it was asked
  std::string lines_;                                           ///< scratch of what makes a reply's head
};

}  // namespace larder::proxy
