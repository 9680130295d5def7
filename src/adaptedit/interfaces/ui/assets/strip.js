// value: {"name": what they are, "items": [{"src", "text"}], "selected": index or -1} or null. Tells "select".
const root = element.querySelector(".ae-strip");

function show(value) {
  const items = (value && value.items) || [];
  root.hidden = items.length === 0;
  if (value) root.setAttribute("aria-label", value.name);
  root.replaceChildren(...items.map((item, index) => {
    const button = document.createElement("button");
    const image = document.createElement("img");
    const text = document.createElement("span");
    button.type = "button";
    button.title = item.text;
    if (value.selected !== undefined) button.setAttribute("aria-pressed", String(index === value.selected));
    image.src = item.src;
    image.alt = "";
    text.textContent = item.text;
    button.append(image, text);
    button.addEventListener("click", () => trigger("select", { index, value: item.text }));
    return button;
  }));
  const pressed = root.querySelector("[aria-pressed=true]");
  if (pressed) root.scrollLeft = pressed.offsetLeft + pressed.offsetWidth - root.clientWidth;
}

watch("value", () => show(props.value));
show(props.value);
