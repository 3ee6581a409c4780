// Any bytes as a List and as a Dictionary: bounds hold, keys are unique, and what was read is, written out as RFC 9651
// §4.1 says, read again alike.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "larder/http/structured_field.hpp"

namespace {

using namespace larder::http::structured;

struct Writer {
  std::string out;

  void operator()(std::int64_t value) {
    if (value > 999999999999999 || value < -999999999999999) std::abort();
    out += std::to_string(value);
  }
  void operator()(Decimal value) {
    const auto size = value.thousandths < 0 ? -value.thousandths : value.thousandths;
    if (value.thousandths < 0) out += '-';
    out += std::to_string(size / 1000) + '.' + std::to_string(1000 + size % 1000).substr(1);
  }
  void operator()(const std::string& text) {
    out += '"';
    for (const char c : text) {
      if (c < 0x20 || c > 0x7E) std::abort();
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  void operator()(const Token& token) { out += token.text; }
  void operator()(const ByteSequence& sequence) {
    static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out += ':';
    for (std::size_t i = 0; i < sequence.bytes.size(); i += 3) {
      std::uint32_t bits = 0;
      for (std::size_t j = 0; j < 3; ++j) {
        const bool is_there = i + j < sequence.bytes.size();
        bits = bits << 8U | (is_there ? static_cast<unsigned char>(sequence.bytes[i + j]) : 0U);
      }
      const std::size_t left = sequence.bytes.size() - i;
      for (std::size_t j = 0; j < 4; ++j) out += j <= left ? letters[bits >> (18 - 6 * j) & 63U] : '=';
    }
    out += ':';
  }
  void operator()(bool value) { out += value ? "?1" : "?0"; }
  void operator()(Date date) {
    out += '@';
    (*this)(date.seconds);
  }
  void operator()(const DisplayString& text) {
    out += "%\"";
    for (const char c : text.utf8) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte <= 0x7E && c != '"' && c != '%') {
        out += c;
      } else {
        char hex[4];
        std::snprintf(hex, sizeof hex, "%%%02x", byte);
        out += hex;
      }
    }
    out += '"';
  }
  void operator()(const Parameters& parameters) {
    if (parameters.size() > max_parameters) std::abort();
    for (const Parameter& parameter : parameters) {
      for (const Parameter& other : parameters) {
        if (&other != &parameter && other.key == parameter.key) std::abort();
      }
      out += ';' + parameter.key + '=';
      std::visit(*this, parameter.value);
    }
  }
  void operator()(const Item& item) {
    std::visit(*this, item.value);
    (*this)(item.parameters);
  }
  void operator()(const InnerList& list) {
    if (list.items.size() > max_inner_items) std::abort();
    out += '(';
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (i != 0) out += ' ';
      (*this)(list.items[i]);
    }
    out += ')';
    (*this)(list.parameters);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view value(reinterpret_cast<const char*>(data), size);
  if (const auto list = parse_list(value)) {
    if (list->size() > max_members) std::abort();
    Writer writer;
    for (const Member& member : *list) {
      if (!writer.out.empty()) writer.out += ", ";
      std::visit(writer, member);
    }
    if (writer.out.size() <= max_field_size && parse_list(writer.out) != list) std::abort();
  }
  if (const auto dictionary = parse_dictionary(value)) {
    if (dictionary->size() > max_members) std::abort();
    Writer writer;
    for (const DictionaryMember& member : *dictionary) {
      if (!writer.out.empty()) writer.out += ", ";
      writer.out += member.key + '=';
      std::visit(writer, member.value);
      if (find(*dictionary, member.key) != &member.value) std::abort();
    }
    if (writer.out.size() <= max_field_size && parse_dictionary(writer.out) != dictionary) std::abort();
  }
  return 0;
}
