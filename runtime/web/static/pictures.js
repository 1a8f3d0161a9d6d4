// The live picture, asked for one at a time. However long one was on its way, it is no older than
// the asking for it; of a stream, whose pictures wait in buffers, a page could not tell.

import { OWN } from "./server.js";

const OLD_MS = 2000; // since it was asked for: what is shown may no longer be what is there
const RETRY_MS = 500;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export const livePictures = (canvas) => {
  let round = 0; // of starts and stops: what an earlier one asked for is not drawn
  let number = 0;
  let asked = -Infinity;
  let ending = null;

  const one = async (mine) => {
    const began = performance.now();
    const { clientWidth, clientHeight } = canvas.parentElement;
    const side = Math.ceil(Math.max(clientWidth, clientHeight) * devicePixelRatio); // no more is shown
    const answer = await fetch(`/api/frame?after=${number}&side=${side}`, {
      headers: OWN,
      signal: ending.signal,
    });
    if (!answer.ok) throw new Error(answer.statusText);
    if (answer.status === 204) return; // there is none that is newer
    const picture = await createImageBitmap(await answer.blob());
    if (mine === round) {
      if (canvas.width !== picture.width) canvas.width = picture.width;
      if (canvas.height !== picture.height) canvas.height = picture.height;
      canvas.getContext("2d").drawImage(picture, 0, 0);
      number = Number(answer.headers.get("X-Dermedge-Frame"));
      asked = began;
    }
    picture.close();
  };

  const go = async (mine) => {
    while (mine === round) {
      const own = new AbortController();
      ending = own;
      const timer = setTimeout(() => own.abort(), OLD_MS);
      try {
        await one(mine);
      } catch {
        await pause(RETRY_MS); // the device may be back then
      } finally {
        clearTimeout(timer);
      }
    }
  };

  const forget = () => {
    asked = -Infinity;
    canvas.width = 0; // wiped, and not only hidden
  };

  return {
    forget,
    areOfNow: () => performance.now() - asked < OLD_MS,
    start: () => {
      round += 1;
      go(round);
    },
    stop: () => {
      round += 1;
      ending?.abort();
      forget();
    },
  };
};
