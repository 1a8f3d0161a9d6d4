// What is asked of the device, and what it says while it runs.

import { say, told } from "./words.js";

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
}

const sentence = (text) => {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
};

/** Why nothing came of it: what the device says, or that it says nothing. */
export const inWords = (error) => {
  if (!(error instanceof Refused)) return say("no_answer");
  const { what, got, expected, remedy } = error.said;
  const parts = [
    what && told(what),
    got && say("got", { value: told(got) }),
    expected && say("expected", { value: told(expected) }),
    remedy && told(remedy),
  ];
  return parts.filter(Boolean).map(sentence).join(" ");
};

const answered = async (response) => {
  if (response.status === 401) location.assign("/login");
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({ what: response.statusText }));
  throw new Refused(response.status, said);
};

export const ask = async (path) =>
  answered(await fetch(path, { headers: OWN, signal: AbortSignal.timeout(ASK_MS) }));

/** Of what a page shows. Where it does not come, it says why in that place, and gives null. */
export const askFor = async (path, place) => {
  try {
    const said = await ask(path);
    place.textContent = "";
    return said;
  } catch (error) {
    place.textContent = inWords(error);
    return null;
  }
};

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
