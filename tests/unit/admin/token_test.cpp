#include "larder/admin/token.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

TEST_CASE("judge_access: the table") {
  struct Row {
    std::string_view configured;
    std::vector<http::Field> fields;
    Access expected;
  };
  const std::string huge(60000, 'x');
  const std::vector<Row> rows{
      {"", {}, Access::unset},
      {"", {{"Authorization", "Bearer "}}, Access::unset},
      {"", {{"Authorization", "Bearer x"}}, Access::unset},
      {"secret", {}, Access::no_bearer},
      {"secret", {{"Authorization", ""}}, Access::no_bearer},
      {"secret", {{"Authorization", "Bearer"}}, Access::no_bearer},
      {"secret", {{"Authorization", "Bearer  "}}, Access::no_bearer},
      {"secret", {{"Authorization", "secret"}}, Access::no_bearer},
      {"secret", {{"Authorization", "Basic secret"}}, Access::no_bearer},
      {"secret", {{"Authorization", "Bearersecret"}}, Access::no_bearer},
      {"secret", {{"X-Token", "secret"}}, Access::no_bearer},
      {"secret", {{"Authorization", "Bearer secret"}, {"authorization", "Bearer secret"}}, Access::no_bearer},
      {"secret", {{"Authorization", "Bearer secret"}}, Access::granted},
      {"secret", {{"AUTHORIZATION", "bearer secret"}}, Access::granted},
      {"secret", {{"Authorization", "Bearer   secret"}}, Access::granted},
      {"secret", {{"Authorization", "Bearer Secret"}}, Access::wrong},
      {"secret", {{"Authorization", "Bearer secret2"}}, Access::wrong},
      {"secret", {{"Authorization", "Bearer secre"}}, Access::wrong},
      {"secret", {{"Authorization", "Bearer secret secret"}}, Access::wrong},
      {"secret", {{"Authorization", std::string_view("Bearer secret\0", 14)}}, Access::wrong},
      {huge, {{"Authorization", "Bearer x"}}, Access::wrong},
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(i);
    CHECK(judge_access(rows[i].fields, rows[i].configured) == rows[i].expected);
  }
}

}  // namespace
}  // namespace larder::admin
