// Any bytes as field values: list members are found in order, trimmed, and in linear time; hop-by-hop removal leaves no
// field that is for one connection only.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "larder/http/field_list.hpp"
#include "larder/http/hop_by_hop.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ListMembers members(text);
  const char* end = text.data();
  while (const auto member = members.next()) {
    if (member->empty() || trim_ows(*member) != *member) std::abort();
    if (member->data() < end || member->data() + member->size() > text.data() + text.size()) std::abort();
    end = member->data() + member->size();
  }

  FieldList fields;
  std::string_view rest = text;
  while (fields.size() < 50 && !rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() < rest.size() ? line.size() + 1 : line.size());
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    fields.add(line.substr(0, colon), trim_ows(line.substr(colon + 1)));
  }
  const auto copy = FieldList::copy_of(fields);
  remove_hop_by_hop(fields);
  for (const auto& field : fields.span()) {
    if (is_hop_by_hop(field.name)) std::abort();
    if (!is_end_to_end(field.name) && has_token(copy, "Connection", field.name)) std::abort();
  }
  for (const auto& field : copy.span()) {
    if (is_end_to_end(field.name) && !is_hop_by_hop(field.name) && find(fields, field.name) == nullptr) std::abort();
    if (count(copy, field.name) == 0 || !combined(copy, field.name)) std::abort();
  }
  return 0;
}
