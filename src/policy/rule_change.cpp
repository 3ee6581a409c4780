#include "larder/policy/rule_change.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace larder::policy {
namespace {

bool decides(const Route& route) noexcept { return route.caches() || route.cache_off; }

bool methods_meet(const Route& a, const Route& b) noexcept {
  const auto of = [](const Route& one, const Route& other) {
    return std::ranges::any_of(other.methods, [&](const std::string& m) { return m == "*" || one.has_method(m); });
  };
  return of(a, b) || of(b, a);
}

// Routes in front of `at` that take requests which it would take too.
std::vector<const Route*> hiding(const std::vector<Route>& routes, std::size_t at) {
  std::vector<const Route*> found;
  for (std::size_t i = 0; i < at; ++i) {
    const auto& other = routes[i];
    if (decides(other) && methods_meet(other, routes[at]) && other.path.overlaps(routes[at].path)) {
      found.push_back(&other);
    }
  }
  return found;
}

bool takes_the_same(const Route& a, const Route& b) {
  return a.methods == b.methods && a.path.text() == b.path.text() && decides(a) == decides(b);
}

bool texts_equal(const std::vector<Template>& a, const std::vector<Template>& b) {
  return std::ranges::equal(a, b, {}, &Template::text, &Template::text);
}

std::string text_of(const std::optional<Template>& text) { return text ? text->text() : std::string(); }

// All that a stored response is made by, or looked up by.
bool stores_the_same(const Route& a, const Route& b) {
  return takes_the_same(a, b) && a.caches() && b.caches() && a.type->name == b.type->name && a.store == b.store &&
         a.key.has_value() == b.key.has_value() && text_of(a.key) == text_of(b.key) &&
         a.key_has_host == b.key_has_host && a.query == b.query && a.identity == b.identity &&
         texts_equal(a.tags, b.tags);
}

bool lives_on(const std::vector<Route>& before, std::size_t at, const std::vector<Route>& after) {
  const auto hidden_before = hiding(before, at);
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (!stores_the_same(before[at], after[i])) continue;
    const auto hidden_now = hiding(after, i);
    return std::ranges::all_of(hidden_now, [&](const Route* route) {
      return std::ranges::any_of(hidden_before, [&](const Route* known) { return takes_the_same(*known, *route); });
    });
  }
  return false;
}

}  // namespace

std::vector<std::string> types_to_purge(const RuleSet& before, const RuleSet& after) {
  std::set<std::string> types;
  for (std::size_t i = 0; i < before.routes.size(); ++i) {
    const auto& route = before.routes[i];
    if (!route.caches() || types.contains(route.type->name)) continue;
    if (!lives_on(before.routes, i, after.routes)) types.insert(route.type->name);
  }
  return {types.begin(), types.end()};
}

}  // namespace larder::policy
