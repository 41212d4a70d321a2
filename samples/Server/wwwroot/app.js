// The page: what is asked, streamed, stopped and tried again.
import { ApiError, chat, getModel } from './api.js';
import * as settings from './settings.js';
import { Turn } from './turn.js';

const KEPT = 'vicuna.conversation';
const BUSY = [429, 503];

const byId = (id) => document.getElementById(id);
const message = byId('message');
const scroller = byId('scroller');
const list = byId('conversation');

let turns = [];
let running = null;

// Sending and stopping.

async function ask(question) {
  turns.at(-1)?.settle();
  const turn = new Turn(question, list, scroller);
  turns.push(turn);
  byId('welcome').hidden = true;
  await answer(turn);
}

async function answer(turn) {
  const request = { messages: messagesFor(turn), ...settings.requestFields() };
  const control = new AbortController();
  running = control;
  showRunning(true);
  turn.begin();
  announce('Answering');

  const clock = { start: performance.now(), pieces: 0 };
  let problem = null;
  try {
    for await (const piece of chat(request, control.signal)) {
      if (piece.text) {
        clock.last = performance.now();
        clock.first ??= clock.last;
        clock.pieces++;
        turn.append(piece.text);
      }

      clock.reason = piece.finishReason ?? clock.reason;
      clock.tokens = piece.usage?.completion_tokens ?? clock.tokens;
    }
  } catch (error) {
    problem = error;
  }

  if (running !== control) {
    // A new conversation was begun meanwhile.
    return;
  }

  running = null;
  const stopped = problem?.name === 'AbortError';
  turn.end(noteOf(clock, stopped));
  showRunning(false);
  if (problem && !stopped) {
    showProblem(turn, problem);
  } else {
    announce(stopped ? 'Stopped' : turn.answer);
  }

  keep();
}

function stop() {
  running?.abort();
  message.focus();
}

function startOver() {
  const control = running;
  running = null;
  control?.abort();
  showRunning(false);
  turns = [];
  list.replaceChildren();
  byId('welcome').hidden = false;
  announce('New chat');
  keep();
  message.focus();
}

// Questions without an answer are left out: user and model take turns.
function messagesFor(turn) {
  const before = turns.slice(0, turns.indexOf(turn)).filter((earlier) => earlier.answer.trim());
  const system = settings.systemPrompt();
  return [
    ...(system ? [{ role: 'system', content: system }] : []),
    ...before.flatMap((earlier) => [{ role: 'user', content: earlier.question }, { role: 'assistant', content: earlier.answer }]),
    { role: 'user', content: turn.question },
  ];
}

// What the user sees and hears.

function noteOf(clock, stopped) {
  const tokens = clock.tokens ?? clock.pieces;
  const parts = [];
  if (clock.first !== undefined) {
    // Without the server's count, every piece counts as a token.
    parts.push(`${clock.tokens === undefined ? 'about ' : ''}${tokens} ${tokens === 1 ? 'token' : 'tokens'}`);
    const speed = speedOf(tokens, clock);
    parts.push(`${speed.toFixed(speed < 100 ? 1 : 0)} tokens/s`);
    parts.push(`first token after ${duration(clock.first - clock.start)}`);
  }

  if (stopped) {
    parts.push('stopped');
  } else if (clock.reason === 'length') {
    parts.push('cut off: no tokens left');
  }

  // A line ends after a dot, not before one.
  return parts.join('\u00a0· ');
}

// From the first token on; where all of them came at once, from the question on.
function speedOf(tokens, { start, first, last }) {
  const measured = last - first;
  return 1000 * (measured >= 5 && tokens > 1 ? (tokens - 1) / measured : tokens / Math.max(last - start, 1));
}

const duration = (milliseconds) => (milliseconds < 1000 ? `${Math.max(1, Math.round(milliseconds))} ms` : `${(milliseconds / 1000).toFixed(1)} s`);

function showProblem(turn, error) {
  const isTooLong = error.code === 'context_length_exceeded';
  const isBusy = BUSY.includes(error.status);
  const title = isTooLong ? 'The conversation is too long for this model.'
    : error.code === 'model_loading' ? 'The model is still being loaded.'
    : isBusy ? 'The server is busy.'
    : error instanceof ApiError && error.status === 0 ? error.message
    : 'The answer failed.';
  const detail = [
    title === error.message || error.code === 'model_loading' ? '' : error.message,
    error.status === 0 ? 'Check that it is running, then try again.' : '',
    isBusy && error.retryAfter ? `It asks to wait ${error.retryAfter} s.` : '',
  ].filter(Boolean).join(' ');
  announce(`${title} ${detail}`);
  if (isTooLong) {
    turn.fail(title, detail, 'New chat', startOver);
  } else {
    turn.fail(title, detail, 'Try again', () => {
      if (!running) {
        message.focus();
        answer(turn);
      }
    });
  }
}

function showRunning(isRunning) {
  byId('send').hidden = isRunning;
  byId('stop').hidden = !isRunning;
  list.setAttribute('aria-busy', String(isRunning));
}

function announce(text) {
  byId('announcer').textContent = text;
}

async function showModel() {
  for (;;) {
    let delay = 3;
    try {
      const model = await getModel();
      byId('model').textContent = model.id;
      document.title = model.id;
      return;
    } catch (error) {
      byId('model').textContent = error.code === 'model_loading' ? 'Loading the model…' : error.code === 'model_failed' ? 'No model' : 'No connection';
      delay = error.retryAfter || delay;
    }

    await new Promise((resolve) => { setTimeout(resolve, delay * 1000); });
  }
}

// The conversation outlives a reload, not the tab.

function keep() {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(turns.map(({ question, answer: text, note }) => ({ question, text, note }))));
  } catch {
    // A browser that keeps nothing: it is gone with the page.
  }
}

function restore() {
  try {
    for (const { question, text, note } of JSON.parse(sessionStorage.getItem(KEPT)) ?? []) {
      const turn = new Turn(question, list, scroller);
      turn.append(text);
      turn.end(note);
      turns.push(turn);
    }
  } catch {
    // Nothing that this page has written.
  }

  byId('welcome').hidden = turns.length > 0;
}

// What the user does.

function send() {
  const text = message.value.trim();
  if (!running && text) {
    message.value = '';
    fit();
    ask(text);
  }
}

function fit() {
  message.style.height = 'auto';
  message.style.height = `${message.scrollHeight + message.offsetHeight - message.clientHeight}px`;
}

message.addEventListener('input', fit);
message.addEventListener('keydown', (event) => {
  // Enter that ends the composition of a character belongs to the input method.
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
byId('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
  message.focus();
});
byId('stop').addEventListener('click', stop);
byId('new').addEventListener('click', startOver);
for (const button of byId('suggestions').querySelectorAll('button')) {
  button.addEventListener('click', () => {
    message.focus();
    ask(button.textContent);
  });
}

settings.connect(byId('settings'), byId('settings-form'), byId('open-settings'));
restore();
fit();
showModel();
message.focus();
