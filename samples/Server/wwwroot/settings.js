// What the user has set, kept in the browser.

const KEY = 'vicuna.settings';
const FIELDS = ['system', 'temperature', 'top_p', 'max_tokens', 'seed'];

let current = read();

/** Ties the dialog to the settings. */
export function connect(dialog, form, openButton) {
  const field = (name) => form.elements.namedItem(name);
  const show = (values) => FIELDS.forEach((name) => { field(name).value = values[name] ?? ''; });

  openButton.addEventListener('click', () => {
    show(current);
    dialog.showModal();
  });
  form.querySelector('#reset').addEventListener('click', () => show({}));
  form.querySelector('#cancel').addEventListener('click', () => dialog.close());
  form.addEventListener('submit', () => {
    current = Object.fromEntries(FIELDS.map((name) => [name, field(name).value.trim()]).filter(([, value]) => value !== ''));
    write();
  });
}

/** The instructions that go before a conversation; empty for none. */
export const systemPrompt = () => current.system ?? '';

/** The fields of a request that the user has set. */
export const requestFields = () =>
  Object.fromEntries(FIELDS.slice(1).filter((name) => name in current).map((name) => [name, Number(current[name])]));

function read() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY)) ?? {};
    return Object.fromEntries(FIELDS.filter((name) => typeof stored[name] === 'string').map((name) => [name, stored[name]]));
  } catch {
    return {};
  }
}

function write() {
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // A browser that keeps nothing: they hold until the page is closed.
  }
}
