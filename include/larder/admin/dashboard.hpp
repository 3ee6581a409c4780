#pragma once
// The dashboard: GET / and the files that its page is made of, built into the program. They hold no data and need no
// token; the page asks for one and sends it with its requests to the admin API.
#include <optional>
#include <span>
#include <string_view>

#include "larder/admin/answer.hpp"
#include "larder/http/field_list.hpp"

namespace larder::admin {

/// One file of src/admin/dashboard; everything lives for ever.
struct DashboardAsset {
  std::string_view path;
  std::string_view content_type;
  std::string_view etag;  ///< with its quotes
  std::string_view content;
};
/// All of them. Defined in a source that the build makes (src/admin/dashboard/embed.cmake).
std::span<const DashboardAsset> dashboard_assets() noexcept;

/// The answer for a path of the dashboard, 304 where If-None-Match names what there is (RFC 9110 §13.1.2), 405 for
/// other methods than GET and HEAD. Empty optional for every other path. `path`: normalised, without a query.
std::optional<Answer> dashboard_answer(std::string_view method, std::string_view path, http::FieldSpan fields);

}  // namespace larder::admin
