#pragma once
// Structured Field Values (RFC 9651, of which RFC 8941 is a part): a strict parser of Lists and Dictionaries. One fault
// anywhere fails the whole field (§4.2). Values are trees that own their bytes; nothing in them points at the input.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::http::structured {

/// Bounds on one field; more of anything is a fault. None is below what RFC 9651 §3 asks every parser to hold.
inline constexpr std::size_t max_field_size = std::size_t{64} * 1024;  ///< bytes, all lines joined
inline constexpr std::size_t max_members = 1024;                       ///< of a List; different keys of a Dictionary
inline constexpr std::size_t max_inner_items = 256;                    ///< of one Inner List
inline constexpr std::size_t max_parameters = 256;                     ///< different keys on one Item or Inner List

/// A Decimal (§3.3.2) in its exact form.
struct Decimal {
  std::int64_t thousandths = 0;  ///< below 10^15 in either direction
  friend bool operator==(const Decimal&, const Decimal&) = default;
};

/// A Token (§3.3.4): not a String, although it reads like one.
struct Token {
  std::string text;
  friend bool operator==(const Token&, const Token&) = default;
};

/// A Byte Sequence (§3.3.5), decoded.
struct ByteSequence {
  std::string bytes;
  friend bool operator==(const ByteSequence&, const ByteSequence&) = default;
};

/// A Date (§3.3.7).
struct Date {
  std::int64_t seconds = 0;  ///< since 1970-01-01T00:00:00Z, without leap seconds; below 10^15 in either direction
  friend bool operator==(const Date&, const Date&) = default;
};

/// A Display String (§3.3.8): valid UTF-8, control characters not excepted.
struct DisplayString {
  std::string utf8;
  friend bool operator==(const DisplayString&, const DisplayString&) = default;
};

/// A bare item (§3.3): Integer (below 10^15 in either direction), Decimal, String (printable ASCII), Token, Byte
/// Sequence, Boolean, Date, Display String.
using BareItem = std::variant<std::int64_t, Decimal, std::string, Token, ByteSequence, bool, Date, DisplayString>;

/// One parameter (§3.1.2).
struct Parameter {
  std::string key;
  BareItem value;
  friend bool operator==(const Parameter&, const Parameter&) = default;
};
/// In order of first appearance, keys unique; of a repeated key the last value counts.
using Parameters = std::vector<Parameter>;

/// An Item (§3.3).
struct Item {
  BareItem value;
  Parameters parameters;
  friend bool operator==(const Item&, const Item&) = default;
};

/// An Inner List (§3.1.1). These do not nest.
struct InnerList {
  std::vector<Item> items;
  Parameters parameters;
  friend bool operator==(const InnerList&, const InnerList&) = default;
};

/// A member of a List or a Dictionary.
using Member = std::variant<Item, InnerList>;

/// The member's bare item where it is an Item of that very type, else nullptr: bare_item<Token>(member).
template <class T>
const T* bare_item(const Member& member) noexcept {
  const Item* item = std::get_if<Item>(&member);
  return item == nullptr ? nullptr : std::get_if<T>(&item->value);
}

/// A List (§3.1), in order.
using List = std::vector<Member>;

/// One entry of a Dictionary.
struct DictionaryMember {
  std::string key;
  Member value;
  friend bool operator==(const DictionaryMember&, const DictionaryMember&) = default;
};
/// A Dictionary (§3.2): in order of first appearance, keys unique; of a repeated key the last value counts.
using Dictionary = std::vector<DictionaryMember>;

/// The value of that key (compared byte for byte), or nullptr.
const Member* find(const Dictionary& dictionary, std::string_view key) noexcept;

/// Parses one field value, all lines joined already (§4.2). Empty is an empty List or Dictionary; an empty optional is
/// a fault, and the field is to be ignored.
std::optional<List> parse_list(std::string_view value);
std::optional<Dictionary> parse_dictionary(std::string_view value);

/// Parses all lines of that name, joined with ", " as §4.2 asks. As an empty value where there is no such field.
std::optional<List> parse_list(FieldSpan fields, std::string_view name);
std::optional<Dictionary> parse_dictionary(FieldSpan fields, std::string_view name);

}  // namespace larder::http::structured
