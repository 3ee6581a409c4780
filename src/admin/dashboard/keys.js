// The key browser, and the busiest keys.
import * as api from './api.js';
import { $, el, pill, replace, setText, table } from './dom.js';
import { bytes, count, duration, words } from './format.js';
import { showEntry } from './entry.js';

let rows = [];
let cursor = null;
let pattern = 'cache:*';
let asked = 0;

const keyButton = (row) => [
  el('button', { type: 'button', class: 'link mono', 'data-focus': row.key, click: () => showEntry(row.key) }, row.key),
  el('span', { class: 'place' }, row.target)];
const state = (row) => (row.ttl > 0 ? pill(duration(row.ttl), 'good') : pill(`stale ${duration(-row.ttl)}`, 'warn'));

const columns = [
  { label: 'Key', class: 'wide', cell: keyButton },
  { label: 'Type', cell: (row) => row.type },
  { label: 'Tier', cell: (row) => row.tier.join(', ') },
  { label: 'Hits', number: true, cell: (row) => count(row.hits) },
  { label: 'Age', number: true, cell: (row) => duration(row.age) },
  { label: 'Fresh for', number: true, cell: state },
  { label: 'Size', number: true, cell: (row) => bytes(row.size) },
];

async function load(isMore) {
  const mine = ++asked;
  setText($('keys-status'), 'Searching …');
  $('keys-more').disabled = true;
  try {
    const query = new URLSearchParams({ pattern, limit: 50 });
    if (isMore && cursor !== null) query.set('cursor', cursor);
    // In a query '+' is a plus here.
    const answer = await api.get(`/api/cache/keys?${query.toString().replaceAll('+', '%20')}`);
    if (mine !== asked) return;
    const known = new Set(isMore ? rows.map((row) => row.key) : []);
    rows = (isMore ? rows : []).concat(answer.keys.filter((row) => !known.has(row.key)));
    cursor = answer.cursor;
    const more = cursor === null ? '' : ', and there are more';
    const redis = answer.redis === 'unreadable' ? ' Redis cannot be read now: these are the keys in memory.' : '';
    setText($('keys-status'), rows.length === 0 && cursor === null ? `No key matches ${pattern}.${redis}`
      : `${count(rows.length)} ${rows.length === 1 ? 'key' : 'keys'} shown${more}.${redis}`);
    $('keys-list').replaceChildren(...(rows.length > 0 ? [table('Keys', columns, rows)] : []));
  } catch (error) {
    if (mine !== asked) return;
    setText($('keys-status'), error.message);
    if (!isMore) $('keys-list').replaceChildren();
  } finally {
    if (mine === asked) {
      $('keys-more').disabled = false;
      $('keys-more').hidden = cursor === null;
    }
  }
}

export function startKeys() {
  $('keys-form').addEventListener('submit', (event) => {
    event.preventDefault();
    pattern = $('keys-pattern').value.trim() || 'cache:*';
    cursor = null;
    load(false);
  });
  $('keys-more').addEventListener('click', () => load(true));
}
export const refreshKeys = () => { cursor = null; return load(false); };

/** The busiest keys in memory. `reasonsOf(type)`: why requests of that type missed, as nodes. */
export async function showTopKeys(reasonsOf) {
  try {
    const answer = await api.get('/api/cache/keys?sort=hits&limit=10');
    const top = answer.keys.filter((row) => row.hits > 0);
    setText($('top-keys-note'), 'By hits in memory since they came there. Misses are counted per type, not per key: ' +
      'the last column tells why requests of the key\'s type missed.' +
      (answer.complete === false ? ` There are too many keys to look at all of them: the first ${count(answer.examined)} were.` : ''));
    replace($('top-keys'), top.length === 0 ? el('p', { class: 'quiet' }, 'No hits in memory so far.')
      : table('Busiest keys', [...columns.filter(({ label }) => label !== 'Size' && label !== 'Tier'),
        { label: 'Type\'s misses', class: 'row', cell: (row) => reasonsOf(row.type) }], top));
  } catch (error) {
    setText($('top-keys-note'), error.message);
  }
}

/** [{ reason, count }] as text. */
export const reasonsText = (reasons) => (reasons?.length
  ? reasons.slice(0, 4).map(({ reason, count: times }) => el('span', { class: 'chip' }, `${words(reason)} ${count(times)}`))
  : el('span', { class: 'quiet' }, 'none'));
