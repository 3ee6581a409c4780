// A request head from its bytes to its fields, as every hit begins.
#include <benchmark/benchmark.h>
#include <string>
#include <vector>

#include "larder/http/field_list.hpp"
#include "larder/net/message_parser.hpp"

namespace {

// `fields`: 2 as of a load generator, or 13 as of a browser.
std::string request_head(std::int64_t fields) {
  std::string head = "GET /api/products/42?page=3 HTTP/1.1\r\nHost: api.example:8080\r\nAccept: */*\r\n";
  if (fields > 2) {
    head +=
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nDNT: 1\r\n"
        "Connection: keep-alive\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n"
        "Sec-Fetch-User: ?1\r\nUpgrade-Insecure-Requests: 1\r\nPriority: u=0, i\r\n";
  }
  return head + "\r\n";
}

void find_head(benchmark::State& state) {
  const auto head = request_head(state.range(0));
  for (auto _ : state) {
    std::size_t seen = 0;
    auto fault = larder::net::ParseFault::none;
    benchmark::DoNotOptimize(larder::net::find_head(head, seen, fault));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(head.size()));
}
BENCHMARK(find_head)->Arg(2)->Arg(13);

void parse_head(benchmark::State& state) {
  const auto head = request_head(state.range(0));
  std::vector<larder::http::Field> fields;
  fields.reserve(32);
  for (auto _ : state) {
    larder::net::MessageParser<true> parser(fields, 100);
    benchmark::DoNotOptimize(parser.parse_head(head));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(head.size()));
}
BENCHMARK(parse_head)->Arg(2)->Arg(13);

}  // namespace
