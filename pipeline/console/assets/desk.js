"use strict";
// The slider of a trace: the server sends what was known at each stage; this keeps the lanes, the number and the address
// in step with it.
(() => {
  const slider = document.getElementById("slider");
  if (!slider) return;
  const number = document.getElementById("stage-number");
  const mark = (element, current) =>
    current ? element.setAttribute("aria-current", "step") : element.removeAttribute("aria-current");
  const show = () => {
    const stage = Number(slider.value);
    number.textContent = `${stage} / ${slider.max}`;
    for (const step of document.querySelectorAll(".lanes a.step"))
      mark(step, Number(step.dataset.stage) === stage);
    let column = null;
    for (const moment of document.querySelectorAll(".lanes thead th[data-first]")) {
      const current = Number(moment.dataset.first) <= stage && stage <= Number(moment.dataset.last);
      mark(moment, current);
      if (current) column = moment;
    }
    const region = document.querySelector(".swim");
    if (column && region) {
      const middle = column.offsetLeft + column.offsetWidth / 2 - region.clientWidth / 2;
      region.scrollTo({ left: Math.max(0, middle) });
    }
    for (const [selector, to] of [[".slider .step-back", stage - 1], [".slider .step-on", stage + 1]]) {
      const link = document.querySelector(selector);
      if (!link) continue;
      const address = new URL(link.href);
      address.searchParams.set("stage", Math.min(Math.max(to, 1), Number(slider.max)));
      link.href = address;
    }
  };
  const keep = () => {
    const address = new URL(location.href);
    address.searchParams.set("stage", slider.value);
    history.replaceState(history.state, "", address);
  };
  slider.addEventListener("input", show);
  slider.addEventListener("change", keep);
  // A step in the lanes moves the slider; without this script it is a link.
  document.querySelector(".lanes")?.addEventListener("click", (event) => {
    const step = event.target.closest("a.step");
    if (!step || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    slider.value = step.dataset.stage;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    keep();
  });
  show();
})();
