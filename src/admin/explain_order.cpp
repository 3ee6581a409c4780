#include "larder/admin/explain_order.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>

namespace larder::admin {
namespace {

constexpr int max_depth = 8;
constexpr std::string_view right_order =
    R"(right would be {"method":"GET","target":"/api/search?q=a","headers":{"Accept":"text/html"},)"
    R"("response":{"status":200,"headers":{"Cache-Control":"max-age=60"}}})";
constexpr std::array<std::string_view, 5> request_members{"method", "target", "host", "headers", "response"};
constexpr std::array<std::string_view, 2> response_members{"status", "headers"};

Answer bad(std::string_view what) { return failure(400, "bad_order", fmt::format("{}; {}", what, right_order)); }

// What is wrong with the members, or "".
std::string unknown_member(const Json& object, std::span<const std::string_view> known, std::string_view where) {
  for (const auto& [name, value] : object.items()) {
    if (std::ranges::find(known, name) == known.end()) {
      return fmt::format("there is no \"{}\"{}", std::string_view(name).substr(0, 64), where);
    }
  }
  return {};
}

std::string read_text(const Json& object, const char* name, std::string& out) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (!found->is_string()) return fmt::format("\"{}\" is not a string", name);
  out = found->get<std::string>();
  return {};
}

std::string read_headers(const Json& object, http::FieldList& fields) {
  const auto found = object.find("headers");
  if (found == object.end()) return {};
  if (!found->is_object()) return "\"headers\" is not an object of names and values";
  for (const auto& [name, value] : found->items()) {
    const auto values = value.is_array() ? value : Json::array({value});
    for (const auto& one : values) {
      if (!one.is_string()) {
        return fmt::format("the value of the header \"{}\" is neither a string nor a list of them",
                           std::string_view(name).substr(0, 64));
      }
      fields.add(name, http::trim_ows(one.get_ref<const std::string&>()));
    }
  }
  return {};
}

std::string read_response(const Json& order, std::optional<policy::AskedResponse>& out) {
  const auto found = order.find("response");
  if (found == order.end() || found->is_null()) return {};
  if (!found->is_object()) return "\"response\" is not an object";
  if (auto wrong = unknown_member(*found, response_members, " in \"response\""); !wrong.empty()) return wrong;
  policy::AskedResponse response;
  if (const auto status = found->find("status"); status != found->end()) {
    if (!status->is_number_integer() || *status < 200 || *status > 599) return "\"status\" is not one from 200 to 599";
    response.status = status->get<int>();
  }
  if (auto wrong = read_headers(*found, response.fields); !wrong.empty()) return wrong;
  if (auto wrong = policy::fault_of(response); !wrong.empty()) return wrong;
  out = std::move(response);
  return {};
}

}  // namespace

std::variant<ExplainOrder, Answer> parse_explain_order(std::string_view body, std::string_view default_host) {
  bool is_too_deep = false;
  const Json::parser_callback_t watch = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > max_depth) is_too_deep = true;
    return !is_too_deep;
  };
  const auto order = Json::parse(body.begin(), body.end(), watch, false);
  if (is_too_deep) return bad("the body is nested too deeply");
  if (order.is_discarded()) {
    return failure(400, "bad_json", fmt::format("the body is not JSON in UTF-8; {}", right_order));
  }
  if (!order.is_object()) return bad("the body is not a JSON object");
  if (const auto wrong = unknown_member(order, request_members, ""); !wrong.empty()) return bad(wrong);
  policy::AskedRequest asked;
  asked.host = default_host;
  for (const auto& [name, text] :
       {std::pair{"method", &asked.method}, {"target", &asked.target}, {"host", &asked.host}}) {
    if (const auto wrong = read_text(order, name, *text); !wrong.empty()) return bad(wrong);
  }
  if (asked.target.empty()) return bad("there is no \"target\"");
  if (const auto wrong = read_headers(order, asked.fields); !wrong.empty()) return bad(wrong);
  std::optional<policy::AskedResponse> response;
  if (const auto wrong = read_response(order, response); !wrong.empty()) return bad(wrong);
  auto made = policy::NormalRequest::make(asked);
  if (const auto* const wrong = std::get_if<std::string>(&made)) return failure(400, "bad_request", *wrong);
  return ExplainOrder{std::get<policy::NormalRequest>(std::move(made)), std::move(response)};
}

}  // namespace larder::admin
