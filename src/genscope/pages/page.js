(function () {
  "use strict";
  var specs = JSON.parse(document.getElementById("charts").textContent || "{}");
  var dark = window.matchMedia("(prefers-color-scheme: dark)");

  function theme() {
    var style = getComputedStyle(document.documentElement);
    var ink = style.getPropertyValue("--ink").trim(), soft = style.getPropertyValue("--soft").trim(), line = style.getPropertyValue("--line").trim();
    var font = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
    return {
      font: font,
      axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 },
      legend: { labelColor: ink, titleColor: soft, labelFontSize: 13 },
      rule: { color: ink },
      view: { stroke: null }
    };
  }

  function draw() {
    if (!window.vegaEmbed) return;
    document.querySelectorAll("[data-chart]").forEach(function (place) {
      var spec = specs[place.dataset.chart];
      if (spec) window.vegaEmbed(place, spec, { mode: "vega-lite", ast: true, actions: false, renderer: "svg", config: theme(), defaultStyle: false, tooltip: { theme: dark.matches ? "dark" : "light" } });
    });
  }

  function filter(form) {
    var list = form.parentElement.querySelectorAll(".sample"), wanted = {}, shown = 0;
    form.querySelectorAll("select").forEach(function (one) { if (one.value) wanted[one.name] = one.value; });
    list.forEach(function (sample) {
      var fits = Object.keys(wanted).every(function (name) { return sample.dataset[name] === wanted[name]; });
      sample.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    form.querySelector("output").textContent = shown + " shown";
  }

  draw();
  dark.addEventListener("change", draw);
  document.querySelectorAll(".filters").forEach(function (form) {
    form.addEventListener("change", function () { filter(form); });
    form.addEventListener("submit", function (event) { event.preventDefault(); });
  });
})();
