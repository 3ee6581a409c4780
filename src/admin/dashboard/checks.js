// What shadow mode and verification have found: figures per route, and the latest wrong answers.
import * as api from './api.js';
import { $, el, notice, pill, place, replace, table } from './dom.js';
import { count, duration, percent, when, words } from './format.js';
import { showEntry } from './entry.js';

const wrong = (row) => pill(percent(row.wrong_rate), row.stale + row.mixed > 0 ? 'bad' : 'good');
const verdicts = [
  { label: 'Same', number: true, cell: (row) => count(row.same) },
  { label: 'Stale', number: true, cell: (row) => count(row.stale) },
  { label: 'Other caller', number: true, cell: (row) => count(row.mixed) },
  { label: 'Purged', number: true, cell: (row) => count(row.purged) },
  { label: 'Not comparable', number: true, cell: (row) => count(row.incomparable + row.failed) },
  { label: 'Wrong', number: true, cell: wrong },
];

// With the places of the routes, and their present mode.
const routeColumn = (routes, more) => ({ label: 'Route', class: 'wide', cell: (row) => {
  const route = routes.find((one) => one.match === row.match);
  return [el('code', {}, row.match), route && place(route), route && more(route)];
} });

function figures(told, label, columns, none) {
  const rows = told?.routes ?? [];
  return rows.length > 0 ? table(label, columns, rows) : el('p', { class: 'quiet' }, none);
}

const names = { would_hit: 'hit', would_stale: 'stale', would_revalidate: 'revalidated', would_miss: 'miss' };
const skipped = (row) => Object.entries(row).filter(([name, times]) => name.startsWith('skipped_') && times > 0)
  .map(([name, times]) => el('span', { class: 'chip' }, `${words(name.slice(8))} ${count(times)}`));

const exampleColumns = [
  { label: 'Target', class: 'wide', cell: (row) => [el('div', {}, el('code', {}, row.target)),
    el('button', { type: 'button', class: 'link mono', 'data-focus': `check ${row.when} ${row.key}`, click: () => showEntry(row.key) }, row.key),
    el('span', { class: 'place' }, row.route)] },
  { label: 'Found', cell: (row) => [pill(row.verdict === 'mixed' ? 'of another caller' : words(row.verdict), 'bad'), el('span', { class: 'place' }, `by ${words(row.kind)}`)] },
  { label: 'When', cell: (row) => when(row.when) },
  { label: 'Age', number: true, cell: (row) => duration(row.age) },
  { label: 'What differs', class: 'row', cell: (row) => row.differs.join(', ') },
];

export async function showChecks(stats) {
  const { shadow, verify, routes } = stats;
  const inShadow = routes.filter((route) => route.mode === 'shadow').length;
  const verified = routes.filter((route) => route.verify > 0).length;
  replace($('checks-shadow'), figures(shadow, 'Shadow mode', [
    routeColumn(routes, (route) => route.mode !== 'shadow' && el('span', { class: 'place' }, 'now serves from the cache')),
    { label: 'Requests', number: true, cell: (row) => count(row.requests) },
    { label: 'Would-be hit rate', class: 'rate', cell: (row) => [percent(row.hit_rate), el('meter', { min: 0, max: 100, value: row.hit_rate, 'aria-label': `Would-be hit rate ${percent(row.hit_rate)}` })] },
    { label: 'Would have been', class: 'row', cell: (row) => Object.entries(names).filter(([name]) => row[name] > 0)
      .map(([name, shown]) => el('span', { class: 'chip' }, `${shown} ${count(row[name])}`)) }, ...verdicts],
  inShadow > 0 ? `${count(inShadow)} routes are in shadow mode; no requests so far.` : 'No route is in shadow mode (mode: shadow of the rules).'));
  replace($('checks-verify'), figures(verify, 'Verification', [
    routeColumn(routes, (route) => el('span', { class: 'place' }, route.verify > 0 ? `${route.verify} % of its hits` : 'not verified now')),
    { label: 'Verified', number: true, cell: (row) => count(row.verified) }, ...verdicts,
    { label: 'Left out', class: 'row', cell: skipped }],
  verified > 0 ? `Hits of ${count(verified)} routes are verified; none so far.` : 'No hits are verified (verify: 1% of the rules).'));
  if ((shadow?.stale ?? 0) + (shadow?.mixed ?? 0) + (verify?.stale ?? 0) + (verify?.mixed ?? 0) === 0) {
    replace($('checks-examples'), el('p', { class: 'quiet' }, 'None so far.'));
    return;
  }
  try {
    const { examples } = await api.get('/api/cache/checks');
    replace($('checks-examples'), table('Latest wrong answers', exampleColumns, examples));
  } catch (error) {
    replace($('checks-examples'), notice('bad', el('p', {}, error.message)));
  }
}
