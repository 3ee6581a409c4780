// The admin API: the token and the requests. The token goes into Authorization and nowhere else; sessionStorage keeps
// it for this tab.

const STORED = 'larder-admin-token';
let token = sessionStorage.getItem(STORED);
let onRefused = () => {};

/** An error answer, or no answer (status 0). */
export class ApiError extends Error {
  constructor(status, name, message, answer) {
    super(message);
    this.status = status;
    this.name = name;
    this.answer = answer; // the JSON, if there is any
  }
}

export const hasToken = () => token !== null;
export function setToken(value) {
  token = value;
  if (value === null) sessionStorage.removeItem(STORED);
  else sessionStorage.setItem(STORED, value);
}
/** `action(message)` is called where the server does not take the token (any longer). */
export function whenRefused(action) { onRefused = action; }

async function request(method, path, body) {
  const headers = { Authorization: `Bearer ${token}` };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  let text;
  try {
    response = await fetch(`.${path}`, { // relative, so that it works behind a proxy that adds a prefix
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(15000),
    });
    text = await response.text();
  } catch (error) {
    throw new ApiError(0, 'unreachable', error.name === 'TimeoutError'
      ? 'Larder does not answer in time.' : 'Larder cannot be reached.');
  }
  let answer = null;
  try { answer = JSON.parse(text); } catch { /* told below */ }
  if (response.ok && answer !== null) return answer;
  const error = new ApiError(response.status, answer?.error ?? 'bad_answer',
    answer?.message ?? `The answer (status ${response.status}) is not JSON.`, answer);
  if (error.status === 401 || error.name === 'no_token_configured') onRefused(error.message);
  throw error;
}

export const get = (path) => request('GET', path);
export const post = (path, body) => request('POST', path, body);
export const remove = (path) => request('DELETE', path);
export const entryPath = (key) => `/api/cache/entry/${encodeURIComponent(key)}`;
