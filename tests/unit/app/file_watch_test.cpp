#include "larder/app/file_watch.hpp"

#include <chrono>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace larder::app {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct Folder {
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string write(const std::string& name, const std::string& text) const {
    const auto file = path / name;
    std::ofstream(file) << text;
    return file.string();
  }
  const fs::path path = fs::temp_directory_path() / ("larder-file-watch-" + std::to_string(::getpid()));
};

struct Site {
  // Runs until it has been told, or for `most`.
  bool changes(std::chrono::milliseconds most = 10s) {
    const auto before = told;
    const auto end = std::chrono::steady_clock::now() + most;
    while (told == before && std::chrono::steady_clock::now() < end) {
      context.restart();
      context.run_for(10ms);
    }
    return told != before;
  }
  Folder folder;
  boost::asio::io_context context;
  int told = 0;
  FileWatch watch{context, [this] { ++told; }, 20ms};
};

TEST_CASE("written, replaced, removed and made again") {
  Site site;
  const auto file = site.folder.write("rules.yaml", "one");
  const auto other = site.folder.write("larder.yaml", "one");
  site.watch.watch({file, other});
  site.folder.write("rules.yaml", "two!");
  CHECK(site.changes());
  fs::rename(site.folder.write("new", "three"), other);
  CHECK(site.changes());
  fs::remove(file);
  CHECK(site.changes());
  site.folder.write("rules.yaml", "four");
  CHECK(site.changes());
  CHECK(site.told == 4);
}

TEST_CASE("what else happens in the folder is no change") {
  Site site;
  const auto file = site.folder.write("rules.yaml", "one");
  site.watch.watch({file});
  site.folder.write("other.yaml", "one");
  fs::remove(site.folder.path / "other.yaml");
  CHECK_FALSE(site.changes(200ms));
}

TEST_CASE("a symbolic link that is turned to another folder, as Kubernetes does it") {
  Site site;
  fs::create_directories(site.folder.path / "v1");
  fs::create_directories(site.folder.path / "v2");
  site.folder.write("v1/rules.yaml", "one");
  site.folder.write("v2/rules.yaml", "two");
  fs::create_symlink("v1", site.folder.path / "data");
  fs::create_symlink("data/rules.yaml", site.folder.path / "rules.yaml");
  site.watch.watch({(site.folder.path / "rules.yaml").string()});
  fs::create_symlink("v2", site.folder.path / "next");
  fs::rename(site.folder.path / "next", site.folder.path / "data");
  CHECK(site.changes());
}

TEST_CASE("watching no more, and what is not there") {
  Site site;
  const auto file = site.folder.write("rules.yaml", "one");
  site.watch.watch({file, "/no/such/folder/file.yaml"});
  site.folder.write("rules.yaml", "two!");
  CHECK(site.changes());
  site.watch.watch({});
  site.folder.write("rules.yaml", "three");
  CHECK_FALSE(site.changes(200ms));
}

}  // namespace
}  // namespace larder::app
