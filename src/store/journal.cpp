// A record is one line: eight hex digits of the CRC-32 of what follows the space, a space, and the selectors as
// policy::encode() writes them, each followed by a space. Bytes of a selector that are not printable ASCII, spaces and
// '%' are percent-encoded, so a line is a line and the file can be read by people.
//
// The file is written at `end`, which is where the last whole record stops; what lies behind it (a torn append) is cut
// off before the next one.
#include "larder/store/journal.hpp"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <mutex>
#include <optional>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <zlib.h>

namespace larder::store {
namespace {

using policy::Selector;
using policy::SelectorKind;

constexpr std::size_t max_size = 64UL << 20;
constexpr std::size_t checksum_digits = 8;
constexpr std::string_view hex_digits = "0123456789abcdef";

std::error_code last_error() { return {errno, std::system_category()}; }

/// A file descriptor, closed with this object.
class File {
 public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// Calls until it is not interrupted by a signal.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::error_code write_all(int file, std::string_view bytes, std::size_t at) {
  while (!bytes.empty()) {
    const auto n = uninterrupted([&] { return ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at)); });
    if (n < 0) return last_error();
    if (n == 0) return std::make_error_code(std::errc::io_error);
    bytes.remove_prefix(static_cast<std::size_t>(n));
    at += static_cast<std::size_t>(n);
  }
  return {};
}

std::error_code read_all(int file, std::string& bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto n =
        uninterrupted([&] { return ::pread(file, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at)); });
    if (n < 0) return last_error();
    if (n == 0) break;
    at += static_cast<std::size_t>(n);
  }
  bytes.resize(at);
  return {};
}

std::error_code truncate(int file, std::size_t size) {
  if (uninterrupted([&] { return ::ftruncate(file, static_cast<off_t>(size)); }) < 0) return last_error();
  return {};
}

std::error_code sync(int file) {
  if (uninterrupted([file] { return ::fsync(file); }) < 0) return last_error();
  return {};
}

// A new file is on the disk only once its directory is.
std::error_code sync_directory(const std::filesystem::path& directory) {
  const File opened(uninterrupted([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (opened.get() < 0) return last_error();
  return sync(opened.get());
}

std::error_code make_directories(const std::filesystem::path& directory) {
  std::error_code error;
  if (directory.empty() || std::filesystem::is_directory(directory, error)) return {};
  if (auto above = make_directories(directory.parent_path())) return above;
  if (::mkdir(directory.c_str(), S_IRWXU) < 0 && errno != EEXIST) return last_error();
  return {};
}

bool is_plain(char c) noexcept { return c > ' ' && c < '\x7f' && c != '%'; }

std::string checksum(std::string_view text) {
  auto crc = static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));  // NOLINT: zlib's byte type
  std::string digits(checksum_digits, '0');
  for (std::size_t i = checksum_digits; i-- > 0; crc >>= 4U) digits[i] = hex_digits[crc & 0xFU];
  return digits;
}

std::string line_of(std::span<const Selector> selectors) {
  std::string text;
  for (const auto& selector : selectors) {
    for (const char c : policy::encode(selector)) {
      if (is_plain(c)) {
        text += c;
        continue;
      }
      const auto byte = static_cast<unsigned char>(c);
      text += '%';
      text += hex_digits[byte >> 4U];
      text += hex_digits[byte & 0xFU];
    }
    text += ' ';
  }
  return checksum(text) + ' ' + text + '\n';
}

std::optional<Selector> selector_of(std::string_view word) {
  std::string text;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      text += word[i];
      continue;
    }
    if (word.size() - i < 3) return std::nullopt;
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(word.data() + i + 1, word.data() + i + 3, byte, 16);
    if (error != std::errc{} || end != word.data() + i + 3) return std::nullopt;
    text += static_cast<char>(byte);
    i += 2;
  }
  return policy::parse_selector(text);
}

// Empty optional for what line_of() did not write. `line` is without its '\n'.
std::optional<std::vector<Selector>> selectors_of(std::string_view line) {
  if (line.size() <= checksum_digits || line[checksum_digits] != ' ') return std::nullopt;
  auto text = line.substr(checksum_digits + 1);
  if (line.substr(0, checksum_digits) != checksum(text)) return std::nullopt;
  std::vector<Selector> selectors;
  while (!text.empty()) {
    const auto space = text.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    auto selector = selector_of(text.substr(0, space));
    if (!selector) return std::nullopt;
    selectors.push_back(std::move(*selector));
    text.remove_prefix(space + 1);
  }
  if (selectors.empty()) return std::nullopt;
  return selectors;
}

std::vector<Selector> everything() { return {Selector{SelectorKind::all, {}}}; }

}  // namespace

struct Journal::State {
  mutable std::mutex mutex;
  File file;
  std::size_t end = 0;   ///< bytes of whole records
  bool is_torn = false;  ///< there may be bytes behind `end`
  bool is_full = false;  ///< the last record names everything, on account of the size
  std::vector<std::vector<Selector>> recovered;
  std::uint64_t numbers = 0;  ///< records ever held
  std::atomic<std::uint64_t> size{0};

  std::error_code cut() {
    if (!is_torn) return {};
    if (const auto error = truncate(file.get(), end)) return error;
    is_torn = false;
    return {};
  }

  std::error_code write(std::string_view line) {
    if (const auto error = cut()) return error;
    is_torn = true;
    auto error = write_all(file.get(), line, end);
    if (!error) error = sync(file.get());
    if (error) {
      // Best effort: it is tried again before the next write.
      (void)cut();
      return error;
    }
    is_torn = false;
    end += line.size();
    return {};
  }

  std::error_code recover() {
    struct ::stat status {};
    if (::fstat(file.get(), &status) < 0) return last_error();
    if (!S_ISREG(status.st_mode)) return std::make_error_code(std::errc::invalid_argument);
    // It holds what clients sent; a file that was copied here may have another mode.
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0 && ::fchmod(file.get(), S_IRUSR | S_IWUSR) < 0) return last_error();
    const auto file_size = static_cast<std::size_t>(status.st_size);
    // Larger than any that was written here: what it names is not worth the memory of finding out.
    if (file_size > 2 * max_size) {
      recovered.push_back(everything());
      end = file_size;
      is_full = true;
    } else {
      std::string bytes(file_size, '\0');
      if (const auto error = read_all(file.get(), bytes)) return error;
      std::string_view rest = bytes;
      for (auto mark = rest.find('\n'); mark != std::string_view::npos; mark = rest.find('\n')) {
        auto selectors = selectors_of(rest.substr(0, mark));
        recovered.push_back(selectors ? std::move(*selectors) : everything());
        rest.remove_prefix(mark + 1);
      }
      end = bytes.size() - rest.size();
      is_torn = !rest.empty();
    }
    numbers = recovered.size();
    size.store(recovered.size(), std::memory_order_release);
    return cut();
  }
};

Journal::Journal() : state_(std::make_unique<State>()) {}
Journal::~Journal() = default;

std::unique_ptr<Journal> Journal::open(const std::filesystem::path& path, std::error_code& error) {
  error.clear();
  const auto directory = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  error = make_directories(directory);
  if (error) return nullptr;
  std::unique_ptr<Journal> journal(new Journal());  // NOLINT: the constructor is private
  auto& state = *journal->state_;
  state.file = File(
      uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR); }));
  if (state.file.get() < 0 || uninterrupted([&] { return ::flock(state.file.get(), LOCK_EX | LOCK_NB); }) < 0) {
    error = last_error();
    return nullptr;
  }
  error = state.recover();
  if (!error) error = sync_directory(directory);
  if (error) return nullptr;
  return journal;
}

std::vector<std::vector<policy::Selector>> Journal::recovered() const { return state_->recovered; }

std::error_code Journal::append(std::span<const policy::Selector> selectors, std::uint64_t& record) {
  auto& state = *state_;
  const std::lock_guard lock(state.mutex);
  record = state.numbers;
  if (selectors.empty() || state.is_full) return {};
  auto line = line_of(selectors);
  bool fills = false;
  if (state.end + line.size() > max_size) {
    line = line_of(everything());
    fills = true;
  }
  if (const auto error = state.write(line)) return error;
  // A purge of everything that was asked for covers only what is older, so it does not end the journal.
  state.is_full = fills;
  record = ++state.numbers;
  state.size.fetch_add(1, std::memory_order_release);
  return {};
}

std::error_code Journal::clear() {
  auto& state = *state_;
  const std::lock_guard lock(state.mutex);
  if (const auto error = truncate(state.file.get(), 0)) return error;
  state.end = 0;
  state.is_torn = false;
  state.is_full = false;
  state.size.store(0, std::memory_order_release);
  return sync(state.file.get());
}

std::uint64_t Journal::size() const noexcept { return state_->size.load(std::memory_order_acquire); }

}  // namespace larder::store
