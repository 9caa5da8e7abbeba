// Draws the charts of a benchmark: the constant bench is the report as JSON.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const charts = [];

  // One colour for each subject, wherever it appears; ours stands out, the bare loop is dashed.
  const palette = {
    light: { massattach: "#0b766e", raw: "#6b7680", untouched: "#a3acb4", strace: "#c2570c", gdb: "#2563b0", lldb: "#7c3aad",
      dlv: "#0284a5", criu: "#93700b", perf: "#b8326b", "eu-stack": "#5f6f1d", sigstop: "#c23030", freezer: "#3f5ea8" },
    dark: { massattach: "#3ccfc0", raw: "#9aa5ae", untouched: "#6d7881", strace: "#f0954a", gdb: "#6ea8f0", lldb: "#bb8cea",
      dlv: "#48c3e6", criu: "#d8b545", perf: "#ee77a6", "eu-stack": "#b0c25a", sigstop: "#ef7575", freezer: "#8ba6ea" },
  };
  const colour = (subject) => {
    const of = palette[dark.matches ? "dark" : "light"];
    return of[subject] || of[subject.split(" ")[0]] || of.raw;
  };
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const digits = (v) => v < 9.995 ? v.toFixed(2) : v < 99.95 ? v.toFixed(1) : v.toFixed(0);
  const seconds = (s) => {
    if (s === 0) return "0";
    if (s < 1e-6) return digits(s * 1e9) + " ns";
    if (s < 1e-3) return digits(s * 1e6) + " µs";
    if (s < 1) return digits(s * 1e3) + " ms";
    return digits(s) + " s";
  };
  // On an axis there is room for the decades only, and they are round.
  const decade = (v) => Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9;
  const round = (s) => s < 1e-6 ? Math.round(s * 1e9) + " ns" : s < 1e-3 ? Math.round(s * 1e6) + " µs" : s < 1 ? Math.round(s * 1e3) + " ms" : Math.round(s) + " s";
  const thousands = (n) => n.toLocaleString("en-US");
  const compact = (n) => n >= 1000 ? n / 1000 + "k" : String(n);

  const cells = (kase, figure) => bench.cells.filter((c) => c.case === kase && c.figure === figure && c.outcome === "ok");
  const unique = (list) => [...new Set(list)];
  const hide = (id) => { const e = document.getElementById(id); if (e) e.hidden = true; };

  // draw makes a chart in the canvas, which gets a box of its own for its size.
  const draw = (canvas, height, config) => {
    if (!canvas.parentElement.classList.contains("box")) {
      const box = document.createElement("div");
      box.className = "box";
      canvas.replaceWith(box);
      box.append(canvas);
    }
    canvas.parentElement.style.height = height + "px";
    config.options = { animation: false, responsive: true, maintainAspectRatio: false, ...config.options };
    charts.push(new Chart(canvas, config));
  };

  const axis = (more) => ({ grid: { color: token("--grid"), tickColor: "transparent" }, border: { display: false }, ...more });
  const logTime = (more) => axis({ type: "logarithmic", ticks: { callback: (v) => decade(v) ? round(v) : null, maxTicksLimit: 40, autoSkip: false }, ...more });
  const grow = (min, max) => ({ min: min * 0.8, max: max * 1.25 });

  // lines is time by number of threads, on logarithmic axes.
  const lines = (canvas, height, kase, legend) => {
    const all = cells(kase, "seconds");
    const subjects = unique(all.map((c) => c.subject));
    const ns = unique(all.map((c) => c.n)).sort((a, b) => a - b);
    draw(canvas, height, {
      type: "line",
      data: {
        datasets: subjects.map((s) => ({
          label: s,
          data: all.filter((c) => c.subject === s).map((c) => ({ x: c.n, y: c.median, cell: c })),
          borderColor: colour(s), backgroundColor: colour(s),
          borderWidth: s === "massattach" ? 3 : 1.75, borderDash: s === "raw" ? [5, 4] : s.includes(" ") ? [2, 3] : [],
          pointRadius: s === "massattach" ? 4 : 3, order: s === "raw" ? 0 : s === "massattach" ? 1 : 2, // the dashes of raw lie upon ours
        })),
      },
      options: {
        interaction: { mode: "nearest", intersect: false },
        scales: {
          x: axis({ type: "logarithmic", ...grow(ns[0], ns[ns.length - 1]), title: { display: legend, text: "threads" },
            afterBuildTicks: (a) => { a.ticks = ns.map((value) => ({ value })); }, ticks: { callback: compact, autoSkip: false, maxRotation: 0 } }),
          y: logTime(),
        },
        plugins: {
          legend: { display: legend, position: "bottom", labels: { usePointStyle: true, boxHeight: 6, padding: 14 } },
          tooltip: { callbacks: {
            title: (i) => thousands(i[0].parsed.x) + " threads",
            label: (i) => `${i.dataset.label}: ${seconds(i.parsed.y)}` + (i.raw.cell.runs > 1 ? ` (${seconds(i.raw.cell.min)} to ${seconds(i.raw.cell.max)})` : " (once)"),
          } },
        },
      },
    });
  };

  // bars is one figure of several subjects, lying, with its value behind each.
  const values = {
    id: "values",
    afterDatasetsDraw(chart) {
      const { ctx } = chart;
      ctx.save();
      ctx.font = `12px ${Chart.defaults.font.family}`;
      ctx.fillStyle = token("--ink");
      ctx.textBaseline = "middle";
      chart.getDatasetMeta(0).data.forEach((bar, i) => ctx.fillText(chart.data.texts[i], bar.x + 6, bar.y));
      ctx.restore();
    },
  };
  const bars = (id, rows, text, scale) => {
    if (rows.length === 0) { document.getElementById(id).closest("figure").hidden = true; return; }
    draw(document.getElementById(id), 34 * rows.length + 34, {
      type: "bar",
      plugins: [values],
      data: { labels: rows.map((r) => r.name), texts: rows.map((r) => text(r.value)),
        datasets: [{ data: rows.map((r) => r.value), backgroundColor: rows.map((r) => colour(r.subject)), borderRadius: 4, maxBarThickness: 20, minBarLength: 2 }] },
      options: {
        indexAxis: "y", layout: { padding: { right: 64 } },
        scales: { x: scale, y: axis({ grid: { display: false }, ticks: { autoSkip: false } }) },
        plugins: { legend: { display: false }, tooltip: { callbacks: { label: (i) => text(rows[i.dataIndex].value) } } },
      },
    });
  };

  // rowsOf are the figures of all subjects of some cases, at 10,000 threads or the most below.
  const rowsOf = (kases, figure) => {
    const rows = [];
    for (const kase of kases) {
      const all = cells(kase, figure);
      const ns = unique(all.map((c) => c.n)).sort((a, b) => a - b);
      const n = ns.filter((n) => n <= 10000).pop() || ns[0];
      for (const c of all.filter((c) => c.n === n)) {
        const name = kase === "stop" ? c.subject.replace("massattach", "stop") : c.subject;
        if (!rows.some((r) => r.name === name)) rows.push({ name, subject: c.subject, value: c.median, n });
      }
    }
    return rows;
  };
  const caption = (id, rows) => {
    const ns = unique(rows.map((r) => r.n)).sort((a, b) => a - b);
    const c = document.getElementById(id).closest("figure").querySelector("figcaption");
    if (ns.length > 0 && !c.querySelector("small")) c.insertAdjacentHTML("beforeend", ` <small>at ${ns.map(thousands).join(" and ")} threads</small>`);
  };

  // ratios are intervals beside the bare loop, at the largest size up to 10,000.
  const ratios = () => {
    const kases = bench.cases.filter((c) => c.kind === "in-process" && c.figure === "seconds").map((c) => c.name);
    const rows = [];
    for (const kase of kases) {
      const all = bench.ratios.filter((r) => r.case === kase && r.to === "raw" && r.figure === "seconds");
      const of = all.filter((r) => r.n <= 10000).sort((a, b) => b.n - a.n)[0] || all[0];
      if (of) rows.push(of);
    }
    if (rows.length === 0) { hide("rawlimit"); return; }
    const least = Math.min(0.75, ...rows.map((r) => r.low)), most = Math.max(1.5, ...rows.map((r) => r.high));
    const dots = {
      id: "dots",
      beforeDatasetsDraw(chart) { // the noise, and the line at 1
        const { ctx, chartArea: a, scales: { x } } = chart;
        const at = (v) => Math.min(a.right, Math.max(a.left, x.getPixelForValue(v)));
        ctx.save();
        ctx.fillStyle = token("--grid");
        ctx.fillRect(at(bench.noise.low), a.top, at(bench.noise.high) - at(bench.noise.low), a.bottom - a.top);
        ctx.fillStyle = token("--soft");
        ctx.fillRect(at(1) - 0.5, a.top, 1, a.bottom - a.top);
        ctx.restore();
      },
      afterDatasetsDraw(chart) {
        const { ctx, scales: { x } } = chart;
        ctx.save();
        ctx.fillStyle = token("--ours");
        chart.getDatasetMeta(0).data.forEach((bar, i) => {
          ctx.beginPath();
          ctx.arc(x.getPixelForValue(rows[i].median), bar.y, 5, 0, 7);
          ctx.fill();
        });
        ctx.restore();
      },
    };
    const words = (r) => `${digits(r.median)} (${digits(r.low)} to ${digits(r.high)})` + (r.none ? ", no difference" : "");
    draw(document.getElementById("ratios"), 34 * rows.length + 50, {
      type: "bar",
      plugins: [dots],
      data: { labels: rows.map((r) => `${r.case}, ${compact(r.n)}`), datasets: [{ data: rows.map((r) => [r.low, r.high]), backgroundColor: token("--ours") + "66", borderRadius: 3, borderSkipped: false, maxBarThickness: 9, minBarLength: 2 }] },
      options: {
        indexAxis: "y",
        scales: {
          x: axis({ type: "logarithmic", min: least, max: most,
            afterBuildTicks: (a) => { a.ticks = [0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6, 10, 20, 50].filter((v) => v >= least && v <= most).map((value) => ({ value })); },
            ticks: { callback: String, autoSkip: true, maxRotation: 0 } }),
          y: axis({ grid: { display: false }, ticks: { autoSkip: false } }),
        },
        plugins: { legend: { display: false }, tooltip: { callbacks: { label: (i) => words(rows[i.dataIndex]) } } },
      },
    });
    const multiples = document.getElementById("multiples");
    for (const kase of kases) {
      if (unique(cells(kase, "seconds").map((c) => c.n)).length < 2) continue;
      let canvas = document.getElementById("growth-" + kase);
      if (!canvas) {
        const growth = bench.growth.find((g) => g.case === kase && g.subject === "massattach");
        const exponent = growth ? ` <small>n<sup>${growth.exponent.toFixed(2)}</sup>, dashed: raw</small>` : "";
        multiples.insertAdjacentHTML("beforeend", `<figure><figcaption>${kase}${exponent}</figcaption><canvas id="growth-${kase}" role="img" aria-label="${kase} by number of threads"></canvas></figure>`);
        canvas = document.getElementById("growth-" + kase);
      }
      lines(canvas, 150, kase, false);
    }
  };

  const all = () => {
    charts.splice(0).forEach((c) => c.destroy());
    Chart.defaults.color = token("--soft");
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.font.size = 12;
    if (cells("session", "seconds").length > 0) lines(document.getElementById("session"), 420, "session", true); else hide("whole");
    const pauses = rowsOf(["session", "stop"], "pause").sort((a, b) => a.value - b.value);
    const eintr = rowsOf(["session", "stop"], "eintr").sort((a, b) => a.value - b.value);
    if (pauses.length + eintr.length === 0) hide("felt");
    else {
      const positive = pauses.map((r) => r.value).filter((v) => v > 0);
      bars("pause", pauses, seconds, logTime({ min: Math.min(...positive) / 2, ticks: { callback: (v) => decade(v) ? round(v) : null, autoSkip: true, maxRotation: 0 } }));
      bars("eintr", eintr, thousands, axis({ beginAtZero: true, ticks: { callback: compact, maxTicksLimit: 5, maxRotation: 0 } }));
      caption("pause", pauses); caption("eintr", eintr);
    }
    ratios();
    const percent = (v) => (100 * v).toFixed(v < 0.1 ? 1 : 0) + " %";
    const part = () => axis({ min: 0, suggestedMax: 1, ticks: { callback: (v) => 100 * v + " %", maxTicksLimit: 5, maxRotation: 0 } });
    const calls = rowsOf(["held"], "kept"), births = rowsOf(["held-creation"], "kept");
    if (calls.length + births.length === 0) hide("held");
    else {
      bars("calls", calls, percent, part());
      bars("births", births, percent, part());
      if (calls.length > 0) caption("calls", calls);
      if (births.length > 0) caption("births", births);
    }
    document.documentElement.dataset.drawn = String(charts.length);
  };
  dark.addEventListener("change", all);
  all();
})();
