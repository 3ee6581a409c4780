#pragma once
// The journal: purges that Redis has not got, on disk, so that they outlive this process too. Append-only text, one
// record a line with a checksum; a torn last line is ignored, as its append never returned. Appends are fsynced before
// they return.
//
// Lost memory of purges fails towards a miss: a damaged line before the end is recovered as a purge of everything, and
// a journal that would pass 64 MiB ends with one, which stands for all that comes after it.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "larder/policy/selector.hpp"

namespace larder::store {

/// Thread-safe. Holds an exclusive lock on the file while open, so that two processes never share one.
class Journal {
 public:
  /// Opens or creates `path` (its directory too) and reads what is in it. `error` is set, and null returned, where it
  /// cannot be opened or is locked by another process (std::errc::resource_unavailable_try_again). The file has
  /// mode 0600, directories are made with 0700. What is no regular file is refused.
  static std::unique_ptr<Journal> open(const std::filesystem::path& path, std::error_code& error);
  ~Journal();

  /// Purges found at open, oldest first, each with its selectors; the same at every call, also after clear().
  [[nodiscard]] std::vector<std::vector<policy::Selector>> recovered() const;
  /// Appends one purge and waits for the disk. Sets the record's number (they rise from 1), or returns an error (disk
  /// full, …): then the file is as it was before. No selectors are no purge.
  std::error_code append(std::span<const policy::Selector> selectors, std::uint64_t& record);
  /// Marks everything up to now as delivered: truncates the file and waits for the disk.
  std::error_code clear();
  [[nodiscard]] std::uint64_t size() const noexcept;  ///< records held

 private:
  Journal();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace larder::store
