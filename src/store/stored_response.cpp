#include "larder/store/stored_response.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <utility>

#include "larder/policy/targeted_cache_control.hpp"
#include "larder/policy/validation.hpp"

namespace larder::store {
namespace {

// What an allocation costs beyond its bytes: the allocator's own word and its rounding up.
constexpr std::size_t allocation_overhead = 16;

// Fields of a reply that are not the stored ones: written anew for each reply, or not for this connection.
constexpr std::array<std::string_view, 5> written_elsewhere{"Age", "X-Cache", "X-Cache-Key", "Connection",
                                                            "Content-Length"};

bool has_content_length(int status) noexcept { return status != 204 && status != 304; }

std::size_t heap_size(const std::string& text) noexcept {
  constexpr std::size_t inside = 15;  // libstdc++ keeps so many bytes in the string object itself
  return text.capacity() > inside ? text.capacity() + 1 + allocation_overhead : 0;
}

// Parts come from builders that leave room to grow; here they rest for hours.
void shrink(std::string& text) {
  if (text.capacity() > text.size() + allocation_overhead) text.shrink_to_fit();
}

}  // namespace

bool is_in_head(const http::Field& field) noexcept {
  return !policy::is_targeted_field(field.name) &&
         std::ranges::none_of(written_elsewhere,
                              [&field](std::string_view name) { return http::iequals(field.name, name); });
}

StoredPtr StoredResponse::make(StoredParts parts) {
  return StoredPtr(new StoredResponse(std::move(parts)));  // NOLINT(cppcoreguidelines-owning-memory)
}

StoredResponse::StoredResponse(StoredParts parts) : parts_(std::move(parts)) {
  if (!parts_.body) parts_.body = std::make_shared<const std::string>();
  for (auto* const text : {&parts_.key, &parts_.canonical, &parts_.selecting, &parts_.type, &parts_.origin,
                           &parts_.target, &parts_.reason}) {
    shrink(*text);
  }
  parts_.tags.shrink_to_fit();
  for (auto& tag : parts_.tags) shrink(tag);

  const std::string status_text = std::to_string(parts_.status);
  const std::string length_text = std::to_string(parts_.body->size());
  constexpr std::string_view version = "HTTP/1.1 ";
  constexpr std::string_view separator = ": ";
  constexpr std::string_view line_end = "\r\n";
  constexpr std::string_view length_name = "Content-Length: ";
  constexpr std::string_view key_name = "X-Cache-Key: ";

  head_size_ = version.size() + status_text.size() + 1 + parts_.reason.size() + line_end.size();
  std::size_t hidden_size = 0;
  for (const auto& field : parts_.fields.span()) {
    if (is_in_head(field)) {
      head_size_ += field.name.size() + separator.size() + field.value.size() + line_end.size();
    } else {
      hidden_size += field.name.size() + field.value.size();
    }
  }
  if (has_content_length(parts_.status)) head_size_ += length_name.size() + length_text.size() + line_end.size();
  head_size_ += key_name.size() + base_key().size() + line_end.size();

  text_.reserve(head_size_ + hidden_size);
  text_.append(version).append(status_text).append(" ").append(parts_.reason).append(line_end);
  for (const auto& field : parts_.fields.span()) {
    if (is_in_head(field)) text_.append(field.name).append(separator).append(field.value).append(line_end);
  }
  if (has_content_length(parts_.status)) text_.append(length_name).append(length_text).append(line_end);
  text_.append(key_name).append(base_key()).append(line_end);
  for (const auto& field : parts_.fields.span()) {
    if (!is_in_head(field)) text_.append(field.name).append(field.value);
  }

  // The fields become views of the text, in their old order.
  http::FieldList fields;
  const std::string_view text = text_;
  std::size_t shown_at = version.size() + status_text.size() + 1 + parts_.reason.size() + line_end.size();
  std::size_t hidden_at = head_size_;
  for (const auto& field : parts_.fields.span()) {
    const bool shown = is_in_head(field);
    auto& at = shown ? shown_at : hidden_at;
    const auto value_at = at + field.name.size() + (shown ? separator.size() : 0);
    fields.add_unowned(text.substr(at, field.name.size()), text.substr(value_at, field.value.size()));
    at = value_at + field.value.size() + (shown ? line_end.size() : 0);
  }
  parts_.fields = std::move(fields);
  has_validator_ = policy::has_validator(parts_.fields);

  memory_size_ = sizeof(StoredResponse) + allocation_overhead + heap_size(text_);
  for (const auto* const part : {&parts_.key, &parts_.canonical, &parts_.selecting, &parts_.type, &parts_.origin,
                                 &parts_.target, &parts_.reason}) {
    memory_size_ += heap_size(*part);
  }
  if (!parts_.tags.empty()) memory_size_ += parts_.tags.capacity() * sizeof(std::string) + allocation_overhead;
  for (const auto& tag : parts_.tags) memory_size_ += heap_size(tag);
  if (!parts_.fields.empty()) {
    memory_size_ += std::bit_ceil(parts_.fields.size()) * sizeof(http::Field) + allocation_overhead;
  }
  if (parts_.extent) {
    memory_size_ += sizeof(policy::Extent) + parts_.extent->ranges.size() * sizeof(http::ByteRange) +
                    2 * sizeof(void*) + 2 * allocation_overhead;
  }
  // The body, its string object and the count that shares it.
  memory_size_ += heap_size(*parts_.body) + sizeof(std::string) + 2 * sizeof(void*) + allocation_overhead;
}

policy::PurgeSubject StoredResponse::subject() const noexcept {
  return {.key = parts_.key,
          .base_key = base_key(),
          .type = parts_.type,
          .origin = parts_.origin,
          .target = parts_.target,
          .tags = parts_.tags};
}

}  // namespace larder::store
