#pragma once
// The body of POST /api/cache/explain: a request, and perhaps the response that it is supposed to get. Pure.
#include <optional>
#include <string_view>
#include <variant>

#include "larder/admin/answer.hpp"
#include "larder/policy/explanation.hpp"

namespace larder::admin {

/// What is asked.
struct ExplainOrder {
  policy::NormalRequest request;
  std::optional<policy::AskedResponse> response;
};

/// Reads {"method":"GET","target":"/a?b","host":"api.example","headers":{"Name":"value" or ["a","b"]},"response":
/// {"status":200,"headers":{…}}}; only `target` is needed. `default_host` is the host where the request names none.
/// 400 says what is wrong and what would be right.
std::variant<ExplainOrder, Answer> parse_explain_order(std::string_view body, std::string_view default_host);

}  // namespace larder::admin
