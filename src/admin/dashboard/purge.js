// Purging: a dry run says what matches, and only then can it be purged.
import * as api from './api.js';
import { $, el, notice, table } from './dom.js';
import { count } from './format.js';
import { confirmed, showEntry } from './entry.js';

const FIELDS = {
  type: { hint: 'Every stored response of this type.' },
  pattern: { label: 'Key pattern', placeholder: 'cache:search:*', hint: '* is any run of characters, ? any one, [a-z] one of a class, \\ quotes.' },
  tag: { label: 'Tag', placeholder: 'product:42', hint: 'A tag that a rule or the origin gave to stored responses.' },
  path: { label: 'Path', placeholder: '/api/products/**', hint: '* is one segment of the path, ** any number. Every query of a matching path is purged.' },
  all: { hint: 'Every stored response, in memory and in Redis, on every node.' },
};

let afterPurge = () => {};
let asked = 0;

const kind = () => $('purge-form').elements.kind.value;

// What the form names: where the order goes, its body, and its name for people.
function order() {
  const value = $('purge-value').value;
  switch (kind()) {
    case 'type': {
      const type = $('purge-type').value;
      return { path: `/api/cache/invalidate/${encodeURIComponent(type)}`, body: {}, shown: `type ${type}` };
    }
    case 'all': return { path: '/api/cache/clear-all', body: {}, shown: 'everything' };
    default: return { path: '/api/cache/invalidate-pattern', body: { [kind()]: value }, shown: `${kind()} ${value}` };
  }
}

function forget() {
  ++asked;
  $('purge-result').replaceChildren();
}

function adapt() {
  const field = FIELDS[kind()];
  $('purge-type-field').hidden = kind() !== 'type';
  $('purge-value-field').hidden = field.label === undefined;
  $('purge-value').required = field.label !== undefined;
  if (field.label) {
    $('purge-value-label').textContent = field.label;
    $('purge-value').placeholder = field.placeholder;
  }
  $('purge-hint').textContent = field.hint;
  forget();
}

async function purge(what, matching) {
  const yes = await confirmed('Purge now?', `${what.shown}: ${matching}. This cannot be undone; the origin is asked again ` +
    'for all of it.', 'Purge');
  if (!yes) return;
  const box = $('purge-result');
  try {
    const answer = await api.post(what.path, what.body);
    box.replaceChildren(notice(answer.delivered ? 'good' : 'warn', el('p', {}, el('strong', {}, `Purged: ${what.shown}.`)),
      el('p', {}, answer.delivered ? 'No node serves it any more.' : `It ${answer.note}.`)));
    afterPurge();
  } catch (error) {
    box.replaceChildren(notice('bad', el('p', {}, error.message)));
  }
}

function preview(what, answer) {
  const number = answer.matches;
  const matching = `${answer.complete ? '' : 'at least '}${count(number)} stored ${number === 1 ? 'response matches' : 'responses match'}`;
  const where = answer.redis === 'not_configured' ? '' : ` (${count(answer.in_memory)} in memory, ${count(answer.in_redis)} in Redis)`;
  const doubts = [
    !answer.complete && 'There are too many to look at all of them; the purge takes all of them.',
    answer.redis === 'unreadable' && 'Redis cannot be read now, so what it holds is not counted; the purge takes it too.',
  ].filter(Boolean);
  return [
    notice(number > 0 || doubts.length > 0 ? 'warn' : '', el('p', {}, el('strong', { id: 'purge-count' }, `${matching}${where}.`)),
      doubts.map((doubt) => el('p', {}, doubt))),
    answer.examples.length > 0 && [el('h3', {}, number > answer.examples.length ? 'Some of them' : 'These'),
      table('Matching stored responses', [
        { label: 'Key', class: 'wide', cell: (row) => el('button', { type: 'button', class: 'link mono', click: () => showEntry(row.key) }, row.key) },
        { label: 'Target', class: 'row', cell: (row) => el('code', {}, row.target) },
        { label: 'Tier', cell: (row) => row.tier.join(', ') }], answer.examples)],
    el('p', {}, el('button', { type: 'button', class: 'danger', id: 'purge-now', click: () => purge(what, matching) },
      number > 0 ? (answer.complete ? `Purge ${count(number)} stored ${number === 1 ? 'response' : 'responses'}` : 'Purge all of them') : 'Purge all the same'))];
}

async function dryRun() {
  const mine = ++asked;
  const box = $('purge-result');
  const what = order();
  box.replaceChildren(el('p', { class: 'quiet' }, 'Counting what matches …'));
  try {
    const answer = await api.post(what.path, { ...what.body, dry_run: true });
    if (mine === asked) box.replaceChildren(el('div', {}, preview(what, answer)));
  } catch (error) {
    if (mine === asked) box.replaceChildren(notice('bad', el('p', {}, error.message)));
  }
}

/** Fills the form in for a tag and goes there. */
export function offerTag(tag) {
  $('purge-form').elements.kind.value = 'tag';
  adapt();
  $('purge-value').value = tag;
  $('purge').scrollIntoView();
  $('purge-value').focus();
}

/** The types of the rules. */
export function offerTypes(names) {
  const select = $('purge-type');
  if (names.join('\n') === [...select.options].map((option) => option.value).join('\n')) return;
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => el('option', { value: name }, name)));
  if (names.includes(chosen)) select.value = chosen;
  $('type-patterns').replaceChildren(...names.map((name) => el('option', { value: `cache:${name}:*` })));
}

export function startPurge(purged) {
  afterPurge = purged;
  $('purge-form').addEventListener('submit', (event) => { event.preventDefault(); dryRun(); });
  $('purge-form').addEventListener('change', (event) => { if (event.target.name === 'kind') adapt(); });
  $('purge-value').addEventListener('input', forget);
  $('purge-type').addEventListener('change', forget);
  adapt();
}
