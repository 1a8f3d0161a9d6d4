// What is asked of the device, and what it says while it runs.

const OWN = { "X-Dermedge": "1" };
const SILENCE_MS = 3000; // without a word from the device the picture counts as dead

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
  const said = await response.json().catch(() => ({ what: response.statusText }));
  if (!response.ok) throw new Refused(response.status, said);
  return said;
};

export const ask = async (path) => answered(await fetch(path, { headers: OWN }));

export const send = async (path, body) =>
  answered(
    await fetch(path, {
      method: "POST",
      headers: { ...OWN, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }),
  );

/** Calls `seen` with every view, and with null once the device has been silent for too long. */
export const listen = (seen) => {
  let timer;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => seen(null), SILENCE_MS);
  };
  const open = () => {
    const source = new EventSource("/api/events");
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
  const again = () =>
    ask("/api/about").then(open, (error) => {
      if (error.status !== 401) setTimeout(again, SILENCE_MS);
    });
  open();
  wait();
};
