// Lines over time by uPlot, with the same numbers as a table under them. Lines differ by dashes
// as well as by colour; the legend is ours, in words.

import { fill, h } from "../dom.js";
import { dateTime, number, percent } from "../format.js";
import { lang, t } from "../words.js";

const HEIGHT_PX = 190;
const DASHES = [[], [8, 4], [2, 4], [12, 4, 2, 4], [4, 8], [1, 3]];
const LIBRARY = "/app/static/vendor/uplot/uPlot.iife.min.js";
const SHEET = "/app/static/vendor/uplot/uPlot.min.css";
let loading = null;

function library() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(h("link", { rel: "stylesheet", href: SHEET }));
    document.head.append(
      h("script", { src: LIBRARY, on: { load: () => resolve(globalThis.uPlot), error: reject } }),
    );
  });
  return loading;
}

/** `atUs`: where each bucket begins. `series`: `[{key, name, unit, values}]`, one unit. */
export function chart({ key, title, atUs, series, signal }) {
  const stage = h("div", { class: "stage", "data-opaque": `chart-${key}` });
  stage.payload = { atUs, series, title };
  stage.receive = (payload) => {
    stage.payload = payload;
    stage.draw?.();
  };
  // Only what stands on the page is drawn: a refresh makes a figure to compare with, no more.
  queueMicrotask(() => stage.isConnected && mount(stage, signal));
  return h(
    "figure",
    { class: "chart", "data-key": `figure-${key}` },
    h("figcaption", {}, h("strong", {}, title), legend(series)),
    stage,
    h("details", { class: "small" }, h("summary", {}, t("chart_table")), table(title, atUs, series)),
  );
}

function legend(series) {
  return h(
    "ul",
    { class: "legend" },
    series.map((one, place) => h("li", {}, h("span", { class: `line line-${place % DASHES.length}`, "aria-hidden": "true" }), one.name)),
  );
}

function table(title, atUs, series) {
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": title },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, title),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("chart_time")), series.map((one) => h("th", { scope: "col", class: "number" }, one.name)))),
      h(
        "tbody",
        {},
        atUs.map((us, row) =>
          h("tr", {}, h("th", { scope: "row" }, dateTime(us)), series.map((one) => h("td", { class: "number" }, shown(one.values[row], one.unit)))),
        ),
      ),
    ),
  );
}

export function shown(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "share") return percent(value);
  if (unit === "seconds") return seconds(value);
  return number(value, { maximumFractionDigits: 2 });
}

/** "0.24 s", "1.5 min": one unit, so that columns can be compared. */
export function seconds(value) {
  const [size, name] = value < 1 ? [0.001, "millisecond"] : value < 120 ? [1, "second"] : value < 7_200 ? [60, "minute"] : [3_600, "hour"];
  return number(value / size, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: value < 1 ? 0 : 1 });
}

// ── drawing ─────────────────────────────────────────────────────────────────────────────────

async function mount(stage, signal) {
  const canvas = h("div", { class: "canvas", role: "img" });
  const readout = h("p", { class: "readout soft small", "aria-hidden": "true" });
  fill(stage, canvas, readout);
  let UPlot;
  try {
    UPlot = await library();
  } catch {
    fill(stage, h("p", { class: "soft" }, t("chart_failed")));  // the table still has everything
    return;
  }
  if (signal.aborted) return;
  let plot = null;
  stage.draw = () => {
    const { atUs, series, title } = stage.payload;
    canvas.setAttribute("aria-label", summary(title, series));
    const data = [atUs.map((us) => us / 1e6), ...series.map((one) => one.values.map((value) => value ?? null))];
    if (plot && plot.series.length === data.length) {
      plot.setData(data);
      return;
    }
    plot?.destroy();
    fill(canvas);
    plot = new UPlot(options(stage, series, readout), data, canvas);
  };
  const anew = () => {
    plot?.destroy();
    plot = null;
    stage.draw();
  };
  const sizes = new ResizeObserver(() => plot?.setSize({ width: widthOf(stage), height: HEIGHT_PX }));
  sizes.observe(stage);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", anew);
  document.addEventListener("crdtsync-theme", anew);
  signal.addEventListener("abort", () => {
    sizes.disconnect();
    dark.removeEventListener("change", anew);
    document.removeEventListener("crdtsync-theme", anew);
    plot?.destroy();
  });
  stage.draw();
}

const widthOf = (stage) => Math.max(200, Math.floor(stage.clientWidth));

function options(stage, series, readout) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const unit = series[0]?.unit;
  const font = `12px ${style.getPropertyValue("--font")}`;
  const axis = { stroke: color("--soft-ink"), font, ticks: { stroke: color("--line") }, grid: { stroke: color("--line"), width: 1 } };
  return {
    width: widthOf(stage),
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_, low, high) => [0, (high > 0 ? high : 1) * 1.1] } },
    axes: [
      { ...axis, size: 36, space: 70, values: (_, ticks) => ticks.map(axisTime(ticks)) },
      { ...axis, size: 68, values: (_, ticks) => ticks.map((tick) => shown(tick, unit)) },
    ],
    series: [
      {},
      ...series.map((one, place) => ({
        label: one.name,
        stroke: color(`--line-${place % DASHES.length}`),
        width: 2,
        dash: DASHES[place % DASHES.length],
        points: { show: one.values.filter((value) => value !== null).length < 3 },
        spanGaps: false,
      })),
    ],
    hooks: {
      setCursor: [
        (plot) => {
          const at = plot.cursor.idx;
          const { atUs, series: now } = stage.payload;
          readout.textContent = at === null || at === undefined ? "" : `${dateTime(atUs[at])}: ${now.map((one) => `${one.name} ${shown(one.values[at], one.unit)}`).join(" · ")}`;
        },
      ],
    },
  };
}

function axisTime(ticks) {
  const days = ticks.length > 1 && ticks.at(-1) - ticks[0] > 2 * 86_400;
  const form = new Intl.DateTimeFormat(lang(), days ? { month: "short", day: "numeric" } : { hour: "numeric", minute: "2-digit" });
  return (second) => form.format(second * 1000);
}

function summary(title, series) {
  const lines = series.map((one) => {
    const known = one.values.filter((value) => value !== null);
    if (known.length === 0) return t("chart_line_empty", { name: one.name });
    return t("chart_line", { name: one.name, last: shown(known.at(-1), one.unit), low: shown(Math.min(...known), one.unit), high: shown(Math.max(...known), one.unit) });
  });
  return `${title}. ${lines.join(" ")}`;
}
