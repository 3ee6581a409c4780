#pragma once
// A stored response: immutable, counted, shared by all workers without a lock. It is replaced, never changed; what
// changes per use (hits, last check against the purge log) is the memory store's alone, see StoreLinks.
//
// A million of them are held in memory, so each is one allocation: a few numbers that are needed at once, others in a
// form of variable length, then all text (canonical request, head, body), each text once: the key is the one in the
// head, target and type are mostly parts of the canonical request. Bodies above `inline_body` bytes are in an
// allocation of their own, which freshened successors share.
#include <atomic>
#include <boost/container/small_vector.hpp>
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
#include "larder/policy/vary.hpp"

namespace larder::store {

/// Where in the life of the purge log a response belongs: the clock its node had seen before its origin request began.
struct PurgeStamp {
  std::uint64_t epoch = 0;     ///< the fleet's epoch (Redis), or the process's where there is no Redis
  std::uint64_t clock = 0;     ///< the fleet's clock seen at that time
  std::uint64_t sequence = 0;  ///< this node's own count of applied selectors at that time; not stored in Redis
};

/// A body as it is built, and shared by a large stored response and its freshened successors.
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
  SharedBody body;         ///< null for an empty one
  /// Which bytes `body` holds where it is not the whole of a 200 (RFC 9111 §3.3); null for complete responses.
  std::shared_ptr<const policy::Extent> extent;
};

/// True where a stored field is sent to clients as it stands: not what is written anew for each reply, and not the
/// targeted fields, which are meant for caches (RFC 9213).
bool is_in_head(const http::Field& field) noexcept;

/// The fields of a stored response, read from its text: views that live as long as the response does. Allocates nothing
/// for up to 32 fields.
class StoredFields {
 public:
  [[nodiscard]] http::FieldSpan span() const noexcept { return {fields_.data(), fields_.size()}; }
  // Implicit on purpose: every pure function takes a FieldSpan.
  operator http::FieldSpan() const noexcept { return span(); }  // NOLINT(google-explicit-constructor)
  [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }

 private:
  friend class StoredResponse;
  boost::container::small_vector<http::Field, 32> fields_;
};

class StoredResponse;
using StoredPtr = boost::intrusive_ptr<const StoredResponse>;

/// What the memory store knows of a stored response that it holds. It lies in the response, so that a hit touches no
/// memory besides. Guarded by the mutex of the response's stripe; nobody else looks at it.
struct StoreLinks {
  /// The most that `checked` can say, which is always right: an older check.
  static constexpr std::uint64_t latest_check = (1ULL << 48U) - 1;
  static constexpr unsigned hash_bits = 24;
  static constexpr std::uint32_t hash_mask = (1U << hash_bits) - 1;

  const StoredResponse* newer = nullptr;  ///< in the list by age; in a graveyard: the next one
  const StoredResponse* older = nullptr;
  const StoredResponse* next = nullptr;  ///< in its chain of the index
  std::uint64_t checked : 48 = 0;        ///< alive as of this sequence of the purge log
  std::uint64_t credit : 8 = 0;          ///< against eviction
  std::uint64_t priority : 4 = 0;        ///< policy::Priority
  std::uint64_t is_taken : 1 = 0;        ///< a store has it or had it
  std::uint64_t is_held : 1 = 0;         ///< a store has it
  std::uint64_t hits : 40 = 0;
  std::uint64_t hash : hash_bits = 0;  ///< of the canonical request
};

/// Immutable after `make`, but for its links; safe to read from any thread.
class StoredResponse : public boost::intrusive_ref_counter<StoredResponse, boost::thread_safe_counter> {
 public:
  /// The largest body, in bytes, that lies in the response itself: freshening copies it.
  static constexpr std::size_t inline_body = 4096;

  /// Takes the parts and serialises the head once. Field names must be tokens, and neither names, values nor reason may
  /// hold CR or LF.
  static StoredPtr make(StoredParts parts);

  StoredResponse(const StoredResponse&) = delete;
  StoredResponse& operator=(const StoredResponse&) = delete;
  ~StoredResponse();
  static void operator delete(void* memory) noexcept { ::operator delete(memory); }

  [[nodiscard]] std::string_view canonical() const noexcept { return {text(), canonical_size_}; }
  /// "HTTP/1.1 200 OK\r\n" and the stored fields, each with CRLF, without the empty line: what every hit begins with.
  /// Includes Content-Length (not for 204/304) and X-Cache-Key (the base key); excludes Age, X-Cache,
  /// Connection and targeted fields (RFC 9213), and Date is the stored one. Of an incomplete response it is no head to
  /// send.
  [[nodiscard]] std::string_view head() const noexcept { return {text() + canonical_size_, head_size_}; }
  [[nodiscard]] std::string_view body() const noexcept {
    return has_extra_ && extra()->body ? std::string_view(*extra()->body)
                                       : std::string_view(text() + canonical_size_ + head_size_, inline_size_);
  }
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] std::string_view base_key() const noexcept;
  [[nodiscard]] policy::Lifetime lifetime() const noexcept;  ///< its response_time in whole milliseconds
  [[nodiscard]] std::string_view selecting() const noexcept { return varies_ ? rest().selecting : std::string_view{}; }
  /// True where it has selecting header fields.
  [[nodiscard]] bool varies() const noexcept { return varies_; }
  /// How well it answers a request with these fields, as far as its selecting header fields go.
  [[nodiscard]] policy::VariantMatch match(http::FieldSpan request_fields) const;
  /// True where it has an ETag or a valid Last-Modified.
  [[nodiscard]] bool has_validator() const noexcept { return has_validator_; }
  [[nodiscard]] bool is_complete() const noexcept { return extent() == nullptr; }
  [[nodiscard]] const policy::Extent* extent() const noexcept { return has_extra_ ? extra()->extent.get() : nullptr; }
  /// True where the body held is enough for an answer to the request (GET, HEAD or QUERY); says nothing of freshness.
  [[nodiscard]] bool can_answer(const http::RequestHead& request) const {
    return is_complete() || policy::can_answer(request, fields(), *extent());
  }

  // What hits do not need is looked for when it is asked for.

  [[nodiscard]] std::string_view key() const noexcept { return rest().key; }
  [[nodiscard]] std::string_view type() const noexcept { return rest().type; }
  [[nodiscard]] std::string_view origin() const noexcept { return rest().origin; }
  [[nodiscard]] std::string_view target() const noexcept { return rest().target; }
  [[nodiscard]] policy::TagView tags() const noexcept { return policy::TagView::packed(rest().tags); }
  [[nodiscard]] std::string_view reason() const noexcept { return rest().reason; }
  [[nodiscard]] policy::Priority priority() const noexcept { return rest().priority; }
  [[nodiscard]] PurgeStamp stamp() const noexcept { return rest().stamp; }
  [[nodiscard]] policy::PurgeSubject subject() const noexcept;
  /// policy::stored_fields() of the response, in their order.
  [[nodiscard]] StoredFields fields() const { return read_fields(rest()); }
  /// The body for a successor or a copy; an inline one is copied.
  [[nodiscard]] SharedBody shared_body() const;
  [[nodiscard]] std::shared_ptr<const policy::Extent> shared_extent() const {
    return has_extra_ ? extra()->extent : nullptr;
  }
  /// Bytes of memory it takes, with what the allocator adds.
  [[nodiscard]] std::size_t memory_size() const noexcept;
  /// Bytes of all stored responses of the process that no memory store holds: on their way in, or not stored or out
  /// again while somebody sends them. Those with an inline body are not counted: they are copied when they are sent.
  [[nodiscard]] static std::size_t bytes_outside() noexcept { return outside_.load(std::memory_order_relaxed); }

 private:
  friend class MemoryStore;

  /// What few responses have; lies right behind the object.
  struct Extra {
    SharedBody body;  ///< null where it is inline
    std::shared_ptr<const policy::Extent> extent;
  };
  /// The parts that are read from variable-length numbers.
  struct Rest {
    std::string_view key;
    std::string_view selecting;
    std::string_view type;
    std::string_view origin;
    std::string_view target;
    std::string_view tags;    ///< policy::TagView::pack()
    std::string_view hidden;  ///< fields that are not in the head
    std::string_view reason;
    std::string_view shown;  ///< fields of the head
    PurgeStamp stamp;
    policy::Priority priority = policy::Priority::normal;
    const char* end = nullptr;  ///< of the whole
  };
  class Builder;

  /// A memory store holds it from now on, or does not any more. Called with the mutex of the response's stripe.
  void note_held(bool is_held) const noexcept;

  explicit StoredResponse(const Builder& builder) noexcept;
  [[nodiscard]] const char* behind() const noexcept { return reinterpret_cast<const char*>(this + 1); }   // NOLINT
  [[nodiscard]] const Extra* extra() const noexcept { return reinterpret_cast<const Extra*>(behind()); }  // NOLINT
  // A byte that holds the size of the numbers, the numbers, the text.
  [[nodiscard]] const char* numbers() const noexcept { return behind() + (has_extra_ ? sizeof(Extra) : 0) + 1; }
  [[nodiscard]] const char* text() const noexcept { return numbers() + static_cast<unsigned char>(numbers()[-1]); }
  [[nodiscard]] Rest rest() const noexcept;
  static StoredFields read_fields(const Rest& rest);

  // Behind the count, which is a word.
  const std::uint16_t status_ : 13;
  const std::uint16_t has_validator_ : 1;
  const std::uint16_t varies_ : 1;
  const std::uint16_t has_extra_ : 1;
  const std::uint16_t inline_size_;  ///< of an inline body
  mutable StoreLinks links_;
  const std::uint32_t canonical_size_;
  const std::uint32_t head_size_;

  static inline std::atomic<std::size_t> outside_{0};
};

}  // namespace larder::store
