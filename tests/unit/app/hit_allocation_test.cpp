// A hit in memory allocates nothing, from the socket to the socket: every allocation of the serving thread is counted.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <future>
#include <new>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "larder/config/rules_reader.hpp"
#include "larder/net/access_log.hpp"
#include "larder/net/listener.hpp"
#include "larder/proxy/error_log.hpp"
#include "larder/proxy/proxy.hpp"

#include "../net/loopback.hpp"

namespace {
thread_local std::size_t allocations = 0;
}  // namespace

// Not inlined: g++ 12 takes what it has inlined of them for the wrong partner of what it has not.
// NOLINTBEGIN(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  ++allocations;
  const auto step = static_cast<std::size_t>(alignment);
  if (void* const memory = std::aligned_alloc(step, (size + step - 1) / step * step)) return memory;
  throw std::bad_alloc();
}
// Not inlined: the compiler would see free() on what it knows only as the result of new.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
// NOLINTEND(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)

namespace larder::app {
namespace {

namespace asio = boost::asio;

constexpr const char* rules_text = R"(
routes:
  - match: GET /users/{id}
    cache: user
    ttl: 1h
    key: "user:profile:{id}"
    tags: ["user:{id}"]
  - match: GET /search
    cache: search
    ttl: 1h
    query: { only: [q, page], sort: true }
  - match: GET /me
    cache: me
    ttl: 1h
    identity: header:X-User
  - match: GET /**
    cache: page
    ttl: 1h
types:
  user: {}
  search: {}
  me: {}
  page: {}
)";

// Answers every request on one connection with the same response, on a thread of its own.
class Origin {
 public:
  explicit Origin(std::string response) : response_(std::move(response)), thread_([this] { serve(); }) {}
  ~Origin() {
    // Whoever accepts is woken by a last connection.
    try {
      const auto last = net::test::connect_to(listener_.port());
      thread_.join();
    } catch (const std::exception&) {
      std::terminate();
    }
  }
  Origin(const Origin&) = delete;
  Origin& operator=(const Origin&) = delete;
  [[nodiscard]] std::string url() const { return listener_.url(); }

 private:
  void serve() {
    auto peer = accept();
    while (!peer.is_over()) {
      if (peer.received().ends_with("\r\n\r\n")) {
        peer.take();
        // A large one does not fit into the kernel's buffers at once.
        std::string_view rest(response_);
        while (!rest.empty() && !peer.is_over()) {
          rest.remove_prefix(peer.send_some(rest));
          if (!rest.empty()) std::this_thread::yield();
        }
      }
      std::this_thread::yield();
    }
  }
  net::test::Peer accept() {
    for (;;) {
      if (auto peer = listener_.try_accept()) return std::move(*peer);
      std::this_thread::yield();
    }
  }

  const std::string response_;
  net::test::PeerListener listener_;
  std::thread thread_;
};

// A worker without a thread: the test's own thread serves.
struct Site {
  explicit Site(const std::string& origin_response, bool logs_requests = false) : origin(origin_response) {
    std::vector<config::Fault> faults;
    std::vector<config::Fault> warnings;
    const auto no_environment = [](std::string_view) { return std::optional<std::string>{}; };
    shared.rules = config::read_rules(rules_text, "rules.yaml", no_environment, {}, std::nullopt, faults, warnings);
    REQUIRE(faults.empty());
    origin_parameters.servers = {origin.url()};
    counters = std::make_unique<proxy::WorkerCounters>(shared.rules->counted.size());
    origins = std::make_unique<net::OriginPool>(context, wheel, origin_parameters);
    story = std::make_unique<proxy::Proxy>(shared, context, wheel, *origins, nullptr, *counters);
    auto handler = story->handler();
    if (logs_requests) {
      access_log = std::make_unique<net::AccessLog>(net::AccessLogParameters{.file = "/dev/null", .always = {}},
                                                    std::vector<std::string>{"token"}, 1U);
      access_log->start();
      handler.access = &access_log->lane(0);
    }
    std::vector<net::ListeningSocket> sockets;
    sockets.push_back(net::ListeningSocket::bind({"127.0.0.1", 0}, false));
    listener = std::make_unique<net::Listener>(context, wheel, std::move(sockets), limits, std::move(handler),
                                               session_counters);
    listener->start();
  }

  Origin origin;
  asio::io_context context{1};
  net::DeadlineWheel wheel{context};
  net::ClientLimits limits;
  net::OriginParameters origin_parameters;
  net::SessionCounters session_counters;
  store::PurgeLog log{1};
  store::MemoryStore memory{{}, log};
  store::FillTable fills{8UL << 20, 64UL << 20};
  store::VarianceIndex variances;
  store::DecodedBodies decoded;
  proxy::ErrorLog origin_errors{"[ORIGIN ERROR]"};
  proxy::ErrorLog overload{"[OVERLOAD]"};
  proxy::Shared shared{.rules = {},
                       .cache = {},
                       .log = log,
                       .memory = memory,
                       .fills = fills,
                       .variances = variances,
                       .decoded = decoded,
                       .origin_errors = origin_errors,
                       .overload = overload};
  std::unique_ptr<proxy::WorkerCounters> counters;
  std::unique_ptr<net::OriginPool> origins;
  std::unique_ptr<proxy::Proxy> story;
  std::unique_ptr<net::AccessLog> access_log;
  std::unique_ptr<net::Listener> listener;
};

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

// Sends the requests and waits for all replies, whose bodies end with "xend".
void exchange(net::test::Peer& client, const std::string& requests) {
  const auto expected = count(requests, "\r\n\r\n");
  client.send(requests);
  while (count(client.received(), "xend") < expected) {
    if (client.is_over()) throw std::runtime_error("the connection was closed");
    std::this_thread::yield();
  }
  client.take();
}

// What the serving thread has allocated so far, asked from another thread.
std::size_t allocated(asio::io_context& context) {
  std::promise<std::size_t> count;
  asio::post(context, [&count] { count.set_value(allocations); });
  return count.get_future().get();
}

TEST_CASE("a hit allocates nothing") {
  const std::string browser =
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: */*\r\n"
      "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nDNT: 1\r\n"
      "Connection: keep-alive\r\nCookie: session=0123456789abcdef\r\nSec-Fetch-Dest: empty\r\nX-User: ada\r\n";
  struct Case {
    const char* what;
    std::string request;
    std::size_t body_size;
    std::string origin_fields;
    bool logs_requests = false;
  };
  const auto get = [&](const std::string& target, const std::string& fields) {
    return "GET " + target + " HTTP/1.1\r\nHost: api.example:8080\r\n" + fields + "\r\n";
  };
  const std::vector<Case> cases{
      {"few fields", get("/a?b=c", ""), 1024, ""},
      {"a browser's fields", get("/a?b=c", browser), 1024, ""},
      {"a large body", get("/a", browser), 100UL << 10, ""},
      {"a key of its own and tags", get("/users/42", browser), 1024, ""},
      {"a sorted query", get("/search?page=2&q=abc&utm_source=x", browser), 1024, ""},
      {"an identity", get("/me", browser), 1024, ""},
      {"a variant", get("/a", browser), 1024, "Vary: Accept-Encoding, Accept-Language\r\n"},
      {"client directives", get("/a", browser + "Cache-Control: max-age=600\r\n"), 1024, ""},
      {"sixteen at once",
       [&] {
         std::string requests;
         for (int i = 0; i < 16; ++i) requests += get("/a", browser);
         return requests;
       }(),
       1024, ""},
      {"with the access log on", get("/a?token=x", browser), 1024, "", true},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    Site site(fmt::format("HTTP/1.1 200 OK\r\nETag: \"1\"\r\n"
                          "Content-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{}end",
                          c.origin_fields, c.body_size + 3, std::string(c.body_size, 'x')),
              c.logs_requests);
    constexpr std::size_t hits = 50;
    std::vector<std::size_t> rounds;
    std::uint64_t served = 0;
    std::thread client_thread([&] {
      auto client = net::test::connect_to(site.listener->local_endpoint().port());
      const auto first = c.request.substr(0, c.request.find("\r\n\r\n") + 4);
      exchange(client, first);  // the miss
      for (int i = 0; i < 20; ++i) exchange(client, c.request);
      // A tick of the wheel may come into a round; it does not come into all of them.
      for (int round = 0; round < 8; ++round) {
        const auto before = allocated(site.context);
        for (std::size_t i = 0; i < hits; ++i) exchange(client, c.request);
        rounds.push_back(allocated(site.context) - before);
      }
      served = site.counters->memory_hits.value();
      asio::post(site.context, [&] { site.context.stop(); });
    });
    site.context.run();
    client_thread.join();
    CHECK(served >= 8 * hits);
    if (site.access_log) {
      site.access_log->stop();
      CHECK(site.access_log->totals().written > served);
    }
    CHECK(*std::min_element(rounds.begin(), rounds.end()) == 0);
  }
}

}  // namespace
}  // namespace larder::app
