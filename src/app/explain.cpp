#include "larder/app/explain.hpp"

#include <fmt/format.h>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "larder/admin/explanation_view.hpp"
#include "larder/config/fault.hpp"
#include "larder/config/values.hpp"
#include "larder/policy/explanation.hpp"

namespace larder::app {
namespace {

// "Name: value" lines into fields; what is wrong, else "".
std::string read_fields(const std::vector<std::string>& lines, std::string_view option, http::FieldList& fields) {
  for (const auto& line : lines) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) {
      return fmt::format("{} {} has no colon; write 'Name: value'", option, config::shown(line));
    }
    fields.add(std::string_view(line).substr(0, colon), http::trim_ows(std::string_view(line).substr(colon + 1)));
  }
  return {};
}

CommandOutput wrong(std::string_view what) { return {2, fmt::format("command line: {}\n", what)}; }

}  // namespace

CommandOutput explain(const config::Settings& settings, const config::ExplainArguments& arguments) {
  policy::AskedRequest asked;
  asked.method = arguments.method;
  asked.target = arguments.target;
  asked.host = config::show_endpoint(settings.listen);
  if (const auto fault = read_fields(arguments.headers, "--header", asked.fields); !fault.empty()) return wrong(fault);
  const auto made = policy::NormalRequest::make(asked);
  if (const auto* const fault = std::get_if<std::string>(&made)) return wrong(*fault);

  std::optional<policy::AskedResponse> response;
  if (arguments.status || !arguments.response_headers.empty()) {
    response.emplace();
    if (arguments.status) {
      const auto status = config::parse_count(*arguments.status);
      if (!status || *status > 999)
        return wrong(fmt::format("--status {} is no status", config::shown(*arguments.status)));
      response->status = static_cast<int>(*status);
    }
    auto fault = read_fields(arguments.response_headers, "--response-header", response->fields);
    if (fault.empty()) fault = policy::fault_of(*response);
    if (!fault.empty()) return wrong(fault);
  }
  const policy::ExplainContext context{.rules = settings.rules,
                                       .preserve_host = settings.origin.preserve_host,
                                       .max_object = settings.cache.max_object,
                                       .now = policy::Clock::now()};
  const auto explanation =
      policy::explain(context, std::get<policy::NormalRequest>(made), response ? &*response : nullptr);
  if (arguments.json) return {0, admin::to_json_text(explanation)};
  return {0, admin::to_text(explanation)};
}

}  // namespace larder::app
