// Draws the charts from the page's data, in the colours of the style sheet, and again when those change.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const hidden = new Set();
  let printing = false;
  const coarse = matchMedia("(pointer: coarse)").matches;
  const select = document.getElementById("timeline-run");
  const whole = document.getElementById("timeline-whole");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  function trace(source) {
    const { run, colour: name } = source.meta;
    const own = colour(name);
    const drawn = { ...source, visible: !hidden.has(run), line: { ...source.line, color: own } };
    if (source.marker) drawn.marker = { ...source.marker, color: own, line: { color: own, width: 1.5 } };
    if (source.error_x) drawn.error_x = { ...source.error_x, color: own };
    if (source.fill) drawn.fillcolor = `${own}55`;
    return drawn;
  }

  function axis(source) {
    const line = colour("line");
    return { automargin: true, zeroline: false, ...source, gridcolor: line, linecolor: line, exponentformat: "none" };
  }

  function layout(source) {
    return {
      ...source,
      xaxis: axis(source.xaxis),
      yaxis: axis(source.yaxis),
      shapes: (source.shapes ?? []).map((shape) => ({ ...shape, line: { ...shape.line, color: colour("muted") } })),
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("text") },
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("text") }, align: "left" },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 52, r: 14, t: 24, b: 44 },
      showlegend: false,
      dragmode: coarse ? false : "zoom",
    };
  }

  function draw(id, figure) {
    if (!figure) return;
    const settings = { responsive: true, displayModeBar: false };
    const place = document.getElementById(id);
    const size = { width: place.clientWidth, height: place.clientHeight }; // Paper cannot wait for a resize.
    Plotly.react(id, figure.data.map(trace), { ...layout(figure.layout), ...(printing ? size : {}), autosize: true }, settings);
  }

  function drawTimeline() {
    const { figure, note } = data.timelines[select.selectedIndex];
    const shown = structuredClone(figure);
    if (whole.checked) delete shown.layout.yaxis.range;
    draw("timeline", shown);
    whole.disabled = !figure.layout.yaxis.range;
    document.getElementById("timeline-note").textContent = whole.checked ? "" : note;
  }

  function drawAll() {
    draw("pareto", data.pareto);
    draw("cumulative", data.cumulative);
    drawTimeline();
  }

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected"; // The clipboard may be closed to a file; the selection is not.
    }
  }

  for (const { label, run } of data.timelines) select.add(new Option(label, "", false, run === data.first));
  select.addEventListener("change", drawTimeline);
  whole.addEventListener("change", drawTimeline);
  for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));
  for (const button of document.querySelectorAll(".run")) {
    button.addEventListener("click", () => {
      const run = Number(button.dataset.run);
      if (!hidden.delete(run)) hidden.add(run);
      button.setAttribute("aria-pressed", String(!hidden.has(run)));
      drawAll();
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  for (const [event, begins] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(event, () => {
      printing = begins;
      document.documentElement.classList.toggle("print", printing);
      if (printing) for (const details of document.querySelectorAll("details")) details.open = true;
      drawAll();
    });
  }
  drawAll();
})();
