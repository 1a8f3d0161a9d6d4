"use strict";
(() => {
  const bar = document.querySelector(".filters");
  if (!bar) return;
  const cards = [...document.querySelectorAll(".card")];
  const buttons = [...bar.querySelectorAll("button")];
  const state = bar.querySelector("[role=status]");
  bar.hidden = false;

  const show = (group) => {
    let shown = 0;
    for (const card of cards) {
      card.hidden = group !== "all" && card.dataset.group !== group;
      if (!card.hidden) shown += 1;
    }
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.show === group));
    }
    state.textContent = `${shown} of ${cards.length} images shown`;
  };
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) show(button.dataset.show);
  });

  const move = (step) => {
    const visible = cards.filter((card) => !card.hidden);
    const here = visible.findIndex((card) => card.contains(document.activeElement));
    const edge = bar.getBoundingClientRect().bottom + 1;
    // Without a focused card, start from the first that is still to be seen.
    const seen = visible.findIndex((card) => card.getBoundingClientRect().bottom > edge);
    const next = here >= 0 ? here + step : Math.max(seen, 0);
    const card = visible[Math.min(Math.max(next, 0), visible.length - 1)];
    if (!card) return;
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "start" });
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") move(1);
    if (event.key === "k") move(-1);
  });

  // What is folded on the screen belongs on paper.
  const folded = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...folded()];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
