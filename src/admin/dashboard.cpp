#include "larder/admin/dashboard.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "larder/admin/endpoint.hpp"
#include "larder/http/validator.hpp"

namespace larder::admin {
namespace {

// Scripts and styles from here alone, none of it inline; no script ever makes markup out of text (Trusted Types).
constexpr std::string_view protections =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'\r\n"
    "Referrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: same-origin\r\n";

}  // namespace

std::optional<Answer> dashboard_answer(std::string_view method, std::string_view path, http::FieldSpan fields) {
  const auto assets = dashboard_assets();
  const auto asset = std::ranges::find(assets, path, &DashboardAsset::path);
  if (asset == assets.end()) return std::nullopt;
  if (method != "GET" && method != "HEAD") return wrong_method(method, "GET, HEAD");
  Answer answer{.status = 200,
                .body = {},
                .more_lines = fmt::format("ETag: {}\r\n{}", asset->etag, protections),
                .content_type = asset->content_type,
                .cache_control = "no-cache"};
  if (http::if_none_match_names(fields, http::parse_entity_tag(asset->etag))) {
    answer.status = 304;
  } else {
    answer.body = asset->content;
  }
  return answer;
}

}  // namespace larder::admin
