// What plain forms and links cannot: charts, and a word that there is something new. Pages work without it.
"use strict";

(function () {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  // A chart is drawn from what stands in data-chart: days and numbers of findings.
  function draw(place) {
    const told = JSON.parse(place.dataset.chart);
    const axis = { stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
    const series = [{ value: (_, at) => (at === null ? "—" : new Date(at * 1000).toISOString().slice(0, 10)), label: "UTC" }];
    for (const line of told.lines) {
      series.push({ label: line.name, stroke: colour(line.colour), width: 2, points: { show: told.x.length < 15 } });
    }
    const day = (at) => new Date(at * 1000).toISOString().slice(5, 10);
    const chart = new uPlot({
      width: Math.max(place.clientWidth, 200),
      height: 260,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: { y: { range: (_, low, high) => [0, Math.max(high, 1)] } },
      axes: [{ ...axis, values: (_, all) => all.map(day) }, { ...axis, size: 60, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] }],
      series,
    }, [told.x, ...told.lines.map((line) => line.y)], place);
    place.drawn = chart;
  }

  function drawAll(within) {
    for (const place of within.querySelectorAll("[data-chart]")) {
      if (place.drawn) continue;
      draw(place);
    }
  }

  addEventListener("resize", () => {
    for (const place of document.querySelectorAll("[data-chart]")) {
      if (place.drawn) place.drawn.setSize({ width: Math.max(place.clientWidth, 200), height: 260 });
    }
  });

  // What changed is offered, not put under the reader's eyes.
  function tell(kind) {
    for (const place of document.querySelectorAll(`[data-news="${kind}"]`)) place.hidden = false;
  }

  document.addEventListener("htmx:load", (event) => drawAll(event.target));

  // The page's stream. It is given back at once by a page that is left, and before its session ends.
  let stream = null;
  const close = () => stream && stream.close();
  if (window.htmx) {
    htmx.createEventSource = (address) => {
      stream = new EventSource(address);
      for (const kind of ["findings", "breaker", "sources"]) stream.addEventListener(kind, () => tell(kind));
      return stream;
    };
  }
  addEventListener("pagehide", close);
  document.addEventListener("submit", (event) => event.target.matches("form.sign-out") && close());
  // A page that is shown again from memory is asked anew.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  document.addEventListener("DOMContentLoaded", () => drawAll(document));
})();
