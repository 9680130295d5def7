// The region is the alpha of a canvas of the shown picture's size: 0 = keep, 255 = edit. See canvas.py.
const TINT = "rgb(255, 0, 110)";
const MOST_UNDO = 10;
const root = element.querySelector(".ae-painter");
const stage = root.querySelector(".ae-stage");
const picture = root.querySelector("img");
const canvas = root.querySelector("canvas");
const ring = root.querySelector(".ae-ring");
const size = root.querySelector("[data-size]");
const pen = canvas.getContext("2d", { willReadFrequently: true });
let serial = null, tool = "paint", last = null, shown = 0, snapshots = [];

function decoded(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = url;
  });
}

function buttons() {
  for (const button of root.querySelectorAll("[data-tool]"))
    button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  root.querySelector("[data-do=undo]").disabled = snapshots.length === 0;
  root.querySelector("[data-do=clear]").disabled = !marked();
}

function marked() {
  if (!canvas.width) return false;
  const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  for (let i = 3; i < data.length; i += 4) if (data[i]) return true;
  return false;
}

function snapshot() {
  snapshots.push(pen.getImageData(0, 0, canvas.width, canvas.height));
  if (snapshots.length > MOST_UNDO) snapshots.shift();
}

function tell(layer) {
  props.value = { serial, layer: layer === undefined ? canvas.toDataURL("image/png") : layer };
  buttons();
}

async function show(value) {
  if (!value || !value.picture) {
    if (value === null || value === "") { root.hidden = true; serial = null; }
    return;
  }
  const turn = ++shown;
  const [image, layer] = await Promise.all([decoded(value.picture), value.layer && decoded(value.layer)]);
  if (turn !== shown) return;
  const same = picture.src === value.picture;
  if (same && canvas.width) snapshot();
  else {
    snapshots = [];
    picture.src = value.picture;
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    stage.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  }
  pen.globalCompositeOperation = "source-over";
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (layer) pen.drawImage(layer, 0, 0);
  serial = value.serial;
  root.hidden = false;
  buttons();
}

function width() {
  return Math.max(1, Number(size.value) / 100 * Math.min(canvas.width, canvas.height));
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * canvas.width,
          (event.clientY - box.top) / box.height * canvas.height];
}

function stroke(from, to) {
  pen.globalCompositeOperation = tool === "paint" ? "source-over" : "destination-out";
  pen.strokeStyle = pen.fillStyle = TINT;
  pen.lineWidth = width();
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
  pen.beginPath();
  pen.arc(...to, width() / 2, 0, 2 * Math.PI);
  pen.fill();
}

function follow(event) {
  const box = canvas.getBoundingClientRect();
  const side = width() / canvas.width * box.width;
  ring.hidden = event.pointerType === "touch";
  ring.style.cssText = `width:${side}px;height:${side}px;` +
    `left:${event.clientX - box.left - side / 2}px;top:${event.clientY - box.top - side / 2}px`;
}

canvas.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button) return;
  canvas.setPointerCapture(event.pointerId);
  snapshot();
  last = place(event);
  stroke(last, last);
});
canvas.addEventListener("pointermove", (event) => {
  follow(event);
  if (!last || !event.isPrimary) return;
  for (const one of event.getCoalescedEvents ? event.getCoalescedEvents() : [event]) {
    const next = place(one);
    stroke(last, next);
    last = next;
  }
});
canvas.addEventListener("pointerup", () => { if (last) { last = null; tell(); } });
canvas.addEventListener("pointercancel", () => {  // a second finger came down: it was no stroke
  if (last) { last = null; pen.putImageData(snapshots.pop(), 0, 0); buttons(); }
});
canvas.addEventListener("pointerleave", () => { ring.hidden = true; });

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.tool) tool = button.dataset.tool;
  if (button.dataset.do === "undo") { pen.putImageData(snapshots.pop(), 0, 0); tell(marked() ? undefined : null); }
  if (button.dataset.do === "clear") {
    snapshot();
    pen.clearRect(0, 0, canvas.width, canvas.height);
    tell(null);
  }
  buttons();
});

watch("value", () => show(props.value));
show(props.value);
