// Draws the two charts from the data block; everything else in the page is there without a script.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const axis = (label) => ({
    label, stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 },
  });
  const charts = [];

  function draw(id, height, rows, options) {
    const place = document.getElementById(id);
    if (!rows.length || !rows[0].length) {
      place.textContent = "nothing to show";
      return;
    }
    const width = () => Math.max(320, place.clientWidth);
    const chart = new uPlot({ width: width(), height, ...options }, rows, place);
    charts.push(() => chart.setSize({ width: width(), height }));
  }

  function drawAll() {
    charts.length = 0;
    for (const id of ["bytes-chart", "time-chart"]) document.getElementById(id).replaceChildren();
    draw("bytes-chart", 260, [data.seconds, ...data.sources.map((source) => source.megabytes)], {
      scales: { x: { time: false } },
      axes: [axis("seconds"), axis("MB")],
      series: [
        { label: "s" },
        ...data.sources.map((source) => ({ label: source.name, stroke: colour(source.colour), width: 2, points: { show: false } })),
      ],
    });
    draw("time-chart", 240, [data.numbers, data.took_s, data.plays_s], {
      scales: { x: { time: false } },
      axes: [axis("segment"), axis("seconds")],
      series: [
        { label: "segment" },
        { label: "took s", stroke: colour("c0"), fill: colour("c0"), paths: uPlot.paths.bars({ size: [0.6, 40] }), points: { show: false } },
        { label: "plays s", stroke: colour("bad"), width: 1.5, dash: [6, 4], points: { show: false } },
      ],
    });
  }

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("resize", () => charts.forEach((fit) => fit()));
})();
