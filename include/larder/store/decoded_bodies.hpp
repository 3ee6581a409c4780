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

/// Thread-safe. Holds at most `capacity` bytes of decoded bodies; those used longest ago go first. What is decoded
/// lives on its own while somebody sends it. Nobody finds it any more once the coded body that it was made of has gone;
/// its bytes are given back when it is used longest ago.
class DecodedBodies {
 public:
  explicit DecodedBodies(std::size_t capacity = 32UL << 20) : capacity_(capacity) {}

  /// `coded` without `coding`; null where it does not decode or comes to more than `max_size` bytes, which is
  /// remembered too. Decodes on the calling thread, without a lock held, where it is not known yet.
  SharedBody body_of(const SharedBody& coded, http::Coding coding, std::size_t max_size);

  /// Bytes of decoded bodies held.
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Entry {
    std::weak_ptr<const std::string> coded;  ///< guards against another body at the same address
    SharedBody decoded;                      ///< null where it does not decode
    std::list<const std::string*>::iterator place;
  };
  void forget(std::unordered_map<const std::string*, Entry>::iterator entry);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::unordered_map<const std::string*, Entry> entries_;  ///< by the coded body's address
  std::list<const std::string*> by_use_;                   ///< the latest first
  std::size_t bytes_ = 0;
};

}  // namespace larder::store
