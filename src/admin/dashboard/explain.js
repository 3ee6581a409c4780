// The explain box: POST /api/cache/explain.
import * as api from './api.js';
import { $, el, facts, notice, pill, place } from './dom.js';
import { duration, words } from './format.js';

const KINDS = { HIT: 'good', STALE: 'warn', REVALIDATED: 'warn', MISS: 'warn', BYPASS: '' };
const WAYS = {
  look_up: 'It is looked up; without a stored response the origin is asked.',
  query: 'It is looked up by its content too.',
  write: 'It goes to the origin, and purges.',
  pass: 'It is passed on to the origin; the cache has no part in it.',
};

// "Name: value" lines as {"Name": ["value", …]}; throws what is wrong.
function fieldsOf(text) {
  const fields = {};
  for (const line of text.split('\n').map((part) => part.trim()).filter(Boolean)) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`“${line}” is no header field; right would be Name: value.`);
    (fields[line.slice(0, colon).trim()] ??= []).push(line.slice(colon + 1).trim());
  }
  return fields;
}

function orderOf() {
  const order = { method: $('explain-method').value, target: $('explain-target').value.trim() };
  if ($('explain-host').value.trim()) order.host = $('explain-host').value.trim();
  if ($('explain-headers').value.trim()) order.headers = fieldsOf($('explain-headers').value);
  const status = $('explain-status').value.trim();
  const headers = $('explain-response').value.trim();
  if (status || headers) {
    order.response = { status: status ? Number(status) : 200, headers: fieldsOf(headers) };
  }
  return order;
}

const routeText = (route) => [el('code', {}, route.match), place(route)];
const reasonText = (reason) => (reason && reason.name !== 'none' ? `${words(reason.name)}: ${reason.meaning}` : null);
const list = (items) => el('ul', {}, items.map((item) => el('li', {}, item)));

function freshness(f) {
  const seconds = (value) => (value === null || value === undefined ? null : `${value} s`);
  return facts([
    ['freshness_lifetime', `${seconds(f.freshness_lifetime)} (${words(f.source)})`],
    ['apparent_age', seconds(f.apparent_age)], ['age_value', seconds(f.age_value)],
    ['response_delay', seconds(f.response_delay)], ['corrected_age_value', seconds(f.corrected_age_value)],
    ['corrected_initial_age', seconds(f.corrected_initial_age)], ['resident_time', seconds(f.resident_time)],
    ['current_age', seconds(f.current_age)],
    ['Result', f.response_is_fresh ? `fresh for ${duration(-f.staleness)} more` : `stale since ${duration(f.staleness)}`]]);
}

function lookUp(look) {
  return [
    el('h3', {}, 'Now'),
    el('p', {}, pill(look.outcome, KINDS[look.outcome] ?? ''), ' ', reasonText(look.reason) ??
      (look.tier ? `served from ${look.tier}` : ''), look.would_validate ? ' The stored response would be validated.' : ''),
    ...look.tiers.map((tier) => (!tier.entry
      ? el('p', { class: 'quiet' }, `${tier.tier}: ${tier.asked ? reasonText(tier.reason) ?? 'not found' : 'not asked'}`)
      : el('details', { open: true }, el('summary', {}, `${tier.tier}: found`),
        facts([['Key', el('code', {}, tier.entry.key)], ['Use', words(tier.use)]]), freshness(tier.entry.freshness))))];
}

function keyFacts(key) {
  return facts([
    ['Key', el('code', {}, key.key)], ['Type', key.type], ['Host', key.host ?? 'shared by all'], ['Path', el('code', {}, key.path)],
    ['Query', key.query.parameters.length ? el('code', {}, key.query.parameters.join('&')) : 'nothing of it counts'],
    ['Left out', key.query.left_out.length ? el('code', {}, key.query.left_out.join('&')) : null],
    ['Template', key.template && el('code', {}, key.template)], ['Identity', key.identity]]);
}

function storing(response) {
  return [
    el('h3', {}, 'The response'),
    el('p', {}, response.stored ? pill('stored', 'good') : pill('not stored', 'warn'), ' ', reasonText(response.reason) ?? ''),
    response.evidence.length > 0 && list(response.evidence.map((line) => el('code', {}, line))),
    freshness(response.freshness)];
}

function write(told) {
  return [
    el('h3', {}, 'Purges'),
    !told.changes_something ? el('p', {}, 'Nothing: the origin has refused the write, so nothing has changed.')
      : list(told.purges.map((purge) => [el('code', {}, purge.shown ?? `${purge.kind} ${purge.value}`), ` (${words(purge.cause)})`,
        purge.route && place(purge.route)]))];
}

function view(answer) {
  const passed = answer.passed_over ?? [];
  return [
    answer.look_up && lookUp(answer.look_up),
    el('h3', {}, 'Rule'),
    answer.route ? el('p', {}, routeText(answer.route)) : el('p', {}, 'No rule for caching matches.'),
    el('p', { class: 'quiet' }, WAYS[answer.way] ?? words(answer.way), ' ', reasonText(answer.reason) ?? ''),
    passed.length > 0 && el('details', {}, el('summary', {}, `${passed.length} other rules`),
      list(passed.map((route) => [routeText(route), el('span', { class: 'quiet' }, words(route.reason))]))),
    answer.key && [el('h3', {}, 'Key'), keyFacts(answer.key)],
    answer.tags?.length > 0 && [el('h3', {}, 'Tags'), el('p', {}, answer.tags.map((tag) => el('span', { class: 'chip' }, tag)))],
    answer.response && storing(answer.response),
    answer.write && write(answer.write),
    answer.purged_by?.length > 0 && el('details', {}, el('summary', {}, `Purged by ${answer.purged_by.length} rules for writes`),
      list(answer.purged_by.map((rule) => [routeText(rule.route), `${rule.kind} `, el('code', {}, rule.selector)]))),
    el('details', {}, el('summary', {}, 'All of it, as JSON'),
      el('pre', { tabindex: 0, 'aria-label': 'JSON' }, JSON.stringify(answer, null, 2)))];
}

export function startExplain() {
  $('explain-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const box = $('explain-result');
    try {
      const order = orderOf();
      box.replaceChildren(el('p', { class: 'quiet' }, 'Asking …'));
      const answer = await api.post('/api/cache/explain', order);
      box.replaceChildren(el('div', {}, view(answer)));
    } catch (error) {
      const told = error.status === 404 ? 'This server cannot explain requests.' : error.message;
      box.replaceChildren(notice('bad', el('p', {}, told)));
    }
  });
}
