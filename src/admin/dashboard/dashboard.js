// The page: signing in and out, and asking for news every few seconds while someone looks.
import * as api from './api.js';
import { $ } from './dom.js';
import { offerTypes, offerTag, startPurge } from './purge.js';
import { reasonsText, refreshKeys, showTopKeys, startKeys } from './keys.js';
import { reasonsOfType, setState, showOverview, startOverview } from './overview.js';
import { connectEntry, startEntry } from './entry.js';
import { startExplain } from './explain.js';
import { showWarming, startWarming } from './warming.js';
import { showChecks } from './checks.js';
import { showNamespaces, startConfiguration } from './configuration.js';

const INTERVAL = 5000;
const SOON = 500; // while something goes on that is shown step by step
const KEYS_EVERY = 6; // of these, as the busiest keys cost a walk over memory

let timer = 0;
let isPaused = false;
let isRunning = false;
let isBusy = false;
let turn = 0;

function leave(message) {
  api.setToken(null);
  clearTimeout(timer);
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  $('app').hidden = true;
  $('login').hidden = false;
  $('login-error').textContent = message;
  $('token').value = '';
  $('token').focus();
  // Nothing of what was shown stays in the document.
  for (const id of ['routes', 'top-keys', 'keys-list', 'explain-result', 'purge-result', 'entry-body', 'tiles', 'system-cards', 'alerts',
    'warming-progress', 'warming-tasks', 'checks-shadow', 'checks-verify', 'checks-examples', 'reload-result', 'namespaces']) {
    $(id).replaceChildren();
  }
}

async function refresh() {
  if (isRunning) return;
  isRunning = true;
  clearTimeout(timer);
  try {
    const { cache_stats: stats } = await api.get('/api/cache/stats');
    // A server that measures latencies keeps the series too.
    const series = stats.latency ? await api.get('/api/cache/series') : null;
    if (!api.hasToken()) return;
    isBusy = stats.warm?.running === true;
    showOverview(stats, series);
    showWarming(stats.warm);
    showNamespaces(stats.kv);
    await showChecks(stats);
    offerTypes(Object.keys(stats.types ?? {}));
    if (turn++ % KEYS_EVERY === 0) await showTopKeys((type) => reasonsText(reasonsOfType(stats, type)));
  } catch (error) {
    if (!(error instanceof api.ApiError)) console.error(error);
    if (api.hasToken()) setState(error.status === 0 ? 'Unreachable' : 'Error', 'bad');
    turn = 0;
  } finally {
    isRunning = false;
    if (api.hasToken() && !isPaused && !document.hidden) timer = setTimeout(refresh, isBusy ? SOON : INTERVAL);
  }
}

function enter() {
  $('login').hidden = true;
  $('app').hidden = false;
  turn = 0;
  refresh();
  refreshKeys();
}

async function signIn(event) {
  event.preventDefault();
  const token = $('token').value.trim();
  $('login-error').textContent = '';
  if (!/^[\x21-\x7e]+$/.test(token)) {
    $('login-error').textContent = 'A token has no spaces and no characters outside ASCII.';
    return;
  }
  api.setToken(token);
  try {
    await api.get('/api/cache/stats');
  } catch (error) {
    if (api.hasToken()) leave(error.message);
    return;
  }
  $('token').value = '';
  enter();
  $('content').focus();
}

// The section in view is the current one of the navigation.
function followSections() {
  const links = new Map([...document.querySelectorAll('nav a')].map((link) => [link.hash.slice(1), link]));
  const visible = new Set();
  const observer = new IntersectionObserver((changes) => {
    for (const change of changes) {
      if (change.isIntersecting) visible.add(change.target.id);
      else visible.delete(change.target.id);
    }
    const current = [...links.keys()].find((id) => visible.has(id));
    for (const [id, link] of links) {
      if (id === current) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
  }, { rootMargin: '-110px 0px -55% 0px' });
  for (const id of links.keys()) observer.observe($(id));
}

function afterPurge() {
  turn = 0;
  refresh();
  refreshKeys();
}

startEntry();
connectEntry(afterPurge, offerTag);
startOverview();
startKeys();
startExplain();
startPurge(afterPurge);
startWarming(refresh);
startConfiguration(afterPurge);
followSections();
api.whenRefused(leave);
$('login-form').addEventListener('submit', signIn);
$('logout').addEventListener('click', () => leave(''));
$('pause').addEventListener('click', () => {
  isPaused = !isPaused;
  $('pause').setAttribute('aria-pressed', String(isPaused));
  if (!isPaused) refresh();
  else clearTimeout(timer);
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && api.hasToken() && !isPaused) refresh();
});

if (api.hasToken()) enter();
else {
  $('login').hidden = false;
  $('token').focus();
}
