// Elements from values. Text is only ever set as text (no innerHTML anywhere; the page's CSP has Trusted Types on), so
// that whatever a key, header field or body holds is shown and nothing else.

export const $ = (id) => document.getElementById(id);

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) node.append(child);
  }
  return node;
}

/** An element; a function among the attributes is a listener for the event of that name. */
export const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

/** Sets text only where it differs: live regions speak of changes only. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Replaces what `container` holds, unless it looks the same. What had the focus has it again (by data-focus). */
export function replace(container, ...nodes) {
  const made = el('div', {}, nodes);
  const old = el('div', {}, [...container.childNodes].map((node) => node.cloneNode(true)));
  if (old.isEqualNode(made)) return;
  const focused = container.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  container.replaceChildren(...made.childNodes);
  if (focused === undefined) return;
  for (const node of container.querySelectorAll('[data-focus]')) {
    if (node.dataset.focus === focused) node.focus({ preventScroll: true });
  }
}

/** A table. columns: [{ label, number?, cell(row) → node or text }]. Where the screen is narrow its rows become cards;
 *  that changes `display`, so the roles are written out. */
export function table(label, columns, rows) {
  return el('table', { class: 'table wide', role: 'table', 'aria-label': label },
    el('thead', { role: 'rowgroup' },
      el('tr', { role: 'row' }, columns.map((column) =>
        el('th', { role: 'columnheader', scope: 'col', class: column.number ? 'number' : undefined }, column.label)))),
    el('tbody', { role: 'rowgroup' }, rows.map((row) =>
      el('tr', { role: 'row' }, columns.map((column) =>
        el('td', { role: 'cell', 'data-label': column.label, class: column.number ? 'number' : column.class },
          el('div', {}, column.cell(row))))))));
}

/** A description list of [name, value] pairs; pairs without a value are left out. */
export function facts(pairs) {
  return el('dl', { class: 'facts' }, pairs
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

export const pill = (text, kind = '') => el('span', { class: `pill ${kind}`.trim() }, text);
export const notice = (kind, ...children) => el('div', { class: `notice ${kind}` }, children);
/** Of counts: [{ name, count }], the largest first, each with a bar. */
export function bars(label, counts, more = (name) => name) {
  const rows = counts.filter((row) => row.count > 0).sort((a, b) => b.count - a.count);
  if (rows.length === 0) return el('p', { class: 'quiet' }, 'None so far.');
  const most = rows[0].count;
  return el('ul', { class: 'bars', 'aria-label': label }, rows.map((row) =>
    el('li', {}, el('span', {}, more(row.name)), el('b', {}, row.count.toLocaleString('en')),
      el('meter', { min: 0, max: most, value: row.count, 'aria-hidden': 'true' }))));
}

/** Where a rule stands: file name and line; the whole path as title. */
export const place = ({ file, line }) =>
  el('span', { class: 'place', title: `${file}:${line}` }, `${file.split('/').at(-1)}:${line}`);
