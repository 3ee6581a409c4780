#pragma once
// Bodies that order something: one JSON object of few levels. Pure.
#include <string_view>
#include <variant>

#include "larder/admin/answer.hpp"

namespace larder::admin {

/// Why a body is no such object. Both live for ever.
struct NoObject {
  std::string_view name;  ///< "bad_json" or "bad_order", as for failure()
  std::string_view what;
};

/// Parses an object of at most four levels whose members all have names of their own: of repeated ones the parser keeps
/// one, and which was meant nobody knows.
std::variant<Json, NoObject> parse_object(std::string_view body);

}  // namespace larder::admin
