#include "larder/admin/dashboard.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

std::string file(const std::string& name) {
  std::ifstream stream(std::string(LARDER_SOURCE_DIR) + "/src/admin/dashboard/" + name, std::ios::binary);
  REQUIRE(stream);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST_CASE("what is built in is what the files hold") {
  std::set<std::string_view> paths;
  for (const auto& asset : dashboard_assets()) {
    CAPTURE(asset.path);
    CHECK(paths.insert(asset.path).second);
    const std::string prefix = "/dashboard/";
    CHECK(asset.content == file(asset.path == "/" ? "index.html" : std::string(asset.path.substr(prefix.size()))));
    CHECK_FALSE(asset.content_type.empty());
  }
  CHECK(paths.contains("/"));
  CHECK(paths.contains("/dashboard/dashboard.js"));
  CHECK(paths.contains("/dashboard/dashboard.css"));
}

TEST_CASE("the page is what its policy allows: nothing inline, nothing from elsewhere, text set as text") {
  for (const auto& asset : dashboard_assets()) {
    CAPTURE(asset.path);
    for (const std::string_view word : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                                        "new Function", "style=", "<style", "localStorage", "document.cookie"}) {
      CAPTURE(word);
      // The comment that says so may name innerHTML.
      if (word == "innerHTML" && asset.path == "/dashboard/dom.js") continue;
      CHECK(asset.content.find(word) == std::string_view::npos);
    }
    auto at = asset.content.find("://");
    while (at != std::string_view::npos) {
      // The namespace of SVG is a name, and is not fetched.
      CHECK(asset.content.substr(at, 13) == "://www.w3.org");
      at = asset.content.find("://", at + 1);
    }
  }
}

TEST_CASE("dashboard_answer") {
  const auto page = dashboard_answer("GET", "/", {});
  REQUIRE(page);
  CHECK(page->status == 200);
  CHECK(page->content_type == "text/html; charset=utf-8");
  CHECK(page->cache_control == "no-cache");
  CHECK(page->body.starts_with("<!doctype html>"));
  for (const std::string_view line :
       {"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';", "frame-ancestors 'none'",
        "Referrer-Policy: no-referrer\r\n", "ETag: \""}) {
    CAPTURE(line);
    CHECK(page->more_lines.find(line) != std::string::npos);
  }
  CHECK(page->more_lines.find("unsafe") == std::string::npos);

  const std::string etag(dashboard_assets().front().etag);
  const auto path = dashboard_assets().front().path;
  struct Row {
    std::string if_none_match;
    int status;
  };
  for (const auto& row : std::vector<Row>{
           {etag, 304}, {"W/" + etag, 304}, {"\"x\", " + etag, 304}, {"*", 304}, {"\"x\"", 200}, {"junk", 200}}) {
    CAPTURE(row.if_none_match);
    const std::vector<http::Field> fields{{"If-None-Match", row.if_none_match}};
    const auto answer = dashboard_answer("GET", path, fields);
    REQUIRE(answer);
    CHECK(answer->status == row.status);
    CHECK(answer->body.empty() == (row.status == 304));
    CHECK(answer->more_lines.find("ETag: " + etag) != std::string::npos);
  }

  const auto wrong = dashboard_answer("POST", "/", {});
  REQUIRE(wrong);
  CHECK(wrong->status == 405);
  for (const std::string_view elsewhere :
       {"/index.html", "/dashboard", "/dashboard/", "/dashboard/index.html", "/dashboard/../dashboard.js",
        "/dashboard/embed.cmake", "/api/cache/stats"}) {
    CAPTURE(elsewhere);
    CHECK_FALSE(dashboard_answer("GET", elsewhere, {}));
  }
}

}  // namespace
}  // namespace larder::admin
