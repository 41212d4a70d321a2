// The server's API, as much of it as a chat page needs.

/** What the server, or the way to it, says went wrong. */
export class ApiError extends Error {
  /**
   * @param {string} message For people.
   * @param {{status?: number, code?: string, retryAfter?: number}} details HTTP status (0: no response), the server's code, seconds to wait.
   */
  constructor(message, { status = 0, code = '', retryAfter = 0 } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** The model that is served. */
export async function getModel() {
  const response = await reach('v1/models', {});
  return (await response.json()).data[0];
}

/**
 * Streams an answer.
 * @param {object} request The body of a request for a chat, without what concerns streaming.
 * @param {AbortSignal} signal Ends the request.
 * @yields {{text?: string, finishReason?: string, usage?: object}}
 */
export async function* chat(request, signal) {
  const response = await reach('v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  for await (const data of events(response.body, signal)) {
    if (data === '[DONE]') {
      return;
    }

    const chunk = JSON.parse(data);
    if (chunk.error) {
      throw new ApiError(chunk.error.message, { status: response.status, code: chunk.error.code });
    }

    const choice = chunk.choices[0];
    yield { text: choice?.delta?.content, finishReason: choice?.finish_reason, usage: chunk.usage };
  }

  throw new ApiError('The connection ended before the answer did.');
}

// A response that is no error.
async function reach(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw lost(error, 'The server cannot be reached.');
  }

  if (response.ok) {
    return response;
  }

  const error = (await response.json().catch(() => null))?.error;
  throw new ApiError(error?.message ?? `The server answered with status ${response.status}.`, {
    status: response.status,
    code: error?.code,
    retryAfter: Number(response.headers.get('Retry-After')) || 0,
  });
}

// The data of server-sent events: the part of the format that the API uses.
async function* events(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      throw lost(signal.aborted ? signal.reason : error, 'The connection was lost.');
    }

    if (piece.done) {
      return;
    }

    const lines = (rest + piece.value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) {
        yield line.slice('data:'.length).trim();
      }
    }
  }
}

const lost = (error, message) => (error.name === 'AbortError' ? error : new ApiError(message));
