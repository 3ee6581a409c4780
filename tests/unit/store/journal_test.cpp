#include "larder/store/journal.hpp"

#include <csignal>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace larder::store {
namespace {

using policy::Selector;
using policy::SelectorKind;
using Purges = std::vector<std::vector<Selector>>;

/// A directory of its own, removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "larder-journal-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::unique_ptr<Journal> opened(const std::filesystem::path& path) {
  std::error_code error;
  auto journal = Journal::open(path, error);
  CAPTURE(error.message());
  REQUIRE(journal);
  CHECK_FALSE(error);
  return journal;
}

void append(Journal& journal, const std::vector<Selector>& selectors) {
  std::uint64_t record = 0;
  const auto error = journal.append(selectors, record);
  CAPTURE(error.message());
  REQUIRE_FALSE(error);
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void overwrite(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

const Purges& sample() {
  static const Purges purges{
      {{SelectorKind::type, "product"}},
      {{SelectorKind::tag, "product:42"}, {SelectorKind::path, "/api/products/**"}},
      {{SelectorKind::glob, "cache:*:\\*"}, {SelectorKind::all, ""}},
      {{SelectorKind::key, std::string("a b%c\n\r\0\x7f\xff,", 11)}},
      {{SelectorKind::target, "/x?y=%20z"}},
  };
  return purges;
}

TEST_CASE("what is appended is recovered, in order, and stays until it is cleared") {
  const TemporaryDirectory directory;
  const auto path = directory / "purges";
  {
    const auto journal = opened(path);
    CHECK(journal->size() == 0);
    CHECK(journal->recovered().empty());
    for (const auto& purge : sample()) append(*journal, purge);
    CHECK(journal->size() == sample().size());
  }
  {
    const auto journal = opened(path);
    CHECK(journal->recovered() == sample());
    CHECK(journal->size() == sample().size());
    std::uint64_t record = 0;
    CHECK_FALSE(journal->append(sample().front(), record));
    CHECK(record == sample().size() + 1);
  }
  {
    const auto journal = opened(path);
    CHECK(journal->size() == sample().size() + 1);
    CHECK_FALSE(journal->clear());
    CHECK(journal->size() == 0);
    append(*journal, sample()[1]);
  }
  CHECK(opened(path)->recovered() == Purges{sample()[1]});
}

TEST_CASE("no selectors are no purge") {
  const TemporaryDirectory directory;
  const auto journal = opened(directory / "purges");
  append(*journal, {});
  CHECK(journal->size() == 0);
  CHECK(content(directory / "purges").empty());
}

TEST_CASE("directories are made; the file is its owner's alone") {
  const TemporaryDirectory directory;
  const auto path = directory / "a/b/c/purges";
  const auto journal = opened(path);
  struct ::stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
  REQUIRE(::stat((directory / "a/b").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0700U);
}

TEST_CASE("the lock keeps a second one out, and goes with the first") {
  const TemporaryDirectory directory;
  const auto path = directory / "purges";
  auto journal = opened(path);
  std::error_code error;
  CHECK(Journal::open(path, error) == nullptr);
  CHECK(error == std::errc::resource_unavailable_try_again);
  journal.reset();
  CHECK(opened(path));
}

TEST_CASE("what cannot be opened is an error") {
  const TemporaryDirectory directory;
  overwrite(directory / "file", "x");
  struct Row {
    std::filesystem::path path;
  };
  for (const auto& row :
       {Row{directory / ""}, Row{directory / "file/below"}, Row{"/proc/larder/purges"}, Row{"/dev/null"}}) {
    CAPTURE(row.path.string());
    std::error_code error;
    CHECK(Journal::open(row.path, error) == nullptr);
    CHECK(error);
  }
}

/// Limits the size of files that this process may write, which is how a full disk looks: part of a write succeeds.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::uint64_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const ::rlimit limit{bytes, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() {
    (void)::setrlimit(RLIMIT_FSIZE, &before_);
    (void)std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  ::rlimit before_{};
};

TEST_CASE("a disk that is full is an error, and the journal is as it was") {
  const TemporaryDirectory directory;
  const auto path = directory / "purges";
  const std::vector<Selector> large{{SelectorKind::key, std::string(10000, 'k')}};
  {
    const auto journal = opened(path);
    append(*journal, sample()[0]);
    const auto before = content(path);
    {
      const FileSizeLimit limit(5000);
      std::uint64_t record = 0;
      CHECK(journal->append(large, record));
      CHECK(journal->size() == 1);
      CHECK(content(path) == before);
      append(*journal, sample()[1]);
    }
    append(*journal, large);
  }
  CHECK(opened(path)->recovered() == Purges{sample()[0], sample()[1], large});
}

TEST_CASE("a file that others could read is its owner's alone from then on") {
  const TemporaryDirectory directory;
  const auto path = directory / "purges";
  overwrite(path, "");
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  const auto journal = opened(path);
  struct ::stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
}

TEST_CASE("a torn last line is ignored, wherever it was torn, and the next append is whole") {
  const TemporaryDirectory directory;
  const auto path = directory / "purges";
  {
    const auto journal = opened(path);
    for (const auto& purge : sample()) append(*journal, purge);
  }
  const auto whole = content(path);
  const auto last_line = whole.rfind('\n', whole.size() - 2) + 1;
  auto kept = sample();
  kept.pop_back();
  for (auto size = last_line; size < whole.size(); ++size) {
    overwrite(path, whole.substr(0, size));
    {
      const auto journal = opened(path);
      CHECK(journal->recovered() == kept);
      append(*journal, sample().front());
    }
    auto expected = kept;
    expected.push_back(sample().front());
    CHECK(opened(path)->recovered() == expected);
  }
  // A file that grew on disk before its bytes came there.
  overwrite(path, whole + std::string(4096, '\0'));
  CHECK(opened(path)->recovered() == sample());
}

TEST_CASE("any damaged byte of a whole line makes it a purge of everything, and no other line suffers") {
  const TemporaryDirectory directory;
  const auto path = directory / "purges";
  {
    const auto journal = opened(path);
    append(*journal, sample()[1]);
    append(*journal, sample()[0]);
  }
  const auto whole = content(path);
  const auto first_line = whole.find('\n');
  const std::vector<Selector> everything{{SelectorKind::all, ""}};
  for (std::size_t at = 0; at < first_line; ++at) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    overwrite(path, damaged);
    const auto recovered = opened(path)->recovered();
    REQUIRE(recovered.size() >= 2);
    CHECK(recovered.front() == everything);
    CHECK(recovered.back() == sample()[0]);
  }
  for (const std::string junk : {"\n", "not a record\n", "00000000 \n", "0\n\n\n", "%%%%%%%% key:a \n"}) {
    overwrite(path, junk);
    for (const auto& purge : opened(path)->recovered()) CHECK(purge == everything);
  }
}

TEST_CASE("a file that is too large is a purge of everything") {
  const TemporaryDirectory directory;
  const auto path = directory / "purges";
  overwrite(path, "");
  std::filesystem::resize_file(path, 1UL << 40);  // takes no room: it is one hole
  const auto journal = opened(path);
  CHECK(journal->recovered() == Purges{{{SelectorKind::all, ""}}});
  append(*journal, sample()[0]);
  CHECK(journal->size() == 1);
  CHECK_FALSE(journal->clear());
  append(*journal, sample()[0]);
  CHECK(journal->size() == 1);
}

TEST_CASE("a journal that grows too large ends with a purge of everything") {
  const TemporaryDirectory directory;
  const auto path = directory / "purges";
  const std::vector<Selector> large{{SelectorKind::key, std::string(20UL << 20, 'k')}};
  {
    const auto journal = opened(path);
    for (int i = 0; i < 6; ++i) append(*journal, large);
    CHECK(journal->size() == 4);
  }
  const auto recovered = opened(path)->recovered();
  REQUIRE(recovered.size() == 4);
  CHECK(recovered[2] == large);
  CHECK(recovered[3] == std::vector<Selector>{{SelectorKind::all, ""}});
}

TEST_CASE("appends from many threads are all recovered") {
  const TemporaryDirectory directory;
  const auto path = directory / "purges";
  {
    const auto journal = opened(path);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&journal, t] {
        for (int i = 0; i < 10; ++i) {
          std::uint64_t record = 0;
          (void)journal->append(std::vector<Selector>{{SelectorKind::tag, std::to_string(t * 100 + i)}}, record);
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
  CHECK(opened(path)->recovered().size() == 40);
}

}  // namespace
}  // namespace larder::store
