// What is asked of the device, and what it says while it runs.

export const OWN = { "X-Dermedge": "1" };
const SILENCE_MS = 3000; // without a word from the device the picture counts as dead
const ASK_MS = 10_000;
const SEND_MS = 30_000; // a capture of several frames takes a small device some seconds

/** An answer that is no success, in the device's own words. */
export class Refused extends Error {
  constructor(status, said) {
    super(said.what ?? "");
    this.status = status;
    this.said = said;
  }

  get lines() {
    const { what, got, remedy } = this.said;
    return [what, got, remedy].filter(Boolean);
  }
}

const answered = async (response) => {
  if (response.status === 401) location.assign("/login");
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({ what: response.statusText }));
  throw new Refused(response.status, said);
};

export const ask = async (path) =>
  answered(await fetch(path, { headers: OWN, signal: AbortSignal.timeout(ASK_MS) }));

export const send = async (path, body) =>
  answered(
    await fetch(path, {
      method: "POST",
      headers: { ...OWN, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(SEND_MS),
    }),
  );

/** Calls `seen` with every view, and with null once the device has been silent for too long.
    What it returns ends that. */
export const listen = (seen) => {
  let timer;
  let source;
  let ended = false;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => seen(null), SILENCE_MS);
  };
  const open = () => {
    if (ended) return;
    source = new EventSource("/api/events");
    source.onmessage = (event) => {
      wait();
      seen(JSON.parse(event.data));
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(again, SILENCE_MS);
    };
  };
  // A source does not say why it was refused. A device that was started anew no longer knows this
  // page's cookie: what is asked here leads to the login then, and nothing else ever would.
  const again = () => {
    if (ended) return;
    ask("/api/about").then(open, (error) => {
      if (error.status !== 401) setTimeout(again, SILENCE_MS);
    });
  };
  open();
  wait();
  return () => {
    ended = true;
    clearTimeout(timer);
    source.close();
  };
};
