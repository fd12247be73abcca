(() => {
  "use strict";
  const form = document.querySelector(".feed-filters");
  const papers = [...document.querySelectorAll(".paper")];
  const axes = ["motivation", "type", "shift", "source", "locus"];
  // a plain stem: plural and verb endings, so that "shortcuts" finds "shortcut"
  const stem = (word) => (word.length > 4 ? word.replace(/(ations?|izing|ized|izes?|ing|ies|ed|es|s|e)$/u, "") : word);
  const tokens = (text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) || [];
  const indexed = papers.map((paper) => tokens(paper.dataset.words).map(stem));

  function matches(words, index) {
    return words.every((word) => indexed[index].some((held) => held.startsWith(word)));
  }

  function show() {
    const words = tokens(form.elements.words.value).map(stem);
    let shown = 0;
    papers.forEach((paper, index) => {
      const fits =
        matches(words, index) &&
        axes.every((axis) => !form.elements[axis].value || paper.dataset[axis] === form.elements[axis].value) &&
        (!form.elements.verdict.value || paper.dataset.verdict.split("|").includes(form.elements.verdict.value));
      paper.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    form.querySelector("output").textContent = `${shown} of ${papers.length} papers`;
    document.getElementById("none").hidden = shown > 0;
    const asked = form.elements.words.value;
    history.replaceState(null, "", asked ? `#q=${encodeURIComponent(asked)}` : location.pathname.split("/").pop() || "#");
  }

  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  const given = /^#q=(.*)$/u.exec(location.hash);
  if (given) {
    form.elements.words.value = decodeURIComponent(given[1]);
    show();
  }
})();
