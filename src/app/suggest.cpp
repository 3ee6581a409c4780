#include "larder/app/suggest.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <variant>

#include "larder/admin/access_log_line.hpp"
#include "larder/admin/replay.hpp"
#include "larder/admin/replay_view.hpp"
#include "larder/config/values.hpp"

namespace larder::app {
namespace {

// Lines of a stream, in bounded memory: of one that is too long only the fact is kept.
template <class Visit>
void for_each_line(std::istream& log, Visit visit) {
  std::string line;
  bool is_too_long = false;
  std::array<char, 1UL << 16> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
  const auto append = [&](std::string_view piece) {
    is_too_long = is_too_long || line.size() + piece.size() > admin::most_line;
    if (!is_too_long) line += piece;
  };
  const auto end_line = [&] {
    visit(std::string_view(line), is_too_long);
    line.clear();
    is_too_long = false;
  };
  while (log.read(buffer.data(), buffer.size()) || log.gcount() > 0) {
    std::string_view rest(buffer.data(), static_cast<std::size_t>(log.gcount()));
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      append(rest.substr(0, end));
      end_line();
      rest.remove_prefix(end + 1);
    }
    append(rest);
  }
  if (!line.empty() || is_too_long) end_line();
}

}  // namespace

CommandOutput suggest(const config::Settings& settings, std::istream& log) {
  admin::ReplayParameters parameters;
  parameters.rules = settings.rules;
  parameters.preserve_host = settings.origin.preserve_host;
  parameters.default_host = config::show_endpoint(settings.listen);
  admin::Replay replay(std::move(parameters));
  admin::LogFigures figures;
  for_each_line(log, [&](std::string_view line, bool is_too_long) {
    ++figures.lines;
    if (is_too_long) {
      figures.note(admin::LineFault::too_long);
      return;
    }
    const auto parsed = admin::parse_access_line(line);
    if (const auto* const fault = std::get_if<admin::LineFault>(&parsed)) {
      figures.note(*fault);
    } else if (const auto refused = replay.add(std::get<admin::LoggedRequest>(parsed))) {
      figures.note(*refused);
    }
  });
  return {0, admin::to_text(replay.report(), figures)};
}

CommandOutput suggest(const config::Settings& settings, const std::string& path) {
  if (path == "-") return suggest(settings, std::cin);
  std::ifstream file(path, std::ios::binary);
  // A folder can be opened, but not read.
  if (!file || (file.peek(), file.bad())) {
    return {1, fmt::format("{}: it cannot be read: {}\n", path, std::strerror(errno))};
  }
  file.clear();
  return suggest(settings, file);
}

}  // namespace larder::app
