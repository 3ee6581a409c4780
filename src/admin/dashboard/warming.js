// The warm tasks, the run that goes on, and the buttons that begin one.
import * as api from './api.js';
import { $, el, notice, pill, replace, setText, table } from './dom.js';
import { count, duration, when, words } from './format.js';

let changed = () => {};

async function run(order) {
  try {
    await api.post('/api/cache/warm', { ...order, force: $('warming-force').checked });
  } catch (error) {
    replace($('warming-progress'), notice('bad', el('p', {}, error.message)));
    return;
  }
  changed();
}

const outcome = (task) => {
  if (task.execution_count === 0) return pill('not yet run');
  return task.last_failures > 0 ? [pill(`${count(task.last_failures)} failed`, task.critical ? 'bad' : 'warn'),
    el('span', { class: 'place' }, task.last_failure)] : pill('warm', 'good');
};
const runs = (task) => [`by ${[task.interval_seconds && `interval (${duration(task.interval_seconds)})`,
  task.after_purge.length > 0 && `purge of ${task.after_purge.join(', ')}`, 'order'].filter(Boolean).join(', ')}`];

const columns = (isRunning) => [
  { label: 'Task', class: 'wide', cell: (task) => [el('span', {}, task.name), task.critical && [' ', pill('critical')],
    el('span', { class: 'place' }, `${task.source}; ${runs(task)}`)] },
  { label: 'Last run', class: 'row', cell: outcome },
  { label: 'Began', cell: (task) => when(task.last_run) ?? '–' },
  { label: 'Last success', cell: (task) => when(task.last_success) ?? '–' },
  { label: 'Requests', number: true, cell: (task) => count(task.last_requests) },
  { label: 'Runs', number: true, cell: (task) => count(task.execution_count) },
  { label: 'Good', number: true, cell: (task) => count(task.success_count) },
  { label: 'Failed', number: true, cell: (task) => count(task.failure_count) },
  { label: 'Run', cell: (task) => el('button', { type: 'button', 'data-focus': `run ${task.name}`, 'aria-label': `Run ${task.name}`,
    disabled: isRunning, click: () => run({ tasks: [task.name] }) }, 'Run') },
];

function stateText({ running, run: last }) {
  if (!last) return 'No run so far.';
  const ends = Object.entries(last.ends).filter(([, times]) => times > 0).map(([name, times]) => `${words(name)} ${count(times)}`);
  if (running) {
    return last.requests === null ? 'A run has begun.'
      : `A run goes on: ${count(last.done)} of ${count(last.requests)} requests done${last.failed ? `, ${count(last.failed)} failed` : ''}.`;
  }
  return `The last run ended at ${when(last.ended)}: ${ends.length > 0 ? ends.join(', ') : 'nothing to fetch'}.`;
}

/** `onChange`: something is different from what was shown. */
export function startWarming(onChange) {
  changed = onChange;
  $('warming-run').addEventListener('click', () => run({}));
}

export function showWarming(warm) {
  $('warming-run').hidden = !warm;
  $('warming-force').parentElement.hidden = !warm;
  if (!warm) {
    setText($('warming-state'), 'The rules have no warm tasks.');
    $('warming-progress').replaceChildren();
    $('warming-tasks').replaceChildren();
    return;
  }
  $('warming-run').disabled = warm.running;
  setText($('warming-state'), stateText(warm));
  replace($('warming-progress'), warm.running ? el('progress', { max: warm.run.requests || 1,
    value: warm.run.requests === null ? undefined : warm.run.done, 'aria-label': 'Requests of the run' }) : []);
  replace($('warming-tasks'), table('Warm tasks', columns(warm.running), warm.tasks));
}
