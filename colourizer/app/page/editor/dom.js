/* Elements of the page: found by their id, or made. */

export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/* What is dragged follows the pointer until it is let go. */
export function drag(event, follow, end = () => {}) {
  event.preventDefault();
  event.target.setPointerCapture(event.pointerId);
  const stop = new AbortController();
  const until = { signal: stop.signal };
  addEventListener("pointermove", follow, until);
  for (const kind of ["pointerup", "pointercancel"]) {
    addEventListener(
      kind,
      () => {
        stop.abort();
        end();
      },
      until,
    );
  }
}
