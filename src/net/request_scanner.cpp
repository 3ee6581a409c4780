#include "larder/net/request_scanner.hpp"

#include "larder/net/head_cursor.hpp"

namespace larder::net {

namespace {

// What a field means for being plain.
enum class Meaning : unsigned char { none, host, connection, not_plain, control };
struct KnownField {
  std::string_view name;
  Meaning meaning;
  http::ControlField control = http::ControlField::connection;
};

// By the lengths of their names; none of another length is known. Those that frame a body or that steer the connection
// are not plain.
const KnownField* known(std::string_view name) noexcept {
  using http::ControlField;
  static constexpr KnownField host{"Host", Meaning::host};
  static constexpr KnownField range{"Range", Meaning::control, ControlField::range};
  static constexpr KnownField pragma{"Pragma", Meaning::control, ControlField::caching};
  static constexpr KnownField upgrade{"Upgrade", Meaning::not_plain};
  static constexpr KnownField if_match{"If-Match", Meaning::control, ControlField::origin_conditions};
  static constexpr KnownField connection{"Connection", Meaning::connection};
  static constexpr KnownField cache_control{"Cache-Control", Meaning::control, ControlField::caching};
  static constexpr KnownField if_none_match{"If-None-Match", Meaning::control, ControlField::cache_conditions};
  static constexpr KnownField content_length{"Content-Length", Meaning::not_plain};
  static constexpr KnownField explanation{http::explain_field, Meaning::control, ControlField::explanation};
  static constexpr KnownField proxy_connection{"Proxy-Connection", Meaning::not_plain};
  static constexpr KnownField transfer_encoding{"Transfer-Encoding", Meaning::not_plain};
  static constexpr KnownField if_modified_since{"If-Modified-Since", Meaning::control, ControlField::cache_conditions};
  static constexpr KnownField if_unmodified_since{"If-Unmodified-Since", Meaning::control,
                                                  ControlField::origin_conditions};
  const auto if_it_is = [name](const KnownField& field) { return http::iequals(name, field.name) ? &field : nullptr; };
  switch (name.size()) {
    case host.name.size():
      return if_it_is(host);
    case range.name.size():
      return if_it_is(range);
    case pragma.name.size():
      return if_it_is(pragma);
    case upgrade.name.size():
      return if_it_is(upgrade);
    case if_match.name.size():
      return if_it_is(if_match);
    case connection.name.size():
      return if_it_is(connection);
    case cache_control.name.size():
      return (name[0] | 0x20) == 'c' ? if_it_is(cache_control) : if_it_is(if_none_match);
    case content_length.name.size():
      return if_it_is(content_length);
    case explanation.name.size():  // and Accept-Encoding, Accept-Language
      return (name[0] | 0x20) == 'x' ? if_it_is(explanation) : nullptr;
    case proxy_connection.name.size():
      return if_it_is(proxy_connection);
    case transfer_encoding.name.size():
      return (name[0] | 0x20) == 't' ? if_it_is(transfer_encoding) : if_it_is(if_modified_since);
    case if_unmodified_since.name.size():
      return if_it_is(if_unmodified_since);
    default:
      return nullptr;
  }
}

bool scan_request_line(HeadCursor& cursor, PlainHead& head) noexcept {
  head.method = cursor.take_token();
  if (head.method.empty() || !cursor.skip(" ")) return false;
  head.target = cursor.take_visible();
  return !head.target.empty() && cursor.skip(" HTTP/1.1\r\n");
}

}  // namespace

std::optional<PlainHead> scan_plain_head(std::string_view data, std::size_t max_size, std::size_t max_fields,
                                         std::vector<http::Field>& fields) {
  fields.clear();
  PlainHead head;
  HeadCursor cursor(data);
  if (!scan_request_line(cursor, head)) return std::nullopt;
  int hosts = 0;
  while (!cursor.skip("\r\n")) {
    http::Field field;
    if (!cursor.take_field(field) || fields.size() == max_fields) return std::nullopt;
    fields.push_back(field);
    const auto* const meant = known(field.name);
    if (meant == nullptr) continue;
    switch (meant->meaning) {
      case Meaning::host:
        ++hosts;
        head.host = field.value;
        break;
      case Meaning::connection:
        if (!http::iequals(field.value, "keep-alive")) return std::nullopt;
        break;
      case Meaning::control:
        head.control.add(meant->control);
        break;
      default:
        return std::nullopt;
    }
  }
  head.size = cursor.used();
  if (hosts != 1 || head.size > max_size) return std::nullopt;
  return head;
}

}  // namespace larder::net
