// The little that this page needs beside the platform: elements from descriptions, and lists that keep their elements.

type Handler = (e: never) => void
type Props = { [name: string]: string | number | boolean | undefined | Handler }

/** Makes an element. on… are listeners, other names are attributes; false and undefined leave one out. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: (Node | string | undefined)[]): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag)
  for (const [name, v] of Object.entries(props)) {
    if (typeof v === "function") e.addEventListener(name.slice(2), v as EventListener)
    else if (v !== undefined && v !== false) e.setAttribute(name, v === true ? "" : String(v))
  }
  e.append(...children.filter(c => c !== undefined))
  return e
}

/** An element of the page, which is there. */
export function at<T extends HTMLElement = HTMLElement>(selector: string, within: ParentNode = document): T {
  const e = within.querySelector<T>(selector)
  if (!e) throw new Error(`the page has no ${selector}`)
  return e
}

/** One of the drawings at the end of index.html. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use")
  svg.setAttribute("class", "icon")
  svg.setAttribute("aria-hidden", "true")
  use.setAttribute("href", `#i-${name}`)
  svg.append(use)
  return svg
}

/** Writes a text only if it is another one, so that nothing is laid out or read aloud for nothing. */
export function say(e: Element, text: string): void {
  if (e.textContent !== text) e.textContent = text
}

/** Sets or removes an attribute. */
export function mark(e: Element, name: string, v: string | boolean): void {
  if (v === false) e.removeAttribute(name)
  else if (e.getAttribute(name) !== (v === true ? "" : v)) e.setAttribute(name, v === true ? "" : v)
}

/** Brings the children of an element to a list: each item keeps its element, and the focus stays where it is. */
export function list<T, E extends HTMLElement>(parent: HTMLElement, items: readonly T[], key: (item: T) => string, make: (item: T) => E, update: (e: E, item: T) => void = () => {}): void {
  const old = new Map([...parent.children].map(e => [(e as HTMLElement).dataset.key ?? "", e as E]))
  const focus = document.activeElement as HTMLElement | null
  let next = parent.firstElementChild
  for (const item of items) {
    const k = key(item)
    let e = old.get(k)
    if (e) old.delete(k)
    else {
      e = make(item)
      e.dataset.key = k
    }
    update(e, item)
    if (e === next) next = next.nextElementSibling
    else parent.insertBefore(e, next)
  }
  for (const e of old.values()) e.remove()
  if (focus && focus !== document.activeElement && parent.contains(focus)) focus.focus({ preventScroll: true })
}

/** Calls f once, after so many ms without a further call. */
export function settled(ms: number, f: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  return () => {
    clearTimeout(timer)
    timer = setTimeout(f, ms)
  }
}
