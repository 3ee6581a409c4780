#pragma once
// A stored response: immutable, counted, shared by all workers without a lock. It is replaced, never changed; what
// changes per use (hits, last check against the purge log) lives in the memory store's entry, not here.
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/field_list.hpp"
#include "larder/policy/extent.hpp"
#include "larder/policy/freshness.hpp"
#include "larder/policy/rules.hpp"
#include "larder/policy/selector.hpp"

namespace larder::store {

/// Where in the life of the purge log a response belongs: the clock its node had seen before its origin request began.
struct PurgeStamp {
  std::uint64_t epoch = 0;     ///< the fleet's epoch (Redis), or the process's where there is no Redis
  std::uint64_t clock = 0;     ///< the fleet's clock seen at that time
  std::uint64_t sequence = 0;  ///< this node's own count of applied selectors at that time; not stored in Redis
};

/// A body shared by the stored response and its freshened successors.
using SharedBody = std::shared_ptr<const std::string>;

/// The parts of a stored response; `make` turns them into the immutable object.
struct StoredParts {
  std::string key;                ///< cache key with its variant suffix
  std::size_t base_key_size = 0;  ///< length of the key without the variant suffix
  std::string canonical;          ///< canonical request, compared on each hit
  std::string selecting;          ///< policy::selecting_fields() encoding; empty where the response has no Vary
  std::string type;
  std::string origin;  ///< of the target URI, http::origin_text(); empty where hosts share the response
  std::string target;  ///< normalised path and query of the target URI
  std::vector<std::string> tags;
  policy::Priority priority = policy::Priority::normal;
  PurgeStamp stamp;
  policy::Lifetime lifetime;
  int status = 200;
  std::string reason;
  http::FieldList fields;  ///< policy::stored_fields(); without Content-Length, Age, X-Cache, X-Cache-Key
  SharedBody body;         ///< never null
  /// Which bytes `body` holds where it is not the whole of a 200 (RFC 9111 §3.3); null for complete responses.
  std::shared_ptr<const policy::Extent> extent;
};

/// True where a stored field is sent to clients as it stands: not what is written anew for each reply, and not the
/// targeted fields, which are meant for caches (RFC 9213).
bool is_in_head(const http::Field& field) noexcept;

class StoredResponse;
using StoredPtr = boost::intrusive_ptr<const StoredResponse>;

/// Immutable after `make`; safe to read from any thread.
class StoredResponse : public boost::intrusive_ref_counter<StoredResponse, boost::thread_safe_counter> {
 public:
  /// Takes the parts and serialises the head once.
  static StoredPtr make(StoredParts parts);

  [[nodiscard]] const StoredParts& parts() const noexcept { return parts_; }
  [[nodiscard]] const std::string& body() const noexcept { return *parts_.body; }
  [[nodiscard]] bool is_complete() const noexcept { return parts_.extent == nullptr; }
  /// True where the body held is enough for an answer to the request (GET, HEAD or QUERY); says nothing of freshness.
  [[nodiscard]] bool can_answer(const http::RequestHead& request) const {
    return is_complete() || policy::can_answer(request, parts_.fields, *parts_.extent);
  }
  [[nodiscard]] std::string_view base_key() const noexcept {
    return std::string_view(parts_.key).substr(0, parts_.base_key_size);
  }
  [[nodiscard]] policy::PurgeSubject subject() const noexcept;
  /// True where it has an ETag or a valid Last-Modified.
  [[nodiscard]] bool has_validator() const noexcept { return has_validator_; }
  /// "HTTP/1.1 200 OK\r\n" and the stored fields, each with CRLF, without the empty line: what every hit begins with.
  /// Includes Content-Length (not for 204/304) and X-Cache-Key (the base key); excludes Age, X-Cache,
  /// Connection and targeted fields (RFC 9213), and Date is the stored one. Of an incomplete response it is no head to
  /// send.
  [[nodiscard]] std::string_view head() const noexcept { return std::string_view(text_).substr(0, head_size_); }
  /// Bytes of memory it is charged with: object, strings, fields, head and body.
  [[nodiscard]] std::size_t memory_size() const noexcept { return memory_size_; }

 private:
  explicit StoredResponse(StoredParts parts);
  // The bytes of parts_.fields lie in text_ (the object never moves): in the head, and behind it those of fields that
  // the head leaves out.
  StoredParts parts_;
  std::string text_;
  std::size_t head_size_ = 0;
  std::size_t memory_size_ = 0;
  bool has_validator_ = false;
};

}  // namespace larder::store
