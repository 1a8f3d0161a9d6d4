// Small helpers to build a page. Text is always text: nothing that anyone typed becomes markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

const filled = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
};

export const el = (name, attributes = {}, ...children) =>
  filled(document.createElement(name), attributes, children);

export const svg = (name, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, name), attributes, children);

/** The lesion's border over a picture of any size: light with a dark halo, seen on any skin. */
export const outline = (curves) => {
  const lines = (kind) =>
    curves.map((curve) =>
      svg("polygon", { class: kind, points: curve.map((point) => point.join(",")).join(" ") }),
    );
  return svg(
    "svg",
    { class: "outline", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    lines("halo"),
    lines("border"),
  );
};

/** A bar of 0 to 1, with a mark on it where a threshold is. */
export const bar = (share, mark = null) => {
  const inner = el("span", { class: "fill" });
  inner.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  const parts = [inner];
  if (mark !== null) {
    const tick = el("span", { class: "tick" });
    tick.style.left = `${100 * mark}%`;
    parts.push(tick);
  }
  return el("span", { class: "bar", "aria-hidden": "true" }, parts);
};
