// How the device is doing: frames, times, heat, power, versions.

import { byId, el } from "./elements.js";
import { askFor } from "./server.js";
import { say } from "./words.js";

const REFRESH_MS = 2000;

export const startDevice = (about) => {
  setInterval(() => {
    if (!byId("device").hidden) showDevice(about);
  }, REFRESH_MS);
};

const table = (title, rows) =>
  el(
    "section",
    { class: "facts" },
    el("h2", {}, title),
    el(
      "dl",
      {},
      rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]),
    ),
  );

const ms = (value) => `${Math.round(value)} ms`;

export const showDevice = async (about) => {
  const found = await askFor("/api/device", byId("device-trouble"));
  if (found === null) {
    byId("facts").replaceChildren(); // they were of another moment
    return;
  }
  const { counts, captures, machine } = found;
  const number = (value) => value.toLocaleString();
  const heat = Object.entries(found.temperatures).map(([name, value]) => `${name} ${value} °C`);
  byId("facts").replaceChildren(
    table(say("camera"), [
      [found.camera.name, found.camera.what || say(`state_${found.camera.state}`)],
      [say("frame_rate"), found.camera.frames_per_second],
      [say("frames_received"), number(counts.received)],
      [say("frames_good"), number(counts.good)],
      [say("frames_rejected"), number(counts.rejected)],
      [say("frames_dropped"), number(counts.dropped)],
      [say("frames_damaged"), number(counts.damaged)],
      [say("frames_frozen"), number(counts.frozen)],
      [say("frames_black"), number(counts.black)],
      [say("openings"), number(counts.openings)],
      [say("polarisation"), about.camera.polarisation ?? say("unknown")],
      [say("scale"), about.camera.pixels_per_mm ?? say("unknown")],
    ]),
    table(say("machine"), [
      [say("looks"), found.looks_per_second],
      ...Object.entries(captures).map(([name, value]) => [`${say("capture_time")}, ${name}`, ms(value)]),
      [say("temperature"), heat.join(", ") || say("not_measured")],
      [say("power"), found.power_watts === null ? say("not_measured") : `${found.power_watts} W`],
      [say("free"), `${number(found.free_mb)} MB`],
      [say("machine"), `${machine.cpu}, ${machine.cores} × CPU`],
      [say("engine"), `${found.backend.name}, ${found.backend.mode}, ${found.backend.device}`],
    ]),
    table(say("bundle"), [
      [about.bundle.name, about.bundle.version],
      ["SHA-256", about.bundle.digest],
      ...Object.entries(found.backend.precision),
    ]),
    table(say("versions"), Object.entries(found.versions)),
  );
};
