// Reloading the configuration, and the namespaces that the rules give to the key-value store.
import * as api from './api.js';
import { $, el, facts, notice, pill, replace, table } from './dom.js';
import { count, percent } from './format.js';

const faultList = (faults) => el('ul', {}, faults.map((fault) => el('li', {}, el('code', {}, fault.line ? `${fault.file}:${fault.line}` : fault.file),
  `: ${fault.wrong}`, fault.right ? `; ${fault.right}` : '')));
const names = (list) => (list.length > 0 ? list.map((name) => el('span', { class: 'chip' }, name)) : 'none');

function report(answer) {
  return notice(answer.at_restart.length > 0 || answer.warnings.length > 0 ? 'warn' : 'good',
    el('p', {}, el('strong', {}, answer.rules_changed || answer.changed.length > 0 ? 'Reloaded: what is new is in force.' : 'Reloaded: nothing has changed.')),
    facts([['Rules', answer.rules_changed ? 'new' : 'as before'], ['Settings in force', names(answer.changed)],
      ['Types purged', names(answer.purged_types)],
      ['At the next start', answer.at_restart.length > 0 ? names(answer.at_restart) : null]]),
    answer.warnings.length > 0 && [el('p', {}, 'Warnings:'), faultList(answer.warnings)]);
}

/** `onChange`: the rules may be others now. */
export function startConfiguration(onChange) {
  $('reload').addEventListener('click', async () => {
    const box = $('reload-result');
    $('reload').disabled = true;
    try {
      box.replaceChildren(report(await api.post('/api/cache/reload')));
      onChange();
    } catch (error) {
      box.replaceChildren(notice('bad', el('p', {}, error.message), error.answer?.faults && faultList(error.answer.faults)));
    } finally {
      $('reload').disabled = false;
    }
  });
}

export function showNamespaces(kv) {
  const rows = Object.entries(kv?.namespaces ?? {}).map(([name, told]) => ({ name, ...told }));
  $('namespaces-card').hidden = rows.length === 0;
  const columns = [
    { label: 'Namespace', class: 'wide', cell: (row) => row.name },
    { label: 'Hits', number: true, cell: (row) => count(row.hits) },
    { label: 'Misses', number: true, cell: (row) => count(row.misses) },
    { label: 'Hit rate', number: true, cell: (row) => (row.hits + row.misses > 0 ? percent(row.hit_rate) : '–') },
    { label: 'Sets', number: true, cell: (row) => count(row.sets) },
    { label: 'Clears', number: true, cell: (row) => count(row.clears + row.flushes) },
    { label: 'Leases', number: true, cell: (row) => count(row.leases) },
    { label: 'Waited for one', number: true, cell: (row) => count(row.lease_waits) },
    { label: 'Refused', number: true, cell: (row) => (row.refused > 0 ? pill(count(row.refused), 'warn') : count(0)) },
  ];
  replace($('namespaces'), rows.length > 0 ? table('Key-value namespaces', columns, rows) : []);
}
