// Who may include whom. The layers are those of the README's layout; a layer links no more than it may include, and
// this test finds what the linker cannot (headers).
#include <algorithm>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string, std::less<>>;

const std::map<std::string, Names, std::less<>> allowed_layers{
    {"http", {}},
    {"policy", {"http"}},
    {"store", {"http", "policy"}},
    {"redis", {}},
    {"net", {"http"}},
    {"proxy", {"http", "policy", "store", "net", "redis"}},
    {"admin", {"http", "policy", "store", "net", "redis", "proxy"}},
    {"config", {"http", "policy"}},  // and the parameter structs below
    {"app", {"http", "policy", "store", "net", "redis", "proxy", "admin", "config"}},
};

// Headers of other layers that config may include: those that hold parameter structs.
const Names parameter_headers{"net/parameters.hpp",   "proxy/parameters.hpp",   "proxy/value_parameters.hpp",
                              "admin/parameters.hpp", "store/memory_store.hpp", "store/codec.hpp",
                              "redis/connection.hpp"};

// Libraries that only some layers may know, by what their includes begin with.
const std::map<std::string, Names, std::less<>> library_owners{
    {"boost/asio", {"redis", "net", "proxy", "admin", "app"}},
    {"boost/beast", {"net"}},
    {"hiredis", {"redis"}},
    {"yaml-cpp", {"config"}},
    {"CLI", {"config", "app"}},
    {"nlohmann", {"admin"}},
    {"brotli", {"store"}},
    {"zstd", {"store"}},
};

struct Include {
  std::string file;   // "src/http/range.cpp"
  std::string layer;  // "http"
  std::string name;   // "larder/http/range.hpp", "boost/asio/buffer.hpp"
  bool is_first = false;
};

const fs::path root = LARDER_SOURCE_DIR;

std::vector<fs::path> sources(std::string_view folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    const auto extension = entry.path().extension();
    if (entry.is_regular_file() && (extension == ".hpp" || extension == ".cpp")) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<Include> includes() {
  std::vector<Include> out;
  for (const std::string folder : {"include/larder", "src"}) {
    for (const auto& path : sources(folder)) {
      const auto relative = fs::relative(path, root / folder);
      std::ifstream stream(path);
      bool is_first = true;
      for (std::string line; std::getline(stream, line);) {
        if (!line.starts_with("#include ")) continue;
        const auto open = line.find_first_of("<\"");
        const auto close = line.find_first_of(">\"", open + 1);
        REQUIRE(close != std::string::npos);
        out.push_back({folder + "/" + relative.generic_string(), relative.begin()->string(),
                       line.substr(open + 1, close - open - 1), is_first});
        is_first = false;
      }
    }
  }
  return out;
}

TEST_CASE("layers include only what they may") {
  const auto all = includes();
  CHECK(all.size() > 50);
  for (const auto& include : all) {
    CAPTURE(include.file);
    CAPTURE(include.name);
    REQUIRE(allowed_layers.contains(include.layer));
    CHECK(include.name.find("..") == std::string::npos);
    constexpr std::string_view ours = "larder/";
    if (!include.name.starts_with(ours)) continue;
    const auto name = include.name.substr(ours.size());
    const auto layer = name.substr(0, name.find('/'));
    const bool is_allowed = layer == include.layer || allowed_layers.at(include.layer).contains(layer) ||
                            (include.layer == "config" && parameter_headers.contains(name));
    CHECK(is_allowed);
  }
}

TEST_CASE("libraries are known only to the layers that own them") {
  Names yaml_files;
  for (const auto& include : includes()) {
    CAPTURE(include.file);
    CAPTURE(include.name);
    for (const auto& [library, owners] : library_owners) {
      if (include.name.starts_with(library + "/") || include.name.starts_with(library + ".")) {
        CHECK(owners.contains(include.layer));
      }
    }
    if (include.name.starts_with("yaml-cpp/")) yaml_files.insert(include.file);
  }
  CHECK(yaml_files == Names{"src/config/document.cpp"});
}

TEST_CASE("a .cpp includes its own header first") {
  for (const auto& include : includes()) {
    if (!include.is_first || !include.file.ends_with(".cpp")) continue;
    auto own = "larder/" + include.file.substr(std::string_view("src/").size());
    own.replace(own.size() - 3, 3, "hpp");
    if (!fs::exists(root / "include" / own)) continue;
    CAPTURE(include.file);
    CHECK(include.name == own);
  }
}

TEST_CASE("headers: guarded, without using directives; files have names that say something") {
  for (const std::string folder : {"include/larder", "src", "tests"}) {
    for (const auto& path : sources(folder)) {
      CAPTURE(path.string());
      const auto stem = path.stem().string();
      for (const std::string_view vague : {"util", "common", "helper", "manager", "misc"}) {
        CHECK(stem.find(vague) == std::string::npos);
      }
      if (path.extension() != ".hpp") continue;
      std::ostringstream text;
      text << std::ifstream(path).rdbuf();
      CHECK(text.str().find("#pragma once") != std::string::npos);
      CHECK(text.str().find("using namespace") == std::string::npos);
    }
  }
}

}  // namespace
