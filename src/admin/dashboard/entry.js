// One stored response with its variants, in a dialog; and the dialog that asks before anything is purged.
import * as api from './api.js';
import { $, el, facts, notice, pill, table } from './dom.js';
import { bytes, count, duration, words } from './format.js';

let afterPurge = () => {};
let purgeTag = () => {};
/** `purged()` is called after a purge, `tag(name)` where someone wants to purge by a tag. */
export function connectEntry(purged, tag) { afterPurge = purged; purgeTag = tag; }

/** Asks; true for yes. */
export function confirmed(title, text, yes) {
  const dialog = $('confirm');
  $('confirm-title').textContent = title;
  $('confirm-text').textContent = text;
  $('confirm-yes').textContent = yes;
  dialog.returnValue = '';
  dialog.showModal();
  $('confirm-no').focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

function decoded(body) {
  if (body.encoding === 'utf-8') return body.text;
  if (body.encoding === 'base64') return body.base64;
  return null;
}

// JSON is shown indented where it is JSON; nothing is ever rendered.
function bodyView(body) {
  const text = decoded(body);
  if (text === null) return el('p', { class: 'quiet' }, `Not shown: ${body.note}`);
  let shown = text;
  let note = body.encoding === 'base64' ? 'Not text; shown as base64.' : '';
  if (body.encoding === 'utf-8' && /^\s*[[{]/.test(text)) {
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2);
      note = 'JSON, indented for reading.';
    } catch { /* then as it is */ }
  }
  return [note && el('p', { class: 'quiet' }, note),
    el('pre', { tabindex: 0, 'aria-label': 'Body', class: 'entry-text' }, shown === '' ? '(empty)' : shown)];
}

function lifetimeView(lifetime) {
  const fresh = lifetime.is_fresh;
  return facts([
    ['State', fresh ? pill(`fresh for ${duration(lifetime.ttl)}`, 'good')
      : pill(`stale since ${duration(-lifetime.ttl)}`, 'warn')],
    ['Age', duration(lifetime.current_age)],
    ['Freshness lifetime', `${duration(lifetime.freshness_lifetime)} (${words(lifetime.source)})`],
    ['Stored', lifetime.response_time],
    ['Stale while revalidate', lifetime.stale_while_revalidate > 0 ? duration(lifetime.stale_while_revalidate) : null],
    ['Stale if error', lifetime.stale_if_error > 0 ? duration(lifetime.stale_if_error) : null],
    ['Must revalidate', lifetime.must_revalidate ? 'yes' : null],
    ['No-cache', lifetime.no_cache ? 'yes' : null]]);
}

function variantView(variant) {
  // Those that begin so are Larder's own (cache groups), and no one's to purge by.
  const tags = (variant.tags ?? []).filter((tag) => !tag.startsWith('\u001f'));
  return el('article', {},
    facts([
      ['Key', el('code', {}, variant.key)], ['Type', variant.type], ['Target', el('code', {}, variant.target)],
      ['Status', variant.status !== undefined ? `${variant.status} ${variant.reason ?? ''}` : null],
      ['Tier', variant.tier.join(', ')], ['Hits', count(variant.hits)], ['Size', bytes(variant.size)],
      ['In memory', variant.memory_size !== undefined ? bytes(variant.memory_size) : null],
      ['Selected by', variant.selecting_header_fields?.length ? variant.selecting_header_fields.join(', ') : null],
      ['ETag', variant.validators?.etag], ['Last-Modified', variant.validators?.last_modified]]),
    el('h4', {}, 'Age and freshness'), lifetimeView(variant.lifetime),
    el('h4', {}, 'Tags'),
    tags.length === 0 ? el('p', { class: 'quiet' }, 'None.')
      : el('p', {}, tags.map((tag) => el('button', { type: 'button', class: 'chip', title: 'Purge by this tag',
        click: () => { $('entry').close(); purgeTag(tag); } }, tag))),
    variant.fields && [el('h4', {}, 'Header fields'),
      table('Header fields', [{ label: 'Name', cell: (field) => field.name },
        { label: 'Value', cell: (field) => el('code', {}, field.value) }], variant.fields)],
    el('h4', {}, 'Body'), bodyView(variant.body));
}

async function purgeKey(key) {
  if (!await confirmed('Purge this key?', `${key} and its variants are purged on every node.`, 'Purge key')) return;
  const box = $('entry-body');
  try {
    const answer = await api.remove(api.entryPath(key));
    box.replaceChildren(notice('good', el('p', { role: 'status' }, answer.delivered === false
      ? `Purged on this node. ${answer.note ?? ''}` : 'Purged.')));
    afterPurge();
  } catch (error) {
    box.prepend(notice('bad', el('p', { role: 'alert' }, error.message)));
  }
}

/** Opens the dialog for a key. */
export async function showEntry(key) {
  const dialog = $('entry');
  $('entry-title').textContent = key;
  const box = $('entry-body');
  box.replaceChildren(el('p', { role: 'status' }, 'Loading …'));
  if (!dialog.open) dialog.showModal();
  $('entry-close').focus();
  try {
    const answer = await api.get(api.entryPath(key));
    const several = answer.variants.length > 1;
    box.replaceChildren(
      el('div', { class: 'line' }, several && el('p', {}, `${answer.variants.length} variants`),
        el('button', { type: 'button', class: 'danger', id: 'entry-purge', click: () => purgeKey(key) }, 'Purge this key')),
      ...answer.variants.map((variant, index) => several
        ? el('details', { open: index === 0 }, el('summary', {}, variant.key), variantView(variant))
        : variantView(variant)));
  } catch (error) {
    box.replaceChildren(notice('bad', el('p', { role: 'alert' }, error.message)));
  }
}

export function startEntry() {
  $('entry-close').addEventListener('click', () => $('entry').close());
  $('confirm-no').addEventListener('click', () => $('confirm').close(''));
  $('confirm-yes').addEventListener('click', () => $('confirm').close('yes'));
}
