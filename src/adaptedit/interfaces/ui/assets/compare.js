// value: {"before": url, "after": url, "fresh": whether to unveil it} or null.
const root = element.querySelector(".ae-compare");
const range = root.querySelector("input");
const [before, after] = root.querySelectorAll("img");

let touched = false;

function slide() {
  root.style.setProperty("--at", range.value + "%");
}

function unveil() {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const start = performance.now();
  const step = (now) => {
    if (touched) return;
    const done = still ? 1 : Math.min(1, (now - start) / 900);
    range.value = 100 - 92 * (1 - (1 - done) ** 3);
    slide();
    if (done < 1) requestAnimationFrame(step);
  };
  touched = false;
  step(start);
}

function show(value) {
  root.hidden = !(value && value.after);
  if (root.hidden) return;
  before.src = value.before;
  after.src = value.after;
  before.onload = () => root.style.setProperty("--ratio", before.naturalWidth / before.naturalHeight);
  if (value.fresh) {
    unveil();
    if (window.matchMedia("(max-width: 767px)").matches)
      setTimeout(() => root.scrollIntoView({ behavior: "smooth", block: "center" }), 150);
  }
}

range.addEventListener("input", () => { touched = true; slide(); });
watch("value", () => show(props.value));
slide();
show(props.value);
