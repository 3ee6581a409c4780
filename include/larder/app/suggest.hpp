#pragma once
// `larder suggest`: an access log replayed against the rules.
#include <istream>

#include "larder/app/explain.hpp"
#include "larder/config/settings.hpp"

namespace larder::app {

/// Replays a log; lines longer than admin::most_line are left out, whatever their length.
CommandOutput suggest(const config::Settings& settings, std::istream& log);

/// The same of a file, or of the standard input for "-"; status 1 where it cannot be read.
CommandOutput suggest(const config::Settings& settings, const std::string& path);

}  // namespace larder::app
