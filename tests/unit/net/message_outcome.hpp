#pragma once
// Reads one message as a connection does, from bytes that come in pieces, and keeps all there is to know about it: for
// tests and fuzzing of the parser, to whom the pieces must make no difference.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/net/message_parser.hpp"

namespace larder::net::test {

/// How far a message got, and what was in it.
struct MessageOutcome {
  enum class End : unsigned char {
    complete,         ///< head and body are there
    refused_head,     ///< the head is malformed
    refused_body,     ///< the body or trailers are malformed
    incomplete_head,  ///< more bytes might make a head
    truncated         ///< the connection ended within the body
  } end = End::incomplete_head;
  ParseFault fault = ParseFault::none;
  std::string method;
  std::string target;
  int status = 0;
  std::string reason;
  http::Version version = http::Version::http_1_1;
  std::vector<std::pair<std::string, std::string>> fields;
  Framing framing = Framing::none;
  std::optional<std::uint64_t> length;
  bool keeps_alive = false;
  std::string body;
  std::vector<std::pair<std::string, std::string>> trailers;
  std::string rest;  ///< bytes behind the message

  /// True where nothing depends on the pieces. Which of several faults of a head is named first may.
  [[nodiscard]] bool agrees_with(const MessageOutcome& other) const {
    if (end != other.end) return false;
    if (end == End::refused_head || end == End::incomplete_head) return true;
    const bool same = method == other.method && target == other.target && status == other.status &&
                      reason == other.reason && version == other.version && fields == other.fields &&
                      framing == other.framing && length == other.length && body == other.body;
    if (!same || end != End::complete) return same;
    return keeps_alive == other.keeps_alive && trailers == other.trailers && rest == other.rest;
  }
};

inline std::vector<std::pair<std::string, std::string>> copies(http::FieldSpan fields) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const auto& field : fields) result.emplace_back(field.name, field.value);
  return result;
}

/// Feeds `bytes` in pieces whose sizes `next_piece` gives (at least 1 each), then the end of the stream.
template <bool is_request>
MessageOutcome read_message(std::string_view bytes, const std::function<std::size_t()>& next_piece,
                            bool answers_head = false, std::size_t max_fields = 100) {
  using End = MessageOutcome::End;
  MessageOutcome outcome;
  std::string buffer;
  std::string head;
  std::size_t seen = 0;
  std::vector<http::Field> fields;
  std::optional<MessageParser<is_request>> parser;
  for (;;) {
    if (!parser) {
      auto fault = ParseFault::none;
      const auto size = find_head(buffer, seen, fault);
      if (fault != ParseFault::none) {
        outcome.fault = fault;
        outcome.end = End::refused_head;
        return outcome;
      }
      if (size > 0) {
        head = buffer.substr(0, size);
        buffer.erase(0, size);
        parser.emplace(fields, max_fields);
        if constexpr (!is_request) {
          if (answers_head) parser->answers_head();
        }
        if (!parser->parse_head(head)) {
          outcome.fault = parser->fault();
          outcome.end = End::refused_head;
          return outcome;
        }
        outcome.method = parser->method();
        outcome.target = parser->target();
        outcome.status = parser->status();
        outcome.reason = parser->reason();
        outcome.version = parser->version();
        outcome.fields = copies(parser->fields());
        outcome.framing = parser->framing();
        outcome.length = parser->length();
        outcome.keeps_alive = parser->keeps_alive();
      }
    }
    while (parser && !parser->done() && !buffer.empty()) {
      std::string_view piece;
      const auto used = parser->next(buffer, piece);
      outcome.body += piece;
      buffer.erase(0, used);
      if (parser->fault() != ParseFault::none) {
        outcome.fault = parser->fault();
        outcome.end = End::refused_body;
        return outcome;
      }
      if (used == 0) break;
    }
    if (parser && parser->done()) break;
    if (bytes.empty()) {
      if (!parser) return outcome;
      if (parser->end_of_stream()) break;
      outcome.fault = parser->fault();
      outcome.end = End::truncated;
      return outcome;
    }
    const auto n = std::min(std::max<std::size_t>(next_piece(), 1), bytes.size());
    buffer += bytes.substr(0, n);
    bytes.remove_prefix(n);
  }
  outcome.end = End::complete;
  outcome.trailers = copies(parser->trailers());
  outcome.rest = buffer + std::string(bytes);
  return outcome;
}

}  // namespace larder::net::test
