// What the statistics say: state, alerts, tiles, curves, routes, reasons, and the parts of the system. A part that this
// server does not tell of is left out.
import { $, bars, el, facts, notice, pill, place, replace, setText, table } from './dom.js';
import { bytes, count, duration, isNumber, latency, percent, words } from './format.js';
import { Chart } from './charts.js';
import { reasonsText } from './keys.js';

let hitRates;
let latencies;
/** For servers that keep no series: what this page has seen. */
let seen = [];
let previous = null;

export function startOverview() {
  hitRates = new Chart($('hit-rate-chart'), { id: 'hit-rate-title', title: 'Hit rate', percent: true,
    series: [{ key: 'hit_rate', label: 'hits of cacheable requests' }],
    format: (value, isTick) => (isTick ? `${value} %` : percent(value)), empty: 'Waiting for requests' });
  latencies = new Chart($('latency-chart'), { id: 'latency-title', title: 'Latency',
    series: [{ key: 'p50_ms', label: 'p50' }, { key: 'p95_ms', label: 'p95' }, { key: 'p99_ms', label: 'p99' }],
    format: latency, empty: 'Waiting for requests' });
}

// One point out of the statistics' growth since the last time.
function watch(stats) {
  const now = { time: new Date(), hits: stats.hits + stats.stale, all: stats.hits + stats.stale + stats.revalidated + stats.misses,
    requests: stats.total_requests };
  if (previous !== null && now.requests >= previous.requests) {
    const all = now.all - previous.all;
    const seconds = Math.max(0.001, (now.time - previous.time) / 1000);
    seen.push({ time: now.time, seconds, requests: now.requests - previous.requests,
      hit_rate: all > 0 ? (now.hits - previous.hits) * 100 / all : null });
    seen = seen.slice(-180);
  }
  previous = now;
}

function tile(name, value, more) {
  return el('div', {}, el('dt', {}, name), el('dd', { class: 'value' }, value), more && el('dd', { class: 'more' }, more));
}

function tiles(stats, points) {
  const last = points.at(-1);
  const rate = last ? last.requests / last.seconds : null;
  const memory = stats.memory;
  return [
    tile('Hit rate', percent(last?.hit_rate ?? stats.hit_rate), `${percent(stats.hit_rate)} since the start`),
    tile('Requests', isNumber(rate) ? `${count(rate < 10 ? Number(rate.toFixed(1)) : Math.round(rate))}/s` : '–', `${count(stats.total_requests)} in all`),
    tile('Median latency', latency(last?.p50_ms), isNumber(last?.p99_ms) ? `p99 ${latency(last.p99_ms)}` : undefined),
    tile('Memory tier', bytes(memory.bytes), `${percent(memory.capacity ? memory.bytes * 100 / memory.capacity : 0)} of ${bytes(memory.capacity)}`),
    tile('Entries in memory', count(memory.entries), `${count(memory.evictions)} evicted`),
    tile('Origin errors', count(stats.origin_errors), `${count(stats.errors)} of the cache`),
  ];
}

function alerts(stats) {
  const active = (stats.alerts ?? []).filter((alert) => alert.active);
  const shown = active.map((alert) => el('li', {}, el('strong', {}, alert.name), ` — ${alert.when}`,
    isNumber(alert.value) ? `, now ${count(Number(alert.value.toFixed(2)))}` : '', alert.since ? ` (since ${alert.since})` : ''));
  if (stats.redis && !stats.redis.readable) {
    shown.push(el('li', {}, el('strong', {}, 'Redis is not in use'),
      ` — ${stats.redis.connected ? 'connected, but not yet trusted' : 'not connected'}; memory and the origin serve everything.`));
  }
  if (stats.redis?.pending_purges > 0) {
    shown.push(el('li', {}, el('strong', {}, 'Purges wait for Redis'), ` — ${count(stats.redis.pending_purges)}`));
  }
  const lines = (stats.access_log?.dropped ?? 0) + (stats.access_log?.lost ?? 0);
  if (lines > 0) shown.push(el('li', {}, el('strong', {}, 'The access log is not whole'), ` — ${count(lines)} lines are missing`));
  const failed = (stats.warm?.tasks ?? []).filter((task) => task.critical && task.last_failures > 0);
  for (const task of failed) shown.push(el('li', {}, el('strong', {}, `Warming: ${task.name}`), ` — ${task.last_failure}`));
  return shown.length > 0 ? notice('bad', el('ul', {}, shown)) : [];
}

function routes(stats) {
  const rows = (stats.top_routes ?? [...stats.routes].map((route) => ({ ...route,
    requests: route.hits + route.misses + route.stale + route.revalidated + route.bypass }))
    .filter((route) => route.requests > 0).sort((a, b) => b.requests - a.requests).slice(0, 10));
  if (rows.length === 0) return el('p', { class: 'quiet' }, 'No requests so far.');
  const columns = [
    { label: 'Route', class: 'wide', cell: (row) => [el('code', {}, row.match), place(row)] },
    { label: 'Type', cell: (row) => row.type ?? 'off' },
    { label: 'Requests', number: true, cell: (row) => count(row.requests) },
    { label: 'Hit rate', class: 'rate', cell: (row) => (row.type === null ? 'not cached' : [percent(row.hit_rate),
      el('meter', { min: 0, max: 100, value: row.hit_rate, 'aria-label': `Hit rate ${percent(row.hit_rate)}` })]) },
    { label: 'Misses', number: true, cell: (row) => count(row.misses) }];
  if (rows[0].miss_reasons) {
    columns.push({ label: 'Why missed', class: 'row', cell: (row) => reasonsText(row.miss_reasons) },
      { label: 'Not stored', class: 'row', cell: (row) => reasonsText(row.not_stored_reasons) });
  }
  return table('Busiest routes', columns, rows);
}

/** Why requests of a type missed, over its routes. */
export function reasonsOfType(stats, type) {
  const totals = new Map();
  for (const route of stats.top_routes ?? []) {
    if (route.type !== type) continue;
    for (const { reason, count: times } of route.miss_reasons ?? []) totals.set(reason, (totals.get(reason) ?? 0) + times);
  }
  return [...totals].map(([reason, times]) => ({ reason, count: times })).sort((a, b) => b.count - a.count);
}

const reasons = (label, counts) => bars(label, Object.entries(counts ?? {}).map(([name, times]) => ({ name, count: times })), words);

const card = (title, ...content) => el('div', { class: 'card' }, el('h3', {}, title), content);
const yes = (value, good = 'yes', bad = 'no') => (value ? pill(good, 'good') : pill(bad, 'bad'));
const filling = (used, limit) => el('meter', { min: 0, max: Math.max(1, limit), low: limit * 0.75, high: limit * 0.95, optimum: 0, value: used,
  'aria-label': `${bytes(used)} of ${bytes(limit)}` });

// The scalars of whatever a newer server tells; what is nested comes under its own name.
function plain(object, prefix = '') {
  return Object.entries(object).flatMap(([name, value]) => {
    const shown = `${prefix}${words(name)}`;
    if (value !== null && typeof value === 'object') return Array.isArray(value) ? [] : plain(value, `${shown}: `);
    if (value === null) return [];
    const isSize = name === 'bytes' || name === 'capacity';
    return [[shown, !isNumber(value) ? String(value) : isSize ? bytes(value) : count(value)]];
  });
}

// What was never used tells nothing but zeros.
const isUsed = (object) => object !== null && typeof object === 'object' &&
  Object.entries(object).some(([name, value]) => name !== 'capacity' &&
    (isNumber(value) ? value > 0 : value !== null && typeof value === 'object' && isUsed(value)));

function origin(stats) {
  const told = stats.origin;
  if (!told) return card('Origin', facts([['Fills', count(stats.fills.total)], ['Fills in progress', count(stats.fills.in_progress)], ['Errors', count(stats.origin_errors)]]));
  return card('Origin', told.servers.map((server) => [
    el('h4', {}, el('code', {}, server.server), ' ', server.paused ? pill('paused', 'bad') : pill('in use', 'good')),
    facts([['Connections', `${count(server.open)} open, ${count(server.idle)} idle`], ['Waiting', count(server.waiting)]])]),
  facts([['Requests', count(told.requests)], ['Connects', count(told.connects)], ['Connects failed', count(told.connect_failures)],
    ['Reused', count(told.reused)], ['Retries', count(told.retries)], ['Errors', count(stats.origin_errors)],
    ['Latency p50 / p99', stats.latency?.origin ? `${latency(stats.latency.origin.p50_ms)} / ${latency(stats.latency.origin.p99_ms)}` : null],
    ['Fills in progress', count(stats.fills.in_progress)], ['Who waits for a fill', isNumber(stats.fills.waiters) ? count(stats.fills.waiters) : null]]));
}

function redis(stats) {
  const told = stats.redis;
  if (!told) return card('Redis tier', el('p', { class: 'quiet' }, 'Not configured: memory is the only tier.'));
  return card('Redis tier', facts([['Connected', yes(told.connected)], ['In use', yes(told.readable)], ['Purges pushed', yes(told.attached)],
    ['Trust', words(told.trust)], ['Hits', count(stats.tiers.redis.hits)], ['Errors', count(told.errors)],
    ['Undecodable', count(told.undecodable)], ['Purges waiting', count(told.pending_purges)], ['Purges heard', count(told.heard_purges)],
    ['Commands', isNumber(told.commands) ? count(told.commands) : null], ['Timeouts', isNumber(told.timeouts) ? count(told.timeouts) : null],
    ['Queued', isNumber(told.queued) ? `${count(told.queued)} (${bytes(told.queued_bytes)})` : null],
    ['Latency p50 / p99', stats.latency?.redis ? `${latency(stats.latency.redis.p50_ms)} / ${latency(stats.latency.redis.p99_ms)}` : null]]));
}

function alertCard(stats) {
  if (!stats.alerts?.length) return [];
  return card('Alerts', facts(stats.alerts.map((alert) => [[el('span', {}, alert.name), el('span', { class: 'place' }, alert.when)],
    alert.active ? pill('active', 'bad') : pill('quiet', 'good')])));
}

function latencyCard(stats) {
  if (!stats.latency) return [];
  const rows = Object.entries(stats.latency).filter(([, value]) => value !== null && typeof value === 'object');
  if (rows.length === 0) return [];
  const narrow = el('table', { class: 'table', 'aria-label': 'Latencies' }, el('thead', {}, el('tr', {}, ['Of', 'p50', 'p95', 'p99'].map((name, index) =>
    el('th', { scope: 'col', class: index ? 'number' : undefined }, name)))), el('tbody', {}, rows.map(([name, value]) =>
    el('tr', {}, el('th', { scope: 'row' }, words(name)), ['p50_ms', 'p95_ms', 'p99_ms'].map((at) => el('td', { class: 'number' }, latency(value[at])))))));
  return card(`Latency, last ${duration(stats.latency.window_seconds)}`, narrow);
}

function system(stats) {
  const memory = stats.memory;
  const budgets = Object.entries(stats.budgets ?? {});
  const other = [['access_log', 'Access log, lines']];
  return [
    card('Memory tier', filling(memory.bytes, memory.capacity), facts([['Used', `${bytes(memory.bytes)} of ${bytes(memory.capacity)}`],
      ['Entries', count(memory.entries)], ['Hits', count(stats.tiers.memory.hits)], ['Insertions', count(memory.insertions)],
      ['Evictions', count(memory.evictions)], ['Purged', count(memory.purged)], ['Expired', count(memory.expired)]])),
    redis(stats), origin(stats), alertCard(stats), latencyCard(stats),
    card('Purges', facts([['Purges', count(stats.purges)], ['Selectors', count(stats.purged_selectors)], ['Writes', count(stats.writes)],
      ['Clock', count(stats.purge_log.clock)], ['Selectors remembered', count(stats.purge_log.selectors)], ['Not delivered', count(stats.purge_log.pending)]])),
    card('Clients', facts([['Open', count(stats.connections.open)], ['Accepted', count(stats.connections.accepted)], ['Refused', count(stats.connections.refused)],
      ['Malformed', count(stats.connections.malformed)], ['Timed out', count(stats.connections.timed_out)], ['Cut short', count(stats.connections.cut_short)],
      ['Shared an answer', count(stats.collapsed)]])),
    stats.kv ? card('Key-value store', filling(stats.kv.bytes, stats.kv.capacity), facts([['Used', `${bytes(stats.kv.bytes)} of ${bytes(stats.kv.capacity)}`],
      ['Values', count(stats.kv.entries)], ['Evictions', count(stats.kv.evictions)], ['Expired', count(stats.kv.expired)], ['Leases', count(stats.kv.leases)],
      ['Who waits for a lease', count(stats.kv.waiting)], ['Conflicts', count(stats.kv.conflicts)],
      ['Redis in use', stats.kv.redis ? yes(stats.kv.redis.readable) : null], ['Redis errors', stats.kv.redis ? count(stats.kv.redis.errors) : null]])) : [],
    stats.shed ? card('Refused at a limit', facts(plain(stats.shed))) : [],
    budgets.length > 0 ? card('Budgets', budgets.map(([name, budget]) => [el('p', {}, el('code', {}, name),
      el('span', { class: 'place' }, `${bytes(budget.bytes)} of ${bytes(budget.limit)}`)), filling(budget.bytes, budget.limit)])) : [],
    stats.workers?.length ? card('Workers', facts(stats.workers.map((worker, index) => [`Worker ${index + 1}`,
      worker.responsive ? `late by ${latency(worker.loop_delay_ms)}` : pill('does not answer', 'bad')]))) : [],
    ...other.filter(([name]) => isUsed(stats[name])).map(([name, title]) => card(title, facts(plain(stats[name])))),
  ];
}

export function setState(text, kind) {
  setText($('state'), text);
  $('state').className = `pill ${kind}`;
}

/** `series`: the answer of /api/cache/series, or null where there is none. */
export function showOverview(stats, series) {
  watch(stats);
  const points = series ? series.points.map((point) => ({ ...point, time: new Date(point.time) })) : seen;
  if (!series) latencies.options.empty = 'This server keeps no latencies';
  hitRates.show(points);
  latencies.show(points);
  const isBad = (stats.alerts ?? []).some((alert) => alert.active);
  if (isBad) setState('Alert', 'bad');
  else if (!stats.is_available) setState('Degraded', 'warn');
  else setState('Healthy', 'good');
  setText($('version'), stats.version ?? '');
  setText($('footer'), `Larder ${stats.version ?? ''}, up for ${duration(stats.uptime_seconds)}. Figures are of this node.`);
  replace($('alerts'), alerts(stats));
  replace($('tiles'), tiles(stats, points));
  replace($('routes'), routes(stats));
  replace($('not-reused'), reasons('Reasons for not using a stored response', stats.not_reused));
  replace($('not-stored'), reasons('Reasons for not storing a response', stats.not_stored));
  replace($('system-cards'), system(stats));
}
