// Elements from plain calls. Text reaches the page as text nodes only: no value of a record
// is ever read as HTML, and nothing here sets a style attribute (the CSP forbids it).

const SVG = "http://www.w3.org/2000/svg";
const handlers = Symbol("handlers");

/** An element. `props`: attributes; `on` holds listeners, `class` may be a list. */
export function h(tag, props, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") listen(made, value);
    else if (name === "class") made.className = [value].flat().filter(Boolean).join(" ");
    else if (name === "value") made.value = value;
    else if (value === true) made.setAttribute(name, "");
    else made.setAttribute(name, String(value));
  }
  made.append(...flat(children));
  return made;
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== undefined && child !== null && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

function listen(element, listeners) {
  element[handlers] ??= {};
  for (const [type, handler] of Object.entries(listeners)) {
    if (!(type in element[handlers])) {
      element.addEventListener(type, (event) => element[handlers][type]?.(event));
    }
    element[handlers][type] = handler;
  }
}

/** Put children in place of what is in `element`. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** A picture of the sprite in icon form; decorative, words always stand beside it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/app/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** Text of people, isolated: right-to-left text and emoji cannot disturb the sentence around. */
export function isolated(text, props) {
  return h("bdi", props, text);
}

/** Words for screen readers only. */
export function unseen(...children) {
  return h("span", { class: "unseen" }, ...children);
}

/**
 * Make `old` look like `fresh` by changing only what differs: focus, open details, scroll
 * positions and what a person typed survive a refresh. Elements with the same `data-key`
 * are matched; one with `data-opaque` keeps its inside and gets `receive(fresh.payload)`.
 */
export function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.dataset?.opaque && old.dataset.opaque === fresh.dataset?.opaque) {
    old.receive?.(fresh.payload);
    return;
  }
  attributes(old, fresh);
  if (fresh[handlers]) listen(old, fresh[handlers]);
  morphChildren(old, [...fresh.childNodes]);
}

const KEPT = { DETAILS: "open", DIALOG: "open" };

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && KEPT[old.nodeName] !== name) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && KEPT[old.nodeName] !== name) {
      old.setAttribute(name, value);
    }
  }
}

const keyOf = (node) => node.dataset?.key;

function morphChildren(old, wanted) {
  const keyed = new Map([...old.childNodes].filter(keyOf).map((node) => [keyOf(node), node]));
  let place = old.firstChild;
  for (const fresh of wanted) {
    const key = keyOf(fresh);
    const known = key ? keyed.get(key) : null;
    if (known && known.nodeName === fresh.nodeName) {
      if (known === place) place = place.nextSibling;
      else old.insertBefore(known, place);
      morph(known, fresh);
    } else if (!key && place && !keyOf(place) && place.nodeName === fresh.nodeName) {
      const next = place.nextSibling;
      morph(place, fresh);
      place = next;
    } else {
      old.insertBefore(fresh, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}
