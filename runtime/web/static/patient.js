// Who is looked at, and where on the body: a form, and a map of the body that fills in the site.

import { byId, el, svg } from "./elements.js";
import { plain, say } from "./words.js";

const SITES = [
  "head/neck",
  "anterior torso",
  "posterior torso",
  "upper extremity",
  "lower extremity",
  "palms/soles",
];
const SEXES = ["female", "male"];

// Two figures of 100 × 220, front and back, as simple shapes: [site, shape, attributes].
const figure = (torso) => [
  ["head/neck", "ellipse", { cx: 50, cy: 20, rx: 13, ry: 17 }],
  ["head/neck", "rect", { x: 44, y: 35, width: 12, height: 10, rx: 3 }],
  [torso, "path", { d: "M32 46h36q6 0 6 8l-4 56q-1 8-8 8H38q-7 0-8-8l-4-56q0-8 6-8z" }],
  ["upper extremity", "path", { d: "M24 50q-8 2-10 14L8 108q0 6 5 7 5 0 6-6l6-40z" }],
  ["upper extremity", "path", { d: "M76 50q8 2 10 14l6 44q0 6-5 7-5 0-6-6l-6-40z" }],
  ["palms/soles", "circle", { cx: 12, cy: 122, r: 6 }],
  ["palms/soles", "circle", { cx: 88, cy: 122, r: 6 }],
  ["lower extremity", "path", { d: "M32 121h16l-1 82q0 4-5 4h-4q-4 0-5-4z" }],
  ["lower extremity", "path", { d: "M68 121H52l1 82q0 4 5 4h4q4 0 5-4z" }],
  ["palms/soles", "ellipse", { cx: 38, cy: 213, rx: 9, ry: 5 }],
  ["palms/soles", "ellipse", { cx: 62, cy: 213, rx: 9, ry: 5 }],
];

const options = (names) => [
  el("option", { value: "" }, say("unknown")),
  ...names.map((name) => el("option", { value: name }, plain(name))),
];

/** What a bundle's networks can be told stands in the form as they know it. */
export const startPatient = (about) => {
  for (const [name, most] of Object.entries(about.form.texts)) {
    if (byId(name).maxLength !== undefined) byId(name).maxLength = most;
  }
  byId("age").max = about.form.oldest;
  const known = (name) => about.fields.find((field) => field.name === name)?.categories;
  byId("sex").append(...options(known("sex") ?? SEXES));
  byId("site").append(...options(known("site") ?? SITES));
  byId("not-used").hidden = about.fields.length > 0;
  const there = new Set([...byId("site").options].map((option) => option.value));
  byId("body").append(
    drawn(say("front"), figure("anterior torso"), there),
    drawn(say("back"), figure("posterior torso"), there),
  );
  byId("site").addEventListener("change", mark);
  byId("new-patient").addEventListener("click", () => {
    byId("patient-form").reset();
    mark();
    byId("patient").focus();
  });
  byId("patient-form").addEventListener("submit", (event) => event.preventDefault());
  mark();
};

const drawn = (title, shapes, there) => {
  const parts = shapes
    .filter(([site]) => there.has(site))
    .map(([site, shape, attributes]) =>
      svg(shape, { ...attributes, class: "part", "data-site": site, onclick: () => choose(site) }),
    );
  // For a pointer; with a keyboard or a reader the list beside it says the same.
  return el(
    "figure",
    { "aria-hidden": "true" },
    svg("svg", { viewBox: "0 0 100 220" }, parts),
    el("figcaption", {}, title),
  );
};

const choose = (site) => {
  byId("site").value = site;
  mark();
};

const mark = () => {
  for (const part of byId("body").querySelectorAll("[data-site]")) {
    part.classList.toggle("chosen", part.dataset.site === byId("site").value);
  }
};

export const patient = () => {
  const fields = {
    patient: byId("patient").value.trim(),
    age: byId("age").value === "" ? null : Number(byId("age").value),
    sex: byId("sex").value,
    site: byId("site").value,
    note: byId("note").value.trim(),
  };
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== "" && value !== null),
  );
};
