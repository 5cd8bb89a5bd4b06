import type { Core } from "./core.js"

let loads = 0
let compiled: Promise<WebAssembly.Module> | undefined

/** Loads the core; each call gives one with a memory of its own. base is the folder with core.js and automerge.wasm. */
export async function loadCore(base: string): Promise<Core> {
  // A module is evaluated once for each address, and so is the memory in it made.
  const address = new URL("core.js", base)
  if (loads++ > 0) address.searchParams.set("again", String(loads))
  const [{ core }, module] = await Promise.all([import(address.href) as Promise<{ core: Core }>, compiled ??= compile(new URL("automerge.wasm", base))])
  await core.initializeWasm(module as never)
  return core
}

async function compile(url: URL): Promise<WebAssembly.Module> {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url.pathname}: the server answers ${answer.status}`)
  // What is compiled while it comes, the browser keeps compiled; but only if the server says what it is.
  const streams = answer.headers.get("content-type")?.startsWith("application/wasm")
  return streams ? WebAssembly.compileStreaming(answer) : WebAssembly.compile(await answer.arrayBuffer())
}

/**
 * Reports whether an error is a panic of the core: nothing of that core may be used any more. The core throws a
 * PanicError for most, WebAssembly its own error for the rest, and the bindings complain about an object that a
 * panic has left in use.
 */
export function isPanic(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError ||
    error instanceof Error && (error.name === "PanicError" || /recursive use of an object|null pointer passed to rust|attempted to take ownership/.test(error.message))
}
