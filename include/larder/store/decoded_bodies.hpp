#pragma once
// Stored bodies without their content coding, for clients that do not accept it: each is decoded once, not per hit.
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "larder/http/content_coding.hpp"
#include "larder/store/stored_response.hpp"

namespace larder::store {

/// Thread-safe. Holds at most `capacity` bytes of decoded bodies and of the responses that they were made of, so that
/// nobody else's body can be taken for theirs; those used longest ago go first. What is decoded lives on its own while
/// somebody sends it.
class DecodedBodies {
 public:
  explicit DecodedBodies(std::size_t capacity = 32UL << 20) : capacity_(capacity) {}

  /// The body of `coded` without `coding`; null where it does not decode or comes to more than `max_size` bytes, which
  /// is remembered too. Decodes on the calling thread, without a lock held, where it is not known yet.
  SharedBody body_of(const StoredPtr& coded, http::Coding coding, std::size_t max_size);

  /// Bytes of decoded bodies held.
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Entry {
    StoredPtr coded;
    SharedBody decoded;  ///< null where it does not decode
    std::list<const char*>::iterator place;
  };
  using Entries = std::unordered_map<const char*, Entry>;
  static std::size_t size_of(const Entry& entry) noexcept;
  void forget(Entries::iterator entry);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  Entries entries_;                ///< by the address of the coded body: large ones share it with their successors
  std::list<const char*> by_use_;  ///< the latest first
  std::size_t bytes_ = 0;
};

}  // namespace larder::store
