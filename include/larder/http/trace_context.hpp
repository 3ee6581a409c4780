#pragma once
// W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace a request belongs to.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "larder/http/field_list.hpp"

namespace larder::http {

/// What a traceparent field says; views of its value.
struct Traceparent {
  std::string_view trace_id;   ///< 32 lower-case hex digits, not all zero
  std::string_view parent_id;  ///< 16 lower-case hex digits, not all zero
  bool sampled = false;
};

/// Parses a traceparent (§3.2): version 00 exactly, higher versions as far as they look like it. Empty optional for
/// anything else.
std::optional<Traceparent> parse_traceparent(std::string_view value) noexcept;

/// That of the only traceparent field; empty where there is none, more than one, or it is invalid.
std::optional<Traceparent> find_traceparent(FieldSpan fields) noexcept;

/// The traceparent of a new trace, sampled, of random numbers.
std::string make_traceparent(std::uint64_t high, std::uint64_t low, std::uint64_t parent);

}  // namespace larder::http
